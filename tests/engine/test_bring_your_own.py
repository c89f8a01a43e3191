"""What an account already has instead of what the stack would make: key, permissions boundary, image (rows B3, B14)."""

from __future__ import annotations

from policies.check import examine
from tests.engine.conftest import IMAGE, Engine
from tests.engine.test_plan_review import planned

KEY = "arn:aws:kms:us-west-2:123456789012:key/11111111-2222-4333-8444-555555555555"
BOUNDARY = "arn:aws:iam::123456789012:policy/platform/boundary"
FOREIGN = IMAGE.replace("123456789012.dkr.ecr.us-west-2", "999999999999.dkr.ecr.eu-west-1")
OWN = {
    "airflow-on-eks:encryption": {"kmsKeyArn": KEY},
    "airflow-on-eks:iam": {"permissionsBoundaryArn": BOUNDARY},
    "airflow-on-eks:image": {"digest": FOREIGN},
}


def test_a_key_a_boundary_and_an_image_of_somebody_elses(engine: Engine) -> None:
    plan = planned(engine, "prod", OWN).resources
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
    assert [str(finding) for finding in examine(plan, environment="prod").findings] == []
