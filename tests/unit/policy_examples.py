"""A small stack that keeps every rule, and for each rule the one change that breaks it. Data for test_policies.py."""

from __future__ import annotations

import copy
import json
from typing import Any

import yaml

from components.planned import UNKNOWN, PlannedResource
from policies.cost_allocation import UNTAGGABLE

REMOVED = object()
"""In place of a value: take the key, or the whole resource, out."""
KEY_ARN = "arn:aws:kms:us-west-2:123456789012:key/1"
DIGEST = "123456789012.dkr.ecr.us-west-2.amazonaws.com/airflow@sha256:" + "a" * 64
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "[secret]"}
"""As the engine writes a secret in its events."""
RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
BALANCER = "service.beta.kubernetes.io/aws-load-balancer-"
TAGS = {key: "x" for key in ("Project", "Stack", "Environment", "Owner", "CostCenter", "ManagedBy", "Component", "CapacityType")}
TAG_KEY = f"{BALANCER}additional-resource-tags"
TAG_TEXT = ",".join(f"{key}={value}" for key, value in TAGS.items())


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(service: str, *actions: str) -> str:
    return document({"Effect": "Allow", "Principal": {"Service": service}, "Action": list(actions)})


def allow(action: str, resource: str, **more: Any) -> str:
    return document({"Effect": "Allow", "Action": action, "Resource": resource, **more})


def efs_policy(*verbs: str, tls: bool = True) -> str:
    mount = {
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"elasticfilesystem:{verb}" for verb in verbs],
        "Condition": {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}},
    }
    deny = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    return document(*([mount] if verbs else []), *([deny] if tls else []))


def pod(account: str, **spec: Any) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": DIGEST,
        "env": [
            {"name": "AIRFLOW__CORE__FERNET_KEY_CMD", "value": "cat /secrets/fernet-key"},
            {"name": "PGSSLMODE", "value": "verify-full"},
        ],
        "resources": {"requests": {"cpu": "200m", "memory": "512Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True},
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8974}},
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8974}},
    }
    return {
        "serviceAccountName": account,
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 50000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        **spec,
    }


def metadata(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "airflow", **more}


def on_spot(*lifecycles: str) -> dict[str, Any]:
    """What brings a task's pod onto nodes of these lifecycles only."""
    term = {"matchExpressions": [{"key": "lifecycle", "operator": "In", "values": list(lifecycles)}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"affinity": {"nodeAffinity": required}, "tolerations": [{"key": "spotInstance", "operator": "Exists"}]}


def worker_template(**spec: Any) -> str:
    spec = pod("airflow-worker", **{**on_spot("Ec2Spot"), **spec})
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "worker"}, "spec": spec})


GOOD: dict[str, tuple[str, str, dict[str, Any]]] = {
    "cluster": (
        "aws:eks/cluster:Cluster",
        "airflow",
        {
            "name": "airflow",
            "version": "1.35",
            "vpcConfig": {"endpointPrivateAccess": True, "endpointPublicAccess": False},
            "enabledClusterLogTypes": ["api", "audit", "authenticator", "controllerManager", "scheduler"],
            "encryptionConfig": {"resources": ["secrets"], "provider": {"keyArn": KEY_ARN}},
            "accessConfig": {"authenticationMode": "API"},
            "upgradePolicy": {"supportType": "STANDARD"},
        },
    ),
    "cluster-log": (
        "aws:cloudwatch/logGroup:LogGroup",
        "cluster",
        {"name": "/aws/eks/airflow/cluster", "retentionInDays": 365, "kmsKeyId": KEY_ARN},
    ),
    "access": ("aws:eks/accessEntry:AccessEntry", "airflow", {"principalArn": "arn:aws:iam::123456789012:role/admin"}),
    "key": (
        "aws:kms/key:Key",
        "cluster",
        {
            "enableKeyRotation": True,
            "policy": document(
                {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "kms:*", "Resource": "*"}
            ),
        },
    ),
    "vpc-cni": (
        "aws:eks/addon:Addon",
        "airflow",
        {"addonName": "vpc-cni", "addonVersion": "v1", "configurationValues": '{"enableNetworkPolicy":"true"}'},
    ),
    "agent": ("aws:eks/addon:Addon", "cluster", {"addonName": "eks-pod-identity-agent", "addonVersion": "v1"}),
    "efs-driver": ("aws:eks/addon:Addon", "cluster", {"addonName": "aws-efs-csi-driver", "addonVersion": "v3.4.2-eksbuild.1"}),
    "insights": (
        "aws:eks/addon:Addon",
        "insights",
        {
            "clusterName": "airflow",
            "addonName": "amazon-cloudwatch-observability",
            "addonVersion": "v6.2.0-eksbuild.1",
            "configurationValues": '{"manager":{"nodeSelector":{"lifecycle":"OnDemand"}}}',
        },
    ),
    **{
        f"insights-{kind}": (
            "aws:cloudwatch/logGroup:LogGroup",
            "insights",
            {"name": f"/aws/containerinsights/airflow/{kind}", "retentionInDays": 365, "kmsKeyId": KEY_ARN},
        )
        for kind in ("application", "dataplane", "host", "performance")
    },
    "identity": ("aws:eks/podIdentityAssociation:PodIdentityAssociation", "autoscaler", {"serviceAccount": "cluster-autoscaler"}),
    "nodes": (
        "aws:eks/nodeGroup:NodeGroup",
        "cluster",
        {
            "capacityType": "ON_DEMAND",
            "instanceTypes": ["m5.large"],
            "amiType": "AL2023_x86_64_STANDARD",
            "launchTemplate": {"id": UNKNOWN, "version": "1"},
            "subnetIds": ["subnet-a", "subnet-b"],
            "labels": {"lifecycle": "OnDemand"},
        },
    ),
    "spot": (
        "aws:eks/nodeGroup:NodeGroup",
        "workers",
        {
            "capacityType": "SPOT",
            "instanceTypes": ["m5.large", "m5a.large", "m4.large"],
            "amiType": "AL2023_x86_64_STANDARD",
            "launchTemplate": {"id": UNKNOWN, "version": "1"},
            "subnetIds": ["subnet-a", "subnet-b"],
            "labels": {"lifecycle": "Ec2Spot"},
            "taints": [
                {"key": "spotInstance", "value": "true", "effect": "NO_SCHEDULE"},
                {"key": "efs.csi.aws.com/agent-not-ready", "effect": "NO_EXECUTE"},
            ],
        },
    ),
    **{
        f"{group}-template": (
            "aws:ec2/launchTemplate:LaunchTemplate",
            "cluster",
            {
                "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1.0},
                "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true", "volumeType": "gp3"}}],
                "vpcSecurityGroupIds": ["sg-eks", "sg-nodes"],
                "networkInterfaces": [],
                "tagSpecifications": [{"resourceType": kind, "tags": TAGS} for kind in ("instance", "volume", "network-interface")],
            },
        )
        for group in ("nodes", "spot")
    },
    **{
        f"{group}-asg-tag-{key}": (
            "aws:autoscaling/tag:Tag",
            parent,
            {"autoscalingGroupName": UNKNOWN, "tag": {"key": key, "value": value}},
        )
        for group, parent in (("nodes", "cluster"), ("spot", "workers"))
        for key, value in TAGS.items()
    },
    "node-role": ("aws:iam/role:Role", "cluster", {"assumeRolePolicy": trust("ec2.amazonaws.com", "sts:AssumeRole")}),
    **{
        f"node-role-{policy}": (
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            "cluster",
            {"role": UNKNOWN, "policyArn": f"arn:aws:iam::aws:policy/{policy}"},
        )
        for policy in ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy")
    },
    "scaler-role": (
        "aws:iam/role:Role",
        "autoscaler",
        {"assumeRolePolicy": trust("pods.eks.amazonaws.com", "sts:AssumeRole", "sts:TagSession")},
    ),
    "drill-template": (
        "aws:fis/experimentTemplate:ExperimentTemplate",
        "drill",
        {
            "stopConditions": [{"source": "aws:cloudwatch:alarm", "value": UNKNOWN}],
            "targets": [
                {
                    "name": "nodes",
                    "resourceTags": [
                        {"key": key, "value": value} for key, value in (("Project", "x"), ("Stack", "prod"), ("CapacityType", "spot"))
                    ],
                }
            ],
        },
    ),
    "scaler-policy": (
        "aws:iam/rolePolicy:RolePolicy",
        "autoscaler",
        {
            "policy": document(
                {"Effect": "Allow", "Action": ["autoscaling:DescribeAutoScalingGroups"], "Resource": "*"},
                {
                    "Effect": "Allow",
                    "Action": "autoscaling:SetDesiredCapacity",
                    "Resource": "*",
                    "Condition": {"StringEquals": {"aws:ResourceTag/k8s.io/cluster-autoscaler/airflow": "owned"}},
                },
            )
        },
    ),
    "database": (
        "aws:rds/instance:Instance",
        "metadata",
        {
            "identifier": "airflow-postgres",
            "storageEncrypted": True,
            "kmsKeyId": KEY_ARN,
            "publiclyAccessible": False,
            "deletionProtection": True,
            "skipFinalSnapshot": False,
            "finalSnapshotIdentifier": "airflow-postgres-final-0a1b2c3d",
            "iamDatabaseAuthenticationEnabled": True,
            "enabledCloudwatchLogsExports": ["postgresql", "upgrade"],
            "backupRetentionPeriod": 7,
            "multiAz": True,
            "monitoringInterval": 60,
            "monitoringRoleArn": UNKNOWN,
            "performanceInsightsEnabled": True,
            "performanceInsightsKmsKeyId": KEY_ARN,
            "caCertIdentifier": "rds-ca-rsa2048-g1",
            "copyTagsToSnapshot": True,
            "password": SECRET,
            "parameterGroupName": UNKNOWN,
            "allocatedStorage": 20,
            "maxAllocatedStorage": 100,
            "storageType": "gp3",
            "engineLifecycleSupport": "open-source-rds-extended-support-disabled",
            "vpcSecurityGroupIds": ["sg-db"],
        },
    ),
    **{
        f"database-log-{kind}": (
            "aws:cloudwatch/logGroup:LogGroup",
            "metadata",
            {"name": f"/aws/rds/instance/airflow-postgres/{kind}", "retentionInDays": 365, "kmsKeyId": KEY_ARN},
        )
        for kind in ("postgresql", "upgrade")
    },
    "parameters": (
        "aws:rds/parameterGroup:ParameterGroup",
        "metadata",
        {
            "parameters": [
                {"name": "rds.force_ssl", "value": "1"},
                {"name": "log_statement", "value": "ddl"},
                {"name": "log_min_duration_statement", "value": "1000"},
            ]
        },
    ),
    "database-group": ("aws:ec2/securityGroup:SecurityGroup", "metadata", {"description": "Airflow's database"}),
    "database-from-nodes": (
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "metadata",
        {
            "securityGroupId": "sg-db",
            "referencedSecurityGroupId": "sg-nodes",
            "ipProtocol": "tcp",
            "fromPort": 5432,
            "toPort": 5432,
            "description": "PostgreSQL from the nodes",
        },
    ),
    "files": ("aws:efs/fileSystem:FileSystem", "dags", {"encrypted": True, "kmsKeyId": KEY_ARN}),
    "files-policy": (
        "aws:efs/fileSystemPolicy:FileSystemPolicy",
        "dags",
        {"policy": efs_policy("ClientMount", "ClientWrite", "ClientRootAccess")},
    ),
    "files-access": (
        "aws:efs/accessPoint:AccessPoint",
        "dags",
        {"posixUser": {"uid": 50000, "gid": 0}, "rootDirectory": {"path": "/dags", "creationInfo": {"permissions": "0770"}}},
    ),
    **{
        f"files-target-{zone}": ("aws:efs/mountTarget:MountTarget", "dags", {"subnetId": f"subnet-{zone}", "securityGroups": ["sg-efs"]})
        for zone in "ab"
    },
    "files-from-nodes": (
        "aws:ec2/securityGroupRule:SecurityGroupRule",
        "dags",
        {
            "type": "ingress",
            "securityGroupId": "sg-efs",
            "sourceSecurityGroupId": "sg-nodes",
            "protocol": "tcp",
            "fromPort": 2049,
            "toPort": 2049,
            "description": "NFS from the nodes",
        },
    ),
    "volume": (
        "kubernetes:core/v1:PersistentVolume",
        "dags",
        {
            "metadata": {"name": "airflow-dags"},
            "spec": {
                "persistentVolumeReclaimPolicy": "Retain",
                "mountOptions": ["tls"],
                "csi": {"driver": "efs.csi.aws.com", "volumeHandle": "fs-1::fsap-1"},
            },
        },
    ),
    "repository": (
        "aws:ecr/repository:Repository",
        "image",
        {
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": KEY_ARN}],
            "forceDelete": True,
        },
    ),
    "image": ("docker-build:index:Image", "image", {"platforms": ["linux/amd64"], "tags": ["repository:3f2a9c1d"]}),
    "secret": ("aws:secretsmanager/secret:Secret", "", {"kmsKeyId": KEY_ARN}),
    "vpc": ("aws:ec2/vpc:Vpc", "network", {"cidrBlock": "10.0.0.0/16"}),
    "default-group": ("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "network", {"ingress": [], "egress": []}),
    "flow-log": ("aws:ec2/flowLog:FlowLog", "network", {"vpcId": UNKNOWN}),
    "subnet": ("aws:ec2/subnet:Subnet", "network", {"availabilityZone": "us-west-2a", "mapPublicIpOnLaunch": False}),
    "listener": ("aws:lb/listener:Listener", "", {"protocol": "HTTPS", "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06"}),
    "balancer": (
        "aws:lb/loadBalancer:LoadBalancer",
        "",
        {"internal": True, "accessLogs": {"bucket": "logs"}, "dropInvalidHeaderFields": True, "enableDeletionProtection": True},
    ),
    "namespace": (
        "kubernetes:core/v1:Namespace",
        "release",
        {"metadata": {"name": "airflow", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
    ),
    "default-deny": (
        "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        "release",
        {"metadata": metadata("default-deny"), "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}},
    ),
    "web-rule": (
        "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        "release",
        {
            "metadata": metadata("web"),
            "spec": {"podSelector": {"matchLabels": {"component": "api"}}, "ingress": [{"ports": [{"port": 8080}]}]},
        },
    ),
    "account": ("kubernetes:core/v1:ServiceAccount", "release", {"metadata": metadata("airflow-scheduler")}),
    "role": (
        f"{RBAC}:Role",
        "release",
        {"metadata": metadata("airflow-scheduler"), "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get"]}]},
    ),
    "binding": (
        f"{RBAC}:RoleBinding",
        "release",
        {
            "metadata": metadata("airflow-scheduler"),
            "roleRef": {"kind": "Role", "name": "airflow-scheduler"},
            "subjects": [{"kind": "ServiceAccount", "name": "airflow-scheduler", "namespace": "airflow"}],
        },
    ),
    "chart": (
        "kubernetes:helm.sh/v3:Release",
        "autoscaler",
        {
            "chart": "cluster-autoscaler",
            "namespace": "kube-system",
            "values": {"awsRegion": "us-west-2", "extraArgs": {"startup-taint": "efs.csi.aws.com/agent-not-ready"}},
        },
    ),
    "scheduler": (
        "kubernetes:apps/v1:Deployment",
        "release",
        {
            "metadata": metadata("airflow-scheduler"),
            "spec": {
                "template": {
                    "metadata": {"labels": {"component": "scheduler", "tier": "airflow"}},
                    "spec": pod("airflow-scheduler", automountServiceAccountToken=True, nodeSelector={"lifecycle": "OnDemand"}),
                }
            },
        },
    ),
    "budget": (
        "kubernetes:policy/v1:PodDisruptionBudget",
        "release",
        {"metadata": metadata("airflow-scheduler"), "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"component": "scheduler"}}}},
    ),
    "migrations": (
        "kubernetes:batch/v1:Job",
        "release",
        {"metadata": metadata("airflow-migrations"), "spec": {"template": {"spec": pod("airflow-jobs")}}},
    ),
    "worker": (
        "kubernetes:core/v1:ConfigMap",
        "release",
        {"metadata": metadata("airflow-worker-pod"), "data": {"pod_template_file.yaml": worker_template()}},
    ),
    "config": (
        "kubernetes:core/v1:ConfigMap",
        "release",
        {
            "metadata": metadata("airflow-configmap"),
            "data": {
                "AIRFLOW__CORE__EXECUTOR": "KubernetesExecutor",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD": "cat /secrets/connection",
                "AIRFLOW__API_AUTH__JWT_EXPIRATION_TIME": "86400",
                "CONNECTION_CHECK_MAX_COUNT": "0",
            },
        },
    ),
    "secrets": (
        "kubernetes:core/v1:Secret",
        "release",
        {"metadata": metadata("airflow-secrets"), "stringData": {"fernet-key": SECRET, "admin-user": "eksuser"}},
    ),
    "web": (
        "kubernetes:core/v1:Service",
        "release",
        {
            "metadata": metadata(
                "airflow",
                annotations={f"{BALANCER}type": "nlb", f"{BALANCER}internal": "true", f"{BALANCER}ssl-cert": "arn", TAG_KEY: TAG_TEXT},
            ),
            "spec": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8"]},
        },
    ),
}
"""Logical name to type, parent and inputs."""

OUTPUTS = {"cluster": {"vpcConfig": {"clusterSecurityGroupId": "sg-eks"}}}
"""Logical name to what the provider answered."""
SCHEDULER = "spec.template.spec"
FIRST = f"{SCHEDULER}.containers.0"
MOUNT = ("ClientMount", "ClientWrite", "ClientRootAccess")
PUBLIC = {f"{BALANCER}type": "nlb", TAG_KEY: TAG_TEXT}
BAD: tuple[tuple[str, str, str, Any], ...] = (
    ("eks-api-not-open", "cluster", "vpcConfig.endpointPublicAccess", REMOVED),
    (
        "eks-api-not-open",
        "cluster",
        "vpcConfig",
        {"endpointPrivateAccess": True, "endpointPublicAccess": True, "publicAccessCidrs": ["0.0.0.0/0"]},
    ),
    ("eks-private-endpoint", "cluster", "vpcConfig.endpointPrivateAccess", REMOVED),
    ("eks-no-public-endpoint", "cluster", "vpcConfig", {"endpointPublicAccess": True, "publicAccessCidrs": ["198.51.100.7/32"]}),
    ("eks-logs", "cluster", "enabledClusterLogTypes", ["api", "audit"]),
    ("eks-secrets-encrypted", "cluster", "encryptionConfig", REMOVED),
    ("eks-version-supported", "cluster", "version", "1.31"),
    ("eks-standard-support", "cluster", "upgradePolicy", REMOVED),
    ("eks-access-entries", "cluster", "accessConfig.authenticationMode", "API_AND_CONFIG_MAP"),
    ("eks-no-aws-auth", "config", "metadata.name", "aws-auth"),
    ("kms-rotation", "key", "enableKeyRotation", REMOVED),
    ("kms-enabled", "key", "isEnabled", False),
    ("kms-no-stranger", "key", "policy", document({"Effect": "Allow", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"})),
    ("nodes-no-ssh", "nodes", "remoteAccess", {"ec2SshKey": "laptop"}),
    ("nodes-no-ssh", "nodes-template", "keyName", "laptop"),
    ("nodes-no-public-address", "nodes-template", "networkInterfaces", [{"associatePublicIpAddress": "true"}]),
    ("nodes-imdsv2", "nodes-template", "metadataOptions.httpTokens", "optional"),
    ("nodes-imds-hop-limit", "nodes-template", "metadataOptions.httpPutResponseHopLimit", 2),
    ("nodes-encrypted-disk", "nodes-template", "blockDeviceMappings.0.ebs.encrypted", REMOVED),
    ("nodes-encrypted-disk", "nodes-template", "blockDeviceMappings.0.ebs.volumeType", "gp2"),
    (
        "iam-trust-named",
        "node-role",
        "assumeRolePolicy",
        document({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}),
    ),
    ("iam-no-star", "scaler-policy", "policy", allow("*", "*")),
    ("iam-no-star", "scaler-policy", "policy", allow("s3:PutObject", "*")),
    ("iam-autoscaler-own-groups", "scaler-policy", "policy", allow("autoscaling:SetDesiredCapacity", "arn:aws:autoscaling:::x")),
    ("iam-drill-own-nodes", "scaler-policy", "policy", allow("ec2:TerminateInstances", "arn:aws:ec2:::instance/*")),
    ("drill-own-nodes", "drill-template", "targets.0.resourceTags", [{"key": "Stack", "value": "prod"}]),
    ("drill-own-nodes", "drill-template", "targets.0.resourceArns", ["arn:aws:ec2:us-west-2:123456789012:instance/i-1"]),
    ("drill-stop-condition", "drill-template", "stopConditions", [{"source": "none"}]),
    ("iam-no-administrator", "node-role-AmazonEKS_CNI_Policy", "policyArn", "arn:aws:iam::aws:policy/AdministratorAccess"),
    ("iam-boundary-everywhere", "node-role", "permissionsBoundary", "arn:aws:iam::123456789012:policy/boundary"),
    ("iam-no-static-keys", "+aws:iam/accessKey:AccessKey", "user", "ci"),
    ("rds-encrypted", "database", "storageEncrypted", REMOVED),
    ("rds-encrypted", "database", "kmsKeyId", REMOVED),
    ("rds-private", "database", "publiclyAccessible", True),
    ("rds-deletion-protection", "database", "deletionProtection", REMOVED),
    ("rds-final-snapshot", "database", "skipFinalSnapshot", True),
    ("rds-iam-authentication", "database", "iamDatabaseAuthenticationEnabled", REMOVED),
    ("rds-log-exports", "database", "enabledCloudwatchLogsExports", REMOVED),
    ("rds-backups", "database", "backupRetentionPeriod", 1),
    ("rds-multi-az", "database", "multiAz", False),
    ("rds-enhanced-monitoring", "database", "monitoringInterval", 0),
    ("rds-performance-insights", "database", "performanceInsightsKmsKeyId", REMOVED),
    ("rds-minor-upgrades", "database", "autoMinorVersionUpgrade", False),
    ("rds-modern-authority", "database", "caCertIdentifier", "rds-ca-2019"),
    ("rds-tagged-snapshots", "database", "copyTagsToSnapshot", REMOVED),
    ("rds-password-hidden", "database", "password", "hunter2hunter2"),
    ("rds-forces-tls", "parameters", "parameters.0.value", "0"),
    ("rds-own-parameters", "database", "parameterGroupName", "default.postgres17"),
    ("rds-logs-statements", "parameters", "parameters", [{"name": "rds.force_ssl", "value": "1"}]),
    ("efs-encrypted", "files", "encrypted", REMOVED),
    ("efs-access-point-root", "files-access", "rootDirectory.path", "/"),
    ("efs-access-point-user", "files-access", "posixUser", {"uid": 1000, "gid": 1000}),
    ("efs-access-point-user", "files-access", "rootDirectory.creationInfo.permissions", "777"),
    ("efs-policy-tls", "files-policy", "", REMOVED),
    ("pv-tls", "volume", "spec.mountOptions", REMOVED),
    ("pv-access-point", "volume", "spec.csi.volumeHandle", "fs-1"),
    ("pv-retained", "volume", "spec.persistentVolumeReclaimPolicy", "Delete"),
    ("ecr-immutable", "repository", "imageTagMutability", REMOVED),
    ("ecr-scanned", "repository", "imageScanningConfiguration", REMOVED),
    ("ecr-encrypted", "repository", "encryptionConfigurations", [{"encryptionType": "AES256"}]),
    ("logs-encrypted", "cluster-log", "kmsKeyId", REMOVED),
    ("logs-retained", "cluster-log", "retentionInDays", REMOVED),
    ("logs-retained-a-year", "cluster-log", "retentionInDays", 30),
    ("secrets-manager-key", "secret", "kmsKeyId", REMOVED),
    ("sg-described", "database-group", "description", "Managed by Pulumi"),
    ("sg-described", "database-from-nodes", "description", REMOVED),
    ("sg-no-open-ingress", "database-from-nodes", "cidrIpv4", "0.0.0.0/0"),
    ("sg-no-open-ingress", "files-from-nodes", "ipv6CidrBlocks", ["::/0"]),
    ("sg-stores-admit-groups", "database-from-nodes", "cidrIpv4", "10.0.0.0/16"),
    ("sg-stores-admit-groups", "database-group", "ingress", [{"description": "x", "protocol": "-1", "cidrBlocks": ["10.0.0.0/16"]}]),
    ("sg-stores-send-nothing", "database-group", "egress", [{"description": "x", "protocol": "-1", "cidrBlocks": ["0.0.0.0/0"]}]),
    ("sg-default-closed", "default-group", "egress", [{"protocol": "-1", "cidrBlocks": ["0.0.0.0/0"]}]),
    ("vpc-default-group-managed", "default-group", "", REMOVED),
    ("vpc-flow-logs", "flow-log", "", REMOVED),
    ("subnet-no-public-addresses", "subnet", "mapPublicIpOnLaunch", True),
    ("lb-listener-tls", "listener", "protocol", "HTTP"),
    ("lb-load-balancer-guarded", "balancer", "internal", False),
    ("pod-own-account", "scheduler", f"{SCHEDULER}.serviceAccountName", REMOVED),
    ("pod-no-idle-token", "migrations", f"{SCHEDULER}.automountServiceAccountToken", REMOVED),
    ("pod-not-on-host", "scheduler", f"{SCHEDULER}.hostNetwork", True),
    ("pod-volume-kinds", "scheduler", f"{SCHEDULER}.volumes.0", {"name": "docker", "hostPath": {"path": "/var/run"}}),
    ("pod-not-root", "scheduler", f"{SCHEDULER}.securityContext.runAsNonRoot", REMOVED),
    ("pod-not-root", "worker", "data", {"pod.yaml": worker_template(securityContext={"runAsUser": 0})}),
    ("pod-seccomp", "scheduler", f"{SCHEDULER}.securityContext.seccompProfile", REMOVED),
    ("container-drops-all", "scheduler", f"{FIRST}.securityContext.capabilities", {"drop": ["ALL"], "add": ["NET_ADMIN"]}),
    ("container-no-escalation", "scheduler", f"{FIRST}.securityContext.allowPrivilegeEscalation", REMOVED),
    ("container-read-only", "scheduler", f"{FIRST}.securityContext.readOnlyRootFilesystem", REMOVED),
    ("container-requests", "scheduler", f"{FIRST}.resources.requests.memory", REMOVED),
    ("container-limits", "scheduler", f"{FIRST}.resources.limits.cpu", REMOVED),
    ("container-probes", "scheduler", f"{FIRST}.livenessProbe", REMOVED),
    ("image-not-latest", "scheduler", f"{FIRST}.image", "repository/airflow:latest"),
    ("image-not-latest", "scheduler", f"{FIRST}.image", "localhost:5000/airflow"),
    ("image-by-digest", "scheduler", f"{FIRST}.image", "repository/airflow:3.3.2"),
    ("env-no-secrets", "scheduler", f"{FIRST}.env.0", {"name": "ADMIN_PASSWORD", "value": "hunter2"}),
    ("env-no-secrets", "scheduler", f"{FIRST}.env.0", {"name": "X", "value": "postgresql://airflow:pw@host/db"}),
    ("env-no-secrets", "scheduler", f"{FIRST}.env.0", {"name": "SECRETS__BACKEND_KWARGS", "value": '{"url": "/x", "token": "t"}'}),
    ("secrets-as-files", "scheduler", f"{FIRST}.env.0", {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}),
    ("workers-hold-no-secrets", "worker", "data", {"pod.yaml": worker_template(volumes=[{"name": "s", "secret": {"secretName": "s"}}])}),
    ("namespace-restricted", "namespace", "metadata.labels", REMOVED),
    ("not-in-default-namespace", "account", "metadata.namespace", REMOVED),
    ("config-map-no-secrets", "config", "data.AIRFLOW__API_AUTH__JWT_SECRET", "not-so-secret"),
    ("config-map-no-secrets", "config", "data.AIRFLOW__CORE__FERNET_KEY", "A" * 43 + "="),
    ("config-map-no-secrets", "config", "data.AIRFLOW__DAG_PROCESSOR__BUNDLES", '[{"repo_url": "https://ghp_1@git.example.com/d.git"}]'),
    ("config-map-no-secrets", "config", "data.anything", SECRET),
    ("secret-hidden", "secrets", "stringData.fernet-key", "A" * 43 + "="),
    ("no-sample-credentials", "config", "data.NOTE", "log in with ekspassword"),
    ("authentication-on", "config", "data.airflow", "[webserver]\nauthenticate = False\n"),
    ("account-no-idle-token", "account", "metadata.name", "airflow-triggerer"),
    ("rbac-no-wildcards", "role", "rules.0.verbs", ["*"]),
    ("rbac-no-takeover", "role", "rules.0.resources", ["pods", "secrets"]),
    ("rbac-no-cluster-admin", "binding", "roleRef.name", "cluster-admin"),
    ("rbac-not-for-default-account", "binding", "subjects.0.name", "default"),
    ("network-default-deny", "default-deny", "spec.policyTypes", ["Ingress"]),
    ("network-no-open-rule", "web-rule", "spec.ingress.0", {}),
    ("service-no-external-ips", "web", "spec.externalIPs", ["203.0.113.1"]),
    ("service-sources-named", "web", "spec.loadBalancerSourceRanges", REMOVED),
    ("service-sources-named", "web", "spec.loadBalancerSourceRanges", ["0.0.0.0/0"]),
    ("service-tls", "web", f"metadata.annotations.{BALANCER}ssl-cert", REMOVED),
    ("service-public-tls", "web", "metadata.annotations", PUBLIC),
    ("service-network-balancer", "web", f"metadata.annotations.{BALANCER}type", REMOVED),
    ("service-access-logs", "web", "metadata.annotations", PUBLIC),
    ("deployment-budget", "budget", "spec.selector.matchLabels.component", "triggerer"),
    ("workers-no-budget", "budget", "spec.selector.matchLabels.component", "worker"),
    ("rds-verified-tls", "+", "PGSSLMODE", "require"),
    ("nodes-carry-both-groups", "spot-template", "vpcSecurityGroupIds", REMOVED),
    ("stores-admit-nodes", "database-from-nodes", "", REMOVED),
    ("stores-admit-nodes", "files-from-nodes", "fromPort", 2050),
    ("efs-policy-allows", "files-policy", "policy", efs_policy()),
    ("efs-policy-allows", "files-policy", "policy", efs_policy(*MOUNT, tls=False)),
    ("cni-enforces-network-policies", "vpc-cni", "configurationValues", REMOVED),
    ("node-role-complete", "node-role-AmazonEKSWorkerNodePolicy", "", REMOVED),
    ("pod-identity-agent", "agent", "", REMOVED),
    ("pod-identity-trust", "scaler-role", "assumeRolePolicy", trust("pods.eks.amazonaws.com", "sts:AssumeRole")),
    ("template-leaves-types-to-group", "spot-template", "instanceMarketOptions", {"marketType": "spot"}),
    ("template-root-device", "spot-template", "blockDeviceMappings.0.deviceName", "/dev/sdb"),
    ("template-tags-everything", "spot-template", "tagSpecifications", [{"resourceType": "instance", "tags": {"Owner": "x"}}]),
    ("group-uses-template", "spot", "launchTemplate", REMOVED),
    ("group-uses-template", "spot", "diskSize", 50),
    ("group-names-types", "spot", "instanceTypes", REMOVED),
    ("group-taint-spelling", "spot", "taints.0.effect", "NoSchedule"),
    ("group-spot-tainted", "spot", "taints", []),
    ("group-spot-tainted", "spot", "taints", [{"key": "efs.csi.aws.com/agent-not-ready", "effect": "NO_EXECUTE"}]),
    ("startup-taint-comes-off", "efs-driver", "", REMOVED),
    ("startup-taint-comes-off", "efs-driver", "addonVersion", "v3.5.0-eksbuild.1"),
    ("startup-taint-not-on-core", "nodes", "taints", [{"key": "efs.csi.aws.com/agent-not-ready", "effect": "NO_EXECUTE"}]),
    ("startup-taint-not-tolerated", "scheduler", f"{SCHEDULER}.tolerations", [{"key": "efs.csi.aws.com/agent-not-ready"}]),
    ("startup-taint-not-tolerated", "scheduler", f"{SCHEDULER}.tolerations", [{"operator": "Exists"}]),
    ("startup-taint-told-autoscaler", "chart", "values.extraArgs", REMOVED),
    ("pod-toleration-spelling", "scheduler", f"{SCHEDULER}.tolerations", [{"key": "spotInstance", "effect": "NO_SCHEDULE"}]),
    ("autoscaler-knows-region", "chart", "values.awsRegion", REMOVED),
    ("image-fits-nodes", "image", "platforms", ["linux/arm64"]),
    ("logs-owned", "cluster-log", "", REMOVED),
    ("logs-owned", "database-log-postgresql", "", REMOVED),
    ("logs-owned", "insights-performance", "", REMOVED),
    ("subnet-zones", "subnet", "availabilityZone", "us-west-2-lax-1a"),
    ("subnet-zones", "subnet", "availabilityZone", "us-east-1e"),
    ("access-for-others", "access", "", REMOVED),
    ("add-ons-versioned", "agent", "addonVersion", REMOVED),
    ("rds-snapshot-named", "database", "finalSnapshotIdentifier", REMOVED),
    ("rds-snapshot-unique", "database", "finalSnapshotIdentifier", "airflow-final"),
    ("rds-storage-size", "database", "maxAllocatedStorage", 21),
    ("rds-storage-size", "database", "iops", 3000),
    ("rds-standard-support", "database", "engineLifecycleSupport", REMOVED),
    ("ecr-tag-from-content", "image", "tags", ["repository:latest"]),
    ("ecr-destroyable", "repository", "forceDelete", REMOVED),
    ("efs-one-target-a-zone", "files-target-b", "", REMOVED),
    ("nodes-reach-stores", "database-from-nodes", "referencedSecurityGroupId", "sg-eks"),
    ("cost-tagged", "database", "tags.Owner", REMOVED),
    ("cost-tagged", "spot-template", "tagSpecifications.0.tags", {"Owner": "x"}),
    ("cost-tagged", "spot-asg-tag-Owner", "tag.key", "Holder"),
    ("cost-tagged", "nodes-asg-tag-Stack", "tag.value", ""),
    ("cost-tagged", "web", f"metadata.annotations.{TAG_KEY}", "Owner=x"),
    # the other ways to break a rule of several parts
    ("eks-secrets-encrypted", "cluster", "encryptionConfig.resources", []),
    ("eks-secrets-encrypted", "cluster", "encryptionConfig.provider", {}),
    ("nodes-no-public-address", "nodes-template", "networkInterfaces", [{"associatePublicIpAddress": True}]),
    ("nodes-encrypted-disk", "nodes-template", "blockDeviceMappings", REMOVED),
    ("iam-no-star", "scaler-policy", "policy", allow("s3:*", "arn:aws:s3:::logs/*")),
    ("iam-no-star", "scaler-policy", "policy", allow("s*:GetObject", "arn:aws:s3:::logs/*")),
    ("iam-no-star", "scaler-policy", "policy", document({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})),
    ("iam-no-star", "scaler-role", "inlinePolicies", [{"name": "more", "policy": allow("*", "*")}]),
    ("drill-own-nodes", "drill-template", "targets", []),
    ("drill-own-nodes", "drill-template", "targets.0.resourceTags", [{"key": key, "value": "x"} for key in TAGS]),
    ("rds-log-exports", "database", "enabledCloudwatchLogsExports", ["postgresql"]),
    ("rds-log-exports", "database", "enabledCloudwatchLogsExports", ["upgrade"]),
    ("rds-enhanced-monitoring", "database", "monitoringRoleArn", REMOVED),
    ("rds-performance-insights", "database", "performanceInsightsEnabled", REMOVED),
    ("rds-own-parameters", "database", "parameterGroupName", REMOVED),
    ("rds-logs-statements", "parameters", "parameters.1.value", "none"),
    ("rds-logs-statements", "parameters", "parameters.2.name", "log_duration"),
    ("efs-encrypted", "files", "kmsKeyId", REMOVED),
    ("efs-access-point-user", "files-access", "posixUser.uid", 1000),
    ("efs-access-point-user", "files-access", "posixUser.gid", 1000),
    ("ecr-encrypted", "repository", "encryptionConfigurations.0.kmsKey", REMOVED),
    ("ecr-encrypted", "repository", "encryptionConfigurations.0.encryptionType", "AES256"),
    ("sg-described", "database-group", "ingress", [{"protocol": "tcp", "fromPort": 5432, "toPort": 5432, "self": True}]),
    ("sg-no-open-ingress", "database-from-nodes", "cidrIpv4", "64.0.0.0/8"),
    ("sg-default-closed", "default-group", "ingress", [{"protocol": "-1", "self": True}]),
    ("lb-listener-tls", "listener", "sslPolicy", "ELBSecurityPolicy-2016-08"),
    ("lb-load-balancer-guarded", "balancer", "accessLogs", REMOVED),
    ("lb-load-balancer-guarded", "balancer", "dropInvalidHeaderFields", REMOVED),
    ("lb-load-balancer-guarded", "balancer", "enableDeletionProtection", REMOVED),
    ("pod-own-account", "scheduler", f"{SCHEDULER}.serviceAccountName", "default"),
    ("pod-not-on-host", "scheduler", f"{SCHEDULER}.hostPID", True),
    ("pod-not-on-host", "scheduler", f"{SCHEDULER}.hostIPC", True),
    ("pod-not-root", "scheduler", f"{FIRST}.securityContext.runAsUser", 0),
    ("container-drops-all", "scheduler", f"{FIRST}.securityContext.capabilities", {"drop": ["NET_RAW"]}),
    ("container-no-escalation", "scheduler", f"{FIRST}.securityContext.privileged", True),
    ("container-requests", "scheduler", f"{FIRST}.resources.requests.cpu", REMOVED),
    ("container-limits", "scheduler", f"{FIRST}.resources.limits.memory", REMOVED),
    ("container-probes", "scheduler", f"{FIRST}.readinessProbe", REMOVED),
    ("not-in-default-namespace", "account", "metadata.namespace", "default"),
    ("authentication-on", "config", "data.AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True"),
    ("rbac-no-wildcards", "role", "rules.0.resources", ["*"]),
    ("rbac-no-wildcards", "role", "rules.0.apiGroups", ["*"]),
    ("rbac-no-takeover", "role", "rules.0.resources", ["pods/exec"]),
    ("rbac-no-takeover", "role", "rules.0.verbs", ["escalate"]),
    ("network-default-deny", "default-deny", "spec.podSelector", {"matchLabels": {"component": "scheduler"}}),
    ("network-default-deny", "default-deny", "spec.ingress", [{}]),
    ("network-default-deny", "default-deny", "metadata.namespace", "elsewhere"),
    ("network-no-open-rule", "web-rule", "spec.egress", [{}]),
    ("network-default-deny", "default-deny", "spec.egress", [{}]),
    ("rbac-no-cluster-admin", "binding", "roleRef.name", "admin"),
    ("rbac-no-cluster-admin", "binding", "roleRef.name", "edit"),
    ("deployment-budget", "budget", "spec.selector.matchLabels", {}),
    ("workers-no-budget", "budget", "spec.selector", {"matchExpressions": [{"key": "component", "operator": "Exists"}]}),
    ("account-no-idle-token", "binding", "subjects.0.name", "airflow-triggerer"),
    ("stores-admit-nodes", "files-from-nodes", "toPort", 2048),
    ("stores-admit-nodes", "database-from-nodes", "referencedSecurityGroupId", REMOVED),
    ("efs-policy-allows", "files-policy", "policy", efs_policy("ClientMount", "ClientWrite")),
    ("efs-policy-allows", "files-policy", "policy", efs_policy(*MOUNT).replace("AccessedViaMountTarget", "AccessPointArn")),
    ("efs-policy-allows", "files-policy", "policy", efs_policy(*MOUNT).replace("Deny", "Allow")),
    ("efs-policy-allows", "files-policy", "policy", efs_policy(*MOUNT).replace('"false"', '"true"')),
    ("cni-enforces-network-policies", "vpc-cni", "addonName", "another"),
    ("template-leaves-types-to-group", "spot-template", "networkInterfaces", [{"subnetId": "subnet-a"}]),
    ("template-tags-everything", "spot-template", "tagSpecifications.0.tags", {}),
    ("group-names-types", "spot", "capacityType", REMOVED),
    ("group-spot-tainted", "spot", "taints", [{"key": "spotInstance", "value": "true", "effect": "PREFER_NO_SCHEDULE"}]),
    ("image-fits-nodes", "image", "platforms", []),
    ("image-fits-nodes", "spot", "amiType", "AL2023_ARM_64_STANDARD"),
    ("rds-storage-size", "database", "allocatedStorage", 10),
    *(("ecr-tag-from-content", "image", "tags", [f"repository:{tag}"]) for tag in ("main", "dev", "staging", "prod")),
    ("workers-hold-no-secrets", "worker", "data", {"pod.yaml": worker_template(containers=[{"envFrom": [{"secretRef": {"name": "s"}}]}])}),
    ("secrets-as-files", "scheduler", f"{FIRST}.envFrom", [{"secretRef": {"name": "s"}}]),
    ("env-no-secrets", "migrations", f"{FIRST}.env.0", {"name": "AIRFLOW__API__SECRET_KEY", "value": "hunter2"}),
    ("pods-placed", "scheduler", f"{SCHEDULER}.nodeSelector", {"lifecycle": "Ec2Spot"}),
    ("pods-placed", "spot", "taints", REMOVED),
    ("pods-placed", "spot", "", REMOVED),
    ("pods-placed", "worker", "data", {"pod.yaml": worker_template(**on_spot("Ec2Spot", "OnDemand"))}),
    ("pods-placed", "worker", "data", {"pod.yaml": worker_template(**on_spot("OnDemand"))}),
    ("pods-placed", "nodes", "scalingConfig", {"minSize": 0, "desiredSize": 0, "maxSize": 0}),
)
"""Policy, resource, path, value. A resource `+TYPE` is added; `+` replaces a text in the whole plan."""
FINE: tuple[tuple[str, str, str, Any], ...] = (
    ("eks-api-not-open", "cluster", "vpcConfig", {"endpointPublicAccess": True, "publicAccessCidrs": ["198.51.100.7/32"]}),
    ("kms-no-stranger", "key", "policy", document({"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"})),
    ("iam-no-star", "scaler-policy", "policy", document({"Effect": "Deny", "Action": "*", "Resource": "*"})),
    ("iam-no-star", "scaler-policy", "policy", allow("s3:PutObject", "arn:aws:s3:::logs/*")),
    ("iam-no-star", "scaler-policy", "policy", allow("ecr:GetAuthorizationToken", "*")),
    ("nodes-encrypted-disk", "nodes-template", "blockDeviceMappings.0.ebs.encrypted", True),
    ("efs-access-point-user", "files-access", "rootDirectory.creationInfo.permissions", "0750"),
    ("pv-tls", "volume", "spec", {"csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"}}),
    ("pv-access-point", "volume", "spec", {"csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"}}),
    ("ecr-immutable", "repository", "imageTagMutability", "IMMUTABLE_WITH_EXCLUSION"),
    ("logs-retained-a-year", "cluster-log", "retentionInDays", 0),
    ("sg-no-open-ingress", "database-from-nodes", "cidrIpv6", "fc00::/7"),
    ("sg-no-open-ingress", "files-from-nodes", "cidrBlocks", ["10.0.0.0/16"]),
    (
        "sg-stores-admit-groups",
        "database-group",
        "ingress",
        [{"description": "x", "protocol": "tcp", "fromPort": 8080, "toPort": 8080, "cidrBlocks": ["10.0.0.0/16"]}],
    ),
    ("sg-stores-send-nothing", "database-group", "egress", [{"description": "x", "protocol": "-1", "cidrBlocks": ["10.0.0.0/24"]}]),
    ("lb-listener-tls", "listener", "protocol", "TLS"),
    ("container-probes", "migrations", f"{FIRST}.livenessProbe", REMOVED),
    ("image-by-digest", "worker", "data", {"pod.yaml": worker_template(containers=[{"name": "base"}])}),
    ("config-map-no-secrets", "config", "data.AIRFLOW__API_AUTH__JWT_SECRET", ""),
    ("config-map-no-secrets", "config", "data.CHECK_PASSWORD", "true"),
    ("config-map-no-secrets", "config", "data.MAX_TOKEN", "20"),
    ("config-map-no-secrets", "config", "data.SECRETS_ARE_IN_TOKEN", "/secrets/token"),
    ("account-no-idle-token", "account", "automountServiceAccountToken", False),
    ("authentication-on", "config", "data.AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "False"),
    ("secret-hidden", "secrets", "stringData.fernet-key", ""),
    ("rbac-not-for-default-account", "binding", "subjects.0", {"kind": "User", "name": "default"}),
    ("efs-policy-allows", "files-policy", "policy", efs_policy("*")),
    ("template-root-device", "spot-template", "blockDeviceMappings", REMOVED),
    ("group-spot-tainted", "spot", "taints.0.effect", "NO_EXECUTE"),
    ("startup-taint-not-tolerated", "scheduler", f"{SCHEDULER}.tolerations", [{"key": "spotInstance", "operator": "Exists"}]),
    ("pod-toleration-spelling", "scheduler", f"{SCHEDULER}.tolerations", [{"key": "spotInstance", "effect": "NoExecute"}]),
    ("workers-hold-no-secrets", "scheduler", f"{SCHEDULER}.volumes.0", {"name": "s", "secret": {"secretName": "s"}}),
    ("secrets-as-files", "scheduler", f"{FIRST}.envFrom", [{"configMapRef": {"name": "c"}}]),
    (
        "env-no-secrets",
        "scheduler",
        f"{FIRST}.env.0",
        {"name": "ADMIN_PASSWORD", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
    ),
    ("container-probes", "scheduler", f"{SCHEDULER}.initContainers", [{"name": "first"}]),
    ("network-no-open-rule", "web-rule", "spec.ingress", [{"from": [{"podSelector": {}}]}]),
    ("pod-seccomp", "scheduler", f"{SCHEDULER}.securityContext.seccompProfile.type", "Localhost"),
    ("rds-snapshot-unique", "database", "finalSnapshotIdentifier", REMOVED),
    ("rds-storage-size", "database", "maxAllocatedStorage", REMOVED),
    ("service-public-tls", "web", "metadata.annotations", {**PUBLIC, f"{BALANCER}scheme": "internal"}),
    ("service-public-tls", "web", "metadata.annotations", {**PUBLIC, f"{BALANCER}ssl-cert": "arn"}),
    ("service-access-logs", "web", "metadata.annotations", {**PUBLIC, f"{BALANCER}attributes": "access_logs.s3.enabled=true"}),
    ("service-access-logs", "web", "metadata.annotations", {**PUBLIC, f"{BALANCER}access-log-enabled": "true"}),
    ("service-network-balancer", "web", f"metadata.annotations.{BALANCER}type", "external"),
    ("service-sources-named", "web", "spec", {"type": "ClusterIP"}),
)
"""Policy, resource, path, value: what the rule lets pass on purpose."""


def plan() -> list[PlannedResource]:
    """The good stack."""
    return [_planned(name, kind, parent, copy.deepcopy(inputs)) for name, (kind, parent, inputs) in GOOD.items()]


def _planned(name: str, kind: str, parent: str, inputs: dict[str, Any]) -> PlannedResource:
    tags = {"tags": dict(TAGS)} if kind.startswith("aws:") and kind not in UNTAGGABLE else {}
    return PlannedResource(type=kind, name=name, inputs={**tags, **inputs}, parent=parent, outputs=OUTPUTS.get(name, {}))


def broken(target: str, path: str, value: Any) -> list[PlannedResource]:
    """The good stack with one change."""
    if target == "+":
        text = json.dumps(
            [[kind, parent, inputs] for kind, parent, inputs in GOOD.values()],
            default=lambda unknown: "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        )
        good = json.loads(text.replace("verify-full", value))
        return [_planned(name, kind, parent, inputs) for name, (kind, parent, inputs) in zip(GOOD, good, strict=True)]
    if target.startswith("+"):
        return [*plan(), PlannedResource(type=target[1:], name="added", inputs={path: value})]
    if not path:
        return [resource for resource in plan() if resource.name != target]
    changed = plan()
    inputs: Any = next(resource.inputs for resource in changed if resource.name == target)
    # the last steps may hold dots themselves (annotations): take the longest key that exists
    steps = path.split(".")
    while True:
        step = next(
            (".".join(steps[:size]) for size in range(len(steps), 1, -1) if isinstance(inputs, dict) and ".".join(steps[:size]) in inputs),
            steps[0],
        )
        steps = steps[step.count(".") + 1 :]
        index: Any = int(step) if isinstance(inputs, list) else step
        if not steps:
            break
        inputs = inputs[index]
    if value is REMOVED:
        del inputs[index]
    else:
        inputs[index] = value
    return changed
