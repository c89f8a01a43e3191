"""A group of Spot nodes on a cluster that somebody else made: one component, plain ids."""

import sys
from pathlib import Path

import pulumi
import pulumi_aws as aws

sys.path.append(str(Path(__file__).parents[2]))  # where components/ is; in a project of your own, a copy or a submodule

from components.node_group import NodeWiring
from components.spot_node_group import SpotNodeGroup, SpotNodeGroupArgs

config = pulumi.Config()
cluster = aws.eks.get_cluster_output(name=config.require("clusterName"))
more_groups = config.get_object("securityGroupIds") or []

nodes = SpotNodeGroup(
    "airflow-tasks",
    SpotNodeGroupArgs(
        wiring=NodeWiring(
            cluster_name=cluster.name,
            kubernetes_version=cluster.version,
            subnet_ids=config.require_object("subnetIds"),
            # a launch template replaces the group that EKS would give: without it the nodes cannot join
            security_group_ids=(cluster.vpc_config.cluster_security_group_id, *more_groups),
        ),
        instance_types=("m5.large", "m5a.large", "m4.large"),
        min_size=0,
        desired_size=1,
        max_size=6,
        taint_effect="NO_SCHEDULE",
        volume_gib=50,
        tags={"Project": pulumi.get_project(), "Stack": pulumi.get_stack(), "ManagedBy": "pulumi"},
    ),
)

pulumi.export("node_group", nodes.node_group_name)
