"""The tags that split the bill: one dictionary, made here, handed to every component and exported as it is. Pure.

AWS passes an EKS cluster's or node group's tags on to nothing: launch templates repeat them for instances, volumes and network interfaces.
A tag shows in Cost Explorer only after it was activated in the Billing console.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from components.settings import Settings

PROJECT = "airflow-on-eks"
KEYS = ("Project", "Stack", "Environment", "Owner", "CostCenter", "ManagedBy")
"""The same on every resource of a stack."""
COMPONENT_KEYS = ("Component", "CapacityType")
"""Which part of the bill: core, workers, database, storage, network, registry, cluster, web; and on-demand, spot or none."""
RESERVED = (*KEYS, *COMPONENT_KEYS, "Name")
RESERVED_PREFIXES = ("aws:", "eks:", "kubernetes.io/", "k8s.io/")
ASLEEP = ("airflow-on-eks/asleep", "true")
"""Tag of the database of a stack that was put to sleep (docs/hibernation.md)."""
MAX_TAGS = 50
MAX_KEY = 127
"""EC2's limit; EKS and EFS take 128 (EC2 user guide, tag restrictions)."""
MAX_VALUE = 256


def cost_tags(settings: Settings) -> dict[str, str]:
    """Tags of every resource of the stack."""
    return {
        **settings.tags,
        "Project": PROJECT,
        "Stack": settings.stack,
        "Environment": settings.environment,
        "Owner": settings.owner,
        "CostCenter": settings.cost_center,
        "ManagedBy": "pulumi",
    }


def component_tags(tags: Mapping[str, str], component: str, *, capacity: str = "none", **more: str) -> dict[str, str]:
    """The stack's tags, with the part of the bill a resource belongs to."""
    return {**tags, "Component": component, "CapacityType": capacity, **more}


def problems(tags: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with a user's own tags: key to reason."""
    found: dict[str, str] = {}
    reserved = {key.lower(): key for key in RESERVED}
    seen: dict[str, str] = {}
    for key, value in tags.items():
        lower = key.lower()
        if lower.startswith(RESERVED_PREFIXES):
            found[key] = f"keys that begin with {lower.partition(':')[0].partition('/')[0]} are set by AWS, EKS or the program"
        elif lower in reserved:
            found[key] = f"{reserved[lower]} is set by the program"
        elif lower in seen:
            found[key] = f"differs from {seen[lower]} only by case"
        elif not 0 < len(key) <= MAX_KEY:
            found[key] = f"a key has 1 to {MAX_KEY} characters, this one {len(key)}"
        elif len(value) > MAX_VALUE:
            found[key] = f"a value has at most {MAX_VALUE} characters, this one {len(value)}"
        seen.setdefault(lower, key)
    room = MAX_TAGS - len(RESERVED)
    if len(tags) > room:
        found[""] = f"AWS takes {MAX_TAGS} tags and the program sets {len(RESERVED)}: at most {room} of your own, got {len(tags)}"
    return found
