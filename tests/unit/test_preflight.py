"""What an account lacks, judged from AWS's answers; `tests/engine/test_preflight.py` asks the embedded AWS for them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pulumi
import pytest

from components import preflight
from components.preflight import PreflightError, Report
from components.preflight_aws import QUESTIONS
from components.preflight_plan import STANDARD, Wanted, wanted
from components.preflight_rules import (
    ADDRESS_QUOTA,
    ON_DEMAND_QUOTA,
    RULES,
    SPOT_QUOTA,
    VPC_QUOTA,
    Answers,
    ClassOffer,
    Finding,
    Identity,
    Machine,
    NotAsked,
    Subnet,
    judge,
)
from components.settings import Settings
from operations.stack_file import parsed_file
from tests.conftest import PROJECT
from tests.unit.test_settings import load, refusal

ZONES = frozenset(("us-west-2a", "us-west-2b", "us-west-2c"))
TYPES = frozenset(("m5.large", "m4.large", "m5a.large"))
CERTIFICATE = "arn:aws:acm:us-west-2:222233334444:certificate/1"
ROLE = "arn:aws:iam::222233334444:role/platform"
IMAGE = f"222233334444.dkr.ecr.us-west-2.amazonaws.com/airflow@sha256:{'a' * 64}"
SETTINGS = Settings(**parsed_file(PROJECT, "dev")[0])
DEV = wanted(SETTINGS)
ENOUGH = Answers(
    identity=Identity(account="222233334444", arn="arn:aws:iam::222233334444:user/us"),
    quotas={ON_DEMAND_QUOTA: 8, SPOT_QUOTA: 8, ADDRESS_QUOTA: 5, VPC_QUOTA: 5},
    vcpus=dict.fromkeys(TYPES, 2),
    machines=(),
    other_addresses=0,
    other_vpcs=0,
    zones=ZONES,
    subnets={},
    offered=dict.fromkeys(ZONES, TYPES),
    spot_types=TYPES,
    spot_role=True,
    kubernetes="STANDARD_SUPPORT",
    running_kubernetes="",
    add_ons=frozenset(("vpc-cni", "kube-proxy", "eks-pod-identity-agent", "aws-efs-csi-driver")),
    engine_versions=("16.14", "17.9", "17.10", "18.4"),
    classes=(ClassOffer(zones=ZONES, multi_az=True, storage="gp3"),),
    certificate="ISSUED",
    cluster="free",
    database="free",
    repository="free",
    image=True,
    principals=frozenset(),
)


def machine(**changes: Any) -> Machine:
    return Machine(**{"instance_type": "m5.large", "vcpus": 2, "spot": False, "ours": False, **changes})


def said(wanted: Wanted, **changes: Any) -> list[str]:
    return [str(finding) for finding in judge(wanted, replace(ENOUGH, **changes))]


def test_the_plan_of_an_account_follows_from_the_settings() -> None:
    plan = wanted(load({"network.natGateways": "per-zone", "account": "222233334444"}))
    assert (plan.vpcs, plan.elastic_ips, plan.account) == (1, 3, "222233334444")
    assert [(group.name, group.max_size, group.spot) for group in plan.groups] == [("ng-on-demand", 4, False), ("ng-spot1", 4, True)]
    overflow = wanted(load({"workers.fallback": "on-demand"})).groups[-1]
    assert (overflow.setting, overflow.spot) == ("workers.overflow.maxSize", False), "it is paid, and counted, as On-Demand"
    assert "amazon-cloudwatch-observability" not in plan.add_ons
    assert wanted(load({"cluster.containerInsights": True})).add_ons == (*plan.add_ons, "amazon-cloudwatch-observability")
    existing = {"network.vpcId": "vpc-0a1b2c3d", "network.privateSubnetIds": ["subnet-0a1b2c3d", "subnet-1a1b2c3d"], "image.digest": IMAGE}
    plan = wanted(load(existing))
    assert (plan.vpcs, plan.elastic_ips, plan.zones, plan.repository, plan.image) == (0, 0, (), None, IMAGE)


def test_an_account_with_everything_lacks_nothing() -> None:
    assert said(DEV) == []
    assert said(DEV, running_kubernetes="1.34") == said(DEV, running_kubernetes="1.35") == [], "the next version, or the same"
    taken = {"cluster": "ours", "database": "ours", "repository": "ours", "machines": tuple([machine(ours=True)] * 4)}
    assert said(DEV, **taken) == [], "what the stack already has counts once"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"identity": NotAsked("NoCredentialsError")}, "shortfall: AWS accepts no credentials here (NoCredentialsError)"),
        ({"quotas": {**ENOUGH.quotas, ON_DEMAND_QUOTA: 5}}, "8 planned at most and 0 in use by others, the quota is 5: aws service-quotas"),
        (
            {"quotas": {**ENOUGH.quotas, SPOT_QUOTA: 5}},
            "--quota-code L-34B43A08 --desired-value 8 --region us-west-2, or lower workers.groups[0].maxSize 4",
        ),
        ({"machines": (machine(),)}, "Running On-Demand Standard instances (vCPUs): 8 planned at most and 2 in use by others"),
        ({"machines": (machine(spot=True),)}, "All Standard Spot Instance Requests (vCPUs): 8 planned at most and 2 in use by others"),
        ({"other_addresses": 5}, "EC2-VPC Elastic IPs: 1 for NAT gateways and 5 in use by others, the quota is 5"),
        ({"other_vpcs": 5}, "VPCs per Region: 5 exist, the quota is 5"),
        ({"zones": ZONES - {"us-west-2b"}}, "this account cannot use us-west-2b of us-west-2: take two or more of us-west-2a, us-west-2c"),
        ({"vcpus": {"m5.large": 2, "m4.large": 2}}, "shortfall: workers.groups[0].instanceTypes: us-west-2 has no m5a.large"),
        (
            {"spot_types": TYPES - {"m4.large"}},
            "shortfall: workers.groups[0].instanceTypes: m4.large is sold On-Demand only in us-west-2: take another type",
        ),
        (
            {"offered": {**ENOUGH.offered, "us-west-2c": TYPES - {"m5.large"}}},
            "core.instanceTypes: zone us-west-2c offers none of m5.large",
        ),
        (
            {"offered": {**ENOUGH.offered, "us-west-2c": TYPES - {"m4.large"}}},
            "note: workers.groups[0].instanceTypes: zone us-west-2c does not offer m4.large",
        ),
        ({"spot_role": False}, "note: the account has no role AWSServiceRoleForEC2Spot"),
        ({"kubernetes": ""}, "shortfall: cluster.kubernetesVersion 1.35 is not offered by EKS in us-west-2"),
        ({"running_kubernetes": "1.33"}, "1.35: the cluster runs 1.33, and EKS skips no minor version: deploy 1.34 first"),
        (
            {"running_kubernetes": "1.36"},
            "shortfall: cluster.kubernetesVersion 1.35: the cluster runs 1.36, and an update does not go back",
        ),
        ({"kubernetes": "EXTENDED_SUPPORT"}, "note: cluster.kubernetesVersion 1.35 is in extended support"),
        (
            {"add_ons": frozenset(("vpc-cni", "kube-proxy", "eks-pod-identity-agent"))},
            "no version of add-on aws-efs-csi-driver for Kubernetes 1.35",
        ),
        ({"engine_versions": ("16.14", "18.4")}, "database.engineVersion 17 is not offered by RDS in us-west-2: take one of 16, 18"),
        ({"classes": ()}, "database.instanceClass db.t4g.small cannot be ordered with PostgreSQL 17 and gp3 storage"),
        ({"classes": (ClassOffer(zones=frozenset(("us-west-2d",)), multi_az=True, storage="gp3"),)}, "is offered in us-west-2d only"),
        ({"cluster": "others"}, "cluster.name airflow-dev: EKS cluster of that name exists and is not of stack dev"),
        ({"database": "others"}, "database.identifier airflow-postgres: database of that name exists and is not of stack dev"),
        ({"repository": "others"}, "image.repository airflow-eks-demo: ECR repository of that name exists and is not of stack dev"),
    ],
)
def test_each_shortfall_is_one_sentence_with_its_fix(changes: dict[str, Any], words: str) -> None:
    found = said(DEV, **changes)
    assert any(words in text for text in found), found
    assert all(": " in text.partition(": ")[2] for text in found), "what is wrong, and the way out"


@pytest.mark.parametrize(
    ("plan", "changes", "words"),
    [
        ({"account": "555566667777"}, {}, "the credentials are of account 222233334444"),
        (
            {"certificate_arn": CERTIFICATE},
            {"certificate": ""},
            f"web.certificateArn {CERTIFICATE} does not exist in this account and region us-west-2",
        ),
        ({"certificate_arn": CERTIFICATE}, {"certificate": "PENDING_VALIDATION"}, "is PENDING_VALIDATION: request one there"),
        ({"principals": (ROLE,)}, {"principals": frozenset((ROLE,))}, f"cluster.adminPrincipalArns: {ROLE} does not exist"),
        (
            {"image": IMAGE},
            {"image": False},
            "image.digest: repository airflow of account 222233334444 has no image sha256:aaaaaaaaaaaa...",
        ),
        ({"multi_az": True}, {"classes": (ClassOffer(zones=ZONES, multi_az=False, storage="gp3"),)}, "and Multi-AZ on gp3 storage"),
        ({"engine_version": "17.8"}, {}, "database.engineVersion 17.8 is not offered"),
        ({"add_ons": (*DEV.add_ons, "amazon-cloudwatch-observability")}, {}, "or set cluster.containerInsights to false"),
    ],
)
def test_what_only_some_stacks_need_is_judged_too(plan: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    [text] = [str(finding) for finding in judge(replace(DEV, **plan), replace(ENOUGH, **changes))]
    assert words in text
    assert text.startswith("shortfall: ")


def test_b11_a_stack_that_sleeps_is_not_deployed() -> None:
    [text] = said(DEV, database="asleep")
    assert text.startswith("shortfall: ")
    assert "stack dev is asleep, and nothing can be deployed without nodes: make wake STACK=dev first" in text


def test_b10_the_overflow_group_counts_as_on_demand_capacity() -> None:
    plan = wanted(load({"workers.fallback": "on-demand"}))
    assert [(group.name, group.max_size, group.spot) for group in plan.groups][2:] == [("ng-overflow", 2, False)]


@pytest.mark.parametrize(
    ("subnets", "words"),
    [
        ({"subnet-a": ("vpc-1", "a"), "subnet-b": ("vpc-1", "b")}, None),
        ({"subnet-a": ("vpc-1", "a")}, "network.privateSubnetIds: subnet-b does not exist in this account and us-west-2"),
        ({"subnet-a": ("vpc-2", "a"), "subnet-b": ("vpc-1", "b")}, "there are subnets of vpc-2, and network.vpcId is vpc-1: name one VPC"),
        ({"subnet-a": ("vpc-1", "a"), "subnet-b": ("vpc-1", "a")}, "all are in zone a, and EKS and RDS want two zones"),
    ],
)
def test_b2_an_existing_network_is_as_its_settings_name_it(subnets: dict[str, tuple[str, str]], words: str | None) -> None:
    own = replace(DEV, vpc="vpc-1", subnets={"network.privateSubnetIds": ("subnet-a", "subnet-b"), "network.publicSubnetIds": ()})
    texts = said(own, subnets={id: Subnet(vpc=vpc, zone=zone) for id, (vpc, zone) in subnets.items()})
    assert [words in text for text in texts] == [True] if words else texts == []


def test_all_shortfalls_are_reported_together() -> None:
    found = said(DEV, other_addresses=9, other_vpcs=9, database="others", classes=())
    assert len(found) == 4


def test_what_could_not_be_asked_is_said_and_is_no_shortfall() -> None:
    answers = [field.name for field in fields(Answers)]
    assert set(answers) == {"identity", *QUESTIONS}, "every answer has its question"
    for name in QUESTIONS:
        found = judge(DEV, replace(ENOUGH, **{name: NotAsked("Describe: AccessDenied")}))
        assert found, f"nobody misses the answer {name}"
        assert {finding.kind for finding in found} == {"not asked"}
        assert all("AccessDenied" in finding.text for finding in found)
    assert {name for _, needs, _ in RULES for name in needs} == set(QUESTIONS)


def test_other_families_count_against_quotas_that_are_not_looked_at() -> None:
    standard = [
        "m5.large",
        "m7i-flex.large",
        "t4g.small",
        "c7gn.large",
        "i4i.large",
        "im4gn.large",
        "is4gen.large",
        "z1d.large",
        "a1.large",
        "r8g.large",
    ]
    assert [name for name in standard if not STANDARD.match(name)] == []
    other = [
        "g5.xlarge",
        "p5.48xlarge",
        "inf2.xlarge",
        "trn1.2xlarge",
        "x2gd.medium",
        "hpc7g.4xlarge",
        "mac2.metal",
        "u-6tb1.metal",
        "dl1.24xlarge",
        "vt1.3xlarge",
        "f1.2xlarge",
    ]
    assert [name for name in other if STANDARD.match(name)] == []
    group = replace(DEV.groups[1], instance_types=("g5.xlarge",))
    more = TYPES | {"g5.xlarge"}
    answers = {"vcpus": {**ENOUGH.vcpus, "g5.xlarge": 4}, "offered": dict.fromkeys(ZONES, more), "spot_types": more}
    found = judge(replace(DEV, groups=(DEV.groups[0], group)), replace(ENOUGH, **answers))
    assert [str(finding) for finding in found] == ["note: g5.xlarge of group ng-spot1 counts against a quota that is not looked at"]


def test_an_account_id_is_twelve_digits() -> None:
    assert "an account id has 12 digits; put it in quotes" in refusal({"account": "12345"})


@pytest.mark.parametrize(("mode", "dry_run", "stops"), [("refuse", False, True), ("refuse", True, False), ("warn", False, False)])
def test_an_update_stops_at_a_shortfall_and_a_preview_says_it(
    monkeypatch: pytest.MonkeyPatch, mode: str, dry_run: bool, stops: bool
) -> None:
    settings, warnings = replace(SETTINGS, preflight=mode), list[str]()
    report = Report(wanted=DEV, answers=ENOUGH, findings=(Finding(kind="note", text="b"), Finding(kind="shortfall", text="a")))
    monkeypatch.setattr(preflight, "ask", lambda *given: report)
    monkeypatch.setattr(pulumi.log, "warn", warnings.append)
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: dry_run)
    if stops:
        with pytest.raises(PreflightError, match="nothing was created; put these right, or set preflight to warn"):
            preflight.first_step(settings)
    else:
        preflight.first_step(settings)
        [text] = warnings
        assert text.splitlines()[1:] == ["  shortfall: a", "  note: b", "  1 shortfall, 1 note, 0 not asked"]


def test_nothing_is_asked_when_the_preflight_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "ask", None)
    preflight.first_step(replace(SETTINGS, preflight="skip"))
