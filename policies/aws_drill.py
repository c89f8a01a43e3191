"""Experiments that rehearse the loss of Spot nodes, and the role that they take."""

from __future__ import annotations

import re

from components.planned import UNKNOWN
from policies.aws_cluster import POLICY_DOCUMENTS
from policies.rules import Subject, Verdict, policy, statements

TEMPLATE = "aws:fis/experimentTemplate:ExperimentTemplate"
OWN_TAGS = {"Project", "Stack", "CapacityType"}


@policy("drill-own-nodes", TEMPLATE, "", "the experiment can hit nodes outside of the stack or On-Demand ones",
        "give every target the resourceTags Project, Stack and CapacityType = spot, and no resourceArns")  # fmt: skip
def _(it: Subject) -> Verdict:
    targets = it.items("targets")
    tags = [{tag["key"]: tag["value"] for tag in target.get("resourceTags") or []} for target in targets]
    own = [tag.keys() >= OWN_TAGS and tag["CapacityType"] == "spot" for tag in tags]
    return bool(targets) and all(own) and not any(target.get("resourceArns") for target in targets)


@policy("drill-stop-condition", TEMPLATE, "", "nothing stops an experiment that goes wrong",
        "give stopConditions a CloudWatch alarm")  # fmt: skip
def _(it: Subject) -> Verdict:
    return any(condition.get("source") == "aws:cloudwatch:alarm" for condition in it.items("stopConditions"))


@policy("iam-drill-own-nodes", POLICY_DOCUMENTS, "", "a drill's role could take instances of other stacks",
        "limit it by aws:ResourceTag/Stack and aws:ResourceTag/CapacityType")  # fmt: skip
def _(it: Subject) -> Verdict:
    found = statements(it, "policy")
    if found is None:
        return UNKNOWN
    takes = [item for item in found if re.search("ec2:(SendSpotInstanceInterruptions|TerminateInstances)", str(item.get("Action")))]
    return all(f"aws:ResourceTag/{key}" in str(item.get("Condition")) for item in takes for key in ("Stack", "CapacityType"))
