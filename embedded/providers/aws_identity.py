"""Identity, keys and logs in the embedded AWS provider."""

from __future__ import annotations

import json
from typing import Any

from embedded.providers.aws_table import ACCOUNT_ARN, Call, Context, Input, Kind, Values, changeable, fixed, local, setting, simple_tags

LOG_TAGS = simple_tags("TagResource", "UntagResource", {"resourceArn": "{arn}"}, keys="tagKeys", name="tags", read="tags", form="map")


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
        more=((Call("ListRoleTags", ROLE), "Tags", "Tags"),),
        delete=delete_role,
        name="name",
        inputs={
            "name": fixed("RoleName"),
            "assumeRolePolicy": Input(
                param="AssumeRolePolicyDocument",
                read="AssumeRolePolicyDocument",
                on_change="set",
                sets=(Call("UpdateAssumeRolePolicy", ROLE | {"PolicyDocument": "{value}"}),),
                to_aws=as_text,
                to_pulumi=as_text,
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
            (
                Call("GetPolicyVersion", {"PolicyArn": "{id}", "VersionId": "{record.DefaultVersionId}"}),
                "PolicyVersion.Document",
                "Document",
            ),
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


def check_key(inputs: Values) -> dict[str, str]:
    """The window in which a deleted key can be saved."""
    days = inputs.get("deletionWindowInDays")
    return {} if not isinstance(days, int) or 7 <= days <= 30 else {"deletionWindowInDays": f"must be 7 to 30, not {days}"}


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
        check=check_key,
        delete=lambda context: context.ask(
            "kms", "ScheduleKeyDeletion", {"KeyId": context.id, "PendingWindowInDays": context["deletionWindowInDays"] or 30}
        ),
        inputs={
            "description": Input(
                param="Description",
                read="Description",
                on_change="set",
                sets=(Call("UpdateKeyDescription", KEY | {"Description": "{value}"}),),
            ),
            "policy": Input(
                param="Policy",
                read="policy",
                on_change="set",
                sets=(Call("PutKeyPolicy", KEY | {"PolicyName": "default", "Policy": "{value}"}),),
                to_aws=as_text,
                to_pulumi=as_text,
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
