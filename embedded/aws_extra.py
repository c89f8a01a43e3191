"""What moto lacks or forgives: missing operations, AWS's dependency checks, side effects, and the list of everything that exists.

Three tables, keyed by `service:Operation`: checks that run before moto, operations answered in its place, and what follows a success.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

from botocore import xform_name
from moto.core.utils import get_service_model

from embedded import aws_eks
from embedded.aws_eks import Params, backend, error
from embedded.cloud import ACCOUNT_ID, Cloud

Check = Callable[[Cloud, Params], None]
ENGINE_VERSIONS = {"18": "18.4", "17": "17.10", "16": "16.14"}
"""Newest minor of each PostgreSQL major version on RDS (2026-11)."""
KEPT_BY_RDS = {"EnablePerformanceInsights": "performance_insights_enabled", "EnableIAMDatabaseAuthentication": "iam_database_authentication_enabled"}
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

    FakeAutoScalingGroup.replace_autoscaling_group_instances = spread  # type: ignore[method-assign,assignment]


def _tag_machine(group: Any, instance: Any) -> None:
    """Tags of the launch template's tag specifications, on the instance, its volumes and its network interfaces."""
    ec2, template = group.ec2_backend, group.ec2_launch_template
    instance.region_name = group.region
    parts = {
        "instance": [instance.id],
        "volume": [device.volume_id for device in instance.block_device_mapping.values() if device.volume_id],
        "network-interface": [nic.id for nic in instance.nics.values()],
    }
    for device in instance.block_device_mapping.values():
        device.delete_on_termination = True
    for nic in instance.nics.values():
        nic.delete_on_termination = True
        nic.status = "in-use"
    data = template.get_version(template.default_version_number).data if template else {}
    for specification in data.get("TagSpecification") or data.get("TagSpecifications") or []:
        tags = {tag["Key"]: tag["Value"] for tag in specification.get("Tag") or specification.get("Tags") or []}
        if tags and parts.get(specification["ResourceType"]):
            ec2.create_tags(parts[specification["ResourceType"]], tags)


def _interfaces(cloud: Cloud, **wanted: str) -> list[Any]:
    """Network interfaces in a subnet or with a security group."""
    found = []
    for interface in backend(cloud, "ec2").enis.values():
        groups = {group.id for group in interface.group_set}
        if interface.subnet.id == wanted.get("subnet") or wanted.get("group") in groups:
            found.append(interface)
    return found


def _in_use(what: str, users: list[str]) -> None:
    if users:
        raise error("DependencyViolation", f"{what} has dependencies and cannot be deleted: {', '.join(sorted(users))}")


def _databases_of(cloud: Cloud, subnet: str) -> Iterator[str]:
    for database in backend(cloud, "rds").databases.values():
        group = backend(cloud, "rds").subnet_groups.get(database.db_subnet_group_name)
        if group and subnet in [item.id for item in group.subnets]:
            yield database.db_instance_identifier


def check_subnet(cloud: Cloud, params: Params) -> None:
    """A subnet with anything in it stays."""
    id = params["SubnetId"]
    users = [f"{interface.id} ({interface.description or 'interface'})" for interface in _interfaces(cloud, subnet=id)]
    _in_use(f"The subnet '{id}'", users + list(_databases_of(cloud, id)))


def check_security_group(cloud: Cloud, params: Params) -> None:
    """A group that is carried by an interface or a database, or named in another group's rules, stays."""
    id, ec2 = params.get("GroupId"), backend(cloud, "ec2")
    group = ec2.get_security_group_from_id(id)
    if group is None:
        return
    if group.name == "default":
        raise error("CannotDelete", f'the specified group: "{id}" name: "default" cannot be deleted by a user')
    users = [f"{interface.id} ({interface.description or 'interface'})" for interface in _interfaces(cloud, group=str(id))]
    for other in ec2.describe_security_groups():
        rules = [*other.ingress_rules, *other.egress_rules]
        if other.id != id and any(rule.source_group.get("GroupId") == id for rule in rules):
            users.append(f"a rule of {other.id}")
    users += [item.db_instance_identifier for item in backend(cloud, "rds").databases.values() if id in item.vpc_security_group_ids]
    _in_use(f"resource {id}", users)


def check_vpc(cloud: Cloud, params: Params) -> None:
    """A VPC with anything of the stack's own in it stays; moto itself checks route tables."""
    id, ec2 = params["VpcId"], backend(cloud, "ec2")
    users = [subnet.id for subnet in ec2.describe_subnets(filters={"vpc-id": id})]
    users += [gateway.id for gateway in ec2.internet_gateways.values() if gateway.vpc and gateway.vpc.id == id]
    users += [group.id for group in ec2.describe_security_groups() if group.vpc_id == id and group.name != "default"]
    users += [endpoint.id for endpoint in ec2.vpc_end_points.values() if endpoint.vpc_id == id and endpoint.state != "deleted"]
    _in_use(f"The vpc '{id}'", users)


def check_detach(cloud: Cloud, params: Params) -> None:
    """An internet gateway stays attached while the network has public addresses."""
    gateways = backend(cloud, "ec2").nat_gateways.values()
    users = [item.id for item in gateways if item.vpc_id == params["VpcId"] and item.state == "available" and item.connectivity_type == "public"]
    if users:
        message = f"Network {params['VpcId']} has some mapped public address(es). Please unmap those before detaching the gateway: {users}"
        raise error("DependencyViolation", message)


def check_address(cloud: Cloud, params: Params) -> None:
    """An address in use is not released."""
    for address in backend(cloud, "ec2").addresses:
        if address.allocation_id == params.get("AllocationId") and address.association_id:
            raise error("InvalidIPAddress.InUse", f"Address with allocation id '{address.allocation_id}' is associated and cannot be released")


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


def check_subnet_cidr(cloud: Cloud, params: Params) -> None:
    """AWS takes blocks from /16 to /28."""
    if params.get("CidrBlock") and not 16 <= ipaddress.ip_network(params["CidrBlock"], strict=False).prefixlen <= 28:
        raise error("InvalidSubnet.Range", f"The CIDR '{params['CidrBlock']}' is invalid: /16 to /28")


def check_database(cloud: Cloud, params: Params) -> None:
    """Limits of RDS for PostgreSQL that moto ignores."""
    engine, version = params.get("Engine"), str(params.get("EngineVersion") or "17")
    if engine != "postgres":
        raise error("InvalidParameterValue", f"the embedded RDS runs engine postgres only, not {engine}; anything else only works on AWS")
    if version.split(".")[0] not in ENGINE_VERSIONS:
        raise error("InvalidParameterCombination", f"Cannot find version {version} for postgres; there are {', '.join(ENGINE_VERSIONS)}")
    if not str(params.get("DBInstanceClass", "")).startswith("db."):
        raise error("InvalidParameterValue", f"Invalid DB Instance class: {params.get('DBInstanceClass')}")
    if not params.get("MasterUsername") or not (params.get("MasterUserPassword") or params.get("ManageMasterUserPassword")):
        raise error("InvalidParameterValue", "The parameter MasterUsername and MasterUserPassword (or ManageMasterUserPassword) must be provided")
    if not params.get("DBSubnetGroupName"):
        raise error("InvalidVPCNetworkStateFault", "The account has no default VPC, so a DB subnet group must be given")
    if not params.get("VpcSecurityGroupIds"):
        raise error("InvalidParameterValue", "VpcSecurityGroupIds must be given; AWS would take the VPC's default group, which only works on AWS")
    _check_password(params)
    _check_storage(params, int(params.get("AllocatedStorage") or 0))
    _check_references(cloud, params)


def check_database_change(cloud: Cloud, params: Params) -> None:
    """The same limits on a change."""
    database = backend(cloud, "rds").databases.get(params["DBInstanceIdentifier"])
    if database is None:
        return
    size = int(params.get("AllocatedStorage") or database.allocated_storage)
    if size < int(database.allocated_storage):
        raise error("InvalidParameterCombination", f"Allocated storage cannot shrink from {database.allocated_storage} to {size} GiB")
    _check_password(params)
    _check_storage(params, size)
    _check_references(cloud, params)


def _check_password(params: Params) -> None:
    password = params.get("MasterUserPassword")
    if password is not None and (not 8 <= len(password) <= 128 or set(password) & set("/@\" ") or not password.isprintable()):
        raise error("InvalidParameterValue", "The parameter MasterUserPassword is not a valid password: 8 to 128 printable characters but '/', '@', '\"' and ' '")


def _check_storage(params: Params, size: int) -> None:
    kind, top = params.get("StorageType") or "gp2", params.get("MaxAllocatedStorage")
    if not 20 <= size <= 65536:
        raise error("InvalidParameterValue", f"Invalid storage size for engine name postgres and storage type {kind}: {size}")
    if top and int(top) < size * 1.1:
        raise error("InvalidParameterCombination", f"Max storage size {top} must be at least 10 % more than storage size {size}")
    if kind == "gp3" and size < 400 and (params.get("Iops") or params.get("StorageThroughput")):
        raise error("InvalidParameterCombination", "You can't specify IOPS or storage throughput for gp3 and a storage size less than 400")


def _check_references(cloud: Cloud, params: Params) -> None:
    rds, ec2 = backend(cloud, "rds"), backend(cloud, "ec2")
    group = params.get("DBSubnetGroupName")
    if group and group not in rds.subnet_groups:
        raise error("DBSubnetGroupNotFoundFault", f"DB subnet group '{group}' does not exist")
    for id in params.get("VpcSecurityGroupIds") or []:
        if ec2.get_security_group_from_id(id) is None:
            raise error("InvalidParameterValue", f"Invalid security group, groupId= {id}, groupName=")


def after_database(cloud: Cloud, params: Params) -> None:
    """Keep what moto forgets of a database, resolve its engine version, make its log groups as RDS does."""
    database = backend(cloud, "rds").databases[params["DBInstanceIdentifier"]]
    members = get_service_model("rds").shape_for("DBInstance").members  # type: ignore[attr-defined]
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


def check_database_delete(cloud: Cloud, params: Params) -> None:
    """A final snapshot needs a name that is free, unless it is skipped."""
    if params.get("SkipFinalSnapshot"):
        return
    name = params.get("FinalDBSnapshotIdentifier")
    if not name:
        raise error("InvalidParameterCombination", "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
    if name in backend(cloud, "rds").database_snapshots:
        raise error("DBSnapshotAlreadyExists", f"Cannot create the snapshot because one with the identifier {name} already exists.")


def check_subnet_group(cloud: Cloud, params: Params) -> None:
    """Two zones at least."""
    subnets = backend(cloud, "ec2").describe_subnets(subnet_ids=params["SubnetIds"])
    if len({subnet.availability_zone for subnet in subnets}) < 2:
        message = f"The DB subnet group doesn't meet Availability Zone coverage requirement: {len(subnets)} subnets in one zone"
        raise error("DBSubnetGroupDoesNotCoverEnoughAZs", message)


def check_group_users(kind: str, key: str, attribute: str, code: str) -> Check:
    """A group of RDS that a database uses stays."""

    def check(cloud: Cloud, params: Params) -> None:
        users = [item.db_instance_identifier for item in backend(cloud, "rds").databases.values() if getattr(item, attribute) == params[key]]
        if users:
            raise error(code, f"Cannot delete the {kind} '{params[key]}' because at least one database instance uses it: {', '.join(users)}")

    return check


def check_policy(cloud: Cloud, params: Params) -> None:
    """A policy that is attached stays."""
    policy = backend(cloud, "iam").managed_policies.get(params["PolicyArn"])
    if policy and policy.attachment_count:
        raise error("DeleteConflict", "Cannot delete a policy attached to entities.")


def _file_system(cloud: Cloud, params: Params) -> Any:
    found = backend(cloud, "efs").file_systems_by_id.get(params["FileSystemId"])
    if found is None:
        raise error("FileSystemNotFound", f"File system '{params['FileSystemId']}' does not exist.")
    return found


def update_file_system(cloud: Cloud, params: Params) -> Params:
    """EFS UpdateFileSystem: throughput."""
    found = _file_system(cloud, params)
    found.throughput_mode = params.get("ThroughputMode") or found.throughput_mode
    found.provisioned_throughput_in_mibps = params.get("ProvisionedThroughputInMibps")
    return dict(found.info_json())


def update_protection(cloud: Cloud, params: Params) -> Params:
    """EFS UpdateFileSystemProtection."""
    found = _file_system(cloud, params)
    found.file_system_protection = {"ReplicationOverwriteProtection": params["ReplicationOverwriteProtection"]}
    return dict(found.file_system_protection)


def put_backup_policy(cloud: Cloud, params: Params) -> Params:
    """EFS PutBackupPolicy."""
    _file_system(cloud, params)._backup = params["BackupPolicy"]["Status"] == "ENABLED"
    return describe_backup_policy(cloud, params)


def describe_backup_policy(cloud: Cloud, params: Params) -> Params:
    """EFS DescribeBackupPolicy."""
    return {"BackupPolicy": {"Status": "ENABLED" if _file_system(cloud, params)._backup else "DISABLED"}}


def delete_file_system_policy(cloud: Cloud, params: Params) -> Params:
    """EFS DeleteFileSystemPolicy."""
    _file_system(cloud, params).file_system_policy = None
    return {}


def check_json_policy(key: str, code: str) -> Check:
    """A policy document that is not one."""

    def check(cloud: Cloud, params: Params) -> None:
        try:
            document = json.loads(params[key])
            statements = document["Statement"]
        except (ValueError, KeyError, TypeError) as problem:
            raise error(code, f"{key} is not a policy document: {problem}") from problem
        for statement in statements if isinstance(statements, list) else [statements]:
            if statement.get("Effect") not in ("Allow", "Deny") or not {"Action", "NotAction"} & statement.keys():
                raise error(code, f"{key} has a statement without an Effect and an Action: {json.dumps(statement)}")

    return check


def after_file_system(cloud: Cloud, params: Params) -> None:
    """Access points and tags of a deleted file system go with it."""
    efs = backend(cloud, "efs")
    for id in [id for id, point in efs.access_points.items() if point.file_system_id == params["FileSystemId"]]:
        efs.delete_access_point(id)


def check_access_point(cloud: Cloud, params: Params) -> None:
    """An access point of a file system that exists."""
    _file_system(cloud, params)


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
            {"Engine": "postgres", "EngineVersion": version, "DBParameterGroupFamily": f"postgres{version.split('.')[0]}", "Status": "available"}
            for version in versions
        ]
    }


def reset_parameter_group(cloud: Cloud, params: Params) -> Params:
    """RDS ResetDBParameterGroup."""
    group = backend(cloud, "rds").db_parameter_groups.get(params["DBParameterGroupName"])
    if group is None:
        raise error("DBParameterGroupNotFound", f"DBParameterGroup not found: {params['DBParameterGroupName']}")
    names = [item["ParameterName"] for item in params.get("Parameters") or []]
    for name in list(group.parameters) if params.get("ResetAllParameters") else names:
        group.parameters.pop(name, None)
    return {"DBParameterGroupName": params["DBParameterGroupName"]}


BEFORE: dict[str, tuple[Check, ...]] = {
    "ec2:CreateSubnet": (check_subnet_cidr,),
    "ec2:DeleteSubnet": (check_subnet,),
    "ec2:DeleteSecurityGroup": (check_security_group,),
    "ec2:DeleteVpc": (check_vpc,),
    "ec2:DetachInternetGateway": (check_detach,),
    "ec2:ReleaseAddress": (check_address,),
    "rds:CreateDBInstance": (check_database,),
    "rds:ModifyDBInstance": (check_database_change,),
    "rds:DeleteDBInstance": (check_database_delete,),
    "rds:CreateDBSubnetGroup": (check_subnet_group,),
    "rds:ModifyDBSubnetGroup": (check_subnet_group,),
    "rds:DeleteDBSubnetGroup": (
        check_group_users("subnet group", "DBSubnetGroupName", "db_subnet_group_name", "InvalidDBSubnetGroupStateFault"),
    ),
    "rds:DeleteDBParameterGroup": (
        check_group_users("parameter group", "DBParameterGroupName", "db_parameter_group_name", "InvalidDBParameterGroupState"),
    ),
    "iam:DeletePolicy": (check_policy,),
    "iam:CreateRole": (check_json_policy("AssumeRolePolicyDocument", "MalformedPolicyDocument"),),
    "iam:PutRolePolicy": (check_json_policy("PolicyDocument", "MalformedPolicyDocument"),),
    "iam:CreatePolicy": (check_json_policy("PolicyDocument", "MalformedPolicyDocument"),),
    "efs:PutFileSystemPolicy": (check_json_policy("Policy", "InvalidPolicyException"),),
    "efs:CreateAccessPoint": (check_access_point,),
}
AFTER: dict[str, tuple[Check, ...]] = {
    "ec2:DeleteNatGateway": (after_nat_gateway,),
    "ec2:CreateLaunchTemplate": (after_launch_template,),
    "ec2:DeleteVpc": (after_vpc,),
    "rds:CreateDBInstance": (after_database,),
    "rds:ModifyDBInstance": (after_database,),
    "efs:DeleteFileSystem": (after_file_system,),
}
OPERATIONS: dict[str, Callable[[Cloud, Params], Params]] = {
    "efs:UpdateFileSystem": update_file_system,
    "efs:UpdateFileSystemProtection": update_protection,
    "efs:PutBackupPolicy": put_backup_policy,
    "efs:DescribeBackupPolicy": describe_backup_policy,
    "efs:DeleteFileSystemPolicy": delete_file_system_policy,
    "logs:AssociateKmsKey": associate_kms_key,
    "logs:DisassociateKmsKey": disassociate_kms_key,
    "rds:DescribeDBEngineVersions": engine_versions,
    "rds:ResetDBParameterGroup": reset_parameter_group,
}


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
        "eks:cluster": aws_eks.clusters,
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
        "secretsmanager:secret": [secret.name for secret in backend(cloud, "secretsmanager").secrets.values() if not secret.is_deleted()],
        "sns:topic": backend(cloud, "sns").topics,
        "sqs:queue": backend(cloud, "sqs").queues,
        "elbv2:load-balancer": backend(cloud, "elbv2").load_balancers,
    }
    return {kind: sorted(map(str, ids)) for kind, ids in found.items() if ids}
