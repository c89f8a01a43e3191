"""Settings: what is read, what is refused and what the user is told. Whether the engine merges defaults as assumed is the engine tier's."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from typing import Any

import pulumi
import pytest
import yaml

from components import settings_parser, settings_rules, settings_rules_operations
from components.settings import Settings, SettingsError
from tests.conftest import PROJECT, run_program, shipped_config

GROUP = {"name": "ng-spot1", "instanceTypes": ["m5.large", "m4.large", "m5a.large"], "minSize": 1, "desiredSize": 2, "maxSize": 4}
PRODUCTION = {
    "environment": "prod",
    "network.natGateways": "per-zone",
    "network.logRetentionDays": 365,
    "cluster.endpointPublic": False,
    "cluster.publicAccessCidrs": [],
    "cluster.logRetentionDays": 365,
    "database.multiAz": True,
    "database.deletionProtection": True,
    "database.finalSnapshot": True,
    "database.backupRetentionDays": 7,
    "database.logRetentionDays": 365,
    "storage.backups": True,
    "airflow.replicas.apiServer": 2,
    "airflow.replicas.scheduler": 2,
    "hibernation.allowed": False,
}


def load(
    changes: Mapping[str, Any] | None = None, *, stack: str = "dev", name: str | None = None, literal: Mapping[str, str] | None = None
) -> Settings:
    """The settings of a shipped stack with changes; `literal` keys are as `pulumi config set web.port 1` writes them."""
    region = (changes or {}).get("aws:region")
    config = {**shipped_config(stack, changes), **({} if region is None else {"aws:region": region}), **(literal or {})}
    engine = run_program(lambda: Settings.load(pulumi.Config()), stack=name or stack, preview=True, config=config)
    assert isinstance(engine.component, Settings)
    return engine.component


def refusal(changes: Mapping[str, Any], **more: Any) -> str:
    """The message with which changed settings are refused."""
    with pytest.raises(SettingsError) as caught:
        load(changes, **more)
    return str(caught.value)


def group(**changes: Any) -> dict[str, Any]:
    """One worker group, changed."""
    return {"workers.groups": [{**GROUP, **changes}]}


def test_an_airflow_whose_signals_were_not_tested_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """A20."""
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warnings.append)
    load({"airflow.version": "3.4.0", "image.base": "apache/airflow:3.4.0"})
    assert [text for text in warnings if "how workers of Airflow 3.4 take SIGTERM was not tested" in text]


def test_pulumi_yaml_declares_exactly_the_settings_that_are_read() -> None:
    declared = set(yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"])
    assert declared == set(settings_parser.keys(Settings)) - {"region", "stack"}


def test_every_declared_setting_says_what_it_is_for() -> None:
    for key, declaration in yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"].items():
        assert {"type", "description", "default"} <= declaration.keys(), key
        assert ("items" in declaration) is (declaration["type"] == "array"), f"{key}: the engine wants items for arrays only"


@pytest.mark.parametrize("stack", ["local", "dev"])
def test_the_shipped_stack_files_are_accepted(stack: str) -> None:
    settings = load(stack=stack)
    assert settings.cluster.name == f"airflow-{stack}"
    assert settings.region == "us-west-2"


def test_defaults_are_those_of_the_lab() -> None:
    settings = load()
    (spot,) = settings.workers.groups
    assert (spot.name, spot.min_size, spot.desired_size, spot.max_size) == ("ng-spot1", 1, 2, 4)
    assert spot.instance_types == ("m5.large", "m4.large", "m5a.large")
    assert (settings.core.min_size, settings.core.desired_size, settings.core.max_size) == (2, 2, 4)
    assert settings.database.identifier == "airflow-postgres"
    assert settings.image.repository == "airflow-eks-demo"
    assert (settings.airflow.admin_user, settings.web.port) == ("eksuser", 8080)
    assert settings.network.availability_zones == ("us-west-2a", "us-west-2b", "us-west-2c")


def test_an_empty_text_means_not_given() -> None:
    settings = load()
    assert (settings.network.vpc_id, settings.web.certificate_arn, settings.image.digest) == (None, None, None)


def test_numbers_that_the_engine_made_of_texts_are_texts_again() -> None:
    assert load().database.engine_version == "17"
    assert load({"tags": {"Room": 7, "Shared": True}}).tags == {"Room": "7", "Shared": "true"}
    assert load({"airflow.workerCpu": 1}).airflow.worker_cpu == "1"


def test_settings_cannot_be_changed_once_loaded() -> None:
    with pytest.raises(FrozenInstanceError):
        load().web.port = 1  # type: ignore[misc]


def test_a_key_set_by_name_wins_over_the_section_and_is_typed() -> None:
    settings = load(literal={"airflow-on-eks:web.port": "9090", "airflow-on-eks:autoscaler.enabled": "false"})
    assert settings.web.port == 9090
    assert settings.autoscaler.enabled is False
    assert settings.web.allowed_cidrs == (), "the section's other settings stay"


def test_both_spellings_of_a_taint_effect_are_accepted() -> None:
    assert load({"workers.taintEffect": "NoExecute"}).workers.taint_effect == "NO_EXECUTE"
    assert load({"workers.taintEffect": "NO_SCHEDULE"}).workers.taint_effect == "NO_SCHEDULE"


def test_all_errors_are_listed_at_once() -> None:
    message = refusal({"web.prot": 1, "database.allocatedStorageGib": 5, "airflow.taskRetries": 0, **group(maxSize="4")})
    assert message.startswith("4 setting(s) of stack dev to correct; nothing was deployed:")
    for setting in ("web.prot", "database.allocatedStorageGib", "airflow.taskRetries", "workers.groups[0].maxSize"):
        assert setting in message


def test_an_error_is_reported_without_a_traceback_and_is_a_value_error() -> None:
    assert issubclass(SettingsError, pulumi.RunError)
    assert issubclass(SettingsError, ValueError)


SHAPES = {
    "an unknown setting": ({"web.prot": 1}, "web.prot: unknown setting; did you mean port?"),
    "an unknown section": ({"wrokers.groups": []}, "wrokers: unknown section; did you mean workers?"),
    "an unknown setting of a group": (group(maxSzie=3), "workers.groups[0].maxSzie: unknown setting; did you mean maxSize?"),
    "a missing setting of a group": ({"workers.groups": [{"name": "ng-a"}]}, "workers.groups[0].instanceTypes: is missing"),
    "a password": ({"database.password": "hunter2"}, "database.password: is no setting; passwords and keys are generated"),
    "a text for a number": (group(maxSize="4"), "workers.groups[0].maxSize = '4': must be an integer, got a text"),
    "a truth for a number": (group(maxSize=True), "must be an integer, got True"),
    "a fraction for a number": ({"web.port": 80.5}, "must be an integer, got 80.5"),
    "no number": (group(maxSize=float("nan")), "must be an integer, got nan"),
    "a number for a truth": ({"database.multiAz": 1}, "must be true or false, got 1"),
    "a text for a truth": ({"cluster.containerInsights": "yes"}, "cluster.containerInsights = 'yes': must be true or false"),
    "a text for another truth": ({"workers.awaitEfsDriver": "no"}, "workers.awaitEfsDriver = 'no': must be true or false"),
    "an empty text": ({"cluster.name": ""}, "cluster.name = '': must not be empty"),
    "a text for a list": ({"web.allowedCidrs": "10.0.0.0/8"}, "web.allowedCidrs = '10.0.0.0/8': must be a list, got a text"),
    "a text for a section": ({"web": "8080"}, "web = '8080': is a section with settings of its own"),
    "a list for a map": ({"tags": ["a"]}, "must be an object of texts, got a list"),
    "an unknown choice": ({"network.natGateways": "per-zones"}, "must be one of single, per-zone; did you mean per-zone?"),
    "an unknown taint effect": ({"workers.taintEffect": "NoScheduling"}, "must be one of NO_SCHEDULE, NO_EXECUTE, PREFER_NO_SCHEDULE"),
    "an unknown environment": ({"environment": "production"}, "must be one of dev, staging, prod; did you mean prod?"),
}
RULES = {
    "a name with its scheme": (
        {"web.domainName": "https://airflow.example.com"},
        "web.domainName = 'https://airflow.example.com': is no domain name (airflow.example.com); give it without https://",
    ),
    "a zone by its name": (
        {"web.domainName": "a.example.com", "web.hostedZoneId": "example.com"},
        "is no id of a Route 53 hosted zone (Z...)",
    ),
    "a zone without a name": ({"web.hostedZoneId": "Z0123456789ABC"}, "web.hostedZoneId: a record of which name?; set web.domainName too"),
    "a boundary that is no policy": (
        {"iam.permissionsBoundaryArn": "arn:aws:iam::123456789012:role/x"},
        "iam.permissionsBoundaryArn = 'arn:aws:iam::123456789012:role/x': is no IAM policy",
    ),
    "an alias for a key": (
        {"encryption.kmsKeyArn": "arn:aws:kms:us-west-2:123456789012:alias/x"},
        "is no KMS key (arn:aws:kms:...:key/ID); give the key's own ARN: an alias can be moved",
    ),
    "a key of another region": (
        {"encryption.kmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/1"},
        "encryption.kmsKeyArn: is of region eu-west-1, the stack is in us-west-2",
    ),
    "a region with a typing error": ({"aws:region": "us-wset-2"}, "aws:region = 'us-wset-2': unknown region; did you mean us-west-2?"),
    "one zone": ({"network.availabilityZones": ["us-west-2a"]}, "need >= 2 zones (EKS, RDS subnet group), got 1: us-west-2a"),
    "a zone of another region": ({"network.availabilityZones": ["us-west-2a", "eu-west-2a"]}, "zone eu-west-2a is not in us-west-2"),
    "a zone twice": ({"network.availabilityZones": ["us-west-2a", "us-west-2a"]}, "zone us-west-2a given twice"),
    "a local zone": ({"network.availabilityZones": ["us-west-2a", "us-west-2-lax-1a"]}, "us-west-2-lax-1a is no ordinary zone"),
    "no Spot types": (group(instanceTypes=[]), "workers.groups[0].instanceTypes: is empty: give instance types"),
    "21 types": (group(instanceTypes=[f"m5.{n}xlarge" for n in range(2, 23)]), "at most 20 types, got 21"),
    "a type with a typing error": (group(instanceTypes=["m5.lage"]), "unknown instance type m5.lage; did you mean m5.large?"),
    "a type that is none": (group(instanceTypes=["large"]), "large is no instance type: they read family.size"),
    "a type twice": (group(instanceTypes=["m5.large", "m5.large"]), "m5.large given twice"),
    "ARM nodes for an x86 image": (group(instanceTypes=["m7g.large"]), "m7g.large is arm64, and the image is not"),
    "min above desired": (group(minSize=3), "min 3 > desired 2"),
    "desired above max": (group(desiredSize=5), "desired 5 > max 4"),
    "max of none": (group(minSize=0, desiredSize=0, maxSize=0), "workers.groups[0].maxSize = 0: must be >= 1"),
    "a negative min": (group(minSize=-1), "workers.groups[0].minSize = -1: must be >= 0"),
    "no groups": ({"workers.groups": []}, "workers.groups: is empty: no task could run"),
    "two groups of one name": ({"workers.groups": [GROUP, GROUP]}, "two groups have this name"),
    "a group called as the core group": (group(name="ng-on-demand"), "and not ng-on-demand"),
    "a group called as the overflow group": (group(name="ng-overflow"), "and not ng-on-demand or ng-overflow"),
    "a fallback that is none": ({"workers.fallback": "ondemand"}, "workers.fallback = 'ondemand': must be one of none, on-demand"),
    "an overflow group of no node": (
        {"workers.fallback": "on-demand", "workers.overflow.maxSize": 0},
        "workers.overflow.maxSize = 0: must be >= 1; or set workers.fallback to none",
    ),
    "a misspelt overflow type": (
        {"workers.fallback": "on-demand", "workers.overflow.instanceTypes": ["m5.lage"]},
        "workers.overflow.instanceTypes: unknown instance type m5.lage; did you mean m5.large?",
    ),
    "ARM overflow nodes for an x86 image": (
        {"workers.fallback": "on-demand", "workers.overflow.instanceTypes": ["m7g.large"]},
        "m7g.large is arm64, and the image is not",
    ),
    "overflow nodes that the network has no room for": (
        {"workers.fallback": "on-demand", "workers.overflow.maxSize": 200, "network.vpcCidr": "10.0.0.0/20"},
        "network.vpcCidr",
    ),
    "no node and nobody to start one": (
        {**group(minSize=0, desiredSize=0), "autoscaler.enabled": False},
        "autoscaler.enabled = False: no Spot group begins with a node, and without the autoscaler none ever gets one",
    ),
    "a group's name too long for its role": (group(name="n" * 57), "shorten it by 7: role names derive from it"),
    "one core node outside of dev": (
        {"environment": "staging", "core.minSize": 1},
        "core needs >= 2 nodes in 2 zones",
    ),
    "a VPC on the range of Services": ({"network.vpcCidr": "10.100.0.0/16"}, "overlaps 10.100.0.0/16, which EKS may give to Services"),
    "a VPC too small": ({"network.vpcCidr": "10.0.0.0/24"}, "allowed /16 to /20, got /24"),
    "a VPC with host bits": ({"network.vpcCidr": "10.0.0.5/16"}, "has host bits set; did you mean 10.0.0.0/16?"),
    "a VPC that is no range": ({"network.vpcCidr": "ten"}, "is no address range such as 10.0.0.0/16"),
    "a public VPC": ({"network.vpcCidr": "8.8.0.0/16"}, "must be a private range (RFC 1918)"),
    "too few addresses for pods": (
        {"network.vpcCidr": "10.0.0.0/20", **group(maxSize=60)},
        "private subnets have 3 x 507 addresses, and 64 nodes x 29 pods need 1856",
    ),
    "subnets without their VPC": ({"network.privateSubnetIds": ["subnet-0a1b2c3d"]}, "subnets of which VPC?"),
    "a VPC without its subnets": ({"network.vpcId": "vpc-0a1b2c3d"}, "an existing VPC needs two or more, in different zones"),
    "an id that is none": ({"network.vpcId": "my-vpc"}, "is no VPC id (vpc-...)"),
    "a cluster's name with a dot": ({"cluster.name": "air.flow"}, "1 to 100 letters, digits, - and _"),
    "a cluster's name that begins with -": ({"cluster.name": "-airflow"}, "beginning with a letter or digit"),
    "an old Kubernetes": ({"cluster.kubernetesVersion": "1.30"}, "not in EKS standard support, which has 1.34, 1.35, 1.36"),
    "an odd retention": ({"cluster.logRetentionDays": 8}, "CloudWatch knows 1, 3, 5, 7, 14"),
    "a session as administrator": (
        {"cluster.adminPrincipalArns": ["arn:aws:sts::123456789012:assumed-role/Admin/me"]},
        "is no IAM role or user; give the role's ARN, not that of a session (sts)",
    ),
    "a Kubernetes API open to all": ({"cluster.publicAccessCidrs": ["0.0.0.0/0"]}, "opens the Kubernetes API to the internet"),
    "a public Kubernetes API with no addresses": ({"cluster.publicAccessCidrs": []}, "is empty, which AWS takes for 0.0.0.0/0"),
    "a database's name with two -": ({"database.identifier": "air--flow"}, "lower-case letters, digits and single -"),
    "a database's name that ends in -": ({"database.identifier": "airflow-"}, "lower-case letters, digits and single -"),
    "a database's name that begins with a digit": ({"database.identifier": "1airflow"}, "beginning with a letter"),
    "an old PostgreSQL": ({"database.engineVersion": "13.4"}, "supported are PostgreSQL 16, 17, 18"),
    "no RDS class": ({"database.instanceClass": "m5.large"}, "is no RDS class (db.t4g.small)"),
    "little storage": ({"database.allocatedStorageGib": 10}, "database.allocatedStorageGib = 10: must be 20 to 65536"),
    "a maximum below the storage": ({"database.maxAllocatedStorageGib": 20}, "max 20 for 20 allocated: RDS wants at least a tenth more"),
    "backups of 40 days": ({"database.backupRetentionDays": 40}, "must be 0 to 35"),
    "a repository in capitals": ({"image.repository": "Airflow"}, "lower-case letters, digits"),
    "the tag latest": ({"image.base": "apache/airflow:latest"}, "pin a tag: latest is another image tomorrow"),
    "no tag": ({"image.base": "registry.example.com:5000/airflow"}, "pin a tag"),
    "a base of another Airflow": ({"image.base": "apache/airflow:3.3.1"}, "has another Airflow than airflow.version 3.3.2"),
    "a tag for a digest": ({"image.digest": "registry/airflow:3.3.2"}, "a tag can move: give the digest"),
    "an old Airflow": ({"airflow.version": "2.10.5"}, "supported is Airflow 3.3 or later"),
    "no retries on Spot": ({"airflow.taskRetries": 0}, "a reclaimed Spot node fails the try it was running"),
    "a grace period beyond the notice": ({"airflow.workerGracePeriodSeconds": 120}, "AWS takes a Spot node 120 s after its notice"),
    "no worker pods": ({"airflow.workerPodsCreationBatchSize": 0}, "must be 1 to 1024"),
    "odd CPU": ({"airflow.workerCpu": "fast"}, "is no CPU quantity such as 250m or 1"),
    "odd memory": ({"airflow.workerMemory": "1 GB"}, "is no memory quantity such as 1Gi"),
    "no schedulers": ({"airflow.replicas.scheduler": 0}, "airflow.replicas.scheduler = 0: must be 1 to 20"),
    "a web UI open to all": ({"web.allowedCidrs": ["0.0.0.0/0"]}, "opens the login page to the internet"),
    "a public web UI without TLS": ({"web.allowedCidrs": ["198.51.100.0/24"]}, "passwords would cross the internet in clear"),
    "a certificate of another region": (
        {"web.certificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/1a-2b"},
        "is of region eu-west-1, the load balancer of us-west-2",
    ),
    "a port that is none": ({"web.port": 70000}, "must be 1 to 65535"),
    "a negative budget": ({"budget.monthlyUsd": -1}, "must be >= 0; 0 for no budget"),
    "a budget's mail to nowhere": ({"budget.monthlyUsd": 500, "budget.email": "team@example"}, "is no mail address"),
    "a mail about no amount": ({"budget.email": "team@example.com"}, "set budget.monthlyUsd, or remove budget.email"),
    "a tag of AWS's": ({"tags": {"aws:x": "1"}}, "tags.aws:x: keys that begin with aws"),
    "a tag of the program's": ({"tags": {"component": "x"}}, "Component is set by the program"),
    "a chart's version that is none": ({"autoscaler.chartVersion": "latest"}, "is no chart version (9.59.0)"),
    "a key of the future": ({"airflow.fernetKey.oldestAccepted": 2}, "must be 1 to 1; first raise airflow.fernetKey.generation"),
    "no key": ({"airflow.fernetKey.generation": 0}, "airflow.fernetKey.generation = 0: must be 1 to 1000"),
    "an archive of a week": ({"airflow.logArchive.retentionDays": 7}, "must be 30 to 3650; 0 keeps everything"),
    "a production archive that a destroy empties": (
        {**PRODUCTION, "airflow.logArchive.enabled": True, "airflow.logArchive.deleteWithStack": True},
        "environment prod keeps its logs when it is destroyed",
    ),
    "the exporter's image at latest": ({"airflow.metrics.image": "prom/statsd-exporter"}, "pin a tag or a digest"),
    "the exporter's digest cut": ({"airflow.metrics.image": "prom/statsd-exporter@sha256:12"}, "is no digest"),
    "the exporter by tag in prod": (
        {**PRODUCTION, "airflow.metrics.enabled": True},
        "needs a digest: a tag can move; docker buildx imagetools inspect quay.io/prometheus/statsd-exporter:v0.31.0 shows it",
    ),
    "rows kept for a day": ({"airflow.cleanup.databaseRetentionDays": 1}, "must be 7 to 3650; 0 keeps everything"),
    "logs kept for less than no time": ({"airflow.cleanup.logRetentionDays": -1}, "must be 7 to 3650; 0 keeps everything"),
}


@pytest.mark.parametrize("case", SHAPES)
def test_what_does_not_fit_its_type_is_refused(case: str) -> None:
    changes, message = SHAPES[case]
    assert message in refusal(changes)


@pytest.mark.parametrize("case", RULES)
def test_what_could_not_work_is_refused_with_the_reason(case: str) -> None:
    changes, message = RULES[case]
    assert message in refusal(changes)


def test_a_password_in_clear_is_not_repeated() -> None:
    assert "hunter2" not in refusal({"database.password": "hunter2"})


def test_a_missing_region_is_named() -> None:
    assert "aws:region" in refusal({"aws:region": ""})


def test_the_name_of_the_stack_and_its_environment_must_agree() -> None:
    assert "the stack is called prod; set it to prod" in refusal({}, name="prod")


def test_a_production_stack_is_accepted_when_it_is_guarded() -> None:
    assert load(PRODUCTION, name="prod").environment == "prod"


GUARDS = [key for key in PRODUCTION if key not in ("environment", "cluster.publicAccessCidrs", "hibernation.allowed")]


def test_every_guard_of_production_is_tried() -> None:
    assert set(GUARDS) == {f"{section}.{settings_parser.camel(field)}" for section, field, _, _ in settings_rules_operations.PRODUCTION}


@pytest.mark.parametrize("setting", GUARDS)
def test_a_production_stack_is_refused_without_each_of_its_guards(setting: str) -> None:
    shipped = {
        "network.natGateways": "single",
        "cluster.endpointPublic": True,
        "network.logRetentionDays": 30,
        "cluster.logRetentionDays": 30,
        "database.logRetentionDays": 30,
        "database.backupRetentionDays": 6,
        "airflow.replicas.apiServer": 1,
        "airflow.replicas.scheduler": 1,
    }
    message = refusal({**PRODUCTION, setting: shipped.get(setting, False)}, name="prod")
    assert f"{setting} = " in message
    assert "environment prod needs" in message


def test_b11_a_production_stack_never_sleeps() -> None:
    message = refusal({**PRODUCTION, "hibernation.allowed": True}, name="prod")
    assert "hibernation.allowed = True: environment prod must be there at all times" in message


def test_an_existing_network_needs_no_range_that_fits() -> None:
    subnets = ["subnet-0a1b2c3d", "subnet-1a1b2c3d"]
    settings = load({"network.vpcId": "vpc-0a1b2c3d", "network.privateSubnetIds": subnets, "network.vpcCidr": "10.0.0.0/24"})
    assert settings.network.private_subnet_ids == tuple(subnets)


def test_b10_spot_groups_may_begin_and_end_without_a_node() -> None:
    (spot,) = load(group(minSize=0, desiredSize=0)).workers.groups
    assert (spot.min_size, spot.desired_size) == (0, 0)


def test_b10_settings_of_the_overflow_group_matter_only_with_the_fallback() -> None:
    assert load({"workers.overflow.instanceTypes": ["m7g.large"], "workers.overflow.maxSize": 0}).workers.fallback == "none"


def test_the_web_ui_may_be_opened_on_purpose() -> None:
    assert load({"web.allowedCidrs": ["0.0.0.0/0"], "web.iUnderstandThisIsPublic": True}).web.allowed_cidrs == ("0.0.0.0/0",)


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        (group(instanceTypes=["m5.large"]), "Spot wants >= 3 types; 1 type(s) leave little to fall back on"),
        ({"workers.taintEffect": "PreferNoSchedule"}, "lets pods that are no tasks onto Spot nodes"),
        ({"workers.fallback": "on-demand", "autoscaler.enabled": False}, "on-demand does nothing without the autoscaler"),
        ({"cluster.kubernetesVersion": "1.36"}, "is outside of the versions that Airflow 3.3 is tested with"),
        ({"cluster.kubernetesVersion": "1.34"}, "has the autoscaler of Kubernetes 1.35, the cluster is 1.34"),
        ({"airflow.replicas.apiServer": 8}, "takes 225 connections, and Airflow with these airflow.replicas may open 300"),
        ({}, "is a documentation address (RFC 5737)"),
    ],
)
def test_what_works_but_is_risky_is_said(changes: dict[str, Any], warning: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load(changes)
    assert warning in caplog.text


def test_every_rule_says_what_it_is_for() -> None:
    for rule in settings_rules.RULES:
        assert rule.__doc__, rule.__name__
