"""What a stack may be: rules over parsed settings, each with its reason and way out. Pure, and in the order of Pulumi.yaml.

A rule names the sections it needs as its parameters and is asked only when those could be read.
"""

from __future__ import annotations

import difflib
import inspect
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components import cost_tags, network_plan, spot_pools
from components.settings_parser import MISSING, Problem, camel

if TYPE_CHECKING:
    from components import settings as kinds

Rule = Callable[..., Iterator[Problem]]
RULES: list[Rule] = []

_REGIONS = (
    "af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 ap-southeast-2"
    " ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1 eu-central-1 eu-central-2"
    " eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 mx-central-1 sa-east-1"
    " us-east-1 us-east-2 us-west-1 us-west-2"
)
REGIONS = tuple(_REGIONS.split())
"""Regions with EKS in the partition `aws` (botocore 1.44); other partitions spell ARNs differently and are not supported."""
KUBERNETES_VERSIONS = {
    "1.34": "leaves EKS standard support on 2026-12-02 and costs six times as much from then on",
    "1.35": "",
    "1.36": "is outside of the versions that Airflow 3.3 is tested with (1.30 to 1.35)",
}
"""In EKS standard support, with what a user should know."""
AUTOSCALER_CHARTS = {"9.59.0": "1.35"}
"""Chart version to the Kubernetes version its autoscaler belongs to."""
POSTGRES_VERSIONS = ("16", "17", "18")
LOG_RETENTIONS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""CloudWatch Logs API reference, PutRetentionPolicy."""
CLUSTER_NAME = r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}"
GROUP_NAME_LIMIT = 50
"""A role's name has 64 characters at most, and `-role-` with Pulumi's suffix takes the rest (IAM quotas)."""
STORAGE_GIB = range(20, 65537)
"""gp3 (RDS API reference, CreateDBInstance AllocatedStorage)."""
ECR_NAME = r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*"
NO_FALLBACK = "or set workers.fallback to none"
SPOT_NOTICE_ROOM = 110
"""AWS takes the node 120 seconds after the notice, and the kubelet needs some of them."""
AIRFLOW_SIGNALS = {"3.3": "forwards SIGTERM to the task; a Python task works on until its grace period ends"}
"""Minor version of Airflow to how its workers take a reclaim; docs/interruptions.md has the consequences."""
CPU = r"\d+m|\d+(\.\d+)?"
MEMORY = r"\d+(Ki|Mi|Gi|K|M|G)?"
SHORTEST_RETENTION_DAYS = 7
MAIL = r"[^@\s]+@[^@\s]+\.[^@\s.]+"
"""AWS Budgets takes an address without confirming it: a typo would be noticed by nobody."""
WIDEST_PREFIX = {4: 16, 6: 32}
"""Ranges wider than this hold so many strangers that they count as the whole internet."""
PRODUCTION: tuple[tuple[str, str, str | int | bool, str], ...] = (
    ("network", "nat_gateways", "per-zone", "a single NAT gateway ties all zones to one"),
    ("network", "log_retention_days", 365, "audits look back a year"),
    ("cluster", "endpoint_public", False, "deploy from inside the VPC"),
    ("cluster", "log_retention_days", 365, "audits look back a year"),
    ("database", "multi_az", True, "a zone outage would stop Airflow"),
    ("database", "deletion_protection", True, "a destroy must be meant"),
    ("database", "final_snapshot", True, "a destroy must be reversible"),
    ("database", "backup_retention_days", 7, "mistakes are noticed days later"),
    ("database", "log_retention_days", 365, "audits look back a year"),
    ("storage", "backups", True, "logs and shared DAGs live there"),
    ("airflow.replicas", "api_server", 2, "every running task reports to it"),
    ("airflow.replicas", "scheduler", 2, "a node may fail"),
)
"""Section, field, what it must be (a number: at least), and why."""


def check(parsed: Mapping[str, Any]) -> list[Problem]:
    """Every problem of settings that were parsed; sections that were not are skipped."""
    found: list[Problem] = []
    for rule in RULES:
        wanted = {name: parsed[name] for name in inspect.signature(rule).parameters}
        if all(value is not MISSING for value in wanted.values()):
            found += rule(**wanted)
    return found


def _rule(function: Rule) -> Rule:
    RULES.append(function)
    return function


def _matches(setting: str, value: str | None, pattern: str, rule: str, way_out: str = "") -> Iterator[Problem]:
    if value is not None and not re.fullmatch(pattern, value):
        yield Problem(setting=setting, value=value, rule=rule, way_out=way_out)


def _between(setting: str, value: int, least: int, most: int, way_out: str = "") -> Iterator[Problem]:
    if not least <= value <= most:
        yield Problem(setting=setting, value=value, rule=f"must be {least} to {most}", way_out=way_out)


def _retention(setting: str, days: int) -> Iterator[Problem]:
    if days not in LOG_RETENTIONS:
        yield Problem(setting=setting, value=days, rule=f"CloudWatch knows {', '.join(map(str, LOG_RETENTIONS))}")


def _ranges(setting: str, cidrs: Sequence[str]) -> Iterator[Problem]:
    for cidr in cidrs:
        if problem := network_plan.cidr_problem(cidr):
            yield Problem(setting=setting, value=cidr, rule=problem)


def _sizes(path: str, group: kinds.CoreSettings | kinds.WorkerGroup) -> Iterator[Problem]:
    if group.max_size < 1:
        yield Problem(setting=f"{path}.maxSize", value=group.max_size, rule="must be >= 1")
    if group.min_size < 0:
        yield Problem(setting=f"{path}.minSize", value=group.min_size, rule="must be >= 0")
    if group.min_size > group.desired_size:
        yield Problem(setting=f"{path}.desiredSize", rule=f"min {group.min_size} > desired {group.desired_size}")
    if group.desired_size > group.max_size:
        yield Problem(setting=f"{path}.desiredSize", rule=f"desired {group.desired_size} > max {group.max_size}")
    for problem in spot_pools.list_problems(group.instance_types):
        yield Problem(setting=f"{path}.instanceTypes", rule=problem)


@_rule
def region_exists(region: str) -> Iterator[Problem]:
    """Other AWS clients would time out on a name that does not resolve."""
    if region not in REGIONS:
        near = difflib.get_close_matches(region, REGIONS, n=1)
        hint = f"did you mean {near[0]}?" if near else "pulumi config set aws:region us-west-2"
        yield Problem(setting="aws:region", value=region, rule="unknown region", way_out=hint)


@_rule
def stack_and_environment_agree(stack: str, environment: str) -> Iterator[Problem]:
    """A stack called prod that is a dev stack would slip past every rule for production."""
    if stack in ("dev", "staging", "prod") and stack != environment:
        yield Problem(setting="environment", value=environment, rule=f"the stack is called {stack}", way_out=f"set it to {stack}")


@_rule
def account_is_a_number(account: str | None) -> Iterator[Problem]:
    """YAML makes a number of digits, and drops a leading zero."""
    yield from _matches("account", account, r"\d{12}", "an account id has 12 digits", "put it in quotes")


@_rule
def tags_are_legal(tags: Mapping[str, str]) -> Iterator[Problem]:
    """A user's tags neither break AWS's limits nor replace those that split the bill."""
    for key, problem in cost_tags.problems(tags).items():
        yield Problem(setting=f"tags.{key}" if key else "tags", rule=problem)


@_rule
def owner_and_cost_center_are_tag_values(owner: str, cost_center: str) -> Iterator[Problem]:
    """Both become tags."""
    for setting, value in (("owner", owner), ("costCenter", cost_center)):
        if len(value) > cost_tags.MAX_VALUE:
            yield Problem(setting=setting, rule=f"a tag's value has at most {cost_tags.MAX_VALUE} characters, this one {len(value)}")


@_rule
def boundary_and_key_exist_by_their_names(iam: kinds.IamSettings, encryption: kinds.EncryptionSettings, region: str) -> Iterator[Problem]:
    """ARNs of what somebody else made."""
    pattern = r"arn:aws:iam::(\d{12}|aws):policy/[\w+=,.@/-]+"
    rule = "is no IAM policy (arn:aws:iam::ACCOUNT:policy/NAME)"
    yield from _matches("iam.permissionsBoundaryArn", iam.permissions_boundary_arn, pattern, rule)
    arn = encryption.kms_key_arn
    way_out = "give the key's own ARN: an alias can be moved to another key"
    yield from _matches(
        "encryption.kmsKeyArn", arn, r"arn:aws:kms:[a-z0-9-]+:\d{12}:key/[\w-]+", "is no KMS key (arn:aws:kms:...:key/ID)", way_out
    )
    home = (arn or "").split(":")[3:4]
    if home and home != [region]:
        yield Problem(setting="encryption.kmsKeyArn", rule=f"is of region {home[0]}, the stack is in {region}")


@_rule
def network_is_new_or_existing(network: kinds.NetworkSettings, web: kinds.WebSettings) -> Iterator[Problem]:
    """An existing VPC comes with its subnets."""
    if network.vpc_id is None:
        for name, ids in (("privateSubnetIds", network.private_subnet_ids), ("publicSubnetIds", network.public_subnet_ids)):
            if ids:
                yield Problem(setting=f"network.{name}", rule="subnets of which VPC?", way_out="set network.vpcId too, or remove them")
        return
    yield from _matches("network.vpcId", network.vpc_id, r"vpc-[0-9a-f]{8,17}", "is no VPC id (vpc-...)")
    needed = [("privateSubnetIds", network.private_subnet_ids, True)]
    needed += [("publicSubnetIds", network.public_subnet_ids, bool(web.allowed_cidrs))]
    for name, ids, required in needed:
        if len(set(ids)) < network_plan.MIN_ZONES and (required or ids):
            yield Problem(setting=f"network.{name}", value=list(ids), rule="an existing VPC needs two or more, in different zones")
        for item in ids:
            yield from _matches(f"network.{name}", item, r"subnet-[0-9a-f]{8,17}", "is no subnet id (subnet-...)")


@_rule
def network_fits(network: kinds.NetworkSettings, region: str, core: kinds.CoreSettings, workers: kinds.WorkerSettings) -> Iterator[Problem]:
    """A new VPC has room, and zones that can carry the cluster."""
    if network.vpc_id is not None:
        return
    yield from _retention("network.logRetentionDays", network.log_retention_days)
    ranges = network_plan.vpc_problems(network.vpc_cidr)
    for problem in ranges:
        yield Problem(setting="network.vpcCidr", value=network.vpc_cidr, rule=problem)
    for problem in network_plan.zone_problems(network.availability_zones, region):
        yield Problem(setting="network.availabilityZones", rule=problem, way_out="zones of an account: aws ec2 describe-availability-zones")
    overflow = workers.overflow.max_size if workers.fallback == "on-demand" else 0
    nodes = core.max_size + sum(group.max_size for group in workers.groups) + overflow
    room = None if ranges else network_plan.room_problem(network.vpc_cidr, len(network.availability_zones), nodes)
    if room:
        yield Problem(setting="network.vpcCidr", value=network.vpc_cidr, rule=room, way_out="give a larger range or fewer nodes")


@_rule
def cluster_is_legal(cluster: kinds.ClusterSettings) -> Iterator[Problem]:
    """Name, version, logs and administrators."""
    yield from _matches("cluster.name", cluster.name, CLUSTER_NAME, "1 to 100 letters, digits, - and _, beginning with a letter or digit")
    version = cluster.kubernetes_version
    if version not in KUBERNETES_VERSIONS:
        supported = ", ".join(KUBERNETES_VERSIONS)
        yield Problem(setting="cluster.kubernetesVersion", value=version, rule=f"not in EKS standard support, which has {supported}")
    elif note := KUBERNETES_VERSIONS[version]:
        yield Problem(setting="cluster.kubernetesVersion", value=version, rule=note, only_warns=True)
    yield from _retention("cluster.logRetentionDays", cluster.log_retention_days)
    for arn in cluster.admin_principal_arns:
        pattern = r"arn:aws:iam::\d{12}:(role|user)/[\w+=,.@/-]+"
        yield from _matches(
            "cluster.adminPrincipalArns", arn, pattern, "is no IAM role or user", "give the role's ARN, not that of a session (sts)"
        )


@_rule
def kubernetes_api_is_not_open(cluster: kinds.ClusterSettings) -> Iterator[Problem]:
    """CKV_AWS_38: AWS's own default is open to everybody."""
    cidrs = cluster.public_access_cidrs
    yield from _ranges("cluster.publicAccessCidrs", cidrs)
    if cluster.endpoint_public and not cidrs:
        yield Problem(
            setting="cluster.publicAccessCidrs",
            rule="is empty, which AWS takes for 0.0.0.0/0",
            way_out="pulumi config set --path 'cluster.publicAccessCidrs[0]' YOUR.OWN.ADDRESS/32, or set cluster.endpointPublic to false",
        )
    if cidrs and not cluster.endpoint_public:
        yield Problem(setting="cluster.publicAccessCidrs", rule="has no effect while cluster.endpointPublic is false", only_warns=True)
    for network in _parsed(cidrs):
        if network.prefixlen < WIDEST_PREFIX[network.version]:
            yield Problem(setting="cluster.publicAccessCidrs", value=str(network), rule="opens the Kubernetes API to the internet")
        if network.version == 4 and network.subnet_of(ipaddress.IPv4Network("203.0.113.0/24")):
            rule = "is a documentation address (RFC 5737): the Kubernetes API will not answer you"
            way_out = "replace it by the address you deploy from"
            yield Problem(setting="cluster.publicAccessCidrs", value=str(network), rule=rule, way_out=way_out, only_warns=True)


def _parsed(cidrs: Sequence[str]) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    for cidr in cidrs:
        if network_plan.cidr_problem(cidr) is None:
            yield ipaddress.ip_network(cidr)


@_rule
def core_group_is_sound(core: kinds.CoreSettings, environment: str) -> Iterator[Problem]:
    """Sizes in order, and two nodes outside of dev."""
    yield from _sizes("core", core)
    yield from _between("core.volumeGib", core.volume_gib, 20, 16384)
    if core.min_size < 2 and environment != "dev":
        yield Problem(setting="core.minSize", value=core.min_size, rule="core needs >= 2 nodes in 2 zones", way_out="or environment: dev")


@_rule
def worker_groups_are_sound(workers: kinds.WorkerSettings) -> Iterator[Problem]:
    """Names that roles can derive from, sizes in order, enough Spot pools."""
    names = [group.name for group in workers.groups]
    if not names:
        yield Problem(setting="workers.groups", rule="is empty: no task could run", way_out="give at least one group")
    for name in {name for name in names if names.count(name) > 1}:
        yield Problem(setting="workers.groups", value=name, rule="two groups have this name")
    for index, group in enumerate(workers.groups):
        path = f"workers.groups[{index}]"
        taken = f"{spot_pools.CORE_GROUP}$|{spot_pools.OVERFLOW_GROUP}$"
        pattern = rf"(?!{taken})[a-z][a-z0-9-]{{0,{GROUP_NAME_LIMIT - 1}}}"
        over = len(group.name) - GROUP_NAME_LIMIT
        way_out = f"shorten it by {over}: role names derive from it" if over > 0 else ""
        rule = f"1 to {GROUP_NAME_LIMIT} lower-case letters, digits and -, and not {spot_pools.CORE_GROUP} or {spot_pools.OVERFLOW_GROUP}"
        yield from _matches(f"{path}.name", group.name, pattern, rule, way_out)
        yield from _sizes(path, group)
        if 0 < len(group.instance_types) < spot_pools.WANTED_TYPES:
            pools = len(group.instance_types)
            rule = f"Spot wants >= {spot_pools.WANTED_TYPES} types; {pools} type(s) leave little to fall back on"
            yield Problem(setting=f"{path}.instanceTypes", rule=rule, only_warns=True)
    yield from _between("workers.volumeGib", workers.volume_gib, 20, 16384)
    if workers.taint_effect == "PREFER_NO_SCHEDULE":
        rule = "lets pods that are no tasks onto Spot nodes when the others are full"
        yield Problem(setting="workers.taintEffect", value=workers.taint_effect, rule=rule, only_warns=True)


@_rule
def tasks_find_a_node(workers: kinds.WorkerSettings, autoscaler: kinds.AutoscalerSettings) -> Iterator[Problem]:
    """An empty group is filled by the autoscaler and by nothing else."""
    overflows = workers.fallback == "on-demand"
    if overflows:
        for problem in spot_pools.list_problems(workers.overflow.instance_types):
            yield Problem(setting="workers.overflow.instanceTypes", rule=problem)
        if workers.overflow.max_size < 1:
            yield Problem(setting="workers.overflow.maxSize", value=workers.overflow.max_size, rule="must be >= 1", way_out=NO_FALLBACK)
    if autoscaler.enabled:
        return
    if workers.groups and all(group.desired_size == 0 for group in workers.groups):
        rule = "no Spot group begins with a node, and without the autoscaler none ever gets one: no task could run"
        yield Problem(setting="autoscaler.enabled", value=False, rule=rule, way_out="set it to true, or give a group a desiredSize")
    if overflows:
        rule = "on-demand does nothing without the autoscaler: the overflow group is empty until that fills it"
        yield Problem(setting="workers.fallback", rule=rule, way_out="set autoscaler.enabled to true", only_warns=True)


@_rule
def image_runs_on_the_nodes(image: kinds.ImageSettings, core: kinds.CoreSettings, workers: kinds.WorkerSettings) -> Iterator[Problem]:
    """One image is built for one architecture."""
    overflow = workers.overflow.instance_types if workers.fallback == "on-demand" else ()
    for name in dict.fromkeys([*core.instance_types, *(name for group in workers.groups for name in group.instance_types), *overflow]):
        if spot_pools.is_arm(name) is not (image.platform == "linux/arm64"):
            architecture = "arm64" if spot_pools.is_arm(name) else "amd64"
            rule = f"{name} is {architecture}, and the image is not"
            yield Problem(setting="image.platform", value=image.platform, rule=rule, way_out="one architecture for all node groups")


@_rule
def database_is_legal(database: kinds.DatabaseSettings) -> Iterator[Problem]:
    """What RDS would refuse after the rest of the stack is half built."""
    pattern, rule = r"(?=.{1,63}$)[a-z](-?[a-z0-9])*", "1 to 63 lower-case letters, digits and single -, beginning with a letter"
    yield from _matches("database.identifier", database.identifier, pattern, rule)
    major = database.engine_version.partition(".")[0]
    if major not in POSTGRES_VERSIONS:
        rule = f"supported are PostgreSQL {', '.join(POSTGRES_VERSIONS)}"
        yield Problem(setting="database.engineVersion", value=database.engine_version, rule=rule)
    yield from _matches("database.instanceClass", database.instance_class, r"db\.[a-z0-9]+\.[a-z0-9]+", "is no RDS class (db.t4g.small)")
    size, most = database.allocated_storage_gib, database.max_allocated_storage_gib
    yield from _between("database.allocatedStorageGib", size, STORAGE_GIB[0], STORAGE_GIB[-1])
    if most < size * 1.1 or most > STORAGE_GIB[-1]:
        rule = f"max {most} for {size} allocated: RDS wants at least a tenth more, and at most {STORAGE_GIB[-1]}"
        yield Problem(setting="database.maxAllocatedStorageGib", rule=rule)
    yield from _between("database.backupRetentionDays", database.backup_retention_days, 0, 35)
    yield from _retention("database.logRetentionDays", database.log_retention_days)


@_rule
def log_archive_keeps_its_promise(airflow: kinds.AirflowSettings, environment: str) -> Iterator[Problem]:
    """An archive outlives the file system's own clean-up, and in production the stack."""
    log_archive = airflow.log_archive
    if log_archive.retention_days:
        yield from _between("airflow.logArchive.retentionDays", log_archive.retention_days, 30, 3650, "0 keeps everything")
    if log_archive.enabled and log_archive.delete_with_stack and environment == "prod":
        rule, way_out = "environment prod keeps its logs when it is destroyed", "set it to false"
        yield Problem(setting="airflow.logArchive.deleteWithStack", value=True, rule=rule, way_out=way_out)


@_rule
def image_is_pinned(image: kinds.ImageSettings, airflow: kinds.AirflowSettings) -> Iterator[Problem]:
    """The image that runs is the one that was tested."""
    rule = "2 to 256 lower-case letters, digits and . _ - / (ECR repository names)"
    yield from _matches("image.repository", image.repository, rf"(?=.{{2,256}}$){ECR_NAME}", rule)
    rule = "is no REPOSITORY-URI@sha256:<64 hex digits>"
    yield from _matches("image.digest", image.digest, r"[^@\s]+@sha256:[0-9a-f]{64}", rule, "a tag can move: give the digest")
    tag = image.base.rpartition("/")[2].partition("@")[0].partition(":")[2]
    if not tag or tag.startswith("latest"):
        yield Problem(setting="image.base", value=image.base, rule="pin a tag: latest is another image tomorrow")
    elif image.digest is None and not tag.startswith(airflow.version):  # an image by digest is not built from any base
        rule = f"has another Airflow than airflow.version {airflow.version}"
        yield Problem(setting="image.base", value=image.base, rule=rule, way_out="change both together")


@_rule
def airflow_is_sound(airflow: kinds.AirflowSettings) -> Iterator[Problem]:
    """Retries and grace that survive Spot."""
    yield from _matches("airflow.version", airflow.version, r"3\.([3-9]|\d\d+)\.\d+", "supported is Airflow 3.3 or later, in full (3.3.2)")
    if re.fullmatch(r"3\.\d+\.\d+", airflow.version) and (minor := airflow.version.rpartition(".")[0]) not in AIRFLOW_SIGNALS:
        rule = f"how workers of Airflow {minor} take SIGTERM was not tested with this stack, only {', '.join(AIRFLOW_SIGNALS)}"
        way_out = "run 'make e2e' with that image first (docs/interruptions.md)"
        yield Problem(setting="airflow.version", value=airflow.version, rule=rule, way_out=way_out, only_warns=True)
    yield from _matches("airflow.adminUser", airflow.admin_user, r"[A-Za-z0-9_.@-]{1,64}", "1 to 64 letters, digits and _ . @ -")
    yield from _matches("airflow.adminEmail", airflow.admin_email, r"[^@\s]+@[^@\s]+", "is no mail address")
    yield from _between("airflow.taskRetries", airflow.task_retries, 1, 100, "a reclaimed Spot node fails the try it was running")
    yield from _between("airflow.taskRetryDelaySeconds", airflow.task_retry_delay_seconds, 0, 86400)
    yield from _between("airflow.taskTimeoutMinutes", airflow.task_timeout_minutes, 1, 10080, "what runs longer is better cut into pieces")
    yield from _between("airflow.interruptionRetries", airflow.interruption_retries, 0, 100)
    grace = airflow.worker_grace_period_seconds
    yield from _between("airflow.workerGracePeriodSeconds", grace, 1, SPOT_NOTICE_ROOM, "AWS takes a Spot node 120 s after its notice")
    yield from _between("airflow.workerPodsCreationBatchSize", airflow.worker_pods_creation_batch_size, 1, 1024)
    yield from _matches("airflow.workerCpu", airflow.worker_cpu, CPU, "is no CPU quantity such as 250m or 1")
    yield from _matches("airflow.workerMemory", airflow.worker_memory, MEMORY, "is no memory quantity such as 1Gi")
    for name in ("api_server", "scheduler", "dag_processor", "triggerer"):
        yield from _between(f"airflow.replicas.{camel(name)}", getattr(airflow.replicas, name), 1, 20)


@_rule
def fernet_key_can_be_read(airflow: kinds.AirflowSettings) -> Iterator[Problem]:
    """What the newest key encrypts must be readable."""
    key = airflow.fernet_key
    yield from _between("airflow.fernetKey.generation", key.generation, 1, 1000)
    way_out = "first raise airflow.fernetKey.generation and deploy, then this"
    yield from _between("airflow.fernetKey.oldestAccepted", key.oldest_accepted, 1, max(key.generation, 1), way_out)


@_rule
def metrics_image_is_pinned(airflow: kinds.AirflowSettings, environment: str) -> Iterator[Problem]:
    """The exporter that runs is the one that was chosen."""
    image = airflow.metrics.image
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if digest:
        yield from _matches("airflow.metrics.image", digest, r"sha256:[0-9a-f]{64}", "is no digest (sha256: and 64 hex digits)")
    elif tag in ("", "latest"):
        yield Problem(setting="airflow.metrics.image", value=image, rule="pin a tag or a digest: latest is another image tomorrow")
    elif airflow.metrics.enabled and environment == "prod":
        rule, way_out = "environment prod needs a digest: a tag can move", f"docker buildx imagetools inspect {image} shows it"
        yield Problem(setting="airflow.metrics.image", value=image, rule=rule, way_out=way_out)


@_rule
def cleanup_keeps_what_is_in_use(airflow: kinds.AirflowSettings) -> Iterator[Problem]:
    """A week at least: long runs, and people who look on Monday what broke on Friday."""
    for name in ("database_retention_days", "log_retention_days"):
        days = getattr(airflow.cleanup, name)
        if days:
            yield from _between(f"airflow.cleanup.{camel(name)}", days, SHORTEST_RETENTION_DAYS, 3650, "0 keeps everything")


@_rule
def web_ui_is_not_open_by_accident(web: kinds.WebSettings, region: str) -> Iterator[Problem]:
    """Open to the internet only on purpose, and with TLS."""
    yield from _ranges("web.allowedCidrs", web.allowed_cidrs)
    yield from _between("web.port", web.port, 1, 65535)
    yield from _matches(
        "web.certificateArn", web.certificate_arn, r"arn:aws:acm:[a-z0-9-]+:\d{12}:certificate/[\w-]+", "is no ACM certificate"
    )
    home = (web.certificate_arn or "").split(":")[3:4]
    if home and home != [region]:
        yield Problem(setting="web.certificateArn", rule=f"is of region {home[0]}, the load balancer of {region}")
    if web.i_understand_this_is_public:
        return
    way_out = "or set web.iUnderstandThisIsPublic to true"
    for network in _parsed(web.allowed_cidrs):
        if network.prefixlen < WIDEST_PREFIX[network.version]:
            yield Problem(setting="web.allowedCidrs", value=str(network), rule="opens the login page to the internet", way_out=way_out)
    if web.allowed_cidrs and web.certificate_arn is None:
        rule = "is needed with web.allowedCidrs: passwords would cross the internet in clear"
        yield Problem(setting="web.certificateArn", rule=rule, way_out=way_out)


@_rule
def web_ui_has_a_name(web: kinds.WebSettings) -> Iterator[Problem]:
    """A name that DNS can have, in a zone that Route 53 can have."""
    pattern, rule = r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", "is no domain name (airflow.example.com)"
    yield from _matches("web.domainName", web.domain_name, pattern, rule, "give it without https:// and in lower case")
    yield from _matches("web.hostedZoneId", web.hosted_zone_id, r"Z[A-Z0-9]{1,31}", "is no id of a Route 53 hosted zone (Z...)")
    if web.hosted_zone_id and web.domain_name is None:
        yield Problem(setting="web.hostedZoneId", rule="a record of which name?", way_out="set web.domainName too")


@_rule
def autoscaler_matches(autoscaler: kinds.AutoscalerSettings, cluster: kinds.ClusterSettings) -> Iterator[Problem]:
    """The autoscaler simulates the scheduler of its own Kubernetes version."""
    chart = autoscaler.chart_version
    yield from _matches("autoscaler.chartVersion", chart, r"\d+\.\d+\.\d+", "is no chart version (9.59.0)")
    belongs = AUTOSCALER_CHARTS.get(chart, cluster.kubernetes_version)
    if autoscaler.enabled and belongs != cluster.kubernetes_version:
        rule = f"has the autoscaler of Kubernetes {belongs}, the cluster is {cluster.kubernetes_version}"
        yield Problem(setting="autoscaler.chartVersion", value=chart, rule=rule, only_warns=True)


@_rule
def production_never_sleeps(environment: str, hibernation: kinds.HibernationSettings) -> Iterator[Problem]:
    """Starting a stopped database takes minutes, or hours."""
    if hibernation.allowed and environment == "prod":
        rule = "environment prod must be there at all times"
        yield Problem(setting="hibernation.allowed", value=True, rule=rule, way_out="set it to false, or environment to staging")


@_rule
def budget_is_an_amount(budget: kinds.BudgetSettings) -> Iterator[Problem]:
    """Nothing costs less than nothing."""
    if budget.monthly_usd < 0:
        yield Problem(setting="budget.monthlyUsd", value=budget.monthly_usd, rule="must be >= 0", way_out="0 for no budget")
    yield from _matches("budget.email", budget.email, MAIL, "is no mail address")
    if budget.email is not None and budget.monthly_usd == 0:
        way_out = "set budget.monthlyUsd, or remove budget.email"
        yield Problem(setting="budget.email", value=budget.email, rule="is to be told about which amount?", way_out=way_out)


@_rule
def production_is_guarded(
    environment: str,
    network: kinds.NetworkSettings,
    cluster: kinds.ClusterSettings,
    database: kinds.DatabaseSettings,
    storage: kinds.StorageSettings,
    airflow: kinds.AirflowSettings,
) -> Iterator[Problem]:
    """What a stack must have before it may call itself prod."""
    if environment != "prod":
        return
    sections = {"network": network, "cluster": cluster, "database": database, "storage": storage, "airflow.replicas": airflow.replicas}
    for section, field, wanted, reason in PRODUCTION:
        value = getattr(sections[section], field)
        holds = value >= wanted if type(wanted) is int else value == wanted
        if not holds and not (section == "network" and network.vpc_id is not None):
            need = f"{wanted} or more" if type(wanted) is int else str(wanted).lower()
            rule = f"environment prod needs {need}: {reason}"
            yield Problem(setting=f"{section}.{camel(field)}", value=value, rule=rule, way_out="or set environment to staging")
