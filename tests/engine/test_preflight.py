"""What the account lacks is found before anything is created: every shortfall is made in the embedded AWS, and the preflight asks it."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pulumi import automation as auto

from components import preflight
from components.preflight_plan import Wanted, wanted
from components.preflight_rules import SPOT_ROLE, NotAsked, judge
from components.settings import Settings
from embedded.cloud import ACCOUNT_ID, PROJECT
from operations import preflight as command
from operations.stack_file import parsed_file
from tests.engine.conftest import Engine

SETTINGS = Settings(**parsed_file(PROJECT, "dev")[0])
DEV = wanted(SETTINGS)
TRUST = json.dumps({"Statement": [{"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
Undo = Callable[[], Any]


@pytest.fixture(autouse=True)
def _shell(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A shell that is logged in to the embedded AWS, and an account that is left as it was found."""
    for name, value in engine.cloud.aws_environment.items():
        monkeypatch.setenv(name, value)
    yield
    fault(engine, {})
    assert engine.inventory() == {}


def fault(engine: Engine, what: dict[str, Any]) -> None:
    body = json.dumps(what).encode()
    urllib.request.urlopen(urllib.request.Request(f"{engine.cloud.aws_endpoint}/embedded/faults", body), timeout=10).close()


def found(plan: Wanted) -> list[str]:
    return [str(finding) for finding in judge(plan, preflight.read(plan))]


def test_a_new_account_with_the_usual_quotas_has_room_for_dev() -> None:
    preflight.read(DEV)
    began = time.monotonic()
    report = preflight.ask(SETTINGS)
    seconds = time.monotonic() - began
    assert report.findings == ()
    assert report.answers.quotas == {"ec2/L-1216C47A": 256, "ec2/L-34B43A08": 256, "ec2/L-0263D0A3": 5, "vpc/L-F678F1CE": 5}
    assert not [value for value in vars(report.answers).values() if isinstance(value, NotAsked)]
    print(f"asked in {seconds:.1f} s")
    assert seconds < 10, "it is asked before every deployment; a second or two when nothing else runs"


def instances(engine: Engine, **options: Any) -> Undo:
    ec2 = engine.client("ec2")
    subnet = network(engine)
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    launched = ec2.run_instances(ImageId=image, InstanceType="m5.24xlarge", MinCount=3, MaxCount=3, SubnetId=subnet.id, **options)
    ids = [instance["InstanceId"] for instance in launched["Instances"]]
    interfaces = [item["NetworkInterfaceId"] for instance in launched["Instances"] for item in instance["NetworkInterfaces"]]

    def undo() -> None:
        ec2.terminate_instances(InstanceIds=ids)
        for interface in interfaces:
            ec2.delete_network_interface(NetworkInterfaceId=interface)
        subnet()

    return undo


def spot_instances(engine: Engine) -> Undo:
    return instances(engine, InstanceMarketOptions={"MarketType": "spot"})


class network:
    """A VPC of somebody else's, with subnets in two zones."""

    def __init__(self, engine: Engine) -> None:
        self.ec2 = engine.client("ec2")
        self.vpc = self.ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
        ranges = (("us-west-2a", "10.99.0.0/24"), ("us-west-2b", "10.99.1.0/24"))
        made = [self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=cidr, AvailabilityZone=zone) for zone, cidr in ranges]
        self.ids = [answer["Subnet"]["SubnetId"] for answer in made]
        self.id = self.ids[0]

    def __call__(self) -> None:
        for subnet in self.ids:
            self.ec2.delete_subnet(SubnetId=subnet)
        self.ec2.delete_vpc(VpcId=self.vpc)


def addresses(engine: Engine) -> Undo:
    ec2 = engine.client("ec2")
    ids = [ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(5)]
    return lambda: [ec2.release_address(AllocationId=id) for id in ids]


def vpcs(engine: Engine) -> Undo:
    made = [network(engine) for _ in range(5)]
    return lambda: [one() for one in made]


def without_spot_role(engine: Engine) -> Undo:
    iam = engine.client("iam")
    iam.delete_service_linked_role(RoleName=SPOT_ROLE)
    return lambda: iam.create_service_linked_role(AWSServiceName="spot.amazonaws.com")


def cluster(engine: Engine, name: str = DEV.cluster, tags: dict[str, str] | None = None, version: str = "1.35") -> Undo:
    iam, eks, net = engine.client("iam"), engine.client("eks"), network(engine)
    role = iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    where = {"subnetIds": net.ids}
    eks.create_cluster(name=name, version=version, roleArn=role, resourcesVpcConfig=where, tags=tags or {"Stack": "theirs"})

    def undo() -> None:
        eks.delete_cluster(name=name)
        iam.delete_role(RoleName="theirs")
        net()

    return undo


def database(engine: Engine) -> Undo:
    rds, net = engine.client("rds"), network(engine)
    group = net.ec2.create_security_group(GroupName="theirs", Description="theirs", VpcId=net.vpc)["GroupId"]
    rds.create_db_subnet_group(DBSubnetGroupName="theirs", DBSubnetGroupDescription="theirs", SubnetIds=net.ids)
    rds.create_db_instance(
        DBInstanceIdentifier=DEV.database,
        Engine="postgres",
        DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20,
        MasterUsername="theirs",
        MasterUserPassword="long-enough",
        DBSubnetGroupName="theirs",
        VpcSecurityGroupIds=[group],
    )

    def undo() -> None:
        rds.delete_db_instance(DBInstanceIdentifier=DEV.database, SkipFinalSnapshot=True)
        rds.delete_db_subnet_group(DBSubnetGroupName="theirs")
        net.ec2.delete_security_group(GroupId=group)
        net()

    return undo


def repository(engine: Engine) -> Undo:
    ecr = engine.client("ecr")
    ecr.create_repository(
        repositoryName=str(DEV.repository), tags=[{"Key": "Project", "Value": "airflow-on-eks"}, {"Key": "Stack", "Value": "prod"}]
    )
    return lambda: ecr.delete_repository(repositoryName=str(DEV.repository))


OTHERS: dict[Callable[[Engine], Undo], str] = {
    instances: "shortfall: Running On-Demand Standard instances (vCPUs): 8 planned at most and 288 in use by others, the quota is 256",
    spot_instances: "shortfall: All Standard Spot Instance Requests (vCPUs): 8 planned at most and 288 in use by others, the quota is 256",
    addresses: "shortfall: EC2-VPC Elastic IPs: 1 for NAT gateways and 5 in use by others, the quota is 5",
    vpcs: "shortfall: VPCs per Region: 9 exist, the quota is 5",
    without_spot_role: "note: the account has no role AWSServiceRoleForEC2Spot",
    cluster: "shortfall: cluster.name airflow-dev: EKS cluster of that name exists and is not of stack dev",
    database: "shortfall: database.identifier airflow-postgres: database of that name exists",
    repository: "shortfall: image.repository airflow-eks-demo: ECR repository of that name exists",
}
"""What others do in the account, and what is said of it."""


def test_what_others_have_is_found_all_together(engine: Engine) -> None:
    with ExitStack() as after:
        for inject in OTHERS:
            after.callback(inject(engine))
        texts = found(DEV)
    assert len(texts) == len(OTHERS), texts
    for words in OTHERS.values():
        assert [text for text in texts if words in text], (words, texts)
    assert found(DEV) == []


GROUPS = {
    "m5.lagre": "core.instanceTypes: us-west-2 has no m5.lagre",
    "a1.large": "core.instanceTypes: zone us-west-2d offers none of a1.large",
}
IN_VAIN: dict[str, tuple[Any, list[str]]] = {
    "zones": (("us-west-2d", "us-west-2e"), ["this account cannot use us-west-2e of us-west-2"]),
    "groups": (tuple(replace(DEV.groups[0], instance_types=(name,)) for name in GROUPS), list(GROUPS.values())),
    "kubernetes_version": ("1.29", ["cluster.kubernetesVersion 1.29 is not offered by EKS"]),
    "engine_version": ("12", ["database.engineVersion 12 is not offered by RDS in us-west-2: take one of 18, 17, 16"]),
    "certificate_arn": (f"arn:aws:acm:us-west-2:{ACCOUNT_ID}:certificate/none", ["does not exist in this account and region us-west-2"]),
    "principals": ((f"arn:aws:iam::{ACCOUNT_ID}:role/team/none",), ["role/team/none does not exist, and EKS refuses to admit it"]),
    "image": (
        f"{ACCOUNT_ID}.dkr.ecr.us-west-2.amazonaws.com/none@sha256:{'a' * 64}",
        ["repository none of account 123456789012 has no image"],
    ),
}
"""Field of the plan to a value that AWS cannot serve, and what is said of it."""


def test_what_the_stack_asks_for_in_vain_is_found_all_together() -> None:
    texts = found(replace(DEV, **{name: value for name, (value, _) in IN_VAIN.items()}))
    wanted = [words for _, several in IN_VAIN.values() for words in several]
    assert len(texts) == len(wanted), texts
    for words in wanted:
        assert [text for text in texts if words in text and text.startswith("shortfall: ")], (words, texts)


def test_a_type_that_is_not_sold_as_spot_is_found() -> None:
    [core, spot] = DEV.groups
    texts = found(replace(DEV, groups=(core, replace(spot, instance_types=("m5.large", "t2.nano")))))
    assert texts == ["shortfall: workers.groups[0].instanceTypes: t2.nano is sold On-Demand only in us-west-2: take another type"]


def test_a_class_and_an_add_on_that_do_not_exist_are_found() -> None:
    texts = found(replace(DEV, instance_class="db.m1.small", add_ons=("vpc-cni", "flux")))
    assert len(texts) == 2
    assert "EKS has no version of add-on flux for Kubernetes 1.35" in texts[0]
    assert "database.instanceClass db.m1.small cannot be ordered with PostgreSQL 17" in texts[1]


def test_credentials_of_another_account_are_refused() -> None:
    [text] = found(replace(DEV, account="222233334444"))
    assert f"the credentials are of account {ACCOUNT_ID} (arn:aws:iam::{ACCOUNT_ID}:user/embedded)" in text


def test_a_certificate_that_waits_for_its_proof_is_found(engine: Engine) -> None:
    acm = engine.client("acm")
    arn = acm.request_certificate(DomainName="airflow.example.com")["CertificateArn"]
    status = acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"]
    [text] = found(replace(DEV, certificate_arn=arn))
    acm.delete_certificate(CertificateArn=arn)
    assert status == "PENDING_VALIDATION"
    assert f"web.certificateArn {arn} is PENDING_VALIDATION" in text


def test_b2_a_network_that_is_not_as_it_is_named_is_found(engine: Engine) -> None:
    net = network(engine)
    own = replace(DEV, zones=(), elastic_ips=0, vpc=net.vpc, subnets={"network.privateSubnetIds": tuple(net.ids)})
    assert found(own) == []
    wrong = replace(own, vpc="vpc-0123456789abcdef0", subnets={"network.privateSubnetIds": (*net.ids, "subnet-0123456789abcdef0")})
    texts = found(wrong)
    net()
    assert len(texts) == 2
    assert "subnet-0123456789abcdef0 does not exist" in texts[0]
    assert f"there are subnets of {net.vpc}, and network.vpcId is vpc-0123456789abcdef0" in texts[1]


FORBIDDEN = {
    "service-quotas:GetServiceQuota": "vCPUs against their quotas",
    "ec2:DescribeInstances": "vCPUs against their quotas",
    "ec2:DescribeAddresses": "Elastic IPs against their quota",
    "ec2:DescribeVpcs": "VPCs against their quota",
    "ec2:DescribeAvailabilityZones": "availability zones",
    "ec2:DescribeInstanceTypeOfferings": "instance types offered in each zone",
    "iam:GetRole": "the service-linked role of Spot",
    "eks:DescribeClusterVersions": "the Kubernetes version",
    "eks:DescribeAddonVersions": "versions of the add-ons",
    "rds:DescribeOrderableDBInstanceOptions": "the database's version and class",
    "eks:DescribeCluster": "whose the names are",
}


def test_what_may_not_be_asked_is_said_and_nothing_is_passed_silently(engine: Engine) -> None:
    for operation in FORBIDDEN:
        fault(engine, {"operation": operation, "code": "AccessDeniedException", "message": "not authorized", "count": 9})
    texts = found(DEV)
    for operation, what in FORBIDDEN.items():
        refused = f"{operation.partition(':')[2]}: AccessDeniedException: not authorized"
        assert [text for text in texts if text.startswith(f"not asked: {what}: ") and refused in text], (operation, texts)
    assert all(text.startswith("not asked: ") for text in texts)


def test_expired_credentials_are_the_only_thing_said(engine: Engine) -> None:
    fault(engine, {"operation": "sts:GetCallerIdentity", "code": "ExpiredToken", "message": "The security token is expired", "count": 9})
    [text] = found(DEV)
    assert "AWS accepts no credentials here (GetCallerIdentity: ExpiredToken" in text


def test_the_command_lists_every_shortfall_and_fails(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--stack", "dev"]) == 0
    assert "0 shortfall, 0 note, 0 not asked" in capsys.readouterr().out
    undo = [addresses(engine), repository(engine)]
    assert command.main(["--stack", "dev"]) == 1
    text = capsys.readouterr().out
    assert "shortfall: EC2-VPC Elastic IPs" in text
    assert "shortfall: image.repository airflow-eks-demo" in text
    assert "2 shortfall, 0 note, 0 not asked" in text
    for one in undo:
        one()


def test_an_up_stops_at_a_shortfall_before_anything_is_created(engine: Engine) -> None:
    undo = addresses(engine)
    before = engine.inventory()
    stack = engine.stack("local")
    with pytest.raises(auto.CommandError, match="nothing was created; put these right, or set preflight to warn"):
        stack.up(suppress_progress=True)
    assert engine.inventory() == before
    assert not stack.outputs()
    stack.workspace.remove_stack("local", force=True)
    undo()


def test_b14_an_up_that_would_skip_a_kubernetes_version_is_refused_by_the_program_and_by_eks(engine: Engine) -> None:
    undo = cluster(engine, "airflow-local", {"Project": "airflow-on-eks", "Stack": "local"}, version="1.34")
    stack = engine.stack("local", settings={"airflow-on-eks:cluster": {"kubernetesVersion": "1.36"}})
    with pytest.raises(auto.CommandError, match=r"1\.36: the cluster runs 1\.34, and EKS skips no minor version: deploy 1\.35 first"):
        stack.up(suppress_progress=True)
    with pytest.raises(ClientError, match=r"Unsupported Kubernetes minor version update from 1\.34 to 1\.36"):
        engine.client("eks").update_cluster_version(name="airflow-local", version="1.36")
    stack.workspace.remove_stack("local", force=True)
    undo()
