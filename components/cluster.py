"""The EKS control plane, the On-Demand nodes of Airflow's own components, and the add-ons that every pod relies on.

Owns the log group (made first: AWS would make one without retention that outlives the stack), the security group that database and file
system admit, and Pod Identity. Workers' nodes are SpotNodeGroup's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks

from components import efs_driver, iam_policies, spot_pools
from components.container_insights import ContainerInsights, ContainerInsightsArgs
from components.cost_tags import component_tags
from components.network import NetworkIds
from components.node_group import NodeGroupSpec, NodeWiring, managed_node_group
from components.settings import ClusterSettings, CoreSettings

LOG_TYPES = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
EFS_SERVICE_ACCOUNTS = ("efs-csi-controller-sa", "efs-csi-node-sa")


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """Where the cluster lies and what its core nodes are."""

    network: NetworkIds
    kms_key_arn: pulumi.Input[str]
    """Key for Kubernetes secrets and for logs."""
    cluster: ClusterSettings
    core: CoreSettings
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.cluster.endpoint_public and not self.cluster.public_access_cidrs:
            raise ValueError(
                "a public Kubernetes API needs addresses that may reach it: AWS takes none for all (setting cluster.publicAccessCidrs)"
            )


class Cluster(pulumi.ComponentResource):
    """`eks.Cluster {name}`, node group `{name}-ng-on-demand`, add-ons `{name}-pod-identity` and `{name}-efs-driver`, log group
    `{name}-logs` and security group `{name}-nodes`; if wanted, `{name}-insights`.

    `depends_on=[cluster]` waits for nodes and add-ons, and removes what depends on it before them.
    """

    name: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    """JSON; asks the aws program for a token. Secret."""
    node_security_group_id: pulumi.Output[str]
    """On every node and nothing else: what databases and file systems admit."""
    node_wiring: NodeWiring
    """What every further node group needs."""
    cluster_security_group_id: pulumi.Output[str]
    """EKS's own: on the control plane's interfaces and on every node."""
    efs_driver_version: pulumi.Output[str]
    """Of the add-on; known before it is installed, so that node groups need not wait for it."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-on-eks:index:Cluster", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = component_tags(args.tags, "cluster", Name=name)
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=log_group_name(args.cluster.name),
            retention_in_days=args.cluster.log_retention_days,
            kms_key_id=args.kms_key_arn,
            tags=tags,
            opts=child,
        )
        nodes = aws.ec2.SecurityGroup(
            f"{name}-nodes",
            # no tag kubernetes.io/cluster/...: with a second group so tagged on a node, load balancers cannot choose
            description="Marks the nodes: database and file system admit this group. Carries no rule of its own",
            vpc_id=args.network.vpc_id,
            ingress=[],
            egress=[],
            tags=component_tags(args.tags, "cluster", Name=f"{name}-nodes"),
            opts=child,
        )
        control_plane = eks.Cluster(
            name,
            name=args.cluster.name,
            version=args.cluster.kubernetes_version,
            vpc_id=args.network.vpc_id,
            private_subnet_ids=list(args.network.private),
            public_subnet_ids=list(args.network.public),
            authentication_mode=eks.AuthenticationMode.API,
            access_entries=_access_entries(args.cluster.admin_principal_arns, tags),
            skip_default_node_group=True,
            create_oidc_provider=False,  # pods get roles by Pod Identity
            enabled_cluster_log_types=LOG_TYPES,
            encryption_config_key_arn=args.kms_key_arn,
            endpoint_private_access=True,
            endpoint_public_access=args.cluster.endpoint_public,
            public_access_cidrs=list(args.cluster.public_access_cidrs) or None,
            vpc_cni_options=eks.VpcCniOptionsArgs(enable_network_policy=True),  # NetworkPolicies do nothing without
            upgrade_policy={"support_type": "STANDARD"},  # EXTENDED costs six times as much once a version is old
            tags=tags,
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[logs])),
        )
        self.name = control_plane.eks_cluster.apply(lambda cluster: cluster.name)
        self.kubeconfig = pulumi.Output.secret(control_plane.kubeconfig_json)
        # neither clusterSecurityGroupId nor nodeSecurityGroupId of eks.Cluster is the group that EKS puts on nodes
        self.cluster_security_group_id = control_plane.eks_cluster.apply(lambda cluster: cluster.vpc_config.cluster_security_group_id)
        self.node_security_group_id = nodes.id
        self.node_wiring = NodeWiring(
            cluster_name=self.name,
            kubernetes_version=args.cluster.kubernetes_version,
            subnet_ids=args.network.nodes,
            security_group_ids=(self.cluster_security_group_id, nodes.id),
        )
        self.efs_driver_version = self._default_version(efs_driver.ADD_ON, args)
        core = self._core_nodes(name, args)
        self._add_ons(name, args, core, tags)
        self.register_outputs(
            {
                "name": self.name,
                "kubeconfig": self.kubeconfig,
                "node_security_group_id": self.node_security_group_id,
                "node_wiring": {**vars(self.node_wiring), "security_group_ids": list(self.node_wiring.security_group_ids)},
                "cluster_security_group_id": self.cluster_security_group_id,
                "efs_driver_version": self.efs_driver_version,
            }
        )

    def _core_nodes(self, name: str, args: ClusterArgs) -> aws.eks.NodeGroup:
        spec = NodeGroupSpec(
            group_name=spot_pools.CORE_GROUP,
            wiring=self.node_wiring,
            instance_types=args.core.instance_types,
            min_size=args.core.min_size,
            desired_size=args.core.desired_size,
            max_size=args.core.max_size,
            volume_gib=args.core.volume_gib,
            capacity_type="ON_DEMAND",
            lifecycle=spot_pools.ON_DEMAND_LIFECYCLE,
            tags=component_tags(args.tags, "core", capacity="on-demand", Name=spot_pools.CORE_GROUP),
        )
        return managed_node_group(f"{name}-{spot_pools.CORE_GROUP}", spec, self)

    def _add_ons(self, name: str, args: ClusterArgs, core: aws.eks.NodeGroup, tags: Mapping[str, str]) -> None:
        child = pulumi.ResourceOptions(parent=self)
        agent = self._add_on(f"{name}-pod-identity", "eks-pod-identity-agent", args, tags)
        role = aws.iam.Role(
            f"{name}-efs-driver-role",
            description="EFS CSI driver: describe file systems and manage its own access points",
            assume_role_policy=iam_policies.trust(iam_policies.POD_IDENTITY),
            tags=tags,
            opts=child,
        )
        policy = aws.iam.RolePolicyAttachment(
            f"{name}-efs-driver-policy", role=role.name, policy_arn=iam_policies.EFS_DRIVER_POLICY, opts=child
        )
        if args.cluster.container_insights:
            self._watch(f"{name}-insights", args, [agent, core])
        # its controller is a Deployment, which is not healthy before there are nodes
        after = [agent, policy, core]
        self._add_on(f"{name}-efs-driver", efs_driver.ADD_ON, args, tags, version=self.efs_driver_version, role=role, after=after)

    def _watch(self, name: str, args: ClusterArgs, after: Sequence[pulumi.Resource]) -> None:
        insights = ContainerInsightsArgs(
            cluster_name=self.name,
            plain_cluster_name=args.cluster.name,
            kubernetes_version=args.cluster.kubernetes_version,
            log_retention_days=args.cluster.log_retention_days,
            kms_key_arn=args.kms_key_arn,
            after=after,
            tags=args.tags,
        )
        ContainerInsights(name, insights, pulumi.ResourceOptions(parent=self))

    def _add_on(
        self,
        name: str,
        add_on: str,
        args: ClusterArgs,
        tags: Mapping[str, str],
        *,
        version: pulumi.Output[str] | None = None,
        role: aws.iam.Role | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> aws.eks.Addon:
        accounts = EFS_SERVICE_ACCOUNTS if role is not None else ()
        return aws.eks.Addon(
            name,
            cluster_name=self.name,
            addon_name=add_on,
            addon_version=version or self._default_version(add_on, args),
            pod_identity_associations=[{"service_account": account, "role_arn": role.arn} for account in accounts if role] or None,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )

    def _default_version(self, add_on: str, args: ClusterArgs) -> pulumi.Output[str]:
        return aws.eks.get_addon_version_output(
            addon_name=add_on, kubernetes_version=args.cluster.kubernetes_version, opts=pulumi.InvokeOptions(parent=self)
        ).version


def log_group_name(cluster: str) -> str:
    """Where EKS writes the control plane's logs, whether or not the group exists."""
    return f"/aws/eks/{cluster}/cluster"


def _access_entries(principals: Sequence[str], tags: Mapping[str, str]) -> dict[str, eks.AccessEntryArgs]:
    # the key names resources: the principal's own name, so that removing one leaves the others alone
    return {
        principal.rpartition(":")[2].replace("/", "-"): eks.AccessEntryArgs(
            principal_arn=principal,
            access_policies={
                "admin": eks.AccessPolicyAssociationArgs(
                    policy_arn=iam_policies.CLUSTER_ADMIN_POLICY,
                    access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
                )
            },
            tags=tags,
        )
        for principal in principals
    }
