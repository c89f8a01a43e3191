"""The embedded AWS and its provider, without the engine: what is made, changed, refused and recorded is so as on AWS."""

from __future__ import annotations

import base64
import functools
import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from components import insights_add_on
from embedded import cloud as clouds
from embedded import pki
from embedded.aws_api import start_aws_api, stop_aws_api
from embedded.cloud import ACCOUNT_ID, Cloud
from embedded.providers.aws import AwsProvider
from embedded.providers.aws_functions import get_cluster_auth
from embedded.providers.aws_hardware import Hardware
from embedded.providers.server import InitError, ProviderError, Resource

# the AWS process outlives whoever started it, which Python's subprocess module thinks is a mistake
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
SESSION = boto3.Session(region_name="us-west-2", aws_access_key_id="embedded", aws_secret_access_key="embedded")
client = functools.cache(SESSION.client)  # to make one takes as long as a hundred calls


class Recorder:
    """Stands for the machines: remembers what was switched on and off."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.nodes: dict[str, str] = {}
        self.repository: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda cloud, *args, **more: self.calls.append(name)

    def fitting(self, cloud: Cloud, group: str) -> Any:
        return nullcontext()

    def node_instances(self, cloud: Cloud, group: str) -> dict[str, str]:
        return dict(self.nodes)

    def start_nodes(self, cloud: Cloud, specs: list[dict[str, Any]]) -> None:
        self.calls.append("start_nodes")
        self.specs = specs
        self.nodes |= {spec["instance_id"]: f"node-{spec['instance_id']}" for spec in specs}

    def stop_node(self, cloud: Cloud, name: str) -> None:
        self.calls.append("stop_node")
        self.nodes = {id: other for id, other in self.nodes.items() if other != name}

    def images(self, cloud: Cloud, repository: str) -> list[str]:
        return self.repository


class Aws:
    """A running embedded AWS and a provider on it whose machines are only recorded."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.machines, self.made = cloud, Recorder(), []
        self.provider = AwsProvider(cloud)
        self.provider.hardware = Hardware(cloud, self.machines)

    def client(self, service: str) -> Any:
        return client(service, endpoint_url=self.cloud.aws_endpoint)

    def make(self, token: str, **inputs: Any) -> tuple[Resource, dict[str, Any], dict[str, Any]]:
        resource = Resource(type=token, name=token.rsplit(":")[-1].lower(), urn="u", seed=bytes([len(self.made) + 1]) * 32)
        full = self.provider.check(resource, {}, inputs)
        id, state = self.provider.create(resource, full)
        self.made.append((Resource(type=token, name=resource.name, urn="u", id=id), full, state))
        return self.made[-1]

    def clean(self) -> None:
        for resource, inputs, state in reversed(self.made):
            self.provider.delete(resource, inputs, state)
        self.made.clear()

    def post(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(self.cloud.aws_endpoint + path, data=json.dumps(body).encode())
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def network(self) -> tuple[str, list[str], str]:
        vpc = self.make("aws:ec2/vpc:Vpc", cidrBlock="10.0.0.0/16")[0].id
        subnets = [
            self.make("aws:ec2/subnet:Subnet", vpcId=vpc, cidrBlock=f"10.0.{number}.0/24", availabilityZone=f"us-west-2{zone}")[0].id
            for number, zone in enumerate("ab")
        ]
        return vpc, subnets, self.make("aws:ec2/securityGroup:SecurityGroup", vpcId=vpc)[0].id

    def role(self, service: str, *policies: str) -> str:
        principal = {"Effect": "Allow", "Principal": {"Service": service}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
        resource, _, state = self.make("aws:iam/role:Role", assumeRolePolicy=json.dumps({"Statement": [principal]}))
        for policy in policies:
            arn = f"arn:aws:iam::aws:policy/{policy}"
            self.make("aws:iam/rolePolicyAttachment:RolePolicyAttachment", role=resource.id, policyArn=arn)
        return str(state["arn"])

    def cluster(self, subnets: list[str], **inputs: Any) -> str:
        arn = self.role("eks.amazonaws.com", "AmazonEKSClusterPolicy")
        mode = {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": True}
        return self.make("aws:eks/cluster:Cluster", roleArn=arn, vpcConfig={"subnetIds": subnets}, accessConfig=mode, **inputs)[0].id

    def group(self, cluster: str, subnets: list[str], *policies: str, **inputs: Any) -> tuple[Resource, dict[str, Any], dict[str, Any]]:
        role = self.role("ec2.amazonaws.com", *policies)
        sizes = {"minSize": 0, "maxSize": 4, "desiredSize": 2}
        common: dict[str, Any] = {"clusterName": cluster, "nodeRoleArn": role, "subnetIds": subnets, "scalingConfig": sizes}
        return self.make("aws:eks/nodeGroup:NodeGroup", **common | inputs)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = clouds.create(tmp_path_factory.mktemp("aws-cloud"))
    start_aws_api(cloud)
    yield cloud
    stop_aws_api(cloud)


@pytest.fixture
def aws(running: Cloud) -> Iterator[Aws]:
    here = Aws(running)
    yield here
    here.post("/embedded/faults", {})
    here.clean()
    assert here.post("/embedded/inventory", {}) == {}, "what a test made is gone"


NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")


def test_reading_back_finds_no_drift_and_a_foreign_change(aws: Aws) -> None:
    resource, inputs, state = aws.make("aws:ec2/vpc:Vpc", cidrBlock="10.0.0.0/16", enableDnsHostnames=True, tags={"Name": "net"})
    assert aws.provider.read(resource, inputs, state) == (inputs, state)
    aws.client("ec2").create_tags(Resources=[resource.id], Tags=[{"Key": "Name", "Value": "hacked"}])
    found = aws.provider.read(resource, inputs, state)
    assert found is not None
    assert found[0]["tags"] == {"Name": "hacked"}
    aws.provider.update(resource, found[1], found[0], inputs)
    assert aws.provider.read(resource, inputs, state) == (inputs, state)


def test_something_deleted_behind_pulumis_back_reads_as_gone(aws: Aws) -> None:
    resource, inputs, state = aws.make("aws:ecr/repository:Repository")
    aws.client("ecr").delete_repository(repositoryName=resource.id)
    assert aws.provider.read(resource, inputs, state) is None


def test_nodes_follow_the_group_and_carry_its_labels_and_taints(aws: Aws) -> None:
    _, subnets, _ = aws.network()
    cluster = aws.cluster(subnets)
    taints = [{"key": "spotInstance", "value": "true", "effect": "NO_SCHEDULE"}]
    marks: dict[str, Any] = {"capacityType": "SPOT", "labels": {"lifecycle": "Ec2Spot"}, "taints": taints, "instanceTypes": ["m5.large"]}
    resource, inputs, state = aws.group(cluster, subnets, *NODE_POLICIES, **marks)
    assert [spec["zone"] for spec in aws.machines.specs] == ["us-west-2a", "us-west-2b"], "spread over the zones"
    spec = aws.machines.specs[0]
    assert (spec["capacity_type"], spec["vcpu"], spec["memory_mib"]) == ("SPOT", 2, 8192)
    assert spec["taints"] == (("spotInstance", "true", "NoSchedule"),), "Kubernetes's spelling"
    group = state["resources"][0]["autoscalingGroups"][0]["name"]
    aws.client("autoscaling").set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=3)
    found = aws.provider.read(resource, inputs, state)
    assert found is not None
    assert found[0]["scalingConfig"]["desiredSize"] == 3, "EKS shows what an autoscaler did"
    aws.provider.update(resource, found[1], found[0], inputs | {"scalingConfig": {"minSize": 0, "maxSize": 4, "desiredSize": 1}})
    assert len(aws.machines.nodes) == 1


def test_nodes_whose_role_lacks_a_policy_never_join(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedded.providers.aws.READY_SECONDS", 1.0)
    _, subnets, _ = aws.network()
    cluster = aws.cluster(subnets)
    with pytest.raises(InitError, match="lacks an ECR pull policy") as failed:
        aws.group(cluster, subnets, "AmazonEKSWorkerNodePolicy")
    inputs = {"clusterName": cluster, "nodeGroupName": failed.value.id.split(":")[1]}
    resource = Resource(type="aws:eks/nodeGroup:NodeGroup", name="it", urn="u", id=failed.value.id)
    aws.provider.delete(resource, inputs, failed.value.outputs)
    assert "start_nodes" not in aws.machines.calls


def test_a_kubernetes_version_comes_after_a_while_and_meanwhile_nothing_else_changes(aws: Aws) -> None:
    _, subnets, _ = aws.network()
    cluster, eks = aws.cluster(subnets, version="1.34"), aws.client("eks")
    aws.group(cluster, subnets, *NODE_POLICIES, nodeGroupName="workers")
    group = {"clusterName": cluster, "nodegroupName": "workers"}

    def refused(message: str, call: Any, **params: Any) -> None:
        with pytest.raises((ClientError, ProviderError), match=message):
            call(**params)

    def version_of(record: dict[str, Any]) -> tuple[str, str]:
        return record["version"], record["status"]

    step = "Unsupported Kubernetes minor version update from"
    refused(f"{step} 1.34 to 1.36", eks.update_cluster_version, name=cluster, version="1.36")
    refused("newer than the cluster's", eks.update_nodegroup_version, **group, version="1.35")
    update = eks.update_cluster_version(name=cluster, version="1.35")["update"]
    assert update["status"] == "InProgress"
    assert version_of(eks.describe_cluster(name=cluster)["cluster"]) == ("1.34", "UPDATING")
    refused("UPDATING", eks.update_cluster_config, name=cluster, deletionProtection=True)
    refused("newer than the cluster's", eks.update_nodegroup_version, **group, version="1.35")
    while eks.describe_update(name=cluster, updateId=update["id"])["update"]["status"] == "InProgress":
        time.sleep(0.1)
    assert version_of(eks.describe_cluster(name=cluster)["cluster"]) == ("1.35", "ACTIVE")
    refused(f"{step} 1.35 to 1.34", eks.update_cluster_version, name=cluster, version="1.34")
    assert version_of(eks.describe_nodegroup(**group)["nodegroup"]) == ("1.34", "ACTIVE"), "nodes follow only when told"
    refused("the only one accepted", aws.group, cluster=cluster, subnets=subnets, version="1.34")

    eks.update_nodegroup_version(**group, version="1.35")
    assert version_of(eks.describe_nodegroup(**group)["nodegroup"]) == ("1.34", "UPDATING")
    refused("UPDATING", eks.update_nodegroup_config, **group, labels={"addOrUpdateLabels": {"a": "b"}})
    while eks.describe_nodegroup(**group)["nodegroup"]["status"] == "UPDATING":
        time.sleep(0.1)
    assert eks.describe_nodegroup(**group)["nodegroup"]["version"] == "1.35"
    refused("rolled back", eks.update_nodegroup_version, **group, version="1.34")


def test_kube_proxy_has_versions_of_its_own_for_each_kubernetes_version(aws: Aws) -> None:
    _, subnets, _ = aws.network()
    cluster, eks = aws.cluster(subnets, version="1.34"), aws.client("eks")
    found = eks.describe_addon_versions(addonName="kube-proxy", kubernetesVersion="1.34")["addons"][0]["addonVersions"]
    assert [item["addonVersion"] for item in found] == ["v1.34.1-eksbuild.2"]
    with pytest.raises(ClientError, match="not supported"):
        eks.create_addon(clusterName=cluster, addonName="kube-proxy", addonVersion="v1.35.0-eksbuild.2")


def test_an_add_on_takes_only_configuration_that_its_version_knows(aws: Aws) -> None:
    name = "amazon-cloudwatch-observability"
    cluster = aws.cluster(aws.network()[1])
    for values in ({"manager": {"nodeSelektor": {}}}, {"otelContainerInsights": {"enabled": False}}):
        with pytest.raises(ProviderError, match=r"\$\.(manager\.nodeSelektor|otelContainerInsights): is not defined in the schema"):
            aws.make(
                "aws:eks/addon:Addon",
                clusterName=cluster,
                addonName=name,
                addonVersion="v4.10.3-eksbuild.1",
                configurationValues=json.dumps(values),
            )
    for version in ("v4.10.3-eksbuild.1", "v6.2.0-eksbuild.1"):
        values = insights_add_on.configuration(version)
        resource, inputs, state = aws.make(
            "aws:eks/addon:Addon", clusterName=cluster, addonName=name, addonVersion=version, configurationValues=values
        )
        aws.provider.delete(resource, inputs, state)
        aws.made.pop()


def test_a_cluster_with_node_groups_and_a_subnet_in_use_stay(aws: Aws) -> None:
    _, subnets, _ = aws.network()
    cluster = aws.cluster(subnets)
    aws.group(cluster, subnets, *NODE_POLICIES)
    with pytest.raises(ClientError, match="nodegroups attached"):
        aws.client("eks").delete_cluster(name=cluster)
    with pytest.raises(ClientError, match="Amazon EKS"):
        aws.client("ec2").delete_subnet(SubnetId=subnets[0])


def test_the_account_outside_a_stack_is_protected_from_half_deletions(aws: Aws) -> None:
    vpc, subnets, group = aws.network()
    ec2, rds = aws.client("ec2"), aws.client("rds")
    with pytest.raises(ClientError, match="DependencyViolation"):
        ec2.delete_vpc(VpcId=vpc)
    names = aws.make("aws:rds/subnetGroup:SubnetGroup", subnetIds=subnets)[0].id
    resource, inputs, state = aws.make(
        "aws:rds/instance:Instance",
        engine="postgres",
        instanceClass="db.t4g.small",
        allocatedStorage=20,
        username="airflow",
        password="long-enough-8",
        dbSubnetGroupName=names,
        vpcSecurityGroupIds=[group],
        deletionProtection=True,
        skipFinalSnapshot=True,
    )
    assert state["engineVersionActual"].startswith("17.")
    assert "start_database" in aws.machines.calls
    for act in (
        lambda: ec2.delete_security_group(GroupId=group),
        lambda: ec2.delete_subnet(SubnetId=subnets[0]),
        lambda: rds.delete_db_subnet_group(DBSubnetGroupName=names),
        lambda: rds.delete_db_instance(DBInstanceIdentifier=resource.id, SkipFinalSnapshot=True),
    ):
        with pytest.raises(ClientError):
            act()
    aws.provider.update(resource, state, inputs, inputs | {"deletionProtection": False})
    with pytest.raises(ClientError, match="FinalDBSnapshotIdentifier"):
        rds.delete_db_instance(DBInstanceIdentifier=resource.id)


def test_a_repository_with_images_stays_unless_forced(aws: Aws) -> None:
    resource, inputs, state = aws.make("aws:ecr/repository:Repository")
    aws.machines.repository = ["latest"]
    with pytest.raises(ProviderError, match="RepositoryNotEmptyException"):
        aws.provider.delete(resource, inputs, state)
    aws.provider.delete(resource, inputs | {"forceDelete": True}, state)
    assert "delete_repository" in aws.machines.calls
    aws.made.clear()


def test_injected_throttling_is_waited_out_and_an_outage_is_reported(aws: Aws) -> None:
    aws.post("/embedded/faults", {"operation": "ec2:CreateVpc", "code": "RequestLimitExceeded", "count": 1})
    aws.make("aws:ec2/vpc:Vpc", cidrBlock="10.0.0.0/16")
    aws.post("/embedded/faults", {"operation": "ec2:CreateVpc", "code": "InvalidRequest", "count": 1})
    with pytest.raises(ProviderError, match="CreateVpc: InvalidRequest"):
        aws.make("aws:ec2/vpc:Vpc", cidrBlock="10.1.0.0/16")


def test_a_token_lets_in_those_with_an_access_entry_and_nobody_else(aws: Aws) -> None:
    _, subnets, _ = aws.network()
    cluster = aws.cluster(subnets)

    def review(token: str) -> Any:
        return aws.post("/kubernetes/token", {"apiVersion": "authentication.k8s.io/v1", "spec": {"token": token}})["status"]

    token = get_cluster_auth(aws.client, aws.cloud, {"name": cluster})["token"]
    assert review(token)["user"]["groups"] == ["system:masters"], "the creator of a cluster is its administrator"
    assert not review(get_cluster_auth(aws.client, aws.cloud, {"name": "other"})["token"])["authenticated"]
    url = base64.urlsafe_b64decode(token.removeprefix("k8s-aws-v1.") + "==").decode()
    forged = "k8s-aws-v1." + base64.urlsafe_b64encode(url[:-4].encode() + b"0000").decode().rstrip("=")
    assert not review(forged)["authenticated"]
    role = aws.role("ec2.amazonaws.com")
    session = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="jo")["Credentials"]
    keys = {"aws_access_key_id": session["AccessKeyId"], "aws_secret_access_key": session["SecretAccessKey"]}
    other = boto3.Session(region_name="us-west-2", aws_session_token=session["SessionToken"], **keys)

    def client(service: str) -> Any:
        return other.client(service, endpoint_url=aws.cloud.aws_endpoint)

    assert "no access entry" in review(get_cluster_auth(client, aws.cloud, {"name": cluster})["token"])["error"]
    aws.make("aws:eks/accessEntry:AccessEntry", clusterName=cluster, principalArn=role, kubernetesGroups=["viewers"])
    assert review(get_cluster_auth(client, aws.cloud, {"name": cluster})["token"])["user"]["groups"] == ["viewers"]


def test_aws_itself_refuses_values_its_models_do_not_list(aws: Aws) -> None:
    with pytest.raises(ClientError, match="'purple', which is not one of"):
        aws.client("efs").create_file_system(CreationToken="x", PerformanceMode="purple")
    with pytest.raises(ClientError, match="only works on AWS"):
        aws.client("eks").list_insights(clusterName="x")


def test_the_authorities_of_databases_are_published_as_amazon_does(running: Cloud) -> None:
    with urllib.request.urlopen(running.aws_endpoint + pki.TRUST_STORE_PATH, timeout=10) as answer:
        assert answer.read() == pki.ca(running)[0].read_bytes()


NODES = {"resourceType": "aws:ec2:spot-instance", "resourceTags": {"Stack": "x"}, "selectionMode": "COUNT(1)"}
TAKE = {
    "actionId": "aws:ec2:send-spot-instance-interruptions",
    "parameters": {"durationBeforeInterruption": "PT2M"},
    "targets": {"SpotInstances": "nodes"},
}


@pytest.mark.parametrize(
    ("action", "target", "conditions", "message"),
    [
        ({"actionId": "aws:ec2:stop-instances"}, {}, [], "has no action aws:ec2:stop-instances"),
        ({"parameters": {"durationBeforeInterruption": "PT1M"}}, {}, [], "from PT2M to PT15M"),
        ({"parameters": {"duration": "PT2M"}}, {}, [], "takes the parameter durationBeforeInterruption"),
        ({"targets": {"SpotInstances": "others"}}, {}, [], "needs target SpotInstances of resource type aws:ec2:spot-instance"),
        ({}, {"resourceType": "aws:ec2:instance"}, [], "needs target SpotInstances of resource type aws:ec2:spot-instance"),
        ({}, {"selectionMode": "SOME"}, [], r"ALL, COUNT\(n\) or PERCENT\(n\)"),
        ({}, {"resourceTags": {}}, [], "needs resourceArns or resourceTags"),
        ({}, {"filters": [{"path": "Placement", "values": ["x"]}]}, [], "by State.Name only"),
        (
            {},
            {},
            [{"source": "aws:cloudwatch:alarm", "value": f"arn:aws:cloudwatch:us-west-2:{ACCOUNT_ID}:alarm:none"}],
            "the ARN of an alarm that exists",
        ),
    ],
)
def test_experiments_that_aws_would_refuse_are_refused(
    aws: Aws, action: dict[str, Any], target: dict[str, Any], conditions: list[dict[str, str]], message: str
) -> None:
    wrong = {"targets": {"nodes": NODES | target}, "actions": {"take": TAKE | action}, "stopConditions": conditions or [{"source": "none"}]}
    with pytest.raises(ClientError, match=message):
        aws.client("fis").create_experiment_template(description="d", roleArn=aws.role("fis.amazonaws.com"), **wrong)


def test_an_experiment_that_finds_no_instance_fails_and_one_under_an_alarm_stops(aws: Aws) -> None:
    alarm = aws.make(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        namespace="AWS/RDS",
        metricName="DatabaseConnections",
        statistic="Maximum",
        comparisonOperator="LessThanThreshold",
        threshold=1,
        period=60,
        evaluationPeriods=2,
        dimensions={"DBInstanceIdentifier": "db"},
    )
    resource, inputs, state = aws.make(
        "aws:fis/experimentTemplate:ExperimentTemplate",
        description="d",
        roleArn=aws.role("fis.amazonaws.com"),
        stopConditions=[{"source": "aws:cloudwatch:alarm", "value": alarm[2]["arn"]}],
        actions=[
            {
                "name": "take",
                "actionId": TAKE["actionId"],
                "parameters": [{"key": "durationBeforeInterruption", "value": "PT2M"}],
                "target": {"key": "SpotInstances", "value": "nodes"},
            }
        ],
        targets=[
            {
                "name": "nodes",
                "resourceType": NODES["resourceType"],
                "selectionMode": "ALL",
                "resourceTags": [{"key": "Stack", "value": "x"}],
                "filters": [{"path": "State.Name", "values": ["running"]}],
            }
        ],
        tags={"Drill": "notice"},
    )
    assert aws.provider.read(resource, inputs, state) == (inputs, state), "what was made is read back as it was given"
    fis = aws.client("fis")
    assert fis.start_experiment(experimentTemplateId=resource.id)["experiment"]["state"]["status"] == "failed"
    aws.client("cloudwatch").set_alarm_state(AlarmName=alarm[0].id, StateValue="ALARM", StateReason="test")
    assert fis.start_experiment(experimentTemplateId=resource.id)["experiment"]["state"]["status"] == "stopped"
