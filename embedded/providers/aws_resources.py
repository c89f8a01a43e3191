"""The resource types the embedded AWS provider has, as a table; an input that is not in it is refused.

Parameter names are AWS's; "?" means the input's own name in AWS's spelling. What replaces a resource follows the real provider (7.x).
This module has identity, keys and logs, databases, file systems and images, and `TABLE`, which joins them with the other two modules.
"""

from __future__ import annotations

import json
import re
from typing import Any

from embedded.providers.aws_cluster import CLUSTER
from embedded.providers.aws_network import LAUNCH_TEMPLATE, NETWORK, SECURITY_GROUPS
from embedded.providers.aws_table import ACCOUNT_ARN, Call, Context, Input, Kind, Values, changeable, fixed, local, setting, simple_tags

RDS_TAGS = simple_tags("AddTagsToResource", "RemoveTagsFromResource", {"ResourceName": "{arn}"}, read="TagList")
EFS_TAGS = simple_tags("TagResource", "UntagResource", {"ResourceId": "{id}"})
ECR_TAGS = simple_tags("TagResource", "UntagResource", {"resourceArn": "{arn}"}, keys="tagKeys", name="tags", read="tags")
LOG_TAGS = simple_tags("TagResource", "UntagResource", {"resourceArn": "{arn}"}, keys="tagKeys", name="tags", read="tags", form="map")


def lower(name: str) -> str:
    """RDS and ECR keep names in lower case."""
    return re.sub(r"[^a-z0-9-]", "-", name.lower())


def delete_role(context: Context) -> None:
    """Roles refuse deletion while anything is attached; `forceDetachPolicies` takes it away first."""
    if context["forceDetachPolicies"]:
        for item in context.ask("iam", "ListAttachedRolePolicies", {"RoleName": context.id})["AttachedPolicies"]:
            context.ask("iam", "DetachRolePolicy", {"RoleName": context.id, "PolicyArn": item["PolicyArn"]})
        for name in context.ask("iam", "ListRolePolicies", {"RoleName": context.id})["PolicyNames"]:
            context.ask("iam", "DeleteRolePolicy", {"RoleName": context.id, "PolicyName": name})
    context.ask("iam", "DeleteRole", {"RoleName": context.id})


def update_policy(context: Context) -> None:
    """IAM keeps five versions; the oldest makes room."""
    versions = context.ask("iam", "ListPolicyVersions", {"PolicyArn": context.id})["Versions"]
    spare = sorted((item for item in versions if not item["IsDefaultVersion"]), key=lambda item: int(item["VersionId"][1:]))
    if len(versions) >= 5:
        context.ask("iam", "DeletePolicyVersion", {"PolicyArn": context.id, "VersionId": spare[0]["VersionId"]})
    params = {"PolicyArn": context.id, "PolicyDocument": context["policy"], "SetAsDefault": True}
    context.ask("iam", "CreatePolicyVersion", params)


def delete_policy(context: Context) -> None:
    """Versions but the default one go first."""
    for item in context.ask("iam", "ListPolicyVersions", {"PolicyArn": context.id})["Versions"]:
        if not item["IsDefaultVersion"]:
            context.ask("iam", "DeletePolicyVersion", {"PolicyArn": context.id, "VersionId": item["VersionId"]})
    context.ask("iam", "DeletePolicy", {"PolicyArn": context.id})


def read_attachment(context: Context) -> Values | None:
    """An attachment exists while the role lists the policy."""
    attached = context.ask("iam", "ListAttachedRolePolicies", {"RoleName": context["role"]})["AttachedPolicies"]
    return {"role": context["role"]} if any(item["PolicyArn"] == context["policyArn"] for item in attached) else None


def as_text(document: Any) -> Any:
    """A policy document as the text it is in Pulumi; botocore gives some as objects."""
    return json.dumps(document) if isinstance(document, dict | list) else document


ROLE = {"RoleName": "{id}"}
IAM: dict[str, Kind] = {
    "aws:iam/role:Role": Kind(
        service="iam",
        create=Call("CreateRole"),
        id="{created.Role.RoleName}",
        read=Call("GetRole", ROLE),
        record="Role",
        more=(
            (Call("ListRoleTags", ROLE), "Tags", "Tags"),
        ),
        delete=delete_role,
        name="name",
        inputs={
            "name": fixed("RoleName"),
            "assumeRolePolicy": Input(
                param="AssumeRolePolicyDocument",
                read="AssumeRolePolicyDocument",
                on_change="set",
                sets=(Call("UpdateAssumeRolePolicy", ROLE | {"PolicyDocument": "{value}"}),),
                to_aws=as_text, to_pulumi=as_text,
                required=True,
            ),
            "description": changeable(),
            "maxSessionDuration": changeable(),
            "path": fixed(),
            "permissionsBoundary": Input(
                param="PermissionsBoundary",
                read="PermissionsBoundary.PermissionsBoundaryArn",
                on_change="set",
                sets=(Call("PutRolePermissionsBoundary", ROLE | {"PermissionsBoundary": "{value}"}),),
                unsets=(Call("DeleteRolePermissionsBoundary", ROLE),),
            ),
            "forceDetachPolicies": local(),
        },
        update=Call("UpdateRole", ROLE),
        outputs={"arn": "Arn", "uniqueId": "RoleId", "createDate": "to_string(CreateDate)"},
        tags=simple_tags("TagRole", "UntagRole", ROLE),
    ),
    "aws:iam/rolePolicy:RolePolicy": Kind(
        service="iam",
        create=Call("PutRolePolicy"),
        id="{role}:{name}",
        read=Call("GetRolePolicy", {"RoleName": "{role}", "PolicyName": "{name}"}),
        update=Call("PutRolePolicy", {"RoleName": "{role}", "PolicyName": "{name}"}),
        delete=Call("DeleteRolePolicy", {"RoleName": "{role}", "PolicyName": "{name}"}),
        name="name",
        inputs={
            "role": fixed("RoleName", required=True),
            "name": fixed("PolicyName"),
            "policy": changeable("PolicyDocument", to_aws=as_text, to_pulumi=as_text, required=True),
        },
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Kind(
        service="iam",
        create=Call("AttachRolePolicy"),
        id="{role}/{policyArn}",
        read=read_attachment,
        delete=Call("DetachRolePolicy", {"RoleName": "{role}", "PolicyArn": "{policyArn}"}),
        inputs={"role": fixed("RoleName", read=None, required=True), "policyArn": fixed(read=None, required=True)},
    ),
    "aws:iam/policy:Policy": Kind(
        service="iam",
        create=Call("CreatePolicy"),
        id="{created.Policy.Arn}",
        read=Call("GetPolicy", {"PolicyArn": "{id}"}),
        record="Policy",
        more=(
            (Call("GetPolicyVersion", {"PolicyArn": "{id}", "VersionId": "{record.DefaultVersionId}"}), "PolicyVersion.Document", "Document"),
        ),
        update=update_policy,
        delete=delete_policy,
        name="name",
        inputs={
            "name": fixed("PolicyName"),
            "policy": Input(param="PolicyDocument", read="Document", on_change="update", to_aws=as_text, to_pulumi=as_text, required=True),
            "description": fixed(),
            "path": fixed(),
        },
        outputs={"arn": "Arn", "policyId": "PolicyId"},
        tags=simple_tags("TagPolicy", "UntagPolicy", {"PolicyArn": "{id}"}),
    ),
}
KEY = {"KeyId": "{id}"}
LOG = {"logGroupName": "{name}"}
KEYS_AND_LOGS: dict[str, Kind] = {
    "aws:kms/key:Key": Kind(
        service="kms",
        create=Call("CreateKey"),
        id="{created.KeyMetadata.KeyId}",
        read=Call("DescribeKey", KEY),
        record="KeyMetadata",
        more=(
            (Call("GetKeyRotationStatus", KEY), "KeyRotationEnabled", "rotates"),
            (Call("GetKeyPolicy", KEY | {"PolicyName": "default"}), "Policy", "policy"),
            (Call("ListResourceTags", KEY), "Tags", "Tags"),
        ),
        gone="KeyState == 'PendingDeletion'",
        delete=lambda context: context.ask("kms", "ScheduleKeyDeletion", {"KeyId": context.id, "PendingWindowInDays": context["deletionWindowInDays"] or 30}),
        inputs={
            "description": Input(
                param="Description", read="Description", on_change="set", sets=(Call("UpdateKeyDescription", KEY | {"Description": "{value}"}),)
            ),
            "policy": Input(
                param="Policy",
                read="policy",
                on_change="set",
                sets=(Call("PutKeyPolicy", KEY | {"PolicyName": "default", "Policy": "{value}"}),),
                to_aws=as_text, to_pulumi=as_text,
            ),
            "enableKeyRotation": setting(Call("EnableKeyRotation", KEY), unsets=(Call("DisableKeyRotation", KEY),), read="rotates"),
            "isEnabled": setting(Call("EnableKey", KEY), unsets=(Call("DisableKey", KEY),), read="Enabled"),
            "keyUsage": fixed(),
            "customerMasterKeySpec": fixed("KeySpec"),
            "multiRegion": fixed(),
            "deletionWindowInDays": local(),
        },
        outputs={"arn": "Arn", "keyId": "KeyId"},
        tags=simple_tags("TagResource", "UntagResource", KEY, form="kms"),
    ),
    "aws:kms/alias:Alias": Kind(
        service="kms",
        create=Call("CreateAlias"),
        id="{name}",
        read=Call("ListAliases"),
        record="Aliases[?AliasName=='{id}'] | [0]",
        update=Call("UpdateAlias", {"AliasName": "{name}"}),
        delete=Call("DeleteAlias", {"AliasName": "{name}"}),
        name="name",
        name_form=lambda name: f"alias/{name}",
        inputs={"name": fixed("AliasName"), "targetKeyId": changeable(required=True)},
        outputs={"arn": "AliasArn", "targetKeyArn": f"=arn:aws:kms:{ACCOUNT_ARN}:key/{{record.TargetKeyId}}"},
    ),
    "aws:cloudwatch/logGroup:LogGroup": Kind(
        service="logs",
        create=Call("CreateLogGroup"),
        id="{name}",
        read=Call("DescribeLogGroups", {"logGroupNamePrefix": "{name}"}),
        record="logGroups[?logGroupName=='{name}'] | [0]",
        more=((Call("ListTagsForResource", {"resourceArn": f"arn:aws:logs:{ACCOUNT_ARN}:log-group:{{name}}"}), "tags", "tags"),),
        delete=lambda context: None if context["skipDestroy"] else context.ask("logs", "DeleteLogGroup", {"logGroupName": context["name"]}),
        name="name",
        inputs={
            "name": fixed("logGroupName"),
            "kmsKeyId": Input(
                param="kmsKeyId",
                read="kmsKeyId",
                on_change="set",
                sets=(Call("AssociateKmsKey", LOG | {"kmsKeyId": "{value}"}),),
                unsets=(Call("DisassociateKmsKey", LOG),),
                optional=True,
            ),
            "logGroupClass": fixed(),
            "retentionInDays": setting(
                Call("PutRetentionPolicy", LOG | {"retentionInDays": "{value}"}),
                unsets=(Call("DeleteRetentionPolicy", LOG),),
                read="retentionInDays",
                optional=True,
                shape="PutRetentionPolicy:retentionInDays",
            ),
            "skipDestroy": local(),
        },
        outputs={"arn": f"=arn:aws:logs:{ACCOUNT_ARN}:log-group:{{name}}"},
        tags=LOG_TAGS,
    ),
}


def set_parameters(context: Context) -> None:
    """Make the parameters of a group what the program lists; those it no longer lists go back to their defaults."""
    group = {"DBParameterGroupName": context["name"]}
    wanted = {item["name"]: item for item in context.inputs.get("parameters") or []}
    gone = {item["name"]: item for item in context.olds.get("parameters") or [] if item["name"] not in wanted}
    for operation, items in (("ModifyDBParameterGroup", wanted), ("ResetDBParameterGroup", gone)):
        parameters = [
            {"ParameterName": name, "ParameterValue": str(item["value"]), "ApplyMethod": item.get("applyMethod") or "immediate"}
            for name, item in items.items()
        ]
        for start in range(0, len(parameters), 20):  # AWS takes twenty a call
            context.ask("rds", operation, group | {"Parameters": parameters[start : start + 20]})


def create_parameter_group(context: Context) -> Values:
    """A parameter group and its parameters."""
    made = context.ask("rds", "CreateDBParameterGroup", context.request("CreateDBParameterGroup"))
    set_parameters(context)
    return made


def delete_database(context: Context) -> None:
    """With a final snapshot, unless the program skips it."""
    params: Values = {"DBInstanceIdentifier": context.id, "SkipFinalSnapshot": bool(context["skipFinalSnapshot"])}
    if not params["SkipFinalSnapshot"] and context["finalSnapshotIdentifier"]:
        params["FinalDBSnapshotIdentifier"] = context["finalSnapshotIdentifier"]
    if context["deleteAutomatedBackups"] is not None:
        params["DeleteAutomatedBackups"] = context["deleteAutomatedBackups"]
    context.ask("rds", "DeleteDBInstance", params)


def check_database(inputs: Values) -> dict[str, str]:
    """What the real provider itself refuses."""
    both = inputs.get("password") is not None and inputs.get("manageMasterUserPassword")
    return {"password": "conflicts with manageMasterUserPassword"} if both else {}


def db(param: str, read: str | None = "", **more: Any) -> Input:
    """A changeable parameter of a database that comes back under its own name."""
    return changeable(param, read=param if read == "" else read, **more)


RDS: dict[str, Kind] = {
    "aws:rds/instance:Instance": Kind(
        service="rds",
        create=Call("CreateDBInstance"),
        id="{identifier}",
        read=Call("DescribeDBInstances", {"DBInstanceIdentifier": "{id}"}),
        record="DBInstances[0]",
        gone="DBInstanceStatus == 'deleting'",
        wait=("DBInstanceStatus", "available", "failed|incompatible-.*"),
        update=Call("ModifyDBInstance", {"DBInstanceIdentifier": "{id}", "ApplyImmediately": "{applyImmediately}", "AllowMajorVersionUpgrade": "{allowMajorVersionUpgrade}"}),
        delete=delete_database,
        name="identifier",
        name_form=lower,
        check=check_database,
        inputs={
            "identifier": fixed("DBInstanceIdentifier"),
            "engine": fixed("Engine"),
            "username": fixed("MasterUsername"),
            "dbName": fixed("DBName"),
            "storageEncrypted": fixed("StorageEncrypted"),
            "kmsKeyId": fixed("KmsKeyId"),
            "availabilityZone": fixed("AvailabilityZone"),
            "instanceClass": db("DBInstanceClass", required=True),
            "engineVersion": db("EngineVersion", read=None),  # a prefix; what runs is engineVersionActual
            "password": db("MasterUserPassword", read=None),
            "manageMasterUserPassword": db("ManageMasterUserPassword", read=None),
            "allocatedStorage": db("AllocatedStorage"),
            "maxAllocatedStorage": db("MaxAllocatedStorage"),
            "storageType": db("StorageType"),
            "iops": db("Iops"),
            "storageThroughput": db("StorageThroughput"),
            "multiAz": db("MultiAZ"),
            "backupRetentionPeriod": db("BackupRetentionPeriod"),
            "backupWindow": db("PreferredBackupWindow"),
            "maintenanceWindow": db("PreferredMaintenanceWindow"),
            "autoMinorVersionUpgrade": db("AutoMinorVersionUpgrade"),
            "caCertIdentifier": db("CACertificateIdentifier"),
            "copyTagsToSnapshot": db("CopyTagsToSnapshot"),
            "databaseInsightsMode": db("DatabaseInsightsMode", read=None),
            "dbSubnetGroupName": db("DBSubnetGroupName", read="DBSubnetGroup.DBSubnetGroupName"),
            "parameterGroupName": db("DBParameterGroupName", read="DBParameterGroups[0].DBParameterGroupName"),
            "deletionProtection": db("DeletionProtection"),
            "enabledCloudwatchLogsExports": db(
                "EnableCloudwatchLogsExports", read="EnabledCloudwatchLogsExports", update_param="CloudwatchLogsExportConfiguration",
                update_to=lambda old, new: {
                    "EnableLogTypes": [name for name in new or [] if name not in (old or [])],
                    "DisableLogTypes": [name for name in old or [] if name not in (new or [])],
                },
            ),
            "engineLifecycleSupport": fixed("EngineLifecycleSupport", read=None),
            "iamDatabaseAuthenticationEnabled": db("EnableIAMDatabaseAuthentication", read="IAMDatabaseAuthenticationEnabled"),
            "performanceInsightsEnabled": db("EnablePerformanceInsights", read="PerformanceInsightsEnabled"),
            "performanceInsightsKmsKeyId": db("PerformanceInsightsKMSKeyId", read=None),
            "performanceInsightsRetentionPeriod": db("PerformanceInsightsRetentionPeriod", read=None),
            "monitoringInterval": db("MonitoringInterval"),
            "monitoringRoleArn": db("MonitoringRoleArn"),
            "networkType": db("NetworkType", read=None),
            "port": db("Port", read="Endpoint.Port", update_param="DBPortNumber"),
            "publiclyAccessible": db("PubliclyAccessible"),
            "vpcSecurityGroupIds": db("VpcSecurityGroupIds", read="VpcSecurityGroups[].VpcSecurityGroupId"),
            "allowMajorVersionUpgrade": local(),
            "applyImmediately": local(),
            "deleteAutomatedBackups": local(),
            "finalSnapshotIdentifier": local(),
            "skipFinalSnapshot": local(),
        },
        outputs={
            "address": "Endpoint.Address",
            "endpoint": "join(':', [Endpoint.Address, to_string(Endpoint.Port)])",
            "hostedZoneId": "Endpoint.HostedZoneId",
            "arn": "DBInstanceArn",
            "status": "DBInstanceStatus",
            "resourceId": "DbiResourceId",
            "engineVersionActual": "EngineVersion",
            "masterUserSecrets": "MasterUserSecret && [{secretArn: MasterUserSecret.SecretArn, secretStatus: MasterUserSecret.SecretStatus, "
            "kmsKeyId: MasterUserSecret.KmsKeyId}] || `[]`",
        },
        tags=RDS_TAGS,
    ),
    "aws:rds/subnetGroup:SubnetGroup": Kind(
        service="rds",
        create=Call("CreateDBSubnetGroup"),
        id="{name}",
        read=Call("DescribeDBSubnetGroups", {"DBSubnetGroupName": "{id}"}),
        record="DBSubnetGroups[0]",
        more=((Call("ListTagsForResource", {"ResourceName": "{record.DBSubnetGroupArn}"}), "TagList", "TagList"),),
        update=Call("ModifyDBSubnetGroup", {"DBSubnetGroupName": "{id}", "SubnetIds": "{subnetIds}"}),
        delete=Call("DeleteDBSubnetGroup", {"DBSubnetGroupName": "{id}"}),
        name="name",
        name_form=lower,
        inputs={
            "name": fixed("DBSubnetGroupName"),
            "description": changeable("DBSubnetGroupDescription", default="Managed by Pulumi"),
            "subnetIds": changeable("SubnetIds", read="Subnets[].SubnetIdentifier", required=True),
        },
        outputs={"arn": "DBSubnetGroupArn", "vpcId": "VpcId"},
        tags=RDS_TAGS,
    ),
    "aws:rds/parameterGroup:ParameterGroup": Kind(
        service="rds",
        create=create_parameter_group,
        validate="CreateDBParameterGroup",
        id="{name}",
        read=Call("DescribeDBParameterGroups", {"DBParameterGroupName": "{id}"}),
        record="DBParameterGroups[0]",
        more=(
            (Call("ListTagsForResource", {"ResourceName": "{record.DBParameterGroupArn}"}), "TagList", "TagList"),
            (
                Call("DescribeDBParameters", {"DBParameterGroupName": "{id}", "Source": "user"}),
                "Parameters[?ParameterValue].{name: ParameterName, value: ParameterValue, applyMethod: ApplyMethod}",
                "parameters",
            ),
        ),
        update=set_parameters,
        delete=Call("DeleteDBParameterGroup", {"DBParameterGroupName": "{id}"}),
        name="name",
        name_form=lower,
        inputs={
            "name": fixed("DBParameterGroupName"),
            "family": fixed("DBParameterGroupFamily", required=True),
            "description": fixed("Description", default="Managed by Pulumi"),
            "parameters": Input(read="parameters", on_change="update"),
        },
        outputs={"arn": "DBParameterGroupArn"},
        tags=RDS_TAGS,
    ),
}
FILE_SYSTEM = {"FileSystemId": "{id}"}
FILE_SYSTEM_ARN = f"arn:aws:elasticfilesystem:{ACCOUNT_ARN}:file-system/"
EFS: dict[str, Kind] = {
    "aws:efs/fileSystem:FileSystem": Kind(
        service="efs",
        create=Call("CreateFileSystem"),
        id="{created.FileSystemId}",
        read=Call("DescribeFileSystems", FILE_SYSTEM),
        record="FileSystems[0]",
        more=((Call("DescribeLifecycleConfiguration", FILE_SYSTEM), "LifecyclePolicies", "lifecycle"),),
        update=Call("UpdateFileSystem", FILE_SYSTEM),
        delete=Call("DeleteFileSystem", FILE_SYSTEM),
        inputs={
            "creationToken": fixed(),
            "performanceMode": fixed(),
            "encrypted": fixed(),
            "kmsKeyId": fixed(),
            "availabilityZoneName": fixed(),
            "throughputMode": changeable(),
            "provisionedThroughputInMibps": changeable(),
            "lifecyclePolicies": setting(
                Call("PutLifecycleConfiguration", FILE_SYSTEM | {"LifecyclePolicies": "{value}"}),
                unsets=(Call("PutLifecycleConfiguration", FILE_SYSTEM | {"LifecyclePolicies": []}),),
                read="lifecycle",
                shape="PutLifecycleConfiguration:LifecyclePolicies",
            ),
            "protection": setting(
                Call("UpdateFileSystemProtection", FILE_SYSTEM | {"ReplicationOverwriteProtection": "{value}"}),
                read="FileSystemProtection.{replicationOverwrite: ReplicationOverwriteProtection}",
                to_aws=lambda value: value["replicationOverwrite"],
            ),
        },
        outputs={"arn": "FileSystemArn", "ownerId": "OwnerId", "dnsName": "={id}.efs.{region}.amazonaws.com"},
        tags=EFS_TAGS,
    ),
    "aws:efs/mountTarget:MountTarget": Kind(
        service="efs",
        create=Call("CreateMountTarget"),
        id="{created.MountTargetId}",
        read=Call("DescribeMountTargets", {"MountTargetId": "{id}"}),
        record="MountTargets[0]",
        more=((Call("DescribeMountTargetSecurityGroups", {"MountTargetId": "{id}"}), "SecurityGroups", "SecurityGroups"),),
        delete=Call("DeleteMountTarget", {"MountTargetId": "{id}"}),
        inputs={
            "fileSystemId": fixed(required=True),
            "subnetId": fixed(required=True),
            "ipAddress": fixed(),
            "securityGroups": Input(
                param="SecurityGroups",
                read="SecurityGroups",
                on_change="set",
                sets=(Call("ModifyMountTargetSecurityGroups", {"MountTargetId": "{id}", "SecurityGroups": "{value}"}),),
            ),
        },
        outputs={
            "availabilityZoneName": "AvailabilityZoneName",
            "availabilityZoneId": "AvailabilityZoneId",
            "networkInterfaceId": "NetworkInterfaceId",
            "ownerId": "OwnerId",
            "fileSystemArn": f"={FILE_SYSTEM_ARN}{{fileSystemId}}",
            "dnsName": "={fileSystemId}.efs.{region}.amazonaws.com",
            "mountTargetDnsName": "={record.AvailabilityZoneName}.{fileSystemId}.efs.{region}.amazonaws.com",
        },
    ),
    "aws:efs/accessPoint:AccessPoint": Kind(
        service="efs",
        create=Call("CreateAccessPoint"),
        id="{created.AccessPointId}",
        read=Call("DescribeAccessPoints", {"AccessPointId": "{id}"}),
        record="AccessPoints[0]",
        delete=Call("DeleteAccessPoint", {"AccessPointId": "{id}"}),
        inputs={
            "fileSystemId": fixed(required=True),
            "posixUser": fixed(),
            "rootDirectory": fixed(),
        },
        outputs={"arn": "AccessPointArn", "ownerId": "OwnerId", "fileSystemArn": f"={FILE_SYSTEM_ARN}{{fileSystemId}}"},
        tags=EFS_TAGS,
    ),
    "aws:efs/fileSystemPolicy:FileSystemPolicy": Kind(
        service="efs",
        create=Call("PutFileSystemPolicy"),
        id="{fileSystemId}",
        read=Call("DescribeFileSystemPolicy", FILE_SYSTEM),
        update=Call("PutFileSystemPolicy", FILE_SYSTEM),
        delete=Call("DeleteFileSystemPolicy", FILE_SYSTEM),
        inputs={
            "fileSystemId": fixed(required=True),
            "policy": changeable(to_aws=as_text, to_pulumi=as_text, required=True),
            "bypassPolicyLockoutSafetyCheck": changeable(read=None),
        },
    ),
    "aws:efs/backupPolicy:BackupPolicy": Kind(
        service="efs",
        create=Call("PutBackupPolicy"),
        id="{fileSystemId}",
        read=Call("DescribeBackupPolicy", FILE_SYSTEM),
        update=Call("PutBackupPolicy", FILE_SYSTEM),
        delete=Call("PutBackupPolicy", FILE_SYSTEM | {"BackupPolicy": {"Status": "DISABLED"}}),
        inputs={"fileSystemId": fixed(required=True, read=None), "backupPolicy": changeable(required=True)},
    ),
}
REPOSITORY = {"repositoryName": "{id}"}
ECR: dict[str, Kind] = {
    "aws:ecr/repository:Repository": Kind(
        service="ecr",
        create=Call("CreateRepository"),
        id="{name}",
        read=Call("DescribeRepositories", {"repositoryNames": ["{id}"]}),
        record="repositories[0]",
        more=((Call("ListTagsForResource", {"resourceArn": "{record.repositoryArn}"}), "tags", "tags"),),
        delete=Call("DeleteRepository", REPOSITORY | {"force": "{forceDelete}"}),
        name="name",
        name_form=lower,
        inputs={
            "name": fixed("repositoryName"),
            "encryptionConfigurations": fixed("encryptionConfiguration", read="encryptionConfiguration && [encryptionConfiguration]"),
            "imageTagMutability": Input(
                param="imageTagMutability",
                read="imageTagMutability",
                on_change="set",
                sets=(Call("PutImageTagMutability", REPOSITORY | {"imageTagMutability": "{value}"}),),
            ),
            "imageScanningConfiguration": Input(
                param="imageScanningConfiguration",
                read="imageScanningConfiguration",
                on_change="set",
                sets=(Call("PutImageScanningConfiguration", REPOSITORY | {"imageScanningConfiguration": "{value}"}),),
            ),
            "forceDelete": local(),
        },
        outputs={"arn": "repositoryArn", "registryId": "registryId", "repositoryUrl": "repositoryUri"},
        tags=ECR_TAGS,
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Kind(
        service="ecr",
        create=Call("PutLifecyclePolicy"),
        id="{repository}",
        read=Call("GetLifecyclePolicy", REPOSITORY),
        update=Call("PutLifecyclePolicy", REPOSITORY),
        delete=Call("DeleteLifecyclePolicy", REPOSITORY),
        inputs={
            "repository": fixed("repositoryName", required=True),
            "policy": changeable("lifecyclePolicyText", to_aws=as_text, to_pulumi=as_text, required=True),
        },
        outputs={"registryId": "registryId"},
    ),
}
TABLE: dict[str, Kind] = {
    **NETWORK,
    **SECURITY_GROUPS,
    "aws:ec2/launchTemplate:LaunchTemplate": LAUNCH_TEMPLATE,
    **IAM,
    **KEYS_AND_LOGS,
    **CLUSTER,
    **RDS,
    **EFS,
    **ECR,
}
