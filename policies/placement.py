"""Where every planned pod can land."""

from __future__ import annotations

from components import placement
from components.machines import MACHINES
from components.placement_plan import NODE_GROUP
from components.planned import UNKNOWN
from components.spot_pools import LIFECYCLE_LABEL, OVERFLOW_LIFECYCLE
from policies.rules import PLAN, Subject, Verdict, policy


@policy("pods-placed", PLAN, "", "a pod has no node to run on, or could land where a reclaim would harm it",
        "each finding names pod, group and way out; `make preview` shows the whole table")  # fmt: skip
def _(it: Subject) -> Verdict:
    resources = [subject.resource for subject in it.plan.subjects() if subject.resource]
    overflows = any(group.at(f"labels.{LIFECYCLE_LABEL}") == OVERFLOW_LIFECYCLE for group in it.plan.subjects(NODE_GROUP))
    proof = placement.prove(resources, MACHINES, fallback="on-demand" if overflows else "none")
    return list(proof.problems) or (UNKNOWN if proof.undecided else [])
