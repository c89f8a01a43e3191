"""Network types of the embedded AWS provider: VPC, subnets, gateways, routes, endpoints, flow logs, launch templates."""

from __future__ import annotations

from typing import Any

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
    local,
    setting,
)


def vpc_attribute(name: str) -> Call:
    """One attribute of a VPC; AWS takes one a call."""
    return Call("ModifyVpcAttribute", {"VpcId": "{id}", name: {"Value": "{value}"}})


def vpc_attribute_read(name: str) -> tuple[Call, str, str]:
    """How that attribute is read: another call, as AWS does not list it with the VPC."""
    return Call("DescribeVpcAttribute", {"VpcId": "{id}", "Attribute": name}), f"{name[0].upper()}{name[1:]}.Value", name


def subnet_attribute(name: str) -> Call:
    """One attribute of a subnet."""
    return Call("ModifySubnetAttribute", {"SubnetId": "{id}", name: {"Value": "{value}"}})


def of_vpc(extra: str) -> list[Values]:
    """Filters for what came with a VPC."""
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
            "assignIpv6AddressOnCreation": setting(subnet_attribute("AssignIpv6AddressOnCreation"), read="AssignIpv6AddressOnCreation"),
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
                Call("AttachInternetGateway", {"InternetGatewayId": "{id}", "VpcId": "{value}"}),
                read="Attachments[0].VpcId",
                replaces=("vpcId",),
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
