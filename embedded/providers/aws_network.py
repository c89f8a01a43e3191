"""Network types of the embedded AWS provider: VPC, subnets, gateways, routes, security groups, launch templates."""

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
    changeable,
    ec2_tags,
    fixed,
    ignore_missing,
    is_missing,
    local,
    setting,
)
from embedded.providers.server import CheckError


def vpc_attribute(name: str) -> Call:
    """One attribute of a VPC; AWS takes one a call."""
    return Call("ModifyVpcAttribute", {"VpcId": "{id}", name: {"Value": "{value}"}})


def vpc_attribute_read(name: str) -> tuple[Call, str, str]:
    return Call("DescribeVpcAttribute", {"VpcId": "{id}", "Attribute": name}), f"{name[0].upper()}{name[1:]}.Value", name


def subnet_attribute(name: str) -> Call:
    return Call("ModifySubnetAttribute", {"SubnetId": "{id}", name: {"Value": "{value}"}})


def of_vpc(extra: str) -> list[Values]:
    return [{"Name": "vpc-id", "Values": ["{id}"]}, {"Name": extra.split("=")[0], "Values": [extra.split("=")[1]]}]


def update_endpoint(context: Context) -> None:
    """AWS takes what an endpoint gains and what it loses."""
    params: Values = {"VpcEndpointId": context.id}
    for name, key in (("routeTableIds", "RouteTableIds"), ("subnetIds", "SubnetIds"), ("securityGroupIds", "SecurityGroupIds")):
        old, new = context.olds.get(name) or [], context.inputs.get(name) or []
        params[f"Add{key}"] = [id for id in new if id not in old]
        params[f"Remove{key}"] = [id for id in old if id not in new]
    params |= {"PolicyDocument": context["policy"], "PrivateDnsEnabled": context.inputs.get("privateDnsEnabled")}
    context.ask("ec2", "ModifyVpcEndpoint", {key: value for key, value in params.items() if value not in (None, [])})


NETWORK: dict[str, Kind] = {
    "aws:ec2/vpc:Vpc": Kind(
        service="ec2",
        create=Call("CreateVpc"),
        id="{created.Vpc.VpcId}",
        read=Call("DescribeVpcs", {"VpcIds": ["{id}"]}),
        record="Vpcs[0]",
        more=(
            vpc_attribute_read("enableDnsSupport"),
            vpc_attribute_read("enableDnsHostnames"),
            (Call("DescribeSecurityGroups", {"Filters": of_vpc("group-name=default")}), "SecurityGroups[0].GroupId", "group"),
            (Call("DescribeRouteTables", {"Filters": of_vpc("association.main=true")}), "RouteTables[0].RouteTableId", "routes"),
            (Call("DescribeNetworkAcls", {"Filters": of_vpc("default=true")}), "NetworkAcls[0].NetworkAclId", "acl"),
        ),
        delete=Call("DeleteVpc", {"VpcId": "{id}"}),
        inputs={
            "cidrBlock": fixed(required=True),
            "instanceTenancy": fixed(),
            "assignGeneratedIpv6CidrBlock": fixed("AmazonProvidedIpv6CidrBlock", read=None),
            "enableDnsSupport": setting(vpc_attribute("EnableDnsSupport"), read="enableDnsSupport", default=True),
            "enableDnsHostnames": setting(vpc_attribute("EnableDnsHostnames"), read="enableDnsHostnames"),
        },
        outputs={
            "arn": f"=arn:aws:ec2:{ACCOUNT_ARN}:vpc/{{id}}",
            "ownerId": "OwnerId",
            "dhcpOptionsId": "DhcpOptionsId",
            "defaultSecurityGroupId": "group",
            "mainRouteTableId": "routes",
            "defaultRouteTableId": "routes",
            "defaultNetworkAclId": "acl",
        },
        tags=ec2_tags("vpc"),
    ),
    "aws:ec2/subnet:Subnet": Kind(
        service="ec2",
        create=Call("CreateSubnet"),
        id="{created.Subnet.SubnetId}",
        read=Call("DescribeSubnets", {"SubnetIds": ["{id}"]}),
        record="Subnets[0]",
        delete=Call("DeleteSubnet", {"SubnetId": "{id}"}),
        inputs={
            "vpcId": fixed(required=True),
            "cidrBlock": fixed(required=True),
            "availabilityZone": fixed(),
            "availabilityZoneId": fixed(),
            "mapPublicIpOnLaunch": setting(subnet_attribute("MapPublicIpOnLaunch"), read="MapPublicIpOnLaunch"),
            "assignIpv6AddressOnCreation": setting(
                subnet_attribute("AssignIpv6AddressOnCreation"), read="AssignIpv6AddressOnCreation"
            ),
            "enableResourceNameDnsARecordOnLaunch": setting(
                subnet_attribute("EnableResourceNameDnsARecordOnLaunch"), read="PrivateDnsNameOptionsOnLaunch.EnableResourceNameDnsARecord"
            ),
        },
        outputs={"arn": "SubnetArn", "ownerId": "OwnerId"},
        tags=ec2_tags("subnet"),
    ),
    "aws:ec2/internetGateway:InternetGateway": Kind(
        service="ec2",
        create=Call("CreateInternetGateway"),
        id="{created.InternetGateway.InternetGatewayId}",
        read=Call("DescribeInternetGateways", {"InternetGatewayIds": ["{id}"]}),
        record="InternetGateways[0]",
        delete=lambda context: delete_gateway(context),
        inputs={
            "vpcId": setting(
                Call("AttachInternetGateway", {"InternetGatewayId": "{id}", "VpcId": "{value}"}), read="Attachments[0].VpcId", replaces=("vpcId",)
            ),
        },
        outputs={"arn": f"=arn:aws:ec2:{ACCOUNT_ARN}:internet-gateway/{{id}}", "ownerId": "OwnerId"},
        tags=ec2_tags("internet-gateway"),
    ),
    "aws:ec2/eip:Eip": Kind(
        service="ec2",
        create=Call("AllocateAddress"),
        id="{created.AllocationId}",
        read=Call("DescribeAddresses", {"AllocationIds": ["{id}"]}),
        record="Addresses[0]",
        delete=Call("ReleaseAddress", {"AllocationId": "{id}"}),
        inputs={"domain": fixed(default="vpc"), "publicIpv4Pool": fixed(), "networkBorderGroup": fixed()},
        outputs={
            "allocationId": "AllocationId",
            "publicIp": "PublicIp",
            "arn": f"=arn:aws:ec2:{ACCOUNT_ARN}:elastic-ip/{{id}}",
            "publicDns": "=ec2-{record.PublicIp}.{region}.compute.amazonaws.com",
        },
        tags=ec2_tags("elastic-ip"),
    ),
    "aws:ec2/natGateway:NatGateway": Kind(
        service="ec2",
        create=Call("CreateNatGateway"),
        id="{created.NatGateway.NatGatewayId}",
        read=Call("DescribeNatGateways", {"NatGatewayIds": ["{id}"]}),
        record="NatGateways[0]",
        gone="State == 'deleted' || State == 'deleting'",
        delete=Call("DeleteNatGateway", {"NatGatewayId": "{id}"}),
        inputs={
            "subnetId": fixed(required=True),
            "allocationId": fixed(read="NatGatewayAddresses[0].AllocationId"),
            "connectivityType": fixed(),
            "privateIp": fixed("PrivateIpAddress", read="NatGatewayAddresses[0].PrivateIp"),
        },
        outputs={
            "publicIp": "NatGatewayAddresses[0].PublicIp",
            "associationId": "NatGatewayAddresses[0].AssociationId",
            "networkInterfaceId": "NatGatewayAddresses[0].NetworkInterfaceId",
        },
        tags=ec2_tags("natgateway"),
    ),
    "aws:ec2/routeTable:RouteTable": Kind(
        service="ec2",
        create=Call("CreateRouteTable"),
        id="{created.RouteTable.RouteTableId}",
        read=Call("DescribeRouteTables", {"RouteTableIds": ["{id}"]}),
        record="RouteTables[0]",
        delete=Call("DeleteRouteTable", {"RouteTableId": "{id}"}),
        inputs={
            "vpcId": fixed(required=True),
            # rules inside the table are a second way to say what aws.ec2.Route says; the stack uses only that one
        },
        outputs={"arn": f"=arn:aws:ec2:{ACCOUNT_ARN}:route-table/{{id}}", "ownerId": "OwnerId"},
        tags=ec2_tags("route-table"),
    ),
    "aws:ec2/route:Route": Kind(
        service="ec2",
        create=Call("CreateRoute"),
        id="r-{routeTableId}-{destinationCidrBlock}",
        read=Call("DescribeRouteTables", {"RouteTableIds": ["{routeTableId}"]}),
        record="RouteTables[0].Routes[?DestinationCidrBlock=='{destinationCidrBlock}'] | [0]",
        update=Call("ReplaceRoute", {"RouteTableId": "{routeTableId}", "DestinationCidrBlock": "{destinationCidrBlock}"}),
        delete=Call("DeleteRoute", {"RouteTableId": "{routeTableId}", "DestinationCidrBlock": "{destinationCidrBlock}"}),
        inputs={
            "routeTableId": fixed(required=True, read=None),
            "destinationCidrBlock": fixed(required=True),
            "gatewayId": changeable(),
            "natGatewayId": changeable(),
            "vpcPeeringConnectionId": changeable(),
            "transitGatewayId": changeable(),
        },
        outputs={"origin": "Origin", "state": "State"},
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Kind(
        service="ec2",
        create=Call("AssociateRouteTable"),
        id="{created.AssociationId}",
        read=Call("DescribeRouteTables", {"RouteTableIds": ["{routeTableId}"]}),
        record="RouteTables[0].Associations[?RouteTableAssociationId=='{id}'] | [0]",
        delete=Call("DisassociateRouteTable", {"AssociationId": "{id}"}),
        inputs={"routeTableId": fixed(required=True), "subnetId": fixed(), "gatewayId": fixed()},
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Kind(
        service="ec2",
        create=Call("CreateVpcEndpoint"),
        id="{created.VpcEndpoint.VpcEndpointId}",
        read=Call("DescribeVpcEndpoints", {"VpcEndpointIds": ["{id}"]}),
        record="VpcEndpoints[0]",
        gone="State == 'deleted'",
        update=update_endpoint,
        delete=Call("DeleteVpcEndpoints", {"VpcEndpointIds": ["{id}"]}),
        inputs={
            "vpcId": fixed(required=True),
            "serviceName": fixed(),
            "vpcEndpointType": fixed(),
            "policy": changeable("PolicyDocument"),
            "privateDnsEnabled": changeable(),
            "routeTableIds": changeable(),
            "subnetIds": changeable(),
            "securityGroupIds": changeable(read="Groups[].GroupId"),
        },
        outputs={"arn": f"=arn:aws:ec2:{ACCOUNT_ARN}:vpc-endpoint/{{id}}", "state": "State", "networkInterfaceIds": "NetworkInterfaceIds"},
        tags=ec2_tags("vpc-endpoint"),
    ),
    "aws:ec2/flowLog:FlowLog": Kind(
        service="ec2",
        create=Call("CreateFlowLogs", {"ResourceIds": ["{vpcId}"], "ResourceType": "VPC"}),
        id="{created.FlowLogIds[0]}",
        read=Call("DescribeFlowLogs", {"FlowLogIds": ["{id}"]}),
        record="FlowLogs[0]",
        delete=Call("DeleteFlowLogs", {"FlowLogIds": ["{id}"]}),
        inputs={
            "vpcId": Input(read="ResourceId", required=True),
            "trafficType": fixed(),
            "logDestinationType": fixed(),
            "logDestination": fixed(),
            "iamRoleArn": fixed("DeliverLogsPermissionArn"),
            "logFormat": fixed(),
            "maxAggregationInterval": fixed(),
        },
        outputs={"arn": f"=arn:aws:ec2:{ACCOUNT_ARN}:vpc-flow-log/{{id}}"},
        tags=ec2_tags("vpc-flow-log"),
    ),
}


def delete_gateway(context: Context) -> None:
    """An internet gateway is detached first."""
    found = context.ask("ec2", "DescribeInternetGateways", {"InternetGatewayIds": [context.id]})["InternetGateways"]
    for attachment in found[0]["Attachments"] if found else []:
        context.ask("ec2", "DetachInternetGateway", {"InternetGatewayId": context.id, "VpcId": attachment["VpcId"]})
    context.ask("ec2", "DeleteInternetGateway", {"InternetGatewayId": context.id})


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
        for key, name in (("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6"), ("PrefixListIds", "PrefixListId"), ("UserIdGroupPairs", "GroupId")):
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
    for direction, (key, _) in DIRECTIONS.items() if group else ():
        given = context.inputs.get(direction)
        wanted = _flat([permission(rule | {"own": context.id}) for rule in given or []])
        actual = _flat(group[key])
        group[direction] = given if given is not None and wanted == actual else [rule_of(item) for item in sorted(actual, key=str)]
    return group


def rule_of(flat: tuple[Any, ...]) -> Values:
    """A single rule in Pulumi's words."""
    protocol, first, last, key, source, description = flat
    name = {"IpRanges": "cidrBlocks", "Ipv6Ranges": "ipv6CidrBlocks", "PrefixListIds": "prefixListIds", "UserIdGroupPairs": "securityGroups"}[key]
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
        outputs={"arn": f"=arn:aws:ec2:{ACCOUNT_ARN}:security-group/{{id}}", "ownerId": "OwnerId", "name": "GroupName", "description": "Description"},
        tags=ec2_tags("security-group"),
    ),
    "aws:ec2/securityGroupRule:SecurityGroupRule": Kind(
        service="ec2",
        create=create_rule,
        id="sgrule-{created.SecurityGroupRules[0].SecurityGroupRuleId}",
        read=read_rule,
        delete=delete_rule,
        inputs={
            name: Input(required=name in ("type", "protocol", "fromPort", "toPort", "securityGroupId"))
            for name in (
                "type protocol fromPort toPort securityGroupId cidrBlocks ipv6CidrBlocks prefixListIds self sourceSecurityGroupId description".split()
            )
        },
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": single_rule("Ingress"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": single_rule("Egress"),
}


def template(name: str = "?", **more: Any) -> Input:
    """Part of a launch template's data; a change makes a new version."""
    path = f"LaunchTemplateData.{name}"
    return Input(param=path, read=path, on_change="update", **more)


def new_template_version(context: Context) -> None:
    """A changed launch template is a new version, which becomes the default one unless the program pins another."""
    data = context.request("CreateLaunchTemplate")["LaunchTemplateData"]
    made = context.ask("ec2", "CreateLaunchTemplateVersion", {"LaunchTemplateId": context.id, "LaunchTemplateData": data})
    default = context["defaultVersion"]
    if context["updateDefaultVersion"] or default:
        version = str(default or made["LaunchTemplateVersion"]["VersionNumber"])
        context.ask("ec2", "ModifyLaunchTemplate", {"LaunchTemplateId": context.id, "DefaultVersion": version})


LAUNCH_TEMPLATE = Kind(
    service="ec2",
    create=Call("CreateLaunchTemplate"),
    id="{created.LaunchTemplate.LaunchTemplateId}",
    read=Call("DescribeLaunchTemplates", {"LaunchTemplateIds": ["{id}"]}),
    record="LaunchTemplates[0]",
    more=(
        (
            Call("DescribeLaunchTemplateVersions", {"LaunchTemplateId": "{id}", "Versions": ["$Latest"]}),
            "LaunchTemplateVersions[0].LaunchTemplateData",
            "LaunchTemplateData",
        ),
    ),
    update=new_template_version,
    delete=Call("DeleteLaunchTemplate", {"LaunchTemplateId": "{id}"}),
    name="name",
    inputs={
        "name": fixed("LaunchTemplateName"),
        "description": Input(param="VersionDescription", on_change="update"),
        "updateDefaultVersion": local(),
        "defaultVersion": Input(read="DefaultVersionNumber", on_change="update"),
        "blockDeviceMappings": template(),
        "metadataOptions": template(names={"httpProtocolIpv6": "HttpProtocolIpv6"}),
        "tagSpecifications": template(),
        "vpcSecurityGroupIds": template("SecurityGroupIds"),
        "networkInterfaces": template(names={"securityGroups": "Groups"}),
        "imageId": template(),
        "instanceType": template(),
        "keyName": template(),
        "userData": template(),
        "ebsOptimized": template(),
        "monitoring": template(),
        "instanceMarketOptions": template(),
        "iamInstanceProfile": template(),
        "privateDnsNameOptions": template(),
    },
    outputs={"arn": f"=arn:aws:ec2:{ACCOUNT_ARN}:launch-template/{{id}}", "latestVersion": "LatestVersionNumber"},
    moving=("latestVersion", "defaultVersion"),
    tags=ec2_tags("launch-template"),
)
