"""Why resource types of a plan have no price of their own. Pure data; a type that is missing here must be priced."""

from __future__ import annotations

_REASONS: dict[str, str] = {
    "groups resources that are priced themselves": """
        pulumi:pulumi:Stack pulumi:pulumi:StackReference eks:index:Cluster eks:index:ServiceRole eks:index:ManagedNodeGroup
        eks:index:Addon eks:index:VpcCniAddon eks:index:ClusterCreationRoleProvider""",
    "IAM is free": """
        aws:iam/role:Role aws:iam/rolePolicy:RolePolicy aws:iam/rolePolicyAttachment:RolePolicyAttachment aws:iam/policy:Policy
        aws:iam/instanceProfile:InstanceProfile aws:iam/serviceLinkedRole:ServiceLinkedRole
        aws:iam/openIdConnectProvider:OpenIdConnectProvider""",
    "the frame of a VPC is free": """
        aws:ec2/vpc:Vpc aws:ec2/subnet:Subnet aws:ec2/internetGateway:InternetGateway aws:ec2/routeTable:RouteTable aws:ec2/route:Route
        aws:ec2/routeTableAssociation:RouteTableAssociation aws:ec2/mainRouteTableAssociation:MainRouteTableAssociation
        aws:ec2/defaultRouteTable:DefaultRouteTable aws:ec2/defaultNetworkAcl:DefaultNetworkAcl aws:ec2/networkAcl:NetworkAcl
        aws:ec2/securityGroup:SecurityGroup aws:ec2/securityGroupRule:SecurityGroupRule
        aws:ec2/defaultSecurityGroup:DefaultSecurityGroup aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule
        aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule aws:ec2/tag:Tag
        aws:ec2/vpcEndpointRouteTableAssociation:VpcEndpointRouteTableAssociation
        aws:ec2/vpcEndpointSubnetAssociation:VpcEndpointSubnetAssociation aws:ec2/vpcEndpointPolicy:VpcEndpointPolicy""",
    "its disks are priced with the nodes": "aws:ec2/launchTemplate:LaunchTemplate",
    "its records are priced with the log group or bucket": "aws:ec2/flowLog:FlowLog",
    "a setting of the cluster, which is priced": """
        aws:eks/accessEntry:AccessEntry aws:eks/accessPolicyAssociation:AccessPolicyAssociation
        aws:eks/podIdentityAssociation:PodIdentityAssociation""",
    "runs on nodes that are priced": """
        kubernetes:helm.sh/v3:Release kubernetes:apps/v1:Deployment kubernetes:apps/v1:DaemonSet
        kubernetes:apps/v1:StatefulSet kubernetes:batch/v1:Job kubernetes:batch/v1:CronJob kubernetes:core/v1:Pod""",
    "an object in the control plane, which is priced": """
        kubernetes:core/v1:Namespace kubernetes:core/v1:NamespacePatch kubernetes:core/v1:Secret kubernetes:core/v1:ConfigMap
        kubernetes:core/v1:ConfigMapPatch kubernetes:core/v1:ServiceAccount kubernetes:core/v1:ServiceAccountPatch
        kubernetes:core/v1:ResourceQuota kubernetes:core/v1:LimitRange kubernetes:rbac.authorization.k8s.io/v1:Role
        kubernetes:rbac.authorization.k8s.io/v1:RoleBinding kubernetes:rbac.authorization.k8s.io/v1:ClusterRole
        kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding kubernetes:policy/v1:PodDisruptionBudget
        kubernetes:networking.k8s.io/v1:NetworkPolicy kubernetes:scheduling.k8s.io/v1:PriorityClass
        kubernetes:storage.k8s.io/v1:StorageClass kubernetes:autoscaling/v2:HorizontalPodAutoscaler kubernetes:yaml/v2:ConfigFile
        kubernetes:yaml/v2:ConfigGroup kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy
        kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding""",
    "a view of the shared file system, which is priced": """
        aws:efs/mountTarget:MountTarget aws:efs/accessPoint:AccessPoint aws:efs/fileSystemPolicy:FileSystemPolicy
        kubernetes:core/v1:PersistentVolume""",
    "a setting of the database, which is priced": """
        aws:rds/subnetGroup:SubnetGroup aws:rds/parameterGroup:ParameterGroup""",
    "a setting of the registry, which is priced": """
        aws:ecr/lifecyclePolicy:LifecyclePolicy aws:ecr/repositoryPolicy:RepositoryPolicy
        aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration docker-build:index:Image""",
    "a setting of a key or secret, which is priced": """
        aws:kms/alias:Alias aws:kms/keyPolicy:KeyPolicy aws:secretsmanager/secretVersion:SecretVersion""",
    "a setting of a bucket, which is priced": """
        aws:s3/bucketPolicy:BucketPolicy aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock
        aws:s3/bucketVersioning:BucketVersioning aws:s3/bucketVersioningV2:BucketVersioningV2
        aws:s3/bucketOwnershipControls:BucketOwnershipControls
        aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration
        aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2
        aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration
        aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2""",
    "free": """
        aws:cloudwatch/logResourcePolicy:LogResourcePolicy aws:cloudwatch/eventRule:EventRule aws:cloudwatch/eventTarget:EventTarget
        aws:route53/record:Record aws:autoscaling/tag:Tag aws:costexplorer/costAllocationTag:CostAllocationTag aws:budgets/budget:Budget""",
    "costs only while an experiment runs, by its minutes": "aws:fis/experimentTemplate:ExperimentTemplate",
}
NOT_PRICED = {resource_type: reason for reason, types in _REASONS.items() for resource_type in types.split()}
NOT_PRICED_PREFIXES = {
    "pulumi:providers:": "a connection, not a resource",
    "airflow-on-eks:index:": "groups resources that are priced themselves",
    "random:index/": "a value in the stack's state",
}
"""Packages that cannot hold anything that is billed."""
USE_NOT_PRICED = (
    "traffic to the internet, and between zones (0.01 a GB each way): by use",
    "EFS elastic throughput by GB read and written, S3 and KMS requests, CloudWatch metrics and queries, RDS monitoring logs: by use",
    "RDS backups above the size of the database; burst credits of t3 and t4g beyond their baseline",
    "taxes, support, free tier, Savings Plans and private discounts: the account's",
    "work that a Spot interruption makes tasks repeat",
)


def not_priced(resource_type: str) -> str | None:
    """Why a type has no price; None if it must have one."""
    by_prefix = (reason for prefix, reason in NOT_PRICED_PREFIXES.items() if resource_type.startswith(prefix))
    return NOT_PRICED.get(resource_type) or next(by_prefix, None)
