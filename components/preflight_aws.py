"""Asks AWS what `preflight_rules` judges: reading calls only, all at once.

Honours AWS_PROFILE, AWS_ENDPOINT_URL and the like, as the AWS CLI does. A refused or failed question becomes `NotAsked` with AWS's reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from components import cost_tags
from components.preflight_plan import ECR_IMAGE, Wanted
from components.preflight_rules import QUOTAS, SPOT_ROLE, Answers, ClassOffer, Identity, Machine, NotAsked, Owner, Subnet, matching

SERVICES = ("sts", "service-quotas", "ec2", "iam", "eks", "rds", "acm", "ecr")
PATIENCE = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "max_attempts": 3}, max_pool_connections=20)
"""Seconds; a question that takes longer is reported as not asked."""
MISSING = {
    "NoSuchEntity",
    "ResourceNotFoundException",
    "DBInstanceNotFound",
    "DBInstanceNotFoundFault",
    "RepositoryNotFoundException",
    "ImageNotFoundException",
}
"""How AWS says that something does not exist."""
Clients = Mapping[str, Any]


def session(profile: str | None = None, roles: Sequence[str] = (), region: str | None = None) -> boto3.Session:
    """Credentials as Pulumi's AWS provider takes them: a profile, and roles taken one after the other.

    Raises:
        ClientError, BotoCoreError: AWS or the machine's configuration refuses.
    """
    found = boto3.Session(profile_name=profile, region_name=region)
    for role in roles:
        taken = found.client("sts", config=PATIENCE).assume_role(RoleArn=role, RoleSessionName="airflow-on-eks-preflight")["Credentials"]
        keys = {"aws_access_key_id": taken["AccessKeyId"], "aws_secret_access_key": taken["SecretAccessKey"]}
        found = boto3.Session(**keys, aws_session_token=taken["SessionToken"], region_name=region)
    return found


def read(wanted: Wanted, profile: str | None = None, roles: Sequence[str] = ()) -> Answers:
    """AWS's answers for a stack; a second or two, however many questions there are."""
    try:
        credentials = session(profile, roles, wanted.region)
        clients = {name: credentials.client(name, config=PATIENCE) for name in SERVICES}
        who = clients["sts"].get_caller_identity()
    except (ClientError, BotoCoreError) as error:
        nothing = {name: NotAsked("no credentials") for name in QUESTIONS}
        return Answers(identity=_not_asked(error), **nothing)
    with ThreadPoolExecutor(len(QUESTIONS)) as pool:
        asked = {name: pool.submit(_asked, question, clients, wanted) for name, question in QUESTIONS.items()}
        answers = {name: future.result() for name, future in asked.items()}
    return Answers(identity=Identity(account=who["Account"], arn=who["Arn"]), **answers)


def _asked(question: Callable[[Clients, Wanted], Any], clients: Clients, wanted: Wanted) -> Any:
    try:
        return question(clients, wanted)
    except (ClientError, BotoCoreError) as error:
        return _not_asked(error)


def _not_asked(error: ClientError | BotoCoreError) -> NotAsked:
    if isinstance(error, ClientError):
        return NotAsked(f"{error.operation_name}: {error.response['Error']['Code']}: {error.response['Error'].get('Message', '')}")
    return NotAsked(f"{type(error).__name__}: {error}")


def _exists(call: Callable[..., Any], **parameters: Any) -> Any:
    """What a call answers, or None when AWS says that there is no such thing."""
    try:
        return call(**parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] in MISSING:
            return None
        raise


def _ours(wanted: Wanted, tags: Any) -> bool:
    """Whether tags, as a map or as a list of keys and values, are those of this stack."""
    if not isinstance(tags, Mapping):
        tags = {tag.get("Key", tag.get("key")): tag.get("Value", tag.get("value")) for tag in tags or []}
    return (tags.get("Project"), tags.get("Stack")) == (cost_tags.PROJECT, wanted.stack)


def _owner(wanted: Wanted, tags: Any) -> Owner:
    return "ours" if _ours(wanted, tags) else "others"


def _pages(client: Any, operation: str, key: str, **parameters: Any) -> list[Any]:
    return [item for page in client.get_paginator(operation).paginate(**parameters) for item in page[key]]


def _quotas(clients: Clients, wanted: Wanted) -> dict[str, float]:
    found, quotas = {}, clients["service-quotas"]
    for quota in QUOTAS:
        service, _, code = quota.partition("/")
        try:
            answer = quotas.get_service_quota(ServiceCode=service, QuotaCode=code)
        except quotas.exceptions.NoSuchResourceException:  # a quota that was never changed may have only its default
            answer = quotas.get_aws_default_service_quota(ServiceCode=service, QuotaCode=code)
        found[quota] = float(answer["Quota"]["Value"])
    return found


def _types(clients: Clients, names: Sequence[str]) -> list[Any]:
    # by filter: asked by name, AWS answers nothing at all when one of them does not exist
    return [
        item
        for start in range(0, len(names), 100)
        for item in _pages(
            clients["ec2"],
            "describe_instance_types",
            "InstanceTypes",
            Filters=[{"Name": "instance-type", "Values": list(names[start : start + 100])}],
        )
    ]


def _vcpus_of(clients: Clients, names: Sequence[str]) -> dict[str, int]:
    return {item["InstanceType"]: item["VCpuInfo"]["DefaultVCpus"] for item in _types(clients, names)}


def _spot_types(clients: Clients, wanted: Wanted) -> frozenset[str]:
    known = _types(clients, wanted.instance_types)
    return frozenset(item["InstanceType"] for item in known if "spot" in item["SupportedUsageClasses"])


def _machines(clients: Clients, wanted: Wanted) -> tuple[Machine, ...]:
    filters = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    instances = [
        instance
        for reservation in _pages(clients["ec2"], "describe_instances", "Reservations", Filters=filters)
        for instance in reservation["Instances"]
    ]
    vcpus = _vcpus_of(clients, sorted({instance["InstanceType"] for instance in instances}))
    return tuple(
        Machine(
            instance_type=instance["InstanceType"],
            vcpus=vcpus.get(instance["InstanceType"], 0),
            spot=instance.get("InstanceLifecycle") == "spot",
            ours=_ours(wanted, instance.get("Tags")),
        )
        for instance in instances
    )


def _of_others(items: Sequence[Mapping[str, Any]], wanted: Wanted) -> int:
    return sum(not _ours(wanted, item.get("Tags")) for item in items)


def _zones(clients: Clients, wanted: Wanted) -> frozenset[str]:
    filters = [{"Name": "state", "Values": ["available"]}, {"Name": "zone-type", "Values": ["availability-zone"]}]
    return frozenset(zone["ZoneName"] for zone in clients["ec2"].describe_availability_zones(Filters=filters)["AvailabilityZones"])


def _subnets(clients: Clients, wanted: Wanted) -> dict[str, Subnet]:
    ids = [id for ids in wanted.subnets.values() for id in ids]
    found = _pages(clients["ec2"], "describe_subnets", "Subnets", Filters=[{"Name": "subnet-id", "Values": ids}]) if ids else []
    return {item["SubnetId"]: Subnet(vpc=item["VpcId"], zone=item["AvailabilityZone"]) for item in found}


def _offered(clients: Clients, wanted: Wanted) -> dict[str, frozenset[str]]:
    filters = [{"Name": "instance-type", "Values": list(wanted.instance_types)}]
    found: dict[str, set[str]] = {}
    more = {"LocationType": "availability-zone", "Filters": filters}
    for item in _pages(clients["ec2"], "describe_instance_type_offerings", "InstanceTypeOfferings", **more):
        found.setdefault(item["Location"], set()).add(item["InstanceType"])
    return {zone: frozenset(names) for zone, names in found.items()}


def _kubernetes(clients: Clients, wanted: Wanted) -> str:
    found = clients["eks"].describe_cluster_versions(includeAll=True)["clusterVersions"]
    return next((item["versionStatus"] for item in found if item["clusterVersion"] == wanted.kubernetes_version), "")


def _running_kubernetes(clients: Clients, wanted: Wanted) -> str:
    found = _exists(clients["eks"].describe_cluster, name=wanted.cluster)
    return str(found["cluster"]["version"]) if found and _ours(wanted, found["cluster"].get("tags")) else ""


def _add_ons(clients: Clients, wanted: Wanted) -> frozenset[str]:
    found = _pages(clients["eks"], "describe_addon_versions", "addons", kubernetesVersion=wanted.kubernetes_version)
    return frozenset(item["addonName"] for item in found if item["addonVersions"])


def _engine_versions(clients: Clients, wanted: Wanted) -> tuple[str, ...]:
    return tuple(
        item["EngineVersion"] for item in _pages(clients["rds"], "describe_db_engine_versions", "DBEngineVersions", Engine="postgres")
    )


def _classes(clients: Clients, wanted: Wanted) -> tuple[ClassOffer, ...]:
    versions = matching(wanted.engine_version, _engine_versions(clients, wanted))
    newest = max(versions, key=lambda version: [int(part) for part in version.split(".") if part.isdecimal()], default="")
    if not newest:
        return ()
    more = {"Engine": "postgres", "EngineVersion": newest, "DBInstanceClass": wanted.instance_class}
    return tuple(
        ClassOffer(
            zones=frozenset(zone["Name"] for zone in item["AvailabilityZones"]),
            multi_az=item["MultiAZCapable"],
            storage=item["StorageType"],
        )
        for item in _pages(clients["rds"], "describe_orderable_db_instance_options", "OrderableDBInstanceOptions", **more)
    )


def _certificate(clients: Clients, wanted: Wanted) -> str:
    if not wanted.certificate_arn:
        return ""
    found = _exists(clients["acm"].describe_certificate, CertificateArn=wanted.certificate_arn)
    return str(found["Certificate"]["Status"]) if found else ""


def _cluster(clients: Clients, wanted: Wanted) -> Owner:
    found = _exists(clients["eks"].describe_cluster, name=wanted.cluster)
    return _owner(wanted, found["cluster"].get("tags") or {}) if found else "free"


def _database(clients: Clients, wanted: Wanted) -> Owner:
    found = _exists(clients["rds"].describe_db_instances, DBInstanceIdentifier=wanted.database)
    if not found:
        return "free"
    tags = found["DBInstances"][0].get("TagList") or []
    asleep = any((tag["Key"], tag["Value"]) == cost_tags.ASLEEP for tag in tags)
    return "asleep" if asleep and _ours(wanted, tags) else _owner(wanted, tags)


def _repository(clients: Clients, wanted: Wanted) -> Owner:
    found = wanted.repository and _exists(clients["ecr"].describe_repositories, repositoryNames=[wanted.repository])
    if not found:
        return "free"
    return _owner(wanted, clients["ecr"].list_tags_for_resource(resourceArn=found["repositories"][0]["repositoryArn"])["tags"])


def _image(clients: Clients, wanted: Wanted) -> bool | NotAsked:
    found = ECR_IMAGE.fullmatch(wanted.image or "")
    if found is None:
        return True
    if found["region"] != wanted.region:
        return NotAsked(f"it is in {found['region']}, and only {wanted.region} is asked")
    where = {"registryId": found["account"], "repositoryName": found["repository"]}
    return _exists(clients["ecr"].describe_images, **where, imageIds=[{"imageDigest": found["digest"]}]) is not None


def _missing_principals(clients: Clients, wanted: Wanted) -> frozenset[str]:
    account = clients["sts"].get_caller_identity()["Account"]
    missing = set()
    for arn in wanted.principals:
        kind, _, name = arn.rpartition(":")[2].partition("/")
        if f"::{account}:" in arn:  # those of another account cannot be asked for from here
            call = clients["iam"].get_role if kind == "role" else clients["iam"].get_user
            if _exists(call, **{f"{kind.capitalize()}Name": name.rpartition("/")[2]}) is None:
                missing.add(arn)
    return frozenset(missing)


QUESTIONS: dict[str, Callable[[Clients, Wanted], Any]] = {
    "quotas": _quotas,
    "vcpus": lambda clients, wanted: _vcpus_of(clients, wanted.instance_types),
    "machines": _machines,
    "other_addresses": lambda clients, wanted: _of_others(clients["ec2"].describe_addresses()["Addresses"], wanted),
    "other_vpcs": lambda clients, wanted: _of_others(_pages(clients["ec2"], "describe_vpcs", "Vpcs"), wanted),
    "zones": _zones,
    "subnets": _subnets,
    "offered": _offered,
    "spot_types": _spot_types,
    "spot_role": lambda clients, wanted: _exists(clients["iam"].get_role, RoleName=SPOT_ROLE) is not None,
    "kubernetes": _kubernetes,
    "running_kubernetes": _running_kubernetes,
    "add_ons": _add_ons,
    "engine_versions": _engine_versions,
    "classes": _classes,
    "certificate": _certificate,
    "cluster": _cluster,
    "database": _database,
    "repository": _repository,
    "image": _image,
    "principals": _missing_principals,
}
"""Field of `Answers` to how it is asked."""
