"""Who reaches a store of Airflow's: the nodes at its one port, and nobody else. It reaches nothing itself."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws


def for_nodes_only(
    name: str,
    *,
    vpc_id: pulumi.Input[str],
    client_security_group_id: pulumi.Input[str],
    port: int,
    store: str,
    protocol: str,
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> aws.ec2.SecurityGroup:
    """Security group `{name}-security-group` with one rule: TCP to `port` from the nodes' group. `store` and `protocol` describe it."""
    group = aws.ec2.SecurityGroup(f"{name}-security-group", description=store, vpc_id=vpc_id, tags=tags, opts=opts)
    aws.vpc.SecurityGroupIngressRule(
        f"{name}-from-nodes",
        security_group_id=group.id,
        referenced_security_group_id=client_security_group_id,
        description=f"{protocol} from the nodes",
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        tags=tags,
        opts=opts,
    )
    return group
