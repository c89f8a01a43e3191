"""What an account already has instead of what the stack would make: network, key, permissions boundary, image, name (rows B2, B3, B14)."""

from __future__ import annotations

import pulumi_aws as aws

from policies.check import examine
from tests.engine.conftest import IMAGE, Engine
from tests.engine.test_plan_review import planned

KEY = "arn:aws:kms:us-west-2:123456789012:key/11111111-2222-4333-8444-555555555555"
BOUNDARY = "arn:aws:iam::123456789012:policy/platform/boundary"
FOREIGN = IMAGE.replace("123456789012.dkr.ecr.us-west-2", "999999999999.dkr.ecr.eu-west-1")
SUBNETS = [f"subnet-0123456789abcde{number}" for number in range(5)]
NETWORK = {"vpcId": "vpc-0123456789abcdef0", "privateSubnetIds": SUBNETS[:3], "publicSubnetIds": SUBNETS[3:]}
OWN = {
    "airflow-on-eks:network": NETWORK,
    "airflow-on-eks:encryption": {"kmsKeyArn": KEY},
    "airflow-on-eks:iam": {"permissionsBoundaryArn": BOUNDARY},
    "airflow-on-eks:image": {"digest": FOREIGN},
    "airflow-on-eks:web": {"domainName": "airflow.example.com", "hostedZoneId": "Z0123456789ABC"},
}


def test_b2_b3_a_network_a_key_a_boundary_and_an_image_of_somebody_elses(engine: Engine) -> None:
    plan = planned(engine, "prod", OWN).resources
    made = {resource.type for resource in plan}
    assert not {kind for kind in made if kind.startswith("aws:ec2/") and "ecurityGroup" not in kind} - {
        "aws:ec2/launchTemplate:LaunchTemplate"
    }
    groups = [resource.inputs for resource in plan if resource.type == "aws:eks/nodeGroup:NodeGroup"]
    assert [sorted(group["subnetIds"]) for group in groups] == [SUBNETS[:3]] * len(groups)
    targets = {resource.inputs["subnetId"] for resource in plan if resource.type == "aws:efs/mountTarget:MountTarget"}
    assert targets == set(SUBNETS[:3]), "nodes of each subnet can mount"
    firewalls = {resource.inputs["vpcId"] for resource in plan if resource.type == "aws:ec2/securityGroup:SecurityGroup"}
    assert firewalls == {NETWORK["vpcId"]}

    roles = {resource.name: resource.inputs.get("permissionsBoundary") for resource in plan if resource.type == "aws:iam/role:Role"}
    assert "airflow-eksRole-role" in roles, "the role that pulumi-eks makes"
    assert len(roles) >= 6
    assert set(roles.values()) == {BOUNDARY}

    types = {resource.type for resource in plan}
    assert "aws:kms/key:Key" not in types
    used = {resource.inputs[key] for resource in plan for key in ("kmsKeyId", "performanceInsightsKmsKeyId") if resource.inputs.get(key)}
    assert used == {KEY}, "for database, files and logs alike"
    (cluster,) = (resource for resource in plan if resource.type == "aws:eks/cluster:Cluster")
    assert cluster.inputs["encryptionConfig"]["provider"]["keyArn"] == KEY

    assert not types & {"aws:ecr/repository:Repository", "docker-build:index:Image"}, "nothing is built and no repository made"
    images = {
        container["image"]
        for resource in plan
        if resource.type == "kubernetes:apps/v1:Deployment"
        for container in resource.inputs["spec"]["template"]["spec"]["containers"]
    }
    assert FOREIGN in images
    (name,) = (resource.inputs for resource in plan if resource.type == "aws:route53/record:Record")
    assert (name["zoneId"], name["name"]) == ("Z0123456789ABC", "airflow.example.com")
    (config,) = (resource.inputs["data"] for resource in plan if resource.name == "airflow-config")
    assert config["AIRFLOW__API__BASE_URL"] == "https://airflow.example.com"

    assert [str(finding) for finding in examine(plan, environment="prod").findings] == []


def test_the_record_of_the_name_is_made_changed_and_removed_in_a_zone_of_somebody_elses(engine: Engine) -> None:
    route53 = engine.client("route53")
    zone = route53.create_hosted_zone(Name="example.com", CallerReference="theirs")["HostedZone"]["Id"].rpartition("/")[2]
    target = "first.elb.us-west-2.amazonaws.com"

    def program() -> None:
        aws.route53.Record("name", zone_id=zone, name="airflow.example.com", type="CNAME", ttl=60, records=[target])

    def listed() -> list[str]:
        sets = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        return [value["Value"] for item in sets if item["Type"] == "CNAME" for value in item["ResourceRecords"]]

    stack = engine.stack("dev", program=program)
    try:
        stack.up(suppress_progress=True)
        assert listed() == [target]
        assert set(stack.refresh(suppress_progress=True).summary.resource_changes or {}) == {"same"}
        target = "second.elb.us-west-2.amazonaws.com"
        stack.up(suppress_progress=True)
        assert listed() == [target]
    finally:
        stack.destroy(suppress_progress=True)
    assert listed() == []
    route53.delete_hosted_zone(Id=zone)
