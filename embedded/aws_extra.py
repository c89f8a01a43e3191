"""Operations that moto lacks, what follows some that it has, and the repairs of moto that AWS's behaviour needs."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from botocore import xform_name
from moto.core.utils import get_service_model
from moto.iam import models as iam_models

from embedded import aws_fis, aws_power, database
from embedded.aws_checks import DATABASE_CLASSES, ENGINE_VERSIONS, Check, file_system_of
from embedded.aws_records import Params, backend, error
from embedded.cloud import ACCOUNT_ID, Cloud

QUOTAS = {"ec2/L-1216C47A": 256, "ec2/L-34B43A08": 256, "ec2/L-0263D0A3": 5, "vpc/L-F678F1CE": 5}
"""vCPUs of On-Demand and of Spot Standard instances, as an account in use has them; Elastic IPs and VPCs as a new one. Not enforced."""
KEPT_BY_RDS = {
    "EnablePerformanceInsights": "performance_insights_enabled",
    "EnableIAMDatabaseAuthentication": "iam_database_authentication_enabled",
}
"""Parameters of RDS that come back under another name."""


def prepare(cloud: Cloud) -> None:
    """Start from an account without a default VPC, and repair moto where a record would be wrong."""
    ec2 = backend(cloud, "ec2")
    for vpc in list(ec2.vpcs.values()):
        for subnet in list(ec2.describe_subnets(filters={"vpc-id": vpc.id})):
            ec2.delete_subnet(subnet.id)
        for acl in [acl for acl in ec2.network_acls.values() if acl.vpc_id == vpc.id]:
            ec2.network_acls.pop(acl.id)
        ec2.delete_vpc(vpc.id)
    iam_models.SERVICE_NAME_CONVERSION["spot"] = "EC2Spot"
    backend(cloud, "iam").create_service_linked_role("spot.amazonaws.com", "Spot was used here before", "")
    _spread_auto_scaling_groups()


def _spread_auto_scaling_groups() -> None:
    """Moto starts all instances of a group in its first subnet, without the launch template's tags; AWS spreads and tags them."""
    from moto.autoscaling.models import FakeAutoScalingGroup

    original = FakeAutoScalingGroup.replace_autoscaling_group_instances
    if original.__name__ == "spread":
        return

    def spread(group: Any, count_needed: int, propagated_tags: dict[str, str]) -> None:
        for _ in range(count_needed):
            before = {state.instance.id for state in group.instance_states}
            subnets = group.vpc_zone_identifier.split(",")
            used = [state.instance.subnet_id for state in group.instance_states]
            subnets.sort(key=used.count)
            zones, order = group.availability_zones, group.vpc_zone_identifier
            group.vpc_zone_identifier = ",".join(subnets)
            group.availability_zones = [group.ec2_backend.get_subnet(subnets[0]).availability_zone]
            original(group, 1, dict(propagated_tags))
            group.availability_zones, group.vpc_zone_identifier = zones, order
            for state in group.instance_states:
                if state.instance.id not in before:
                    _tag_machine(group, state.instance)

    FakeAutoScalingGroup.replace_autoscaling_group_instances = spread


def _tag_machine(group: Any, instance: Any) -> None:
    """Tags of the launch template's tag specifications, on the instance, its volumes and its network interfaces."""
    ec2, template = group.ec2_backend, group.ec2_launch_template
    instance.region_name = group.region
    instance.lifecycle = "spot" if group.capacity_rebalance else None  # EKS's Spot groups rebalance, its others do not
    data = template.get_version(template.default_version_number).data if template else {}
    named = [item["DeviceName"] for item in data.get("BlockDeviceMapping") or data.get("BlockDeviceMappings") or []]
    for name, device in list(instance.block_device_mapping.items()):
        device.delete_on_termination = True
        if named and name not in named:  # the image's root device is the one that the template describes
            ec2.detach_volume(device.volume_id, instance.id, name)
            ec2.delete_volume(device.volume_id)
    for nic in instance.nics.values():
        nic.delete_on_termination = True
        nic.status = "in-use"
    parts = {
        "instance": [instance.id],
        "volume": [device.volume_id for device in instance.block_device_mapping.values() if device.volume_id],
        "network-interface": [nic.id for nic in instance.nics.values()],
    }
    for specification in data.get("TagSpecification") or data.get("TagSpecifications") or []:
        tags = {tag["Key"]: tag["Value"] for tag in specification.get("Tag") or specification.get("Tags") or []}
        if tags and parts.get(specification["ResourceType"]):
            ec2.create_tags(parts[specification["ResourceType"]], tags)


def after_nat_gateway(cloud: Cloud, params: Params) -> None:
    """A deleted NAT gateway gives back its address and its interface, which moto keeps."""
    ec2 = backend(cloud, "ec2")
    gateway = ec2.nat_gateways[params["NatGatewayId"]]
    for address in ec2.addresses:
        if address.eni and address.eni.id == gateway._eni.id:
            ec2.disassociate_address(association_id=address.association_id)
    ec2.enis.pop(gateway._eni.id, None)


def after_launch_template(cloud: Cloud, params: Params) -> None:
    """Moto puts the template's own tags among those of the machines it describes; AWS does not."""
    templates = backend(cloud, "ec2").launch_templates.values()
    for version in [version for item in templates if item.name == params["LaunchTemplateName"] for version in item.versions]:
        for key in ("TagSpecification", "TagSpecifications"):
            if version.data.get(key):
                version.data[key] = [item for item in version.data[key] if item["ResourceType"] != "launch-template"]


def after_vpc(cloud: Cloud, params: Params) -> None:
    """The network ACL that came with a VPC goes with it."""
    acls = backend(cloud, "ec2").network_acls
    for id in [acl.id for acl in acls.values() if acl.vpc_id == params["VpcId"]]:
        acls.pop(id)


def after_database(cloud: Cloud, params: Params) -> None:
    """Keep what moto forgets of a database, resolve its engine version, make its log groups as RDS does."""
    database = backend(cloud, "rds").databases[params["DBInstanceIdentifier"]]
    members = get_service_model("rds").shape_for("DBInstance").members
    for key, value in params.items():
        name = KEPT_BY_RDS.get(key, xform_name(key) if key in members and members[key].type_name not in ("list", "structure") else "")
        if name and name not in ("db_instance_identifier", "engine_version"):
            try:
                setattr(database, name, value)
            except AttributeError:  # a property that moto derives
                continue
    database.dbi_resource_id = getattr(database, "unique_id", None) or f"db-{secrets.token_hex(13).upper()}"
    database.unique_id = database.dbi_resource_id
    known = database.engine_version if str(database.engine_version).split(".")[0] in ENGINE_VERSIONS else "17"
    wanted = str(params.get("EngineVersion") or known)
    database.engine_version = ENGINE_VERSIONS.get(wanted, wanted)
    logs = backend(cloud, "logs")
    for kind in params.get("EnableCloudwatchLogsExports") or []:
        name = f"/aws/rds/instance/{params['DBInstanceIdentifier']}/{kind}"
        if name not in logs.groups:
            logs.create_log_group(name, {})


def after_reboot(cloud: Cloud, params: Params) -> None:
    """A reboot of a database ends every connection."""
    database.restart_database(cloud, params["DBInstanceIdentifier"])


def update_file_system(cloud: Cloud, params: Params) -> Params:
    """EFS UpdateFileSystem: throughput."""
    found = file_system_of(cloud, params)
    found.throughput_mode = params.get("ThroughputMode") or found.throughput_mode
    found.provisioned_throughput_in_mibps = params.get("ProvisionedThroughputInMibps")
    return dict(found.info_json())


def update_protection(cloud: Cloud, params: Params) -> Params:
    """EFS UpdateFileSystemProtection."""
    found = file_system_of(cloud, params)
    found.file_system_protection = {"ReplicationOverwriteProtection": params["ReplicationOverwriteProtection"]}
    return dict(found.file_system_protection)


def put_backup_policy(cloud: Cloud, params: Params) -> Params:
    """EFS PutBackupPolicy."""
    file_system_of(cloud, params)._backup = params["BackupPolicy"]["Status"] == "ENABLED"
    return describe_backup_policy(cloud, params)


def describe_backup_policy(cloud: Cloud, params: Params) -> Params:
    """EFS DescribeBackupPolicy."""
    return {"BackupPolicy": {"Status": "ENABLED" if file_system_of(cloud, params)._backup else "DISABLED"}}


def delete_file_system_policy(cloud: Cloud, params: Params) -> Params:
    """EFS DeleteFileSystemPolicy."""
    file_system_of(cloud, params).file_system_policy = None
    return {}


def after_file_system(cloud: Cloud, params: Params) -> None:
    """Access points and tags of a deleted file system go with it."""
    efs = backend(cloud, "efs")
    for id in [id for id, point in efs.access_points.items() if point.file_system_id == params["FileSystemId"]]:
        efs.delete_access_point(id)


def _log_group(cloud: Cloud, params: Params) -> Any:
    name = params.get("logGroupName") or str(params.get("resourceIdentifier", "")).split(":log-group:")[-1].removesuffix(":*")
    found = backend(cloud, "logs").groups.get(name)
    if found is None:
        raise error("ResourceNotFoundException", "The specified log group does not exist.")
    return found


def associate_kms_key(cloud: Cloud, params: Params) -> Params:
    """CloudWatch Logs AssociateKmsKey."""
    _log_group(cloud, params).kms_key_id = params["kmsKeyId"]
    return {}


def disassociate_kms_key(cloud: Cloud, params: Params) -> Params:
    """CloudWatch Logs DisassociateKmsKey."""
    _log_group(cloud, params).kms_key_id = None
    return {}


def engine_versions(cloud: Cloud, params: Params) -> Params:
    """RDS DescribeDBEngineVersions, of PostgreSQL."""
    wanted = str(params.get("EngineVersion") or "")
    versions = [minor for major, minor in ENGINE_VERSIONS.items() if wanted in ("", major, minor)]
    return {
        "DBEngineVersions": [
            {
                "Engine": "postgres",
                "EngineVersion": version,
                "DBParameterGroupFamily": f"postgres{version.split('.')[0]}",
                "Status": "available",
            }
            for version in versions
        ]
    }


def orderable_options(cloud: Cloud, params: Params) -> Params:
    """RDS DescribeOrderableDBInstanceOptions, of PostgreSQL: every class in every zone, in both ways, on every storage."""
    version, name = params.get("EngineVersion", ""), params.get("DBInstanceClass", "")
    if params["Engine"] != "postgres" or version not in ENGINE_VERSIONS.values() or name not in DATABASE_CLASSES:
        return {"OrderableDBInstanceOptions": []}
    zones = [{"Name": zone.name} for zone in backend(cloud, "ec2").describe_availability_zones()]
    shared = {"Engine": "postgres", "EngineVersion": version, "DBInstanceClass": name, "AvailabilityZones": zones, "MultiAZCapable": True}
    return {"OrderableDBInstanceOptions": [{**shared, "Vpc": True, "StorageType": kind} for kind in ("gp2", "gp3", "io1", "io2")]}


def service_quota(cloud: Cloud, params: Params) -> Params:
    """Service Quotas GetServiceQuota."""
    service, code = params["ServiceCode"], params["QuotaCode"]
    if f"{service}/{code}" not in QUOTAS:
        raise error("NoSuchResourceException", f"the embedded AWS has no quota {service} {code}")
    return {"Quota": {"ServiceCode": service, "QuotaCode": code, "Value": float(QUOTAS[f"{service}/{code}"]), "Adjustable": True}}


def reset_parameter_group(cloud: Cloud, params: Params) -> Params:
    """RDS ResetDBParameterGroup."""
    group = backend(cloud, "rds").db_parameter_groups.get(params["DBParameterGroupName"])
    if group is None:
        raise error("DBParameterGroupNotFound", f"DBParameterGroup not found: {params['DBParameterGroupName']}")
    names = [item["ParameterName"] for item in params.get("Parameters") or []]
    for name in list(group.parameters) if params.get("ResetAllParameters") else names:
        group.parameters.pop(name, None)
    return {"DBParameterGroupName": params["DBParameterGroupName"]}


def _budget_tags(cloud: Cloud, params: Params) -> dict[str, str]:
    budget = backend(cloud, "budgets").budgets[ACCOUNT_ID].get(params["ResourceARN"].rpartition("/")[2])
    if budget is None:
        raise error("NotFoundException", f"Unable to get budget: {params['ResourceARN']} - the budget doesn't exist.")
    return dict(vars(budget).setdefault("tags", {}))


def after_budget(cloud: Cloud, params: Params) -> None:
    """Keep the tags, which moto forgets."""
    arn = f"arn:aws:budgets::{ACCOUNT_ID}:budget/{params['Budget']['BudgetName']}"
    change_budget_tags(cloud, params | {"ResourceARN": arn})


def change_budget_tags(cloud: Cloud, params: Params) -> Params:
    """Budgets TagResource and UntagResource."""
    tags = _budget_tags(cloud, params) | {tag["Key"]: tag["Value"] for tag in params.get("ResourceTags") or []}
    left = {key: value for key, value in tags.items() if key not in (params.get("ResourceTagKeys") or [])}
    backend(cloud, "budgets").budgets[ACCOUNT_ID][params["ResourceARN"].rpartition("/")[2]].tags = left
    return {}


def list_budget_tags(cloud: Cloud, params: Params) -> Params:
    """Budgets ListTagsForResource."""
    return {"ResourceTags": [{"Key": key, "Value": value} for key, value in _budget_tags(cloud, params).items()]}


AFTER: dict[str, tuple[Check, ...]] = {
    "ec2:DeleteNatGateway": (after_nat_gateway,),
    "ec2:CreateLaunchTemplate": (after_launch_template,),
    "ec2:DeleteVpc": (after_vpc,),
    "rds:CreateDBInstance": (after_database,),
    "rds:ModifyDBInstance": (after_database,),
    "rds:RebootDBInstance": (after_reboot,),
    "rds:StopDBInstance": (aws_power.after_stop,),
    "rds:StartDBInstance": (aws_power.after_start,),
    "efs:DeleteFileSystem": (after_file_system,),
    "budgets:CreateBudget": (after_budget,),
}
OPERATIONS: dict[str, Callable[[Cloud, Params], Params]] = {
    "fis:StartExperiment": aws_fis.start_experiment,
    "efs:UpdateFileSystem": update_file_system,
    "efs:UpdateFileSystemProtection": update_protection,
    "efs:PutBackupPolicy": put_backup_policy,
    "efs:DescribeBackupPolicy": describe_backup_policy,
    "efs:DeleteFileSystemPolicy": delete_file_system_policy,
    "logs:AssociateKmsKey": associate_kms_key,
    "logs:DisassociateKmsKey": disassociate_kms_key,
    "rds:DescribeDBEngineVersions": engine_versions,
    "rds:DescribeOrderableDBInstanceOptions": orderable_options,
    "service-quotas:GetServiceQuota": service_quota,
    "rds:ResetDBParameterGroup": reset_parameter_group,
    "budgets:ListTagsForResource": list_budget_tags,
    "budgets:TagResource": change_budget_tags,
    "budgets:UntagResource": change_budget_tags,
}
