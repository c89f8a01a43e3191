"""Which instance types may share one node group, and how that group's nodes are marked. Pure.

Each type in each zone is a Spot pool of its own, so more types mean fewer interruptions. The Cluster Autoscaler plans with a group's
first type only: if the others are smaller it starts nodes that pending pods do not fit on, if larger it pays for too much.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

LIFECYCLE_LABEL = "lifecycle"
SPOT_LIFECYCLE = "Ec2Spot"
ON_DEMAND_LIFECYCLE = "OnDemand"
OVERFLOW_LIFECYCLE = "OnDemandOverflow"
"""Unlike that of the core nodes, whose pods select OnDemand: two reasons, not one, keep them off overflow nodes."""
CORE_GROUP = "ng-on-demand"
OVERFLOW_GROUP = "ng-overflow"
SPOT_PRIORITY, OVERFLOW_PRIORITY = 50, 10
"""What the autoscaler's priority expander compares; a higher number is tried first."""
TAINT_KEY = "spotInstance"
TAINT_VALUE = "true"
EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}
"""A taint's effect as the EKS API spells it (EKS API reference, Taint) to Kubernetes' spelling."""
TAINT_EFFECTS = tuple(EFFECTS)
MAX_TYPES = 20
"""EKS API reference, CreateNodegroup instanceTypes."""
WANTED_TYPES = 3
SIZES = ("medium", "large", "xlarge", "metal", "small", "micro", "nano")
ARCHITECTURES = {"x86_64": "AL2023_x86_64_STANDARD", "arm64": "AL2023_ARM_64_STANDARD"}
"""EC2's name of a CPU architecture to the EKS node image for it."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What EC2 says of an instance type."""

    instance_type: str
    vcpus: int
    memory_mib: int
    architectures: tuple[str, ...]
    gpus: int = 0

    @property
    def architecture(self) -> str:
        """The architecture nodes run as; old x86 types also list i386."""
        return next((name for name in self.architectures if name in ARCHITECTURES), "/".join(self.architectures))


def hard_effect(taint_effect: str) -> str:
    """The effect with which a taint keeps pods off that do not tolerate it."""
    return "NO_SCHEDULE" if taint_effect == "PREFER_NO_SCHEDULE" else taint_effect


def list_problems(instance_types: Sequence[str]) -> list[str]:
    """What is wrong with a list of instance types, as far as their names tell."""
    found = []
    if not instance_types:
        found.append("is empty: give instance types, three or more for Spot; without any EKS takes a single t3.medium")
    if len(instance_types) > MAX_TYPES:
        found.append(f"EKS takes at most {MAX_TYPES} types, got {len(instance_types)}")
    for name in dict.fromkeys(instance_types):
        if instance_types.count(name) > 1:
            found.append(f"{name} given twice: each type is one pool")
        if problem := name_problem(name):
            found.append(problem)
    return found


def name_problem(instance_type: str) -> str | None:
    """Why a text cannot be the name of an instance type."""
    family, dot, size = instance_type.partition(".")
    if not dot or not re.fullmatch(r"[a-z]+[0-9]+[a-z0-9-]*", family):
        return f"{instance_type} is no instance type: they read family.size, such as m5.large"
    if not re.fullmatch(r"(\d+)?xlarge|metal(-\w+)?|large|medium|small|micro|nano", size):
        near = difflib.get_close_matches(size, SIZES, n=1)
        return f"unknown instance type {instance_type}" + (f"; did you mean {family}.{near[0]}?" if near else f": no size is called {size}")
    return None


def is_arm(instance_type: str) -> bool:
    """Whether the name is that of a Graviton type: a g after the generation (m7g, t4g, c6gn), or a1."""
    family = instance_type.partition(".")[0]
    return family == "a1" or bool(re.fullmatch(r"[a-z]+\d+g[a-z]*", family))


def same_shape(group: str, shapes: Sequence[Shape]) -> Shape:
    """The one shape of all types of a group.

    Raises:
        ValueError: they differ in vCPU, memory or architecture, or have GPUs.
    """
    first = shapes[0]
    problems = [
        f"{shape.instance_type} has {shape.gpus} GPU(s), which no task here asks for and every hour pays for"
        for shape in shapes
        if shape.gpus
    ]
    for shape in shapes[1:]:
        pair = f"{first.instance_type} and {shape.instance_type} differ"
        if shape.vcpus != first.vcpus:
            problems.append(f"{pair}: {first.vcpus} vs {shape.vcpus} vCPU")
        if shape.memory_mib != first.memory_mib:
            problems.append(f"{pair}: {first.memory_mib / 1024:g} vs {shape.memory_mib / 1024:g} GiB of memory")
        if shape.architecture != first.architecture:
            problems.append(f"{pair}: {first.architecture} vs {shape.architecture}, and one image runs on one of them")
    if problems:
        raise ValueError(
            f"node group {group}: {'; '.join(problems)}. The Cluster Autoscaler plans with the first type only: "
            "split them into groups of one shape each (setting workers.groups)"
        )
    return first
