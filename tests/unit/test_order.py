"""What must exist before what, and so be removed after it: traps that no single resource shows (rows A23, C5).

Read from the dependencies that the program registers. What this level cannot prove: how long AWS takes; the timeouts leave room for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatch

from tests.conftest import Engine

Graph = Mapping[str, frozenset[str]]
"""`type name` to what it depends on directly."""
ORDERS = (
    ("a volume is mounted by names that its targets bring", "*:PersistentVolume shared-*", "aws:efs/mountTarget:MountTarget *"),
    ("a mount before the policy is refused later", "*:PersistentVolume shared-*", "aws:efs/fileSystemPolicy:FileSystemPolicy *"),
    ("a load balancer is removed by the cluster, which needs nodes", "*:Service airflow-web", "aws:eks/nodeGroup:NodeGroup *"),
    ("a load balancer is removed by the cluster", "*:Service airflow-web", "eks:index:Cluster *"),
    ("pods need nodes", "*:Deployment *", "aws:eks/nodeGroup:NodeGroup *"),
    ("pods mount with the driver", "*:Deployment *", "aws:eks/addon:Addon airflow-efs-driver"),
    ("nodes that cannot get out never join", "aws:eks/nodeGroup:NodeGroup *", "aws:ec2/route:Route airflow-private-way-out-*"),
    ("interfaces outlive nodes by minutes", "aws:eks/nodeGroup:NodeGroup *", "aws:ec2/subnet:Subnet airflow-private-*"),
    ("interfaces outlive nodes by minutes", "aws:ec2/launchTemplate:LaunchTemplate *", "aws:ec2/securityGroup:SecurityGroup airflow-nodes"),
    ("EKS makes its log group itself if it can", "eks:index:Cluster *", "aws:cloudwatch/logGroup:LogGroup airflow-logs"),
    ("RDS makes its log groups itself if it can", "aws:rds/instance:Instance *", "aws:cloudwatch/logGroup:LogGroup metadata-*"),
    ("pods get credentials when they start", "aws:eks/addon:Addon airflow-efs-driver", "aws:eks/addon:Addon airflow-pod-identity"),
    ("pods get credentials when they start", "*helm.sh/v3:Release *", "aws:eks/podIdentityAssociation:PodIdentityAssociation *"),
    ("a flow log without rights writes nothing", "aws:ec2/flowLog:FlowLog *", "aws:iam/rolePolicy:RolePolicy airflow-flow-log-policy"),
    ("programs before the migration crash", "*:Deployment *", "*:Job airflow-migrations"),
)
"""Reason, pattern of the later, pattern of all that must be there before."""
NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy")


def graph(engine: Engine) -> Graph:
    """What the program registered; a child waits for its component, and for all that one waits for."""
    names = {urn: f"{urn.rpartition('::')[0].rpartition('$')[2].rpartition('::')[2]} {urn.rpartition('::')[2]}" for urn in engine.urns}
    return {
        f"{kind} {name}": frozenset(names[urn] for urn in [*request.dependencies, request.parent] if urn in names)
        for (kind, name), request in engine.monitor.requests.items()
    }


def before(edges: Graph, later: str) -> set[str]:
    """Everything that a resource depends on, at any distance."""
    found: set[str] = set()
    waiting = [later]
    while waiting:
        for earlier in edges.get(waiting.pop(), frozenset()) - found:
            found.add(earlier)
            waiting.append(earlier)
    return found


def missing(edges: Graph, orders: tuple[tuple[str, str, str], ...]) -> list[str]:
    """Orders that do not hold, each with its reason; one that is about nothing does not hold either."""
    found = []
    for reason, late, early in orders:
        laters = [name for name in edges if fnmatch(name, late)]
        earliers = {name for name in edges if fnmatch(name, early)}
        if not laters or not earliers:
            found.append(f"{late} or {early} does not exist")
        for later in laters:
            found += [f"{later} does not wait for {name}: {reason}" for name in sorted(earliers - before(edges, later))]
    return found


def test_whatever_needs_another_waits_for_it_and_goes_before_it(run_main: Callable[[str], Engine]) -> None:
    assert missing(graph(run_main("prod")), ORDERS) == []


def test_a_missing_order_is_found() -> None:
    edges = {"a late": frozenset({"b middle"}), "b middle": frozenset(), "c early": frozenset()}
    assert missing(edges, (("x", "a *", "b *"),)) == []
    assert missing(edges, (("it breaks", "a *", "c *"),)) == ["a late does not wait for c early: it breaks"]
    assert missing({**edges, "b middle": frozenset({"c early"})}, (("it breaks", "a *", "c *"),)) == []
    assert missing(edges, (("x", "d *", "c *"),)) == ["d * or c * does not exist"]


def test_nodes_wait_for_their_roles_policies_and_have_time_to_drain(run_main: Callable[[str], Engine]) -> None:
    engine = run_main("prod")
    edges = graph(engine)
    for name in engine.of_type("aws:eks/nodeGroup:NodeGroup"):
        own = {entry for entry in before(edges, f"aws:eks/nodeGroup:NodeGroup {name}") if f" {name}-" in entry}
        assert {f"aws:iam/rolePolicyAttachment:RolePolicyAttachment {name}-{policy}" for policy in NODE_POLICIES} <= own
        assert engine.request("aws:eks/nodeGroup:NodeGroup", name).customTimeouts.delete == "30m", "disruption budgets, and tasks' grace"
