"""C4: who can land where, by what kube-scheduler never overrides.

Tables over hand-written pods and groups; test_policies_stack.py does the same with the program's own. Only a real scheduler proves that
this reading of its rules is right: the end-to-end tier has one.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from components.placement import Proof, obstacles, prove, table
from components.placement_affinity import affinity_flaw
from components.placement_plan import Machine, NodeGroup, Pod, Taint, allocatable, planned_groups, planned_pods, quantity, requests
from components.planned import UNKNOWN, PlannedResource
from components.worker_pod import PINNED_LABEL

M5 = Machine(vcpus=2, memory_mib=8192, max_pods=29)
MACHINES = {"m5.large": M5, "m5a.large": M5, "t3.small": Machine(vcpus=2, memory_mib=2048, max_pods=11)}
ON_DEMAND = {"nodeSelector": {"lifecycle": "OnDemand"}}
SPOT_ONLY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "lifecycle", "operator": "In", "values": ["Ec2Spot"]}]}]
        }
    }
}
TOLERATES = {"tolerations": [{"key": "spotInstance", "operator": "Equal", "value": "true", "effect": "NoSchedule"}]}
TASK = {"affinity": SPOT_ONLY, **TOLERATES}
LAB_TASK = {
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "weight": 100,
                "preference": {"matchExpressions": [{"key": "lifecycle", "operator": "In", "values": ["Ec2Spot"]}]},
            }
        }
    },
    **TOLERATES,
}
"""As the original lab writes it."""


def lifecycle_in(*values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": "lifecycle", "operator": "In", "values": list(values)}]}


def affinity(*required: str, prefers: str = "", weight: int = 100) -> dict[str, Any]:
    """Node affinity for these lifecycles, as a pod has it."""
    node: dict[str, Any] = {}
    if required:
        node["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": [lifecycle_in(*required)]}
    if prefers:
        node["preferredDuringSchedulingIgnoredDuringExecution"] = [{"weight": weight, "preference": lifecycle_in(prefers)}]
    return {"affinity": {"nodeAffinity": node}}


OVERFLOWING = {**affinity("Ec2Spot", "Overflow", prefers="Ec2Spot"), **TOLERATES}


def group(name: str, capacity: str, *, effect: str | None = None, lifecycle: str | None = None, **inputs: Any) -> PlannedResource:
    taints = [{"key": "spotInstance", "value": "true", "effect": effect}] if effect else []
    labels = {"lifecycle": lifecycle or ("Ec2Spot" if capacity == "SPOT" else "OnDemand")}
    defaults = {
        "nodeGroupName": name,
        "capacityType": capacity,
        "labels": labels,
        "taints": taints,
        "instanceTypes": ["m5.large"],
        "scalingConfig": {"minSize": 1, "maxSize": 4},
    }
    return PlannedResource(type="aws:eks/nodeGroup:NodeGroup", name=name, inputs=defaults | inputs)


CORE_GROUP = group("ng-on-demand", "ON_DEMAND")
SPOT_GROUP = group("ng-spot1", "SPOT", effect="NO_SCHEDULE")
SOFT_GROUP = group("ng-spot1", "SPOT", effect="PREFER_NO_SCHEDULE")
BARE_GROUP = group("ng-spot1", "SPOT")
OVERFLOW_GROUP = group("ng-overflow", "ON_DEMAND", effect="NO_SCHEDULE", lifecycle="Overflow")


def container(cpu: str = "200m", memory: str = "512Mi", **more: Any) -> dict[str, Any]:
    return {"name": "main", "resources": {"requests": {"cpu": cpu, "memory": memory}}, **more}


def core(spec: dict[str, Any], *, name: str = "airflow-scheduler", replicas: int = 1) -> PlannedResource:
    pod = {"containers": [container()], **spec}
    inputs = {"metadata": {"name": name}, "spec": {"replicas": replicas, "template": {"spec": pod}}}
    return PlannedResource(type="kubernetes:apps/v1:Deployment", name=name, inputs=inputs)


def worker(spec: dict[str, Any], **labels: str) -> PlannedResource:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": labels}, "spec": {"containers": [container()], **spec}}
    text = yaml.safe_dump(pod)
    return PlannedResource(
        type="kubernetes:core/v1:ConfigMap", name="template", inputs={"data": {"pod.yaml": text, "note": "kind: Pod, no: [yaml"}}
    )


def proof(*resources: PlannedResource, **options: Any) -> Proof:
    return prove(resources, MACHINES, **options)


def test_a_plan_as_it_should_be_has_no_problem():
    result = proof(CORE_GROUP, SPOT_GROUP, core(ON_DEMAND), worker(TASK))
    assert result.problems == ()
    assert result.undecided == ()
    assert table(result).splitlines() == [
        "pod                           ng-on-demand (ON_DEMAND)                      ng-spot1 (SPOT)",
        "Deployment airflow-scheduler  yes                                           no: selector lifecycle=OnDemand",
        "worker pod (pod.yaml)         no: required affinity lifecycle In [Ec2Spot]  yes",
    ]


def insights(**manager: Any) -> PlannedResource:
    inputs = {"addonName": "amazon-cloudwatch-observability", "configurationValues": json.dumps({"manager": manager})}
    return PlannedResource(type="aws:eks/addon:Addon", name="insights", inputs=inputs)


def test_what_container_insights_take_of_every_node_is_not_offered_to_pods():
    tight = core({**ON_DEMAND, "containers": [container(cpu="1600m")]})
    assert proof(CORE_GROUP, SPOT_GROUP, tight, worker(TASK)).problems == ()
    [problem] = proof(CORE_GROUP, SPOT_GROUP, tight, worker(TASK), insights(**ON_DEMAND)).problems
    assert "asks for 1600m CPU, m5.large leaves 1480m" in problem


PROBLEMS: dict[str, tuple[tuple[PlannedResource, ...], str, tuple[str, ...]]] = {
    "the lab's affinity pins nothing": (
        (CORE_GROUP, SPOT_GROUP, worker(LAB_TASK)),
        "none",
        (
            "worker pod (pod.yaml): required node affinity has preference, weight, which belong to preferred affinity",
            "worker pod (pod.yaml) could land on On-Demand group ng-on-demand: it has no node selector or required affinity, "
            "and the group has no taint. workers.fallback is none: require node affinity lifecycle In [Ec2Spot] in its template",
        ),
    ),
    "the lab's soft taint keeps nothing off": (
        (CORE_GROUP, SOFT_GROUP, core({}), worker(TASK)),
        "none",
        (
            "Deployment airflow-scheduler could land on Spot group ng-spot1: it has no node selector or required affinity, "
            "and spotInstance=true:PreferNoSchedule is only a preference. A reclaim would stop it: "
            "give it nodeSelector lifecycle: OnDemand and no toleration of the Spot taint",
        ),
    ),
    "a hard taint does": ((CORE_GROUP, SPOT_GROUP, core({}), worker(TASK)), "none", ()),
    "a selector does, even with a soft taint": ((CORE_GROUP, SOFT_GROUP, core(ON_DEMAND), worker(TASK)), "none", ()),
    "no taint at all": (
        (CORE_GROUP, BARE_GROUP, core({}), worker(TASK)),
        "none",
        ("Deployment airflow-scheduler could land on Spot group ng-spot1: it has no node selector or required affinity, and the",),
    ),
    "a core pod that tolerates Spot": (
        (CORE_GROUP, SPOT_GROUP, core(TOLERATES), worker(TASK)),
        "none",
        (
            "Deployment airflow-scheduler could land on Spot group ng-spot1: it has no node selector or required affinity, "
            "and it tolerates spotInstance=true:NoSchedule",
        ),
    ),
    "a core pod that tolerates everything": (
        (CORE_GROUP, SPOT_GROUP, core({"tolerations": [{"operator": "Exists"}]}), worker(TASK)),
        "none",
        ("Deployment airflow-scheduler could land on Spot group ng-spot1",),
    ),
    "a worker without the toleration": (
        (CORE_GROUP, SPOT_GROUP, worker({"affinity": SPOT_ONLY})),
        "none",
        ("worker pod (pod.yaml) fits no Spot node group and would stay pending (ng-spot1: taint spotInstance=true:NoSchedule",),
    ),
    "a worker that asks for more than a node has": (
        (CORE_GROUP, SPOT_GROUP, worker({**TASK, "containers": [container("4", "1Gi")]})),
        "none",
        ("worker pod (pod.yaml) fits no Spot node group and would stay pending (ng-spot1: asks for 4000m CPU, m5.large leaves 1780m)",),
    ),
    "a worker that fits the first type only": (
        (
            CORE_GROUP,
            group("ng-spot1", "SPOT", effect="NO_SCHEDULE", instanceTypes=["m5.large", "t3.small"]),
            worker({**TASK, "containers": [container("1", "3Gi")]}),
        ),
        "none",
        ("worker pod (pod.yaml) fits no Spot node group and would stay pending (ng-spot1: asks for 3072 MiB, t3.small leaves",),
    ),
    "a worker and no Spot group": (
        (CORE_GROUP, worker(TASK)),
        "none",
        ("worker pod (pod.yaml) fits no Spot node group and would stay pending (there is none)",),
    ),
    "a Spot group that may have no node": (
        (CORE_GROUP, group("ng-spot1", "SPOT", effect="NO_SCHEDULE", scalingConfig={"maxSize": 0}), worker(TASK)),
        "none",
        ("worker pod (pod.yaml) fits no Spot node group and would stay pending (ng-spot1: the group has max size 0)",),
    ),
    "a core pod that is shut out everywhere": (
        (group("ng-on-demand", "ON_DEMAND", lifecycle="Other"), SPOT_GROUP, core(ON_DEMAND), worker(TASK)),
        "none",
        (
            "Deployment airflow-scheduler fits no node group and would stay pending "
            "(ng-on-demand: selector lifecycle=OnDemand; ng-spot1: selector lifecycle=OnDemand, taint spotInstance=true",
        ),
    ),
    "core pods that fit one by one and not together": (
        (CORE_GROUP, SPOT_GROUP, core(ON_DEMAND, replicas=40), worker(TASK)),
        "none",
        ("the core pods together ask for 8000m CPU, and ng-on-demand at full size leaves 7120m CPU",),
    ),
    "overflow that is not asked for": (
        (CORE_GROUP, SPOT_GROUP, OVERFLOW_GROUP, worker(TOLERATES)),
        "none",
        (
            "worker pod (pod.yaml) could land on On-Demand group ng-on-demand",
            "worker pod (pod.yaml) could land on On-Demand group ng-overflow: it has no node selector or required affinity, "
            "and it tolerates spotInstance=true:NoSchedule",
        ),
    ),
    "overflow onto the core nodes": (
        (CORE_GROUP, SPOT_GROUP, OVERFLOW_GROUP, worker({**TOLERATES, **affinity(prefers="Ec2Spot")})),
        "on-demand",
        ("worker pod (pod.yaml) could land on core group ng-on-demand: it has no node selector or required affinity, and the group",),
    ),
    "overflow that is as good as Spot": (
        (CORE_GROUP, SPOT_GROUP, OVERFLOW_GROUP, worker({**TOLERATES, **affinity("Ec2Spot", "Overflow")})),
        "on-demand",
        ("worker pod (pod.yaml) prefers overflow group ng-overflow no less than Spot group ng-spot1, and would run there at the",),
    ),
    "overflow before Spot": (
        (
            CORE_GROUP,
            SPOT_GROUP,
            OVERFLOW_GROUP,
            worker({**TOLERATES, **affinity("Ec2Spot", "Overflow", prefers="Overflow")}),
        ),
        "on-demand",
        ("worker pod (pod.yaml) prefers overflow group ng-overflow no less than",),
    ),
    "a fallback without an overflow group": (
        (CORE_GROUP, SPOT_GROUP, worker(TASK)),
        "on-demand",
        ("worker pod (pod.yaml) fits no overflow group, so workers.fallback on-demand would do nothing (there is none)",),
    ),
    "a fallback that the task cannot take": (
        (CORE_GROUP, SPOT_GROUP, OVERFLOW_GROUP, worker(TASK)),
        "on-demand",
        (
            "worker pod (pod.yaml) fits no overflow group, so workers.fallback on-demand would do nothing "
            "(ng-overflow: required affinity lifecycle In [Ec2Spot])",
        ),
    ),
    "a preference of no form": (
        (CORE_GROUP, SPOT_GROUP, core({**ON_DEMAND, **affinity(prefers="OnDemand", weight=0)}), worker(TASK)),
        "none",
        ("Deployment airflow-scheduler: preferred node affinity has weight 0; Kubernetes takes 1 to 100",),
    ),
    "overflow as it should be": (
        (
            CORE_GROUP,
            SPOT_GROUP,
            OVERFLOW_GROUP,
            core(ON_DEMAND),
            worker(OVERFLOWING),
        ),
        "on-demand",
        (),
    ),
    "a core pod on the overflow group": (
        (CORE_GROUP, SPOT_GROUP, OVERFLOW_GROUP, core({"nodeSelector": {"lifecycle": "Overflow"}, **TOLERATES}), worker(OVERFLOWING)),
        "on-demand",
        ("Deployment airflow-scheduler could land on overflow group ng-overflow",),
    ),
    "an add-on's controller that is not told where": (
        (CORE_GROUP, BARE_GROUP, worker(TASK), insights()),
        "none",
        ("add-on amazon-cloudwatch-observability could land on Spot group ng-spot1",),
    ),
    "the driver's startup taint is no obstacle": (
        (
            CORE_GROUP,
            group(
                "ng-spot1",
                "SPOT",
                taints=[
                    {"key": "spotInstance", "value": "true", "effect": "NO_SCHEDULE"},
                    {"key": "efs.csi.aws.com/agent-not-ready", "effect": "NO_EXECUTE"},
                ],
            ),
            worker(TASK),
        ),
        "none",
        (),
    ),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_problems_name_pod_group_and_reason(case: str):
    resources, fallback, expected = PROBLEMS[case]
    problems = proof(*resources, fallback=fallback).problems
    assert len(problems) == len(expected), problems
    for problem, beginning in zip(problems, expected, strict=True):
        assert problem.startswith(beginning)


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    required = {"nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


def tolerations(**toleration: str) -> dict[str, Any]:
    return {"tolerations": [toleration]}


NODE = NodeGroup(
    name="ng",
    spot=True,
    labels={"lifecycle": "Ec2Spot", "generation": "5", "topology.kubernetes.io/zone": None},
    taints=(Taint(key="spotInstance", value="true", effect="NoSchedule"),),
    instance_types=("m5.large",),
    max_size=1,
)


@pytest.mark.parametrize(
    ("spec", "possible"),
    [
        (expression("lifecycle", "In", "OnDemand", "Ec2Spot"), True),
        (expression("lifecycle", "In", "OnDemand"), False),
        (expression("lifecycle", "NotIn", "OnDemand"), True),
        (expression("missing", "NotIn", "x"), True),
        (expression("missing", "In", "x"), False),
        (expression("lifecycle", "Exists"), True),
        (expression("lifecycle", "DoesNotExist"), False),
        (expression("generation", "Gt", "4"), True),
        (expression("generation", "Lt", "5"), False),
        (expression("lifecycle", "Gt", "4"), False),
        (expression("topology.kubernetes.io/zone", "In", "us-west-2a"), True),
        ({"nodeSelector": {"topology.kubernetes.io/zone": "us-west-2a", "lifecycle": "OnDemand"}}, False),
        ({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}}}, True),
    ],
)
def test_selectors_and_affinity(spec: dict[str, Any], possible: bool):
    pod = Pod(name="p", spec={**spec, **tolerations(operator="Exists")})
    assert (not obstacles(pod, NODE, MACHINES)) is possible


@pytest.mark.parametrize(
    ("spec", "possible"),
    [
        (tolerations(key="spotInstance", value="true"), True),
        (tolerations(key="spotInstance", operator="Exists"), True),
        (tolerations(key="spotInstance", operator="Exists", effect="NoExecute"), False),
        (tolerations(key="spotInstance", value="false"), False),
        (tolerations(key="dedicated", value="airflow"), False),
        ({}, False),
    ],
)
def test_tolerations(spec: dict[str, Any], possible: bool):
    assert (not obstacles(Pod(name="p", spec=spec), NODE, MACHINES)) is possible


@pytest.mark.parametrize(
    ("required", "flaw"),
    [
        ([{"weight": 1, "preference": {}}], "must be an object with nodeSelectorTerms, not a list"),
        ({"weight": 1, "preference": {}}, "has preference, weight, which belong to preferred affinity"),
        ({"nodeSelectorTerms": []}, "at least one expression"),
        ({"nodeSelectorTerms": [{}]}, "at least one expression"),
        ({}, "at least one expression"),
    ],
)
def test_malformed_required_affinity(required: Any, flaw: str):
    assert flaw in (affinity_flaw({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}) or "")


@pytest.mark.parametrize(
    ("preferred", "flaw"),
    [
        ({"weight": 1, "preference": {}}, "must be a list of weights with a preference each"),
        (["lifecycle"], "must be a list of weights with a preference each"),
        ([{"nodeSelectorTerms": []}], "has nodeSelectorTerms; each entry is a weight with a preference"),
        ([{"preference": {}}], "has weight None; Kubernetes takes 1 to 100"),
        ([{"weight": 101, "preference": {}}], "has weight 101"),
        ([{"weight": True, "preference": {}}], "has weight True"),
    ],
)
def test_malformed_preferred_affinity(preferred: Any, flaw: str):
    assert flaw in (affinity_flaw({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}}) or "")


def test_c4_the_table_shows_which_of_the_possible_groups_comes_last():
    lines = table(proof(CORE_GROUP, SPOT_GROUP, OVERFLOW_GROUP, worker(OVERFLOWING), fallback="on-demand")).splitlines()
    assert lines[1].endswith("yes, preferred   yes, if no other has room")


def test_well_formed_or_absent_affinity_has_no_flaw():
    assert affinity_flaw({"affinity": SPOT_ONLY}) is None
    assert affinity_flaw({}) is None
    assert affinity_flaw({"affinity": UNKNOWN}) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("250m", 0.25), ("2", 2), (1.5, 1.5), ("0.5", 0.5), ("1Gi", 2**30), ("512Mi", 2**29), ("1G", 1e9), ("64Ki", 65536)],
)
def test_quantities(text: Any, number: float):
    assert quantity(text) == number


def test_a_text_that_is_no_quantity_is_refused():
    with pytest.raises(ValueError, match="'1gb' is no Kubernetes quantity such as 250m or 1Gi"):
        quantity("1gb")


def test_a_pod_reserves_the_sum_of_its_containers_or_its_largest_init_container():
    spec = {
        "initContainers": [container("100m", "64Mi", restartPolicy="Always"), container("2", "128Mi")],
        "containers": [
            container("500m", "512Mi"),
            {"name": "x", "resources": {"limits": {"cpu": "500m", "memory": "512Mi"}}},
            {"name": "bare"},
        ],
    }
    assert requests(spec) == (2100, 1088)


@pytest.mark.parametrize(
    ("machine", "millicores"),
    [(M5, 1930), (Machine(vcpus=1, memory_mib=2048, max_pods=8), 940), (Machine(vcpus=4, memory_mib=16384, max_pods=58), 3920),
     (Machine(vcpus=8, memory_mib=32768, max_pods=58), 7910)],
)  # fmt: skip
def test_cpu_left_by_the_node_image_is_what_eks_nodes_report(machine: Machine, millicores: int):
    assert allocatable(machine)[0] == millicores - 150, "150m of it go to the VPC CNI and kube-proxy"


def test_memory_left_never_exceeds_what_an_m5_large_reports():
    assert 6800 < allocatable(M5)[1] <= 7051, "7220132Ki seen allocatable on an m5.large with 29 pods"


def test_pods_of_jobs_and_of_the_autoscaler_chart_are_seen():
    pod = {"containers": [container()]}
    plan = [
        PlannedResource(type="kubernetes:batch/v1:Job", name="migrations", inputs={"spec": {"template": {"spec": pod}}}),
        PlannedResource(
            type="kubernetes:batch/v1:CronJob", name="clean", inputs={"spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}}
        ),
        PlannedResource(
            type="kubernetes:helm.sh/v3:Release",
            name="autoscaler",
            inputs={
                "chart": "cluster-autoscaler",
                "values": {"nodeSelector": {"lifecycle": "OnDemand"}, "resources": container()["resources"]},
            },
        ),
        PlannedResource(type="kubernetes:core/v1:ConfigMap", name="settings", inputs={"data": UNKNOWN}),
        PlannedResource(type="kubernetes:apps/v1:Deployment", name="later", inputs={"spec": UNKNOWN}),
    ]
    assert [pod.name for pod in planned_pods(plan)] == ["Job migrations", "CronJob clean", "chart autoscaler"]
    assert proof(CORE_GROUP, SPOT_GROUP, *plan).problems == ()


def test_a_worker_template_that_is_not_known_yet_is_said_and_can_be_given():
    unknown = PlannedResource(type="kubernetes:core/v1:ConfigMap", name="template", inputs={"data": {"pod.yaml": UNKNOWN}})
    result = proof(CORE_GROUP, SPOT_GROUP, core(ON_DEMAND), unknown)
    assert "no worker pod template" in result.undecided[0]
    assert len(proof(CORE_GROUP, SPOT_GROUP, core(ON_DEMAND), worker(LAB_TASK)).problems) == 2


def test_values_as_the_engine_writes_them_are_read():
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    job = {"metadata": {"name": unknown}, "spec": {"template": {"spec": {"containers": [container()], **ON_DEMAND}}}}
    result = proof(CORE_GROUP, SPOT_GROUP, PlannedResource(type="kubernetes:batch/v1:Job", name="migrations", inputs=job))
    assert {placed.pod.name for placed in result.placements} == {"Job migrations"}


def test_an_unknown_instance_type_is_said_and_not_guessed():
    result = proof(group("ng-on-demand", "ON_DEMAND", instanceTypes=["z9.huge"]), SPOT_GROUP, core(ON_DEMAND), worker(TASK))
    assert result.undecided == ("size of instance type z9.huge is not known: requests were not compared with it",)
    assert result.problems == ()


def test_groups_have_the_labels_that_eks_adds():
    (made,) = planned_groups([group("ng-spot1", "SPOT", effect="NO_SCHEDULE", amiType="AL2023_ARM_64_STANDARD")])
    assert made.labels["eks.amazonaws.com/capacityType"] == "SPOT"
    assert made.labels["eks.amazonaws.com/nodegroup"] == "ng-spot1"
    assert made.labels["kubernetes.io/arch"] == "arm64"
    assert str(made.taints[0]) == "spotInstance=true:NoSchedule", "pods spell effects differently from EKS"


def test_b15_a_pinned_worker_belongs_on_on_demand_nodes_and_nowhere_else() -> None:
    on_demand = {"affinity": json.loads(json.dumps(SPOT_ONLY).replace("Ec2Spot", "OnDemand")), **TOLERATES}
    anywhere = {"tolerations": TOLERATES["tolerations"]}
    for spec, words in (
        (on_demand, []),
        (TASK, ["fits no On-Demand node group", "could land on Spot"]),
        (anywhere, ["could land on Spot"]),
    ):
        problems = prove([CORE_GROUP, SPOT_GROUP, worker(spec, **PINNED_LABEL)], {}).problems
        assert len(problems) == len(words), problems
        assert all(word in problem for word, problem in zip(words, problems, strict=True)), problems
