"""Security groups and their rules in the embedded AWS provider, in the three ways Pulumi has for them."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from embedded.providers.aws_table import (
    ACCOUNT_ARN,
    Call,
    Context,
    Input,
    Kind,
    Values,
    ec2_tags,
    fixed,
    ignore_missing,
    is_missing,
    local,
)
from embedded.providers.server import CheckError


def permission(rule: Values) -> Values:
    """One rule inside a security group, or an `aws.ec2.SecurityGroupRule`, as AWS's IpPermission."""
    described = {"Description": rule["description"]} if rule.get("description") else {}
    protocol = str(rule["protocol"]).lower()
    protocol = "-1" if protocol in ("all", "-1") else protocol
    groups = list(rule.get("securityGroups") or [])
    if rule.get("sourceSecurityGroupId") or rule.get("self"):
        groups.append(rule.get("sourceSecurityGroupId") or rule["own"])
    result: Values = {"IpProtocol": protocol}
    if protocol != "-1":
        result |= {"FromPort": int(rule["fromPort"]), "ToPort": int(rule["toPort"])}
    sources = {
        "IpRanges": [{"CidrIp": cidr} | described for cidr in rule.get("cidrBlocks") or []],
        "Ipv6Ranges": [{"CidrIpv6": cidr} | described for cidr in rule.get("ipv6CidrBlocks") or []],
        "PrefixListIds": [{"PrefixListId": id} | described for id in rule.get("prefixListIds") or []],
        "UserIdGroupPairs": [{"GroupId": group} | described for group in groups],
    }
    return result | {key: value for key, value in sources.items() if value}


def _flat(permissions: list[Values]) -> set[tuple[Any, ...]]:
    """Single rules, for comparing: AWS merges those of one protocol and port range."""
    flat = set()
    for item in permissions:
        head = (item["IpProtocol"], item.get("FromPort"), item.get("ToPort"))
        for key, name in (
            ("IpRanges", "CidrIp"),
            ("Ipv6Ranges", "CidrIpv6"),
            ("PrefixListIds", "PrefixListId"),
            ("UserIdGroupPairs", "GroupId"),
        ):
            flat |= {(*head, key, source[name], source.get("Description", "")) for source in item.get(key) or []}
    return flat


def _as_permission(flat: tuple[Any, ...]) -> Values:
    protocol, first, last, key, source, description = flat
    name = {"IpRanges": "CidrIp", "Ipv6Ranges": "CidrIpv6", "PrefixListIds": "PrefixListId", "UserIdGroupPairs": "GroupId"}[key]
    result: Values = {"IpProtocol": protocol, key: [{name: source} | ({"Description": description} if description else {})]}
    return result | ({"FromPort": first, "ToPort": last} if protocol != "-1" else {})


def _group(context: Context, id: str) -> Values | None:
    try:
        found: Values = context.ask("ec2", "DescribeSecurityGroups", {"GroupIds": [id]})["SecurityGroups"][0]
    except ClientError as problem:
        if is_missing(problem):
            return None
        raise
    return found


DIRECTIONS = {"ingress": ("IpPermissions", "Ingress"), "egress": ("IpPermissionsEgress", "Egress")}


def set_rules(context: Context, *, only_given: bool = True) -> None:
    """Make a security group's rules what its inputs say, for each direction that they say anything about."""
    group = _group(context, context.id) or {}
    for direction, (key, name) in DIRECTIONS.items():
        if only_given and context.inputs.get(direction) is None:
            continue
        wanted = _flat([permission(rule | {"own": context.id}) for rule in context.inputs.get(direction) or []])
        actual = _flat(group.get(key) or [])
        for operation, rules in (("Revoke", actual - wanted), ("Authorize", wanted - actual)):
            if rules:
                permissions = [_as_permission(rule) for rule in sorted(rules, key=str)]
                context.ask("ec2", f"{operation}SecurityGroup{name}", {"GroupId": context.id, "IpPermissions": permissions})


def create_group(context: Context) -> Values:
    """A security group without AWS's default egress rule, as the real provider makes it."""
    created = context.ask("ec2", "CreateSecurityGroup", context.request("CreateSecurityGroup"))
    context.id = created["GroupId"]
    set_rules(context, only_given=False)
    return created


def adopt_default_group(context: Context) -> Values:
    """The VPC's own default security group is taken over: its rules become what the program says, none by default."""
    filters = [{"Name": "vpc-id", "Values": [context["vpcId"]]}, {"Name": "group-name", "Values": ["default"]}]
    group = context.ask("ec2", "DescribeSecurityGroups", {"Filters": filters})["SecurityGroups"][0]
    context.id = group["GroupId"]
    set_rules(context, only_given=False)
    if context.inputs.get("tagsAll") and context.kind.tags:
        context.call(context.kind.tags.add, tags=context.kind.tags.outgoing(context.inputs["tagsAll"]))
    return {"GroupId": context.id}


def read_group(context: Context) -> Values | None:
    """A security group, with the rules of a direction in the program's words when they are the same."""
    group = _group(context, context.id)
    if group is None:
        return None
    for direction, (key, _) in DIRECTIONS.items():
        given = context.inputs.get(direction)
        wanted = _flat([permission(rule | {"own": context.id}) for rule in given or []])
        actual = _flat(group[key])
        group[direction] = given if given is not None and wanted == actual else [rule_of(item) for item in sorted(actual, key=str)]
    return group


def rule_of(flat: tuple[Any, ...]) -> Values:
    """A single rule in Pulumi's words."""
    protocol, first, last, key, source, description = flat
    name = {
        "IpRanges": "cidrBlocks",
        "Ipv6Ranges": "ipv6CidrBlocks",
        "PrefixListIds": "prefixListIds",
        "UserIdGroupPairs": "securityGroups",
    }[key]
    ports = {"fromPort": 0 if first is None else first, "toPort": 0 if last is None else last}
    return {"protocol": protocol, name: [source]} | ports | ({"description": description} if description else {})


def delete_group(context: Context) -> None:
    """Its own rules go first when the program wants it: two groups that name each other cannot be deleted otherwise."""
    if context["revokeRulesOnDelete"]:
        context.inputs = context.inputs | {"ingress": [], "egress": []}
        ignore_missing(lambda: set_rules(context))
    context.ask("ec2", "DeleteSecurityGroup", {"GroupId": context.id})


def _rule_direction(context: Context) -> tuple[str, str]:
    if context["type"] not in DIRECTIONS:
        raise CheckError({"type": f"must be ingress or egress, not {context['type']!r}"})
    return DIRECTIONS[context["type"]]


def _rule_permission(context: Context) -> Values:
    return permission(context.inputs | {"own": context["securityGroupId"]})


def create_rule(context: Context) -> Values:
    """A rule of one direction, possibly with several sources."""
    _, name = _rule_direction(context)
    params = {"GroupId": context["securityGroupId"], "IpPermissions": [_rule_permission(context)]}
    return context.ask("ec2", f"AuthorizeSecurityGroup{name}", params)


def read_rule(context: Context) -> Values | None:
    """The rule exists while each of its sources is admitted."""
    key, _ = _rule_direction(context)
    group = _group(context, context["securityGroupId"])
    if group is None or not _flat([_rule_permission(context)]) <= _flat(group[key]):
        return None
    return {"group": group["GroupId"]}


def delete_rule(context: Context) -> None:
    """Take the rule out of its group."""
    _, name = _rule_direction(context)
    params = {"GroupId": context["securityGroupId"], "IpPermissions": [_rule_permission(context)]}
    ignore_missing(lambda: context.ask("ec2", f"RevokeSecurityGroup{name}", params))


def single_rule(direction: str) -> Kind:
    """`aws.vpc.SecurityGroup{Ingress,Egress}Rule`: one rule with one source and an id of its own."""
    sources = {
        "cidrIpv4": ("IpRanges", "CidrIp", "CidrIpv4"),
        "cidrIpv6": ("Ipv6Ranges", "CidrIpv6", "CidrIpv6"),
        "prefixListId": ("PrefixListIds", "PrefixListId", "PrefixListId"),
        "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId", "ReferencedGroupInfo.GroupId"),
    }

    def create(context: Context) -> Values:
        described = {"Description": context["description"]} if context["description"] else {}
        item: Values = {"IpProtocol": str(context["ipProtocol"])}
        if item["IpProtocol"] != "-1":
            item |= {"FromPort": int(context["fromPort"]), "ToPort": int(context["toPort"])}
        for name, (key, source, _) in sources.items():
            if context[name]:
                item[key] = [{source: context[name]} | described]
        params: Values = {"GroupId": context["securityGroupId"], "IpPermissions": [item]}
        if context.inputs.get("tagsAll") and context.kind.tags:
            params |= context.kind.tags.parameter(context.inputs["tagsAll"])
        return context.ask("ec2", f"AuthorizeSecurityGroup{direction}", params)

    def check(inputs: Values) -> dict[str, str]:
        given = [name for name in sources if inputs.get(name) is not None]
        if len(given) != 1:
            return {"cidrIpv4": f"exactly one of {', '.join(sources)} must be given, not {given or 'none'}"}
        if str(inputs.get("ipProtocol")) != "-1" and (inputs.get("fromPort") is None or inputs.get("toPort") is None):
            return {"fromPort": "fromPort and toPort must be given unless ipProtocol is -1"}
        return {}

    return Kind(
        service="ec2",
        create=create,
        id="{created.SecurityGroupRules[0].SecurityGroupRuleId}",
        read=Call("DescribeSecurityGroupRules", {"SecurityGroupRuleIds": ["{id}"]}),
        record="SecurityGroupRules[0]",
        delete=Call(f"RevokeSecurityGroup{direction}", {"GroupId": "{securityGroupId}", "SecurityGroupRuleIds": ["{id}"]}),
        check=check,
        inputs={
            "securityGroupId": Input(read="GroupId", required=True),
            "ipProtocol": Input(read="IpProtocol", required=True),
            "fromPort": Input(read="FromPort", shown=False),
            "toPort": Input(read="ToPort", shown=False),
            "description": Input(read="Description"),
        }
        | {name: Input(read=read) for name, (_, _, read) in sources.items()},
        outputs={"securityGroupRuleId": "SecurityGroupRuleId", "arn": f"=arn:aws:ec2:{ACCOUNT_ARN}:security-group-rule/{{id}}"},
        tags=ec2_tags("security-group-rule"),
    )


def _group_inputs(**more: Input) -> dict[str, Input]:
    rules = {name: Input(read=name, on_change="update", shown=False) for name in DIRECTIONS}
    return rules | {"vpcId": Input(read="VpcId"), "revokeRulesOnDelete": local()} | more


SECURITY_GROUPS: dict[str, Kind] = {
    "aws:ec2/securityGroup:SecurityGroup": Kind(
        service="ec2",
        create=create_group,
        id="{created.GroupId}",
        read=read_group,
        update=set_rules,
        delete=delete_group,
        name="name",
        validate="CreateSecurityGroup",
        inputs=_group_inputs(name=fixed("GroupName"), description=fixed("Description", default="Managed by Pulumi"), vpcId=fixed("VpcId")),
        outputs={"arn": f"=arn:aws:ec2:{ACCOUNT_ARN}:security-group/{{id}}", "ownerId": "OwnerId"},
        tags=ec2_tags("security-group"),
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Kind(
        service="ec2",
        create=adopt_default_group,
        id="{created.GroupId}",
        read=read_group,
        update=set_rules,
        delete=lambda context: None,  # AWS deletes it with its VPC
        inputs=_group_inputs(),
        outputs={
            "arn": f"=arn:aws:ec2:{ACCOUNT_ARN}:security-group/{{id}}",
            "ownerId": "OwnerId",
            "name": "GroupName",
            "description": "Description",
        },
        tags=ec2_tags("security-group"),
    ),
    "aws:ec2/securityGroupRule:SecurityGroupRule": Kind(
        service="ec2",
        create=create_rule,
        id="sgrule-{created.SecurityGroupRules[0].SecurityGroupRuleId}",
        read=read_rule,
        delete=delete_rule,
        inputs={name: Input(required=True) for name in ("type", "protocol", "fromPort", "toPort", "securityGroupId")}
        | {name: Input() for name in ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds", "self", "sourceSecurityGroupId", "description")},
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": single_rule("Ingress"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": single_rule("Egress"),
}
