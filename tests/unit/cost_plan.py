"""A plan like those of the shipped stacks, as the engine gives it: numbers as floats, unknown ids absent or UNKNOWN."""

from __future__ import annotations

from typing import Any

from components.efs_driver import STARTUP_TAINT
from components.planned import UNKNOWN, PlannedResource


def resource(type_: str, name: str, parent: str = "", **inputs: Any) -> PlannedResource:
    return PlannedResource(type=type_, name=name, parent=parent, inputs=inputs)


def node_group(
    name: str, *, capacity: str, types: list[str], sizes: tuple[float, float, float], disk: float = 50.0, taints: list[Any] | None = None
) -> list[PlannedResource]:
    """A group with its launch template, as the node group component makes them."""
    minimum, desired, maximum = sizes
    component = f"{name}-component"
    return [
        resource(
            "aws:ec2/launchTemplate:LaunchTemplate",
            f"{name}-template",
            component,
            blockDeviceMappings=[{"deviceName": "/dev/xvda", "ebs": {"volumeSize": disk, "volumeType": "gp3", "encrypted": "true"}}],
        ),
        resource(
            "aws:eks/nodeGroup:NodeGroup",
            name,
            component,
            nodeGroupName=name,
            capacityType=capacity,
            instanceTypes=types,
            scalingConfig={"minSize": minimum, "desiredSize": desired, "maxSize": maximum},
            launchTemplate={"id": UNKNOWN, "version": UNKNOWN},
            taints=taints or [],
        ),
        resource("aws:iam/role:Role", f"{name}-role", component),
    ]


CORE = node_group("ng-on-demand", capacity="ON_DEMAND", types=["m5.large"], sizes=(2.0, 2.0, 4.0))
SPOT = node_group(
    "ng-spot1",
    capacity="SPOT",
    types=["m5.large", "m4.large", "m5a.large"],
    sizes=(1.0, 2.0, 4.0),
    taints=[{"key": "spotInstance", "value": "true", "effect": "NO_SCHEDULE"}, {"key": STARTUP_TAINT, "effect": "NO_EXECUTE"}],
)
OVERFLOW = node_group(
    "ng-overflow",
    capacity="ON_DEMAND",
    types=["m5.large"],
    sizes=(0.0, 0.0, 2.0),
    taints=[{"key": "spotInstance", "value": "true", "effect": "NO_SCHEDULE"}],
)


def network(nat_gateways: int = 1) -> list[PlannedResource]:
    public = [
        resource("aws:ec2/subnet:Subnet", f"airflow-public-{zone}", "airflow", tags={"kubernetes.io/role/elb": "1"}) for zone in "abc"
    ]
    private = [resource("aws:ec2/subnet:Subnet", f"airflow-private-{zone}", "airflow", tags={}) for zone in "abc"]
    nat = [
        one
        for zone in "abc"[:nat_gateways]
        for one in (
            resource("aws:ec2/eip:Eip", f"airflow-nat-{zone}-address", "airflow", domain="vpc"),
            resource("aws:ec2/natGateway:NatGateway", f"airflow-nat-{zone}", "airflow", subnetId=UNKNOWN),
        )
    ]
    return [
        resource("airflow-on-eks:index:Network", "airflow"),
        resource("aws:ec2/vpc:Vpc", "airflow-vpc", "airflow", cidrBlock="10.0.0.0/16"),
        *public,
        *private,
        *nat,
        resource("aws:ec2/internetGateway:InternetGateway", "airflow-internet", "airflow"),
        resource("aws:ec2/routeTable:RouteTable", "airflow-public-routes", "airflow"),
        resource("aws:ec2/route:Route", "airflow-public-way-out", "airflow"),
        resource("aws:ec2/routeTableAssociation:RouteTableAssociation", "airflow-public-a-routes", "airflow"),
        resource("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "airflow-default-group", "airflow"),
        resource("aws:ec2/vpcEndpoint:VpcEndpoint", "airflow-s3", "airflow", vpcEndpointType="Gateway"),
        resource(
            "aws:ec2/vpcEndpoint:VpcEndpoint",
            "airflow-ecr",
            "airflow",
            vpcEndpointType="Interface",
            subnetIds=[UNKNOWN, UNKNOWN, UNKNOWN],
        ),
    ]


CLUSTER = [
    resource("pulumi:pulumi:Stack", "airflow-on-eks-dev"),
    resource("pulumi:providers:aws", "default_7_51_1"),
    resource("pulumi:providers:kubernetes", "kubernetes"),
    resource("airflow-on-eks:index:Cluster", "airflow"),
    resource("eks:index:Cluster", "airflow"),
    resource("eks:index:ServiceRole", "airflow-eksRole"),
    resource("aws:iam/role:Role", "airflow-eksRole-role"),
    resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "airflow-eksRole-4b490823"),
    resource("aws:ec2/securityGroup:SecurityGroup", "airflow-nodes"),
    resource("aws:ec2/securityGroupRule:SecurityGroupRule", "airflow-eksNodeIngressRule"),
    resource("aws:eks/cluster:Cluster", "airflow-eksCluster", version="1.35"),
    resource("aws:eks/addon:Addon", "airflow-vpc-cni"),
    resource("aws:eks/addon:Addon", "airflow-kube-proxy"),
    resource("aws:eks/addon:Addon", "airflow-insights-add-on", addonName="amazon-cloudwatch-observability"),
    resource("aws:eks/accessEntry:AccessEntry", "airflow-admin"),
    resource("aws:kms/key:Key", "airflow-key"),
    resource("aws:cloudwatch/logGroup:LogGroup", "airflow-logs", retentionInDays=30.0),
]
STORAGE = [
    resource("airflow-on-eks:index:EfsStorage", "dags"),
    resource("aws:efs/fileSystem:FileSystem", "dags-files", throughputMode="elastic"),
    resource("aws:efs/backupPolicy:BackupPolicy", "dags-backups", backupPolicy={"status": "DISABLED"}),
    resource("aws:efs/mountTarget:MountTarget", "dags-mount-target-0"),
    resource("aws:efs/accessPoint:AccessPoint", "dags-logs-access"),
    resource("aws:efs/fileSystemPolicy:FileSystemPolicy", "dags-policy"),
    resource("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "dags-from-nodes"),
    resource("kubernetes:storage.k8s.io/v1:StorageClass", "dags-storage-class"),
    resource("kubernetes:core/v1:PersistentVolume", "dags-logs-volume"),
]
AIRFLOW = [
    resource("airflow-on-eks:index:AirflowRelease", "airflow"),
    resource("airflow-on-eks:index:AirflowImage", "image"),
    resource("aws:ecr/repository:Repository", "image-repository"),
    resource("aws:ecr/lifecyclePolicy:LifecyclePolicy", "image-lifecycle"),
    resource("docker-build:index:Image", "image-image"),
    resource("random:index/randomPassword:RandomPassword", "metadata-password"),
    resource("kubernetes:core/v1:Namespace", "airflow"),
    resource("kubernetes:core/v1:Secret", "airflow-secrets"),
    resource("kubernetes:core/v1:PersistentVolumeClaim", "airflow-logs", spec={"volumeName": UNKNOWN}),
    resource("kubernetes:apps/v1:Deployment", "airflow-scheduler"),
    resource("kubernetes:batch/v1:Job", "airflow-migration"),
    resource("kubernetes:core/v1:Service", "airflow-api-server", spec={"type": "ClusterIP"}),
    resource(
        "kubernetes:core/v1:Service",
        "airflow",
        spec={"type": "LoadBalancer", "ports": [{"port": 8080.0}]},
        metadata={
            "annotations": {
                "service.beta.kubernetes.io/aws-load-balancer-type": "nlb",
                "service.beta.kubernetes.io/aws-load-balancer-internal": "true",
            }
        },
    ),
]


def database(instance_class: str = "db.t4g.small", *, multi_az: bool = False, storage: float = 20.0) -> list[PlannedResource]:
    return [
        resource("airflow-on-eks:index:AirflowDatabase", "metadata"),
        resource("aws:rds/subnetGroup:SubnetGroup", "metadata-subnets"),
        resource("aws:rds/parameterGroup:ParameterGroup", "metadata-parameters"),
        resource(
            "aws:rds/instance:Instance",
            "metadata-instance",
            engine="postgres",
            instanceClass=instance_class,
            allocatedStorage=storage,
            storageType="gp3",
            multiAz=multi_az,
        ),
    ]


PLAN = [*CLUSTER, *network(), *CORE, *SPOT, *OVERFLOW, *database(), *STORAGE, *AIRFLOW]
"""The development stack with an overflow group and an interface endpoint."""
PRODUCTION = [*CLUSTER, *network(3), *CORE, *SPOT, *database("db.m7g.large", multi_az=True, storage=100.0), *STORAGE, *AIRFLOW]
