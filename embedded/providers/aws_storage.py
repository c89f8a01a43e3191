"""Databases, file systems and image repositories in the embedded AWS provider."""

from __future__ import annotations

import re
from typing import Any

from embedded.providers.aws_identity import as_text
from embedded.providers.aws_table import ACCOUNT_ARN, Call, Context, Input, Kind, Values, changeable, fixed, local, setting, simple_tags

RDS_TAGS = simple_tags("AddTagsToResource", "RemoveTagsFromResource", {"ResourceName": "{arn}"}, read="TagList")
EFS_TAGS = simple_tags("TagResource", "UntagResource", {"ResourceId": "{id}"})
ECR_TAGS = simple_tags("TagResource", "UntagResource", {"resourceArn": "{arn}"}, keys="tagKeys", name="tags", read="tags")


def lower(name: str) -> str:
    """RDS and ECR keep names in lower case."""
    return re.sub(r"[^a-z0-9-]", "-", name.lower())


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


MASTER_SECRETS = "MasterUserSecret && [MasterUserSecret.{secretArn: SecretArn, secretStatus: SecretStatus, kmsKeyId: KmsKeyId}]"
RDS: dict[str, Kind] = {
    "aws:rds/instance:Instance": Kind(
        service="rds",
        create=Call("CreateDBInstance"),
        id="{identifier}",
        read=Call("DescribeDBInstances", {"DBInstanceIdentifier": "{id}"}),
        record="DBInstances[0]",
        gone="DBInstanceStatus == 'deleting'",
        wait=("DBInstanceStatus", "available", "failed|incompatible-.*"),
        update=Call(
            "ModifyDBInstance",
            {
                "DBInstanceIdentifier": "{id}",
                "ApplyImmediately": "{applyImmediately}",
                "AllowMajorVersionUpgrade": "{allowMajorVersionUpgrade}",
            },
        ),
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
                "EnableCloudwatchLogsExports",
                read="EnabledCloudwatchLogsExports",
                update_param="CloudwatchLogsExportConfiguration",
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
            "masterUserSecrets": MASTER_SECRETS,
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
