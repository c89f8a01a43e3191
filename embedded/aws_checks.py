"""What AWS checks and moto forgives: dependencies on deletion, and limits of databases, subnets and policies."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator
from typing import Any

from embedded.aws_fis import check_template
from embedded.aws_records import Params, backend, error
from embedded.cloud import Cloud

Check = Callable[[Cloud, Params], None]
ENGINE_VERSIONS = {"18": "18.4", "17": "17.10", "16": "16.14"}
"""Newest minor of each PostgreSQL major version on RDS (2026-11)."""
_SIZES = {
    "t3 t4g": "micro small medium large xlarge 2xlarge",
    "m5 m6g m6i m7g m7i m8g r5 r6g r6i r7g r7i r8g": "large xlarge 2xlarge 4xlarge",
}
DATABASE_CLASSES = {f"db.{family}.{size}" for families, sizes in _SIZES.items() for family in families.split() for size in sizes.split()}
"""The RDS classes known here."""


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
    users = [
        item.id for item in gateways if item.vpc_id == params["VpcId"] and item.state == "available" and item.connectivity_type == "public"
    ]
    if users:
        message = f"Network {params['VpcId']} has some mapped public address(es). Please unmap those before detaching the gateway: {users}"
        raise error("DependencyViolation", message)


def check_address(cloud: Cloud, params: Params) -> None:
    """An address in use is not released."""
    for address in backend(cloud, "ec2").addresses:
        if address.allocation_id == params.get("AllocationId") and address.association_id:
            raise error(
                "InvalidIPAddress.InUse", f"Address with allocation id '{address.allocation_id}' is associated and cannot be released"
            )


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
    if params.get("DBInstanceClass") not in DATABASE_CLASSES:
        raise error("InvalidParameterValue", f"Invalid DB Instance class: {params.get('DBInstanceClass')}")
    if not params.get("MasterUsername") or not (params.get("MasterUserPassword") or params.get("ManageMasterUserPassword")):
        raise error(
            "InvalidParameterValue", "The parameter MasterUsername and MasterUserPassword (or ManageMasterUserPassword) must be provided"
        )
    if not params.get("DBSubnetGroupName"):
        raise error("InvalidVPCNetworkStateFault", "The account has no default VPC, so a DB subnet group must be given")
    if not params.get("VpcSecurityGroupIds"):
        raise error(
            "InvalidParameterValue", "VpcSecurityGroupIds must be given; AWS would take the VPC's default group, which only works on AWS"
        )
    _check_password(params)
    _check_storage(params, int(params.get("AllocatedStorage") or 0))
    _check_references(cloud, params)


def check_database_change(cloud: Cloud, params: Params) -> None:
    """The same limits on a change."""
    database = backend(cloud, "rds").databases.get(params["DBInstanceIdentifier"])
    if database is None:
        return
    if database.status == "stopped":
        raise error("InvalidDBInstanceState", f"Database instance {params['DBInstanceIdentifier']} is not in available state.")
    size = int(params.get("AllocatedStorage") or database.allocated_storage)
    if size < int(database.allocated_storage):
        raise error("InvalidParameterCombination", f"Allocated storage cannot shrink from {database.allocated_storage} to {size} GiB")
    _check_password(params)
    _check_storage(params, size)
    _check_references(cloud, params)


def _check_password(params: Params) -> None:
    password = params.get("MasterUserPassword")
    if password is not None and (not 8 <= len(password) <= 128 or set(password) & set('/@" ') or not password.isprintable()):
        raise error(
            "InvalidParameterValue",
            "The parameter MasterUserPassword is not a valid password: 8 to 128 printable characters but '/', '@', '\"' and ' '",
        )


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
        users = [
            item.db_instance_identifier for item in backend(cloud, "rds").databases.values() if getattr(item, attribute) == params[key]
        ]
        if users:
            raise error(
                code, f"Cannot delete the {kind} '{params[key]}' because at least one database instance uses it: {', '.join(users)}"
            )

    return check


def check_policy(cloud: Cloud, params: Params) -> None:
    """A policy that is attached stays."""
    policy = backend(cloud, "iam").managed_policies.get(params["PolicyArn"])
    if policy and policy.attachment_count:
        raise error("DeleteConflict", "Cannot delete a policy attached to entities.")


def file_system_of(cloud: Cloud, params: Params) -> Any:
    """Moto's record of the file system that a request names."""
    found = backend(cloud, "efs").file_systems_by_id.get(params["FileSystemId"])
    if found is None:
        raise error("FileSystemNotFound", f"File system '{params['FileSystemId']}' does not exist.")
    return found


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


def check_access_point(cloud: Cloud, params: Params) -> None:
    """An access point of a file system that exists."""
    file_system_of(cloud, params)


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
    "fis:CreateExperimentTemplate": (check_template,),
    "fis:UpdateExperimentTemplate": (check_template,),
    "efs:PutFileSystemPolicy": (check_json_policy("Policy", "InvalidPolicyException"),),
    "efs:CreateAccessPoint": (check_access_point,),
}
