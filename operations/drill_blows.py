"""The blows of a drill: what each kind takes away, and the checks that it can only hit the stack.

Spot nodes are taken by the Fault Injection Service, from the experiment templates that the stack makes with `drill.enabled`; the database
is restarted by RDS, Airflow's pods are deleted through Kubernetes. All of it is found by the stack's tags and compared with the cluster.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from components.cost_tags import PROJECT
from operations.deployment import Deployment, OperationError
from operations.drill_record import Event
from operations.drill_view import Look

SPOT_KINDS = ("notice", "sudden", "all-spot")
POD_KINDS = ("scheduler", "api-server")
KINDS = (*SPOT_KINDS, *POD_KINDS, "database")
DRILL_TAG = "Drill"
"""Tag of an experiment template: the kind of drill it is for."""
SCALE_TAG = "NoticeScale"
NOTICE_SECONDS = 120
FINISHED = ("completed", "stopped", "failed", "cancelled")
OUTAGE_SECONDS = {"database": 120, "api-server": 60, "one of several": 10}
"""How long the web UI may be away. RDS says of a reboot that it usually takes under a minute, and of a failover 60 to 120 seconds (RDS user
guide). A single API server has to start again, about 20 s where it was measured; one of several is left out of the Service at once."""


@dataclass
class Aws:
    """The stack's account and region."""

    session: Any
    cluster: str

    def client(self, service: str) -> Any:
        """A client of one service."""
        return self.session.client(service)


def cluster_and_region(kubeconfig: Mapping[str, Any]) -> tuple[str, str]:
    """Name and region of the EKS cluster, from the command that gets the kubeconfig's tokens.

    Raises:
        OperationError: the kubeconfig is not one of EKS.
    """
    arguments = [str(item) for user in kubeconfig["users"] for item in (user["user"].get("exec") or {}).get("args", [])]
    values = [arguments[arguments.index(flag) + 1] for flag in ("--cluster-name", "--region") if flag in arguments[:-1]]
    if len(values) != 2:
        raise OperationError("the stack's kubeconfig names no EKS cluster and region, so that a drill could not be kept to them")
    return values[0], values[1]


def account_problem(account: str, allowed: str | None) -> str | None:
    """Why these credentials are not the stack's; None if they may be. `allowed` is the setting aws:allowedAccountIds as it stands."""
    ids = [str(item) for item in json.loads(allowed)] if allowed and allowed.startswith("[") else [allowed] if allowed else []
    if ids and account not in ids:
        return f"your AWS credentials are of account {account}, and the stack belongs to {' or '.join(ids)} (aws:allowedAccountIds)"
    return None


def connect(deployment: Deployment, configuration: Mapping[str, str]) -> Aws:
    """AWS as the stack has it.

    Raises:
        OperationError: the credentials are of another account than the stack's, or do not work.
    """
    name, region = cluster_and_region(deployment.kubeconfig)
    session = boto3.Session(region_name=region)
    try:
        account = session.client("sts").get_caller_identity()["Account"]
        problem = account_problem(account, configuration.get("aws:allowedAccountIds"))
        if problem:
            raise OperationError(f"{problem}; nothing was done")
        endpoint = session.client("eks").describe_cluster(name=name)["cluster"]["endpoint"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            message = f"account {account} has no cluster '{name}' in {region}: the stack is in another account"
            raise OperationError(f"{message}; nothing was done") from error
        raise OperationError(f"AWS refuses: {error}; nothing was done") from error
    except BotoCoreError as error:
        raise OperationError(f"AWS cannot be asked: {error}; nothing was done") from error
    if endpoint not in [item["cluster"]["server"] for item in deployment.kubeconfig["clusters"]]:
        message = f"cluster '{name}' of account {account} is not the stack's: it answers at {endpoint}"
        raise OperationError(f"{message}; nothing was done")
    return Aws(session=session, cluster=name)


def is_of_stack(tags: Mapping[str, str], cost_tags: Mapping[str, str]) -> bool:
    """Whether a resource's tags say that it belongs to this stack of this project."""
    return tags.get("Project") == PROJECT and all(tags.get(key) == cost_tags[key] for key in ("Project", "Stack"))


def template_problem(template: Mapping[str, Any], cost_tags: Mapping[str, str]) -> str | None:
    """Why an experiment template could hit something outside of the stack's Spot nodes; None if it cannot."""
    for name, target in template["targets"].items():
        tags = target.get("resourceTags") or {}
        if not is_of_stack(tags, cost_tags) or tags.get("CapacityType") != "spot" or target.get("resourceArns"):
            return f"target {name} of template {template['id']} is not limited to the stack's Spot nodes by its tags"
    return None


def strangers(instances: Mapping[str, Mapping[str, str]], look: Look, cluster: str) -> list[str]:
    """Instances (id to tags) that are no Spot nodes of the cluster: a drill that could take them is refused."""
    own = {node.instance for node in look.nodes.values() if node.spot}
    return sorted(id for id, tags in instances.items() if id not in own or tags.get("eks:cluster-name", cluster) != cluster)


def outage_seconds(kind: str, api_servers: int) -> float | None:
    """How long a drill of this kind may leave the web UI without an answer; None: not for one request."""
    return OUTAGE_SECONDS["one of several" if kind == "api-server" and api_servers > 1 else kind] if kind in OUTAGE_SECONDS else None


@dataclass
class SpotBlow:
    """Takes Spot nodes by an experiment of the Fault Injection Service."""

    aws: Aws
    template: Mapping[str, Any]
    scale: float
    experiment: str = ""

    @property
    def tags(self) -> dict[str, str]:
        """Tags that an instance must have to be hit."""
        [target] = self.template["targets"].values()
        return dict(target["resourceTags"])

    def instances(self) -> dict[str, dict[str, str]]:
        """Running instances that the template could hit: id to tags."""
        filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in self.tags.items()]
        filters.append({"Name": "instance-state-name", "Values": ["running"]})
        found = self.aws.client("ec2").get_paginator("describe_instances").paginate(Filters=filters)
        items = [item for page in found for hold in page["Reservations"] for item in hold["Instances"]]
        return {item["InstanceId"]: {tag["Key"]: tag["Value"] for tag in item.get("Tags", [])} for item in items}

    def strike(self, look: Look) -> set[str]:
        """Start the experiment; names of the nodes it chose.

        Raises:
            OperationError: it could hit something that is no Spot node of the cluster, or AWS refuses it.
        """
        foreign = strangers(self.instances(), look, self.aws.cluster)
        if foreign:
            raise OperationError(
                f"the template's tags also fit {', '.join(foreign)}, no Spot node of cluster {self.aws.cluster}; nothing was done"
            )
        fis = self.aws.client("fis")
        tags = {DRILL_TAG: self.template["tags"][DRILL_TAG]} | ({SCALE_TAG: str(self.scale)} if self.scale != 1 else {})
        try:
            self.experiment = fis.start_experiment(experimentTemplateId=self.template["id"], tags=tags)["experiment"]["id"]
            chosen = self._resolved(fis)
        except ClientError as error:
            raise OperationError(f"the Fault Injection Service refuses: {error}") from error
        nodes = {node.instance: name for name, node in look.nodes.items()}
        return {nodes[id] for id in chosen if id in nodes}

    def _resolved(self, fis: Any) -> list[str]:
        deadline = time.monotonic() + 60
        while True:
            state = fis.get_experiment(id=self.experiment)["experiment"]["state"]
            arns = [
                item["targetInformation"]["arn"]
                for item in fis.list_experiment_resolved_targets(experimentId=self.experiment)["resolvedTargets"]
            ]
            if state["status"] in ("failed", "stopped", "cancelled"):
                raise OperationError(f"experiment {self.experiment} is {state['status']}: {state.get('reason', 'no reason given')}")
            if arns:
                return [arn.rpartition("/")[2] for arn in arns]
            if time.monotonic() > deadline:
                raise OperationError(f"experiment {self.experiment} chose no instance within a minute")
            time.sleep(0.5)

    def running(self) -> set[str]:
        """Instances that still run."""
        return set(self.instances())

    def done(self) -> bool:
        """Whether the experiment is over."""
        return self.aws.client("fis").get_experiment(id=self.experiment)["experiment"]["state"]["status"] in FINISHED

    def events(self, nodes: set[str], at: float) -> list[Event]:
        """What AWS sends before it takes the nodes, by the experiment's own clock."""
        experiment = self.aws.client("fis").get_experiment(id=self.experiment)["experiment"]
        [action] = experiment["actions"].values()
        duration = action.get("parameters", {}).get("durationBeforeInterruption")
        begin = action["startTime"].timestamp() if action.get("startTime") else at
        who = ", ".join(sorted(nodes))
        if duration is None:
            return [Event(at=begin, what="strike", who=f"{who}: terminated without notice")]
        lead = (minutes_and_seconds(duration) - NOTICE_SECONDS) * self.scale
        return [Event(at=begin, what="rebalance recommendation", who=who), Event(at=begin + lead, what="notice", who=who)]


def minutes_and_seconds(duration: str) -> int:
    """Seconds of PT2M, PT150S or PT2M30S: how the stack's templates write durations."""
    minutes, _, rest = duration.removeprefix("PT").rpartition("M")
    return int(minutes or 0) * 60 + int(rest.removesuffix("S") or 0)


def find_template(aws: Aws, kind: str, cost_tags: Mapping[str, str]) -> dict[str, Any]:
    """The stack's own experiment template for a kind of drill.

    Raises:
        OperationError: the stack has none, or it could hit something else.
    """
    fis = aws.client("fis")
    listed = [item for page in fis.get_paginator("list_experiment_templates").paginate() for item in page["experimentTemplates"]]
    own = [item for item in listed if is_of_stack(item.get("tags", {}), cost_tags) and item["tags"].get(DRILL_TAG) == kind]
    if not own:
        way_out = "set drill.enabled to true and deploy it"
        raise OperationError(f"stack '{cost_tags['Stack']}' has no experiment template for drill '{kind}'; {way_out}")
    template: dict[str, Any] = fis.get_experiment_template(id=own[0]["id"])["experimentTemplate"]
    problem = template_problem(template, cost_tags)
    if problem:
        raise OperationError(f"{problem}; nothing was done")
    return template


def restart_database(aws: Aws, cost_tags: Mapping[str, str]) -> str:
    """Reboot the stack's database, over to its standby if it has one; its identifier.

    Raises:
        OperationError: no database carries the stack's tags, or AWS refuses.
    """
    rds = aws.client("rds")
    for item in [item for page in rds.get_paginator("describe_db_instances").paginate() for item in page["DBInstances"]]:
        if is_of_stack({tag["Key"]: tag["Value"] for tag in item.get("TagList", [])}, cost_tags):
            failover = {"ForceFailover": True} if item.get("MultiAZ") else {}
            try:
                rds.reboot_db_instance(DBInstanceIdentifier=item["DBInstanceIdentifier"], **failover)
            except ClientError as error:
                raise OperationError(f"RDS refuses: {error}") from error
            return str(item["DBInstanceIdentifier"])
    raise OperationError(f"no database carries the tags of stack '{cost_tags['Stack']}'; nothing was done")


def kill_pod(deployment: Deployment, component: str, look: Look) -> str:
    """Delete one pod of Airflow's own without grace, as a crash would; its name.

    Raises:
        OperationError: there is none that runs.
    """
    api = deployment.core_api()
    listed = api.list_namespaced_pod(deployment.namespace, label_selector=f"component={component}").items
    names = [pod.metadata.name for pod in listed if pod.metadata.uid in look.pods and look.pods[pod.metadata.uid].running]
    if not names:
        raise OperationError(f"no {component} pod runs in namespace {deployment.namespace}; nothing was done")
    api.delete_namespaced_pod(names[0], deployment.namespace, grace_period_seconds=0)
    return names[0]
