"""C5: every policy holds for a good stack and speaks up for the one change that breaks it.

What this level cannot prove: that the inputs of the real plan look like these. The engine tier runs the policies over real previews.
"""

from __future__ import annotations

import pytest

from components.planned import UNKNOWN, PlannedResource
from components.planned_values import SECRET as HIDDEN
from components.planned_values import UNKNOWN_TEXTS
from policies.check import POLICIES, catalogue, check, examine, judged, render
from policies.exceptions import EXCEPTIONS
from policies.rules import Plan, every, some
from tests.conftest import PROJECT
from tests.unit.policy_examples import BAD, FINE, GOOD, SECRET, TAGS, broken, plan


def test_the_good_stack_has_no_finding_in_production():
    report = examine(plan(), environment="prod")
    assert [str(finding) for finding in report.findings] == []
    assert report.excepted == ()
    assert report.undecided == (), "every value of the examples that a rule reads is known"


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_every_policy_holds_for_something_in_the_good_stack(policy):
    answers = list(judged(POLICIES[policy], Plan(plan())))
    assert answers, f"{policy} looks at nothing in the good stack: it has no passing example"
    assert all(verdict is None for _, verdict in answers)


@pytest.mark.parametrize(("policy", "target", "path", "value"), BAD, ids=[f"{case[0]}-{index}" for index, case in enumerate(BAD)])
def test_a_broken_rule_is_found(policy, target, path, value):
    assert [verdict for _, verdict in judged(POLICIES[policy], Plan(broken(target, path, value))) if isinstance(verdict, str)]


@pytest.mark.parametrize(("policy", "target", "path", "value"), FINE, ids=[f"{case[0]}-{index}" for index, case in enumerate(FINE)])
def test_what_a_rule_lets_pass_on_purpose_passes(policy, target, path, value):
    assert [verdict for _, verdict in judged(POLICIES[policy], Plan(broken(target, path, value))) if verdict is not None] == []


def test_every_policy_has_a_failing_example():
    assert {case[0] for case in BAD} == set(POLICIES)


def test_policies_say_what_is_wrong_and_what_to_do():
    for rule in POLICIES.values():
        assert rule.message, f"{rule.id} has no message"
        assert rule.fix, f"{rule.id} has no fix"
        assert not rule.message.endswith("."), f"{rule.id}: the rendering adds the stop"
        assert not rule.fix.endswith("."), f"{rule.id}: the citation follows the fix"


CITED = (
    "CKV_AWS_38 AWS-0041 CKV_AWS_39 AWS-0040 CKV_AWS_37 AWS-0038 CKV_AWS_58 AWS-0039 CKV_AWS_339 CIS-4.1.7 CKV_AWS_7 CKV_AWS_33 "
    "CKV_AWS_227 CKV_AWS_100 CIS-5.4.3 CKV_AWS_130 CKV_AWS_79 CKV_AWS_341 AWS-0131 CKV_AWS_16 CKV_AWS_17 CKV_AWS_293 CKV_AWS_161 "
    "CKV_AWS_129 CKV2_AWS_30 CKV2_AWS_69 CKV_AWS_133 CKV_AWS_157 CKV_AWS_118 CKV_AWS_353 CKV_AWS_354 CKV_AWS_226 CKV_AWS_211 "
    "CKV2_AWS_60 CKV_AWS_42 CKV_AWS_184 CKV_AWS_329 CKV_AWS_330 CKV_AWS_51 CKV_AWS_163 CKV_AWS_136 CKV_AWS_23 CKV_AWS_24 "
    "CKV_AWS_382 CKV2_AWS_12 AWS-0178 CKV_AWS_158 CKV_AWS_338 CKV_AWS_66 CKV_AWS_149 CKV_AWS_63 CKV_AWS_355 CKV_AWS_2 CKV_AWS_376 "
    "CKV_AWS_91 CKV_AWS_131 CKV_AWS_150 KSV-0108 CKV_K8S_16 CKV_K8S_6 CKV_K8S_31 CKV_K8S_37 CKV_K8S_28 CKV_K8S_22 CKV_K8S_10 "
    "CKV_K8S_11 CKV_K8S_8 CKV_K8S_9 CKV_K8S_14 CKV_K8S_43 CKV_K8S_21 CKV_K8S_35 CKV_K8S_38 CKV_K8S_41 CKV_K8S_42 CKV_K8S_49 CIS-4.3.2 "
    "KSV-0109 KSV-0115"
)


def test_every_scanner_rule_about_what_we_create_has_a_policy():
    assert set(CITED.split()) <= {cited for rule in POLICIES.values() for cited in rule.cites}


def test_production_has_no_exception_and_every_other_one_has_a_policy_and_a_reason():
    assert EXCEPTIONS["prod"] == {}
    for environment, exceptions in EXCEPTIONS.items():
        assert set(exceptions) <= set(POLICIES), environment
        assert all(len(reason) > 20 for reason in exceptions.values()), environment


def test_an_exception_moves_the_finding_and_keeps_it_in_sight():
    single = broken("database", "multiAz", False)
    report = examine(single, environment="dev")
    assert report.findings == ()
    assert [(finding.policy.id, reason) for finding, reason in report.excepted] == [("rds-multi-az", EXCEPTIONS["dev"]["rds-multi-az"])]
    assert "excepted: rds-multi-az: rds.Instance database" in render(report)
    assert [finding.policy.id for finding in check(single, environment="prod")] == ["rds-multi-az"]


def test_an_unknown_environment_is_refused():
    with pytest.raises(ValueError, match="'production' is none of dev, staging, prod"):
        check([], environment="production")


def test_a_public_web_ui_without_tls_is_found_even_in_dev():
    public = broken("web", "metadata.annotations", {"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"})
    assert "service-public-tls" in {finding.policy.id for finding in check(public, environment="dev")}


@pytest.mark.parametrize(
    ("content", "holds"),
    [
        ({"sql-alchemy-conn": "postgresql://db/airflow?sslmode=verify-full"}, True),
        ({"sql-alchemy-conn": "postgresql://db/airflow?sslmode=require"}, False),
        ({"sql-alchemy-conn": HIDDEN}, UNKNOWN),
        (HIDDEN, UNKNOWN),
        ({"fernet-key": SECRET}, False),
    ],
    ids=["verified", "encrypted only", "a secret URI", "a secret object", "no URI"],
)
def test_how_a_secret_uri_verifies_is_not_claimed_to_be_known(content, holds):
    stack = [resource for resource in broken("+", "PGSSLMODE", "prefer") if resource.name != "secrets"]
    stack.append(PlannedResource(type="kubernetes:core/v1:Secret", name="secrets", inputs={"stringData": content}))
    report = examine(stack, environment="prod")
    assert ("rds-verified-tls" in {finding.policy.id for finding in report.findings}) is (holds is False)
    assert ("rds-verified-tls" in {rule for rule, _ in report.undecided}) is (holds is UNKNOWN)


@pytest.mark.parametrize("unknown", [UNKNOWN, sorted(UNKNOWN_TEXTS)[0]], ids=["marker", "engine text"])
def test_what_is_not_known_neither_passes_nor_fails(unknown):
    for target, path, policy in (
        ("database", "multiAz", "rds-multi-az"),
        ("files-policy", "policy", "efs-policy-allows"),
        ("scheduler", "spec.template.spec.containers.0.image", "image-by-digest"),
        ("database-from-nodes", "referencedSecurityGroupId", "nodes-reach-stores"),
        ("node-role", "assumeRolePolicy", "node-role-complete"),
        ("volume", "spec.csi.volumeHandle", "pv-access-point"),
    ):
        report = examine(broken(target, path, unknown), environment="prod")
        assert report.findings == (), policy
        assert policy in {rule for rule, _ in report.undecided}
        assert policy in render(report)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_no_rule_stumbles_over_a_resource_whose_inputs_are_all_unknown(name):
    blank = [
        PlannedResource(type=resource.type, name=resource.name, inputs=dict.fromkeys(resource.inputs, UNKNOWN), parent=resource.parent)
        if resource.name == name
        else resource
        for resource in plan()
    ]
    examine(blank, environment="prod")
    hidden = [
        PlannedResource(type=r.type, name=r.name, inputs=dict.fromkeys(r.inputs, "[secret]"), parent=r.parent)
        for r in plan()
        if r.name == name
    ]
    examine(hidden, environment="prod")
    examine([PlannedResource(type=GOOD[name][0], name=name)], environment="prod")


def test_the_documentation_lists_the_rules_as_they_are():
    assert catalogue() in (PROJECT / "docs" / "security.md").read_text(), "put the output of `python -m policies` into docs/security.md"


def test_three_valued_logic():
    assert every(True, UNKNOWN, False) is False
    assert every(True, UNKNOWN) is UNKNOWN
    assert every(True, HIDDEN) is UNKNOWN
    assert every() is True
    assert some(UNKNOWN, True) is True
    assert some(False, UNKNOWN) is UNKNOWN
    assert some(False) is False


def test_the_report_has_a_line_a_finding_and_the_count_last():
    report = examine(broken("database", "publiclyAccessible", True), environment="prod")
    assert render(report).splitlines() == [
        "rds-private: rds.Instance database: the database has a public address. Fix: set publiclyAccessible to false [CKV_AWS_17 AWS-0180]",
        "1 finding",
    ]
    assert render(examine([*broken("database", "multiAz", False), *broken("key", "isEnabled", False)], environment="prod")).endswith(
        "\n2 findings"
    )
    assert render(examine(plan(), environment="prod")) == "0 findings"


def test_the_worker_template_inside_a_config_map_is_checked_like_any_pod():
    template = "kind: Pod\nspec:\n  containers:\n  - {name: base, image: 'airflow:latest'}\n"
    found = check(broken("worker", "data", {"pod_template_file.yaml": template}), environment="prod")
    pod = "worker pod (pod_template_file.yaml)"
    assert {finding.resource for finding in found} == {pod, f"{pod}/base", "plan"}, "the pod, its container, and where it could land"
    assert {"image-not-latest", "pod-not-root", "container-limits"} <= {finding.policy.id for finding in found}


def test_a_worker_template_that_is_not_known_yet_is_said():
    later = broken("worker", "data", {"pod_template_file.yaml": UNKNOWN})
    report = examine(later, environment="prod")
    assert report.undecided == (("rules about pods", "ConfigMap airflow-worker-pod"), ("pods-placed", "plan"))


def test_groups_that_pulumi_eks_itself_creates_may_keep_its_text():
    own = PlannedResource(
        type="aws:ec2/securityGroup:SecurityGroup",
        name="airflow-nodeSecurityGroup",
        inputs={"description": "Managed by Pulumi", "tags": TAGS},
        parent="airflow",
    )
    component = PlannedResource(type="eks:index:Cluster", name="airflow")
    assert check([own, component], environment="prod") == []
    assert [finding.policy.id for finding in check([own], environment="prod")] == ["sg-described"]


def test_a_secret_that_is_a_pulumi_secret_as_a_whole_passes_and_in_a_config_map_fails():
    assert check(broken("secrets", "stringData", "[secret]"), environment="prod") == []
    assert "config-map-no-secrets" in {finding.policy.id for finding in check(broken("config", "data", SECRET), environment="prod")}
