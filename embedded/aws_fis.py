"""Fault Injection Service: experiments that take Spot instances away, as EC2, Auto Scaling and EKS do it together.

Moto records templates and experiments; here they are checked as AWS checks them, and carried out. A managed node group (EKS user guide,
"Managed node group capacity types") launches a replacement at the rebalance recommendation, cordons and drains the old node once the new
one is Ready or the two-minute notice comes, and lets it go when it is empty; EC2 takes it at the end of the notice whatever it still does.
"""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from embedded import nodes
from embedded.aws_records import Params, backend, error, trusted_role
from embedded.cloud import Cloud, CloudError
from embedded.control_plane import kubectl
from embedded.node_config import NodeSpec

NOTICE_SECONDS = 120.0
LONGEST_SECONDS = 900.0
MOST_SPOT_INSTANCES = 5
"""Spot instances that one experiment interrupts (FIS quotas, default)."""
SCALE_TAG = "NoticeScale"
"""Tag of an experiment that shortens its notice, from 0 to 1; AWS has no such thing and pays no attention to it."""


@dataclass(frozen=True, kw_only=True)
class Action:
    """An action of FIS that this cloud can carry out."""

    target: str
    """Name of its target among the action's `targets`."""
    resource_type: str
    duration: str = ""
    """Name of its one parameter."""


ACTIONS = {
    "aws:ec2:send-spot-instance-interruptions": Action(
        target="SpotInstances", resource_type="aws:ec2:spot-instance", duration="durationBeforeInterruption"
    ),
    "aws:ec2:terminate-instances": Action(target="Instances", resource_type="aws:ec2:instance"),
}


def seconds_of(duration: str) -> float | None:
    """An ISO 8601 duration of hours, minutes and seconds; None when it is not one."""
    found = re.fullmatch(r"PT(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?", duration)
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    return timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds() if found else None


def _refuse(message: str) -> None:
    raise error("ValidationException", message)


def check_template(cloud: Cloud, params: Params) -> None:
    """What FIS refuses in a template, and moto takes."""
    known = backend(cloud, "fis").experiment_templates.get(params.get("id"))
    given = {"actions": "actions", "targets": "targets", "stopConditions": "stop_conditions", "roleArn": "role_arn"}
    values = {key: params[key] if params.get(key) is not None else getattr(known, name, None) for key, name in given.items()}
    targets = values["targets"] or {}
    for name, item in (values["actions"] or {}).items():
        action = ACTIONS.get(str(item.get("actionId")))
        if action is None:
            _refuse(f"the embedded FIS has no action {item.get('actionId')}, only {', '.join(ACTIONS)}; anything else only works on AWS")
            return
        target = targets.get((item.get("targets") or {}).get(action.target))
        if target is None or target["resourceType"] != action.resource_type:
            _refuse(f"Action {name} needs target {action.target} of resource type {action.resource_type}")
        parameters = item.get("parameters") or {}
        if parameters.keys() != ({action.duration} if action.duration else set()):
            _refuse(f"Action {name} takes the parameter {action.duration or '(none)'}, got {', '.join(parameters) or '(none)'}")
        if action.duration and not NOTICE_SECONDS <= (seconds_of(parameters[action.duration]) or 0) <= LONGEST_SECONDS:
            _refuse(f"{action.duration} of action {name} is '{parameters[action.duration]}': from PT2M to PT15M")
    for name, target in targets.items():
        if not re.fullmatch(r"ALL|COUNT\([1-9]\d*\)|PERCENT\(([1-9]\d?|100)\)", target["selectionMode"]):
            _refuse(f"selectionMode of target {name} is '{target['selectionMode']}': ALL, COUNT(n) or PERCENT(n)")
        if not target.get("resourceArns") and not target.get("resourceTags"):
            _refuse(f"Target {name} needs resourceArns or resourceTags")
        if any(item["path"] != "State.Name" for item in target.get("filters") or []):
            _refuse(f"Target {name}: the embedded FIS filters by State.Name only; anything else only works on AWS")
    for condition in values["stopConditions"] or []:
        alarms = {alarm.alarm_arn for alarm in backend(cloud, "cloudwatch").alarms.values()}
        if condition["source"] != "none" and (condition["source"] != "aws:cloudwatch:alarm" or condition.get("value") not in alarms):
            _refuse(f"Stop condition {condition['source']} {condition.get('value', '')}: none, or the ARN of an alarm that exists")
    _role(cloud, values["roleArn"])


def _role(cloud: Cloud, arn: Any) -> None:
    try:
        trusted_role(cloud, str(arn), "fis.amazonaws.com")
    except Exception as problem:
        raise error("ValidationException", str(problem)) from problem


def _chosen(cloud: Cloud, target: Params, spot: bool) -> list[Any]:
    """The running instances that a target selects."""
    arns, tags = target.get("resourceArns") or [], target.get("resourceTags") or {}
    found = []
    for instance in (item for hold in backend(cloud, "ec2").reservations.values() for item in hold.instances):
        own = {tag["key"]: tag["value"] for tag in instance.get_tags()}
        if instance.state != "running" or (spot and instance.lifecycle != "spot"):
            continue
        if any(arn.endswith(f"/{instance.id}") for arn in arns) if arns else tags.items() <= own.items():
            found.append(instance)
    kind, _, number = target["selectionMode"].rstrip(")").partition("(")
    count = len(found) if kind == "ALL" else int(number) if kind == "COUNT" else int(len(found) * int(number) / 100)
    busiest = functools.partial(_pods, cloud)
    return sorted(found, key=lambda item: -busiest(item.id))[:count] if count < len(found) else found


def _pods(cloud: Cloud, instance: str) -> int:
    # AWS picks at random; a rehearsal on two nodes learns more from the one that has work
    name = next((spec.name for spec in nodes.nodes(cloud) if spec.instance_id == instance), "")
    return len(kubectl(cloud, "get", "pods", "-A", "--field-selector", f"spec.nodeName={name}", "-o", "name").split()) if name else 0


def start_experiment(cloud: Cloud, params: Params) -> Params:
    """FIS StartExperiment: resolve the targets, then act while the experiment is `running`."""
    fis = backend(cloud, "fis")
    answer = fis.start_experiment(
        params.get("clientToken"), params["experimentTemplateId"], params.get("experimentOptions"), params.get("tags")
    )
    experiment = fis.experiments[answer["id"]]
    _role(cloud, experiment.role_arn)
    experiment._transitions = []  # moto's experiments finish by being looked at
    [item] = experiment.actions.values()
    action = ACTIONS[item["actionId"]]
    target = experiment.targets[item["targets"][action.target]]
    spot = action.resource_type == "aws:ec2:spot-instance"
    chosen = _chosen(cloud, target, spot)
    experiment.resolved_targets = lambda: [
        _Resolved(
            action.resource_type, item["targets"][action.target], f"arn:aws:ec2:{cloud.region}:{instance.owner_id}:instance/{instance.id}"
        )
        for instance in chosen
    ]
    alarms = {alarm.alarm_arn: alarm.state_value for alarm in backend(cloud, "cloudwatch").alarms.values()}
    if any(alarms.get(condition.get("value")) == "ALARM" for condition in experiment.stop_conditions):
        _finish(experiment, "stopped", "Experiment halted by stop condition.")
    elif not chosen:
        _finish(experiment, "failed", "Target resolution returned empty set")
    elif spot and len(chosen) > MOST_SPOT_INSTANCES:
        _finish(experiment, "failed", f"{len(chosen)} Spot instances are more than the quota of {MOST_SPOT_INSTANCES}")
    else:
        experiment.status = "running"
        scale = float((params.get("tags") or {}).get(SCALE_TAG, 1))
        ids = {instance.id for instance in chosen}
        specs = [spec for spec in nodes.nodes(cloud) if spec.instance_id in ids]
        duration = (seconds_of(item["parameters"][action.duration]) or 0) if action.duration else None
        act = functools.partial(
            _carry_out, cloud, experiment, specs, None if duration is None else duration * scale, NOTICE_SECONDS * scale
        )
        threading.Thread(target=act, daemon=True).start()
    return {"experiment": experiment.to_dict(tags=params.get("tags") or {})}


@dataclass(frozen=True)
class _Resolved:
    resource_type: str
    target_name: str
    arn: str

    def to_dict(self) -> Params:
        return {"resourceType": self.resource_type, "targetName": self.target_name, "targetInformation": {"arn": self.arn}}


def _finish(experiment: Any, status: str, reason: str = "") -> None:
    experiment.status, experiment.end_time = status, time.time()
    experiment.STATUS_REASONS = experiment.STATUS_REASONS | ({status: reason} if reason else {})


def _carry_out(cloud: Cloud, experiment: Any, specs: list[NodeSpec], duration: float | None, notice: float) -> None:
    try:
        (_interrupt(cloud, specs, duration, notice) if duration is not None else _take(cloud, specs))
        _finish(experiment, "completed")
    except Exception as problem:
        print(f"FIS experiment {experiment.id}: {type(problem).__name__}: {problem}", flush=True)
        _finish(experiment, "failed", str(problem))


def _interrupt(cloud: Cloud, specs: list[NodeSpec], duration: float, notice: float) -> None:
    """Rebalance recommendation now, notice `notice` seconds before the end."""
    end = time.monotonic() + duration
    with ThreadPoolExecutor() as pool:
        replaced = pool.submit(_replace, cloud, specs, more=True)
        _wait(lambda: replaced.done(), end - notice)
        for done in [pool.submit(_drain_and_let_go, cloud, spec, end) for spec in specs]:
            done.result()
        replaced.result()


def _wait(until: Callable[[], bool], deadline: float) -> None:
    while not until() and time.monotonic() < deadline:
        time.sleep(0.1)


def _drain_and_let_go(cloud: Cloud, spec: NodeSpec, end: float) -> None:
    left = max(1, int(end - time.monotonic()))
    flags = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", f"--timeout={left}s")
    try:
        kubectl(cloud, "drain", spec.name, *flags)
        drained = True
    except CloudError:
        drained = False
        _wait(lambda: False, end)
    _let_go(cloud, [spec], fewer=True)
    nodes.stop_node(cloud, spec.name, sudden=not drained)


def _take(cloud: Cloud, specs: list[NodeSpec]) -> None:
    """Terminate without a word to Kubernetes; the Auto Scaling group then replaces what it misses."""
    _let_go(cloud, specs, fewer=False)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda spec: nodes.stop_node(cloud, spec.name, sudden=True), specs))
    _replace(cloud, specs, more=False)


def _let_go(cloud: Cloud, specs: list[NodeSpec], *, fewer: bool) -> None:
    from embedded.providers.aws import client

    for spec in specs:
        scaling = client(cloud, "autoscaling")
        scaling.terminate_instance_in_auto_scaling_group(InstanceId=spec.instance_id, ShouldDecrementDesiredCapacity=fewer)


def _replace(cloud: Cloud, specs: list[NodeSpec], *, more: bool) -> None:
    """Start what the groups of these nodes have in their records and not on the machine; with `more` a further instance for each first."""
    from embedded.providers.aws import client
    from embedded.providers.aws_hardware import Hardware
    from embedded.providers.aws_resources import TABLE
    from embedded.providers.aws_table import Context

    ask = functools.partial(client, cloud)
    for group in sorted({spec.group for spec in specs}):
        [cluster] = ask("eks").list_clusters()["clusters"]
        wanted = {"clusterName": cluster, "nodeGroupName": group}
        if more:
            found = ask("eks").describe_nodegroup(clusterName=cluster, nodegroupName=group)["nodegroup"]
            name, count = found["resources"]["autoScalingGroups"][0]["name"], sum(spec.group == group for spec in specs)
            ask("autoscaling").set_desired_capacity(
                AutoScalingGroupName=name, DesiredCapacity=found["scalingConfig"]["desiredSize"] + count
            )
        Hardware(cloud).fit_nodes(Context(cloud, ask, TABLE["aws:eks/nodeGroup:NodeGroup"], wanted))
