"""A small stack, its drill and its nodes, as the report receives them."""

from __future__ import annotations

from typing import Any

from operations.placement import NodePods, PlacedPod
from operations.plan_review import review
from operations.report import Report
from operations.report_drill import read_drill
from operations.resource_graph import read_saved_plan
from tests.unit.cost_plan import PLAN

STACK = "urn:pulumi:dev::airflow-on-eks::"
NETWORK, CLUSTER, SPOT, LOOSE = (
    f"{STACK}airflow-on-eks:index:Network::airflow",
    f"{STACK}airflow-on-eks:index:Cluster::airflow",
    f"{STACK}airflow-on-eks:index:SpotNodeGroup::ng-spot1",
    f"{STACK}aws:sns/topic:Topic::alerts",
)
VPC, EKS, NODES = (
    f"{STACK}airflow-on-eks:index:Network$aws:ec2/vpc:Vpc::airflow-vpc",
    f"{STACK}airflow-on-eks:index:Cluster$aws:eks/cluster:Cluster::airflow-eksCluster",
    f"{STACK}airflow-on-eks:index:SpotNodeGroup$aws:eks/nodeGroup:NodeGroup::ng-spot1",
)


def _goal(urn: str, parent: str = "", needs: tuple[str, ...] = ()) -> dict[str, Any]:
    kind = urn.split("::")[2].rpartition("$")[2]
    return {"goal": {"type": kind, "name": urn.split("::", 3)[3], "parent": parent, "propertyDependencies": {"id": list(needs)}}}


SAVED_PLAN = {
    "resourcePlans": {
        f"{STACK}pulumi:pulumi:Stack::airflow-on-eks-dev": _goal(f"{STACK}pulumi:pulumi:Stack::airflow-on-eks-dev"),
        f"{STACK}pulumi:providers:aws::default": _goal(f"{STACK}pulumi:providers:aws::default"),
        f"{STACK}aws:s3/bucket:Bucket::going": {"goal": None, "steps": ["delete"]},
        NETWORK: _goal(NETWORK, f"{STACK}pulumi:pulumi:Stack::airflow-on-eks-dev"),
        CLUSTER: _goal(CLUSTER),
        SPOT: _goal(SPOT),
        LOOSE: _goal(LOOSE),
        VPC: _goal(VPC, NETWORK, (f"{STACK}pulumi:providers:aws::default",)),
        EKS: _goal(EKS, CLUSTER, (VPC,)),
        NODES: _goal(NODES, SPOT, (EKS, VPC)),
    }
}
"""What `pulumi preview --save-plan` writes, as far as it is read: the node group needs cluster and VPC, the cluster the VPC."""


def drill_record(**changes: Any) -> dict[str, Any]:
    """Two tasks, one of them on the node that is lost."""
    tries = [
        ("work", 0, 1, "node-1", "failed", "11:59:50", "12:00:40"),
        ("work", 0, 2, "node-2", "success", "12:01:00", "12:02:00"),
        ("work", 1, 1, "node-2", "success", "11:59:50", "12:01:30"),
        ("gather", -1, 1, "node-2", "running", "12:02:01", None),
        ("never", -1, 1, "", "scheduled", None, None),
    ]
    return {
        "kind": "notice",
        "stack": "dev",
        "started": "2026-11-24T12:00:00.000Z",
        "events": [
            {"at": "2026-11-24T12:00:00.000Z", "what": "notice", "who": "node-1"},
            {"at": "2026-11-24T12:00:40.000Z", "what": "pod gone", "who": "work-0"},
            {"at": "2026-11-24T12:00:41.000Z", "what": "pod gone", "who": "work-7"},
            {"at": "2026-11-24T12:02:05.000Z", "what": "run finished", "who": "spot_fan_out"},
        ],
        "tasks": [
            {"dag": "spot_fan_out", "task": task, "map_index": index, "try": number, "node": node, "state": state}
            | {"started": begin and f"2026-11-24T{begin}.000Z", "ended": end and f"2026-11-24T{end}.000Z"}
            for task, index, number, node, state, begin, end in tries
        ],
        "verdicts": [
            {"name": "tasks lost", "value": 0, "limit": 0, "held": True},
            {"name": "from loss to retry, median, seconds", "value": 20.5, "limit": None, "held": True},
        ],
    } | changes


def pod(name: str, node: str, *, task: str = "", phase: str = "Running") -> PlacedPod:
    return PlacedPod(name=name, task=task, node=node, lifecycle="", phase=phase)


NODES_WITH_PODS = (
    NodePods(
        name="ip-10-0-0-11.us-west-2.compute.internal",
        lifecycle="Ec2Spot",
        instance_type="m5.large",
        zone="us-west-2a",
        group="ng-spot1",
        ready=True,
        pods=(pod("fan-out-work-abc", "ip-10-0-0-11.us-west-2.compute.internal", task="work"),),
    ),
    NodePods(name="", pods=(pod("fan-out-work-def", "", task="work", phase="Pending"),)),
)


def report(**changes: Any) -> Report:
    """The report of the example stack."""
    values: dict[str, Any] = {
        "stack": "dev",
        "made": "2026-11-24 12:30 UTC",
        "plan": PLAN,
        "review": review(PLAN, region="us-west-2"),
        "resources": read_saved_plan(SAVED_PLAN),
        "nodes": NODES_WITH_PODS,
        "drill": read_drill(drill_record()),
    }
    return Report(**values | changes)
