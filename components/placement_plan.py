"""The pods and node groups of a plan, in the form in which the placement proof compares them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from components import efs_driver, insights_add_on
from components.planned import UNKNOWN, PlannedResource
from components.planned_values import at, known
from components.spot_pools import EFFECTS
from components.worker_pod import PINNED_LABEL

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
ADD_ON = "aws:eks/addon:Addon"
CHART_RELEASE = "kubernetes:helm.sh/v3:Release"
POD_SPECS = {
    "kubernetes:core/v1:Pod": "spec",
    "kubernetes:apps/v1:Deployment": "spec.template.spec",
    "kubernetes:apps/v1:StatefulSet": "spec.template.spec",
    "kubernetes:batch/v1:Job": "spec.template.spec",
    "kubernetes:batch/v1:CronJob": "spec.jobTemplate.spec.template.spec",
}
"""Where each kind keeps its pod; a DaemonSet belongs on every node and is left out."""
LASTING = {"kubernetes:apps/v1:Deployment", "kubernetes:apps/v1:StatefulSet", CHART_RELEASE, ADD_ON}
JUDGED = {NODE_GROUP, CONFIG_MAP, ADD_ON, CHART_RELEASE, *POD_SPECS}
"""What has pods or nodes."""
DEFAULT_INSTANCE_TYPE = "t3.medium"
"""EKS API reference, CreateNodegroup instanceTypes."""
STARTUP_TAINTS = {efs_driver.STARTUP_TAINT, "ebs.csi.aws.com/agent-not-ready"}
"""Put on a new node and taken off by its storage driver within a minute."""
DAEMONS_MILLICPU = 150
"""What the VPC CNI (50m) and kube-proxy (100m) ask for on every node."""
HYPERVISOR_SHARE = 0.075
"""Of the memory an instance type is sold with, what the machine itself never shows (the share Karpenter assumes)."""
EVICTION_MIB = 100
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "m": 1e-3, "": 1}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What an instance type has."""

    vcpus: int
    memory_mib: int
    max_pods: int
    """Network interfaces x (addresses of each - 1) + 2, as the VPC CNI counts."""


@dataclass(frozen=True, kw_only=True)
class Taint:
    """A node's taint, its effect in Kubernetes' spelling."""

    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{self.key}{f'={self.value}' if self.value else ''}:{self.effect}"


@dataclass(frozen=True, kw_only=True)
class NodeGroup:
    """A managed node group."""

    name: str
    spot: bool
    labels: Mapping[str, str | None]
    """None: the label is there, with a value that differs from node to node."""
    taints: tuple[Taint, ...]
    instance_types: tuple[str, ...]
    max_size: int
    daemons: tuple[float, float] = (0, 0)
    """Millicores and MiB that add-ons' daemons ask for on each node, besides those of every EKS node."""

    @property
    def hard_taints(self) -> tuple[Taint, ...]:
        """Those the scheduler never overrides and that stay on."""
        return tuple(taint for taint in self.taints if taint.effect != "PreferNoSchedule" and taint.key not in STARTUP_TAINTS)

    @property
    def capacity_type(self) -> str:
        """As EKS spells it."""
        return "SPOT" if self.spot else "ON_DEMAND"


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A planned pod."""

    name: str
    spec: Mapping[str, Any]
    worker: bool = False
    """Made by Airflow for a task; every other pod is core."""
    pinned: bool = False
    """A worker whose author chose On-Demand for it."""
    replicas: int = 0
    """How many run for good; 0 for jobs and tasks."""
    resource: PlannedResource | None = None
    """What declares it."""


def display_name(resource: PlannedResource) -> str:
    """Kind and the name a user knows it by."""
    name = at(resource.inputs, "metadata.name")
    return f"{resource.type.rpartition(':')[2]} {name if isinstance(name, str) else resource.name}"


def pod_templates(config_map: PlannedResource) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Pods written as YAML inside a ConfigMap: key and whole pod."""
    for key, text in known(config_map.inputs.get("data"), Mapping, {}).items():
        if isinstance(text, str) and re.search(r"\bkind\"?:\s*\"?Pod\b", text):
            try:
                document = yaml.safe_load(text)
            except yaml.YAMLError:
                continue
            if isinstance(document, Mapping) and document.get("kind") == "Pod":
                yield str(key), document


def planned_pods(plan: Iterable[PlannedResource]) -> list[Pod]:
    """Every pod that the plan's resources will make, Airflow's worker pods included."""
    pods = []
    for resource in plan:
        lasting = resource.type in LASTING
        if path := POD_SPECS.get(resource.type):
            spec = at(resource.inputs, path)
            replicas = at(resource.inputs, "spec.replicas", 1) if lasting else 0
            if isinstance(spec, Mapping):
                name = display_name(resource)
                pods.append(Pod(name=name, spec=spec, replicas=int(known(replicas, int | float, 1)), resource=resource))
        elif resource.type == CONFIG_MAP:
            for key, document in pod_templates(resource):
                labels = known(at(document, "metadata.labels", {}), Mapping, {})
                pinned = PINNED_LABEL.items() <= labels.items()
                spec = known(document.get("spec"), Mapping, {})
                pods.append(Pod(name=f"worker pod ({key})", spec=spec, worker=True, pinned=pinned, resource=resource))
        elif resource.type == CHART_RELEASE and "autoscaler" in str(resource.inputs.get("chart")):
            values = known(resource.inputs.get("values"), Mapping, {})
            spec = {key: values[key] for key in ("nodeSelector", "tolerations", "affinity") if key in values}
            spec["containers"] = [{"name": "chart", "resources": values.get("resources") or {}}]
            pods.append(Pod(name=f"chart {resource.name}", spec=spec, replicas=1, resource=resource))
        elif _is_insights(resource) and isinstance(text := resource.inputs.get("configurationValues", "{}"), str):
            spec = insights_add_on.controller(known(yaml.safe_load(text), Mapping, {}))
            pods.append(Pod(name=f"add-on {insights_add_on.ADD_ON}", spec=spec, replicas=1, resource=resource))
    return pods


def _is_insights(resource: PlannedResource) -> bool:
    return resource.type == ADD_ON and resource.inputs.get("addonName") == insights_add_on.ADD_ON


def lasts(taint: Any) -> bool:
    """Whether a taint of a node group stays on its nodes: pods that do not tolerate it never come."""
    return at(taint, "key") not in STARTUP_TAINTS


def planned_groups(plan: Iterable[PlannedResource]) -> list[NodeGroup]:
    """The managed node groups of the plan, with the labels that EKS and the kubelet add."""
    groups = []
    plan = list(plan)
    insights = (insights_add_on.DAEMONS_MILLICPU, insights_add_on.DAEMONS_MIB)
    daemons: tuple[float, float] = insights if any(map(_is_insights, plan)) else (0, 0)
    for resource in plan:
        if resource.type != NODE_GROUP:
            continue
        inputs = resource.inputs
        name = known(inputs.get("nodeGroupName"), str, resource.name)
        types = tuple(map(str, known(inputs.get("instanceTypes"), list | tuple, []))) or (DEFAULT_INSTANCE_TYPE,)
        capacity = known(inputs.get("capacityType"), str, "ON_DEMAND")
        labels: dict[str, str | None] = {
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "arm64" if "ARM_64" in str(inputs.get("amiType")) else "amd64",
            "node.kubernetes.io/instance-type": types[0] if len(types) == 1 else None,
            "topology.kubernetes.io/zone": None,
            "topology.kubernetes.io/region": None,
            "kubernetes.io/hostname": None,
            "eks.amazonaws.com/nodegroup": name,
            "eks.amazonaws.com/capacityType": capacity,
        }
        labels |= {key: value if isinstance(value, str) else None for key, value in known(inputs.get("labels"), Mapping, {}).items()}
        taints = tuple(
            Taint(
                key=str(at(item, "key")), value=str(at(item, "value", "")), effect=EFFECTS.get(at(item, "effect"), str(at(item, "effect")))
            )
            for item in known(inputs.get("taints"), list | tuple, [])
        )
        size = int(known(at(inputs, "scalingConfig.maxSize", 2), int | float, 1))
        groups.append(
            NodeGroup(
                name=name,
                spot=capacity == "SPOT",
                labels=labels,
                taints=taints,
                instance_types=types,
                max_size=size,
                daemons=daemons,
            )
        )
    return groups


def quantity(value: Any) -> float:
    """A Kubernetes quantity as a number: 250m is 0.25, 1Gi is 1073741824.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, int | float):
        return float(value)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T|m|)", str(value))
    if not match:
        raise ValueError(f"{value!r} is no Kubernetes quantity such as 250m or 1Gi")
    return float(match[1]) * UNITS[match[2]]


def requests(spec: Mapping[str, Any]) -> tuple[float, float]:
    """Millicores and MiB that a pod reserves: its containers together, or its largest init container if that is more."""

    def asked(container: Any, kind: str) -> float:
        amount = at(container, f"resources.requests.{kind}", at(container, f"resources.limits.{kind}", 0))
        return 0 if amount is UNKNOWN else quantity(amount)

    def total(kind: str) -> float:
        sidecars = largest = 0.0
        for container in known(spec.get("initContainers"), list | tuple, []):
            if at(container, "restartPolicy") == "Always":
                sidecars += asked(container, kind)
            else:
                largest = max(largest, sidecars + asked(container, kind))
        return max(largest, sidecars + sum(asked(container, kind) for container in known(spec.get("containers"), list | tuple, [])))

    return total("cpu") * 1000, total("memory") / 2**20


def allocatable(machine: Machine) -> tuple[float, float]:
    """Millicores and MiB that EKS's node image leaves to pods (nodeadm's reservations), without what its own daemons take."""
    reserved = sum(share * min(max(machine.vcpus - core, 0), width) * 10 for core, width, share in ((0, 1, 6), (1, 1, 1), (2, 2, 0.5)))
    reserved += max(machine.vcpus - 4, 0) * 2.5
    memory = machine.memory_mib * (1 - HYPERVISOR_SHARE) - (255 + 11 * machine.max_pods) - EVICTION_MIB
    return machine.vcpus * 1000 - reserved - DAEMONS_MILLICPU, memory


def smallest(group: NodeGroup, machines: Mapping[str, Machine]) -> tuple[str, tuple[float, float]] | None:
    """The type of a group that leaves least to pods, and what: any node may turn out to be one. None if none is known."""
    left = {name: allocatable(machines[name]) for name in group.instance_types if name in machines}
    sizes = [(name, (cpu - group.daemons[0], memory - group.daemons[1])) for name, (cpu, memory) in left.items()]
    return min(sizes, key=lambda size: (size[1][1], size[1][0])) if sizes else None
