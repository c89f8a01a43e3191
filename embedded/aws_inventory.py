"""Lists everything that exists in the embedded AWS."""

from __future__ import annotations

from typing import Any

from embedded.aws_records import backend, clusters
from embedded.cloud import ACCOUNT_ID, Cloud


def _is_of_aws(key: Any) -> bool:
    return any(name.startswith("alias/aws/") for name in key.aliases)


def inventory(cloud: Cloud) -> dict[str, list[str]]:
    """Ids of everything a stack could have left, by type; what AWS itself puts into an account is not listed."""
    ec2, rds, efs = backend(cloud, "ec2"), backend(cloud, "rds"), backend(cloud, "efs")
    iam, kms = backend(cloud, "iam"), backend(cloud, "kms")
    vpcs = [vpc.id for vpc in ec2.vpcs.values()]
    found: dict[str, Any] = {
        "ec2:vpc": vpcs,
        "ec2:subnet": [subnet.id for subnet in ec2.describe_subnets()],
        "ec2:internet-gateway": ec2.internet_gateways,
        "ec2:nat-gateway": [item.id for item in ec2.nat_gateways.values() if item.state != "deleted"],
        "ec2:elastic-ip": [address.allocation_id for address in ec2.addresses],
        "ec2:route-table": [table.id for table in ec2.route_tables.values() if not table.main_association_id],
        "ec2:security-group": [group.id for group in ec2.describe_security_groups() if group.name != "default"],
        "ec2:network-interface": ec2.enis,
        "ec2:instance": [
            instance.id for hold in ec2.reservations.values() for instance in hold.instances if instance._state.name != "terminated"
        ],
        "ec2:volume": ec2.volumes,
        "ec2:launch-template": ec2.launch_templates,
        "ec2:vpc-endpoint": [item.id for item in ec2.vpc_end_points.values() if item.state != "deleted"],
        "ec2:flow-log": ec2.flow_logs,
        "ec2:network-acl": [acl.id for acl in ec2.network_acls.values() if acl.vpc_id not in vpcs],
        "autoscaling:group": backend(cloud, "autoscaling").autoscaling_groups,
        "eks:cluster": clusters,
        "rds:instance": rds.databases,
        "rds:subnet-group": rds.subnet_groups,
        "rds:parameter-group": [name for name in rds.db_parameter_groups if not name.startswith("default.")],
        "rds:snapshot": [name for name, item in rds.database_snapshots.items() if getattr(item, "snapshot_type", "") == "manual"],
        "efs:file-system": efs.file_systems_by_id,
        "efs:mount-target": efs.mount_targets_by_id,
        "efs:access-point": efs.access_points,
        "ecr:repository": backend(cloud, "ecr").repositories,
        "iam:role": [role.name for role in iam.roles.values() if not role.path.startswith("/aws-service-role/")],
        "iam:policy": [arn for arn in iam.managed_policies if f":{ACCOUNT_ID}:" in arn],
        "iam:user": iam.users,
        "iam:instance-profile": [profile.name for profile in iam.instance_profiles.values()],
        "kms:key": [key.id for key in kms.keys.values() if key.key_state != "PendingDeletion" and not _is_of_aws(key)],
        "kms:alias": [name for key in kms.keys.values() for name in key.aliases if not name.startswith("alias/aws/")],
        "logs:log-group": backend(cloud, "logs").groups,
        "cloudwatch:alarm": backend(cloud, "cloudwatch").alarms,
        "fis:experiment-template": backend(cloud, "fis").experiment_templates,
        "secretsmanager:secret": [secret.name for secret in backend(cloud, "secretsmanager").secrets.values() if not secret.is_deleted()],
        "s3:bucket": backend(cloud, "s3").buckets,
        "sns:topic": backend(cloud, "sns").topics,
        "sqs:queue": backend(cloud, "sqs").queues,
        "budgets:budget": backend(cloud, "budgets").budgets[ACCOUNT_ID],
        "elbv2:load-balancer": backend(cloud, "elbv2").load_balancers,
    }
    return {kind: sorted(map(str, ids)) for kind, ids in found.items() if ids}
