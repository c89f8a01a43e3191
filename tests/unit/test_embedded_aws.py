"""The provider of the embedded AWS: its table says only what Pulumi and AWS have, and the rest is refused.

In `tests/engine` it works, on a running embedded AWS.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.core.exceptions import ServiceException

from embedded import aws_eks_versions, aws_records
from embedded.cloud import Cloud
from embedded.providers.aws import AwsProvider
from embedded.providers.aws_functions import FUNCTIONS, get_policy_document
from embedded.providers.aws_resources import TABLE
from embedded.providers.aws_table import Call, Context, Kind
from embedded.providers.aws_values import locate, observed, to_aws
from embedded.providers.server import UNKNOWN, CheckError, ProviderError, Resource

SESSION = boto3.Session(region_name="us-west-2", aws_access_key_id="embedded", aws_secret_access_key="embedded")
client = functools.cache(SESSION.client)  # to make one takes as long as a hundred calls
NOWHERE = Cloud(home=Path("/nonexistent"), index=1)


def offline(kind: Kind) -> Context:
    return Context(NOWHERE, client, kind, {})


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def pulumi_class(token: str) -> Any:
    _, path, name = token.split(":")
    return getattr(importlib.import_module(f"pulumi_aws.{path.split('/')[0]}"), name)


@pytest.mark.parametrize("token", sorted(TABLE))
def test_the_table_names_only_inputs_and_outputs_that_pulumi_has(token: str) -> None:
    kind, module = TABLE[token], pulumi_class(token)
    file = inspect.getmodule(module)  # Init: where a part of another resource has the name already
    given = getattr(file, f"{module.__name__}InitArgs", None) or getattr(file, f"{module.__name__}Args")
    arguments = inspect.signature(given.__init__).parameters
    inputs = {camel(name) for name in arguments if not name.startswith("__")}
    assert kind.inputs.keys() <= inputs, "an input that no program can give"
    required = {camel(name) for name, part in arguments.items() if not name.startswith("__") and part.default is inspect.Parameter.empty}
    assert required <= {name for name, rule in kind.inputs.items() if rule.required}, "what Pulumi requires is required here"
    properties = {camel(name) for name, part in inspect.getmembers(module) if isinstance(part, property)}
    assert {*kind.outputs, *kind.moving} <= properties, "an output that no program can read"
    assert bool(kind.tags) == ("tags" in inputs), "a type is taggable here when it is in Pulumi"


@pytest.mark.parametrize("token", sorted(TABLE))
def test_the_table_names_only_operations_and_parameters_that_aws_has(token: str) -> None:
    kind = TABLE[token]
    context = offline(kind)
    calls = [part for part in (kind.create, kind.read, kind.update, kind.delete) if isinstance(part, Call)]
    calls += [call for call, _, _ in kind.more] + [call for rule in kind.inputs.values() for call in rule.sets + rule.unsets]
    calls += [kind.tags.add, kind.tags.remove] if kind.tags else []
    for call in calls:
        model = client(call.service or kind.service).meta.service_model.operation_model(call.operation)
        known = model.input_shape.members if model.input_shape else {}
        assert call.params.keys() <= set(known), call
    operation = kind.create.operation if isinstance(kind.create, Call) else kind.validate
    for name, rule in kind.inputs.items():
        if rule.param:
            locate(context.shape(operation), name, rule.param)
            if rule.on_change == "update" and isinstance(kind.update, Call):
                locate(context.shape(kind.update.operation), name, rule.update_param or rule.param.split(".")[-1])


def checked(token: str, **inputs: Any) -> dict[str, Any]:
    return AwsProvider(NOWHERE).check(Resource(type=token, name="it", urn="u", seed=b"\x01" * 32), {}, inputs)


@pytest.mark.parametrize(
    ("token", "inputs", "named"),
    [
        ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16", "ipv4IpamPoolId": "x"}, "ipv4IpamPoolId"),
        ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16", "instanceTenancy": "weird"}, "'weird' is not one of default, dedicated, host"),
        ("aws:ec2/vpc:Vpc", {}, "cidrBlock"),
        ("aws:ec2/eip:Eip", {"region": "eu-west-1"}, "us-west-2"),
        ("aws:efs/fileSystem:FileSystem", {"lifecyclePolicies": [{"transitionToIa": "NEVER"}]}, "'NEVER' is not one of"),
        ("aws:eks/cluster:Cluster", {"roleArn": "r", "vpcConfig": {"subnetIds": ["s"], "colour": 1}}, "vpcConfig.colour"),
        ("aws:rds/instance:Instance", {"instanceClass": "db.t4g.small", "allocatedStorage": "much"}, "allocatedStorage"),
    ],
)
def test_what_aws_or_the_table_does_not_know_is_refused_by_name(token: str, inputs: dict[str, Any], named: str) -> None:
    with pytest.raises(CheckError, match=named.replace("[", r"\[")):
        checked(token, **inputs)


def test_unknown_types_functions_and_options_are_refused_by_name() -> None:
    with pytest.raises(ProviderError, match="aws:sqs/queue:Queue"):
        checked("aws:sqs/queue:Queue")
    with pytest.raises(ProviderError, match="getBucket"):
        AwsProvider(NOWHERE).invoke("aws:s3/getBucket:getBucket", {})
    with pytest.raises(CheckError, match="assumeRoles"):
        AwsProvider(NOWHERE).check_config({"assumeRoles": "[]"})
    with pytest.raises(CheckError, match="us-west-2"):
        AwsProvider(NOWHERE).check_config({"region": "eu-west-1"})
    with pytest.raises(CheckError, match="colour"):
        AwsProvider(NOWHERE).invoke(next(iter(FUNCTIONS)), {"colour": "red"})


def test_a_preview_accepts_values_that_are_not_known_yet() -> None:
    inputs = checked("aws:ec2/subnet:Subnet", vpcId=UNKNOWN, cidrBlock="10.0.0.0/24", tags={"Name": UNKNOWN})
    id, outputs = AwsProvider(NOWHERE).create(Resource(type="aws:ec2/subnet:Subnet", name="it", urn="u", preview=True), inputs)
    assert not id
    assert outputs["arn"] is UNKNOWN
    assert outputs["cidrBlock"] == "10.0.0.0/24"


def test_names_are_made_once_and_default_tags_are_merged() -> None:
    provider = AwsProvider(NOWHERE)
    provider.configure({"defaultTags": json.dumps({"tags": {"stack": "dev", "tier": "default"}})})
    resource = Resource(type="aws:ecr/repository:Repository", name="Airflow", urn="u", seed=b"\xab" * 32)
    first = provider.check(resource, {}, {"tags": {"tier": "own"}})
    assert first["name"] == "airflow-abababa"
    assert first["tagsAll"] == {"stack": "dev", "tier": "own"}
    again = Resource(type=resource.type, name="Airflow", urn="u", seed=b"\xcd" * 32)
    assert provider.check(again, first, {"tags": {"tier": "own"}})["name"] == first["name"], "a second run must not rename"


def test_a_replacement_with_a_fixed_name_deletes_first() -> None:
    provider, resource = AwsProvider(NOWHERE), Resource(type="aws:ecr/repository:Repository", name="it", urn="u")
    old = {"name": "images", "encryptionConfigurations": [{"encryptionType": "AES256"}]}
    new = {"name": "images", "encryptionConfigurations": [{"encryptionType": "KMS"}]}
    diff = provider.diff(resource, {}, old, new)
    assert diff.replaces
    assert diff.delete_before_replace, "two repositories of one name cannot exist"
    assert not provider.diff(resource, {}, old, new | {"__defaults": ["name"]}).delete_before_replace


def test_documents_that_say_the_same_are_no_change() -> None:
    resource = Resource(type="aws:iam/rolePolicy:RolePolicy", name="it", urn="u")
    old, new = ({"role": "r", "policy": text} for text in ('{"a": [1]}', '{ "a":[1] }'))
    assert not AwsProvider(NOWHERE).diff(resource, {}, old, new).changes


def test_values_survive_the_way_to_aws_and_back() -> None:
    shape = offline(TABLE["aws:ec2/launchTemplate:LaunchTemplate"]).shape("CreateLaunchTemplate").members["LaunchTemplateData"]
    given = {
        "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true", "volumeSize": 50.0}}],
        "tagSpecifications": [{"resourceType": "instance", "tags": {"team": "data"}}],
    }
    sent = to_aws(given, shape, {}, "data")
    assert sent["BlockDeviceMappings"] == [{"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "VolumeSize": 50}}]
    assert sent["TagSpecifications"] == [{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "data"}]}]
    assert observed(given, sent, {}) == given, "read back unchanged, in the program's own words"
    sent["TagSpecifications"][0]["Tags"][0]["Value"] = "ops"
    assert observed(given, sent, {}) != given, "a foreign change is seen"


def test_a_policy_document_is_rendered_as_the_real_provider_does() -> None:
    statement = {
        "actions": ["s3:GetObject"],
        "resources": ["*"],
        "principals": [{"type": "Service", "identifiers": ["ec2.amazonaws.com"]}],
        "conditions": [{"test": "Bool", "variable": "aws:SecureTransport", "values": ["true"]}],
    }
    document = json.loads(get_policy_document(client, NOWHERE, {"statements": [statement]})["json"])
    assert document["Version"] == "2012-10-17"
    assert document["Statement"] == [
        {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": "*",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Condition": {"Bool": {"aws:SecureTransport": "true"}},
        }
    ]


def test_a_finished_update_is_forgotten_once_it_is_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_records, "UPDATE_SECONDS", 0)
    cluster: dict[str, Any] = {"status": "ACTIVE", "version": "1.35", "running": [], "updates": {}}
    monkeypatch.setitem(aws_records.clusters, "airflow", cluster)
    aws_records.started_update(cluster, cluster, "VersionUpdate", {"version": "1.36"}, {"version": "1.36"})
    assert cluster["status"] == "UPDATING"
    aws_records.cluster_of("airflow")
    assert (cluster["status"], cluster["version"], cluster["running"]) == ("ACTIVE", "1.36", [])
    assert [update["status"] for update in cluster["updates"].values()] == ["Successful"]


def test_a_control_plane_does_not_leave_its_nodes_too_far_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_eks_versions, "VERSIONS", ("1.32", "1.33", "1.34", "1.35", "1.36"))
    aws_eks_versions.check_cluster_step("1.34", "1.35", [{"nodegroupName": "old", "version": "1.32"}])
    with pytest.raises(ServiceException, match=r"old would be more than 3 minor versions older than 1\.36"):
        aws_eks_versions.check_cluster_step("1.35", "1.36", [{"nodegroupName": "old", "version": "1.32"}])
