"""A10 and the RDS rows of the security rules: the inputs of every resource. That TLS is really forced is shown by the engine tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import pulumi
import pytest

from components.airflow_database import AirflowDatabase, AirflowDatabaseArgs, DatabaseConnection
from tests.conftest import PROJECT, Engine, built_once, run_program, secrets_of

Build = Callable[[Callable[[], Any]], Engine]
INSTANCE = ("aws:rds/instance:Instance", "metadata-instance")
PASSWORD = "generated-metadata-password"


@built_once
def database(tags: Mapping[str, str], **changes: Any) -> Callable[[], AirflowDatabase]:
    plan = {
        "vpc_id": "vpc-1",
        "subnet_ids": ["subnet-1", "subnet-2"],
        "client_security_group_id": "sg-nodes",
        "identifier": "airflow-postgres",
        "engine_version": "17",
        "instance_class": "db.t4g.small",
        "allocated_storage_gib": 20,
        "max_allocated_storage_gib": 100,
        "backup_retention_days": 7,
        "multi_az": False,
        "deletion_protection": False,
        "final_snapshot": False,
        "log_retention_days": 30,
        "tags": tags,
    }
    return lambda: AirflowDatabase("metadata", AirflowDatabaseArgs(**{**plan, **changes}))


def test_a10_the_database_consists_of_exactly_these_resources(build: Build, tags: dict[str, str]) -> None:
    assert build(database(tags)).children == {
        INSTANCE,
        ("aws:rds/subnetGroup:SubnetGroup", "metadata-subnets"),
        ("aws:rds/parameterGroup:ParameterGroup", "metadata-parameters"),
        ("aws:ec2/securityGroup:SecurityGroup", "metadata-security-group"),
        ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "metadata-from-nodes"),
        ("aws:cloudwatch/logGroup:LogGroup", "metadata-postgresql-log"),
        ("aws:cloudwatch/logGroup:LogGroup", "metadata-upgrade-log"),
        ("aws:iam/role:Role", "metadata-monitoring"),
        ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "metadata-monitoring-policy"),
        ("random:index/randomPassword:RandomPassword", "metadata-password"),
        ("random:index/randomId:RandomId", "metadata-snapshot-suffix"),
    }


def test_a10_the_instance_is_private_encrypted_backed_up_and_logged(build: Build, preview: bool, tags: dict[str, str]) -> None:
    inputs = build(database(tags, kms_key_arn="arn:key")).resources[INSTANCE]
    of_others = {"password", "dbSubnetGroupName", "parameterGroupName", "vpcSecurityGroupIds", "monitoringRoleArn"}
    assert {key: value for key, value in inputs.items() if key not in of_others} == {
        "identifier": "airflow-postgres",
        "engine": "postgres",
        "engineVersion": "17",
        "allowMajorVersionUpgrade": False,
        "engineLifecycleSupport": "open-source-rds-extended-support-disabled",
        "instanceClass": "db.t4g.small",
        "allocatedStorage": 20,
        "maxAllocatedStorage": 100,
        "storageType": "gp3",
        "storageEncrypted": True,
        "kmsKeyId": "arn:key",
        "dbName": "airflow",
        "username": "airflow",
        "port": 5432,
        "iamDatabaseAuthenticationEnabled": True,
        "publiclyAccessible": False,
        "multiAz": False,
        "caCertIdentifier": "rds-ca-rsa2048-g1",
        "backupRetentionPeriod": 7,
        "copyTagsToSnapshot": True,
        "skipFinalSnapshot": True,
        "deletionProtection": False,
        "autoMinorVersionUpgrade": True,
        "applyImmediately": True,
        "enabledCloudwatchLogsExports": ["postgresql", "upgrade"],
        "performanceInsightsEnabled": True,
        "performanceInsightsKmsKeyId": "arn:key",
        "performanceInsightsRetentionPeriod": 7,
        "monitoringInterval": 60,
        "tags": {**tags, "Component": "database", "CapacityType": "none"},
    }
    if not preview:
        assert inputs["vpcSecurityGroupIds"] == ["metadata-security-group-id"]


def test_ckv2_aws_69_the_server_refuses_connections_without_tls(build: Build, tags: dict[str, str]) -> None:
    group = build(database(tags, engine_version="16.4")).resources["aws:rds/parameterGroup:ParameterGroup", "metadata-parameters"]
    assert group["family"] == "postgres16"
    assert {"name": "rds.force_ssl", "value": "1"} in group["parameters"]


def test_a10_only_the_nodes_group_reaches_5432_and_the_database_reaches_nothing(build: Build, preview: bool, tags: dict[str, str]) -> None:
    engine = build(database(tags))
    group = engine.resources["aws:ec2/securityGroup:SecurityGroup", "metadata-security-group"]
    assert not {"ingress", "egress"} & set(group)
    [rule] = engine.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").values()
    assert not {"cidrIpv4", "cidrIpv6", "prefixListId"} & set(rule)
    assert (rule["ipProtocol"], rule["fromPort"], rule["toPort"]) == ("tcp", 5432, 5432)
    assert rule["referencedSecurityGroupId"] == "sg-nodes"
    assert rule["description"]
    assert group["description"]
    assert preview or rule["securityGroupId"] == "metadata-security-group-id"


@pytest.mark.parametrize("kind", ["postgresql", "upgrade"])
def test_log_groups_exist_before_rds_would_make_them(kind: str, build: Build, tags: dict[str, str]) -> None:
    engine = build(database(tags, kms_key_arn="arn:key"))
    log = engine.resources["aws:cloudwatch/logGroup:LogGroup", f"metadata-{kind}-log"]
    assert log["name"] == f"/aws/rds/instance/airflow-postgres/{kind}"
    assert log["retentionInDays"] == 30
    assert log["kmsKeyId"] == "arn:key"
    waits_for = [urn.rpartition("::")[2] for urn in engine.request(*INSTANCE).dependencies]
    assert f"metadata-{kind}-log" in waits_for


def test_the_final_snapshot_has_a_name_that_no_other_can_have(build: Build, preview: bool, tags: dict[str, str]) -> None:
    inputs = build(database(tags, final_snapshot=True)).resources[INSTANCE]
    assert inputs["skipFinalSnapshot"] is False
    if not preview:
        assert inputs["finalSnapshotIdentifier"] == "airflow-postgres-final-0a1b2c3d"


def test_protection_and_standby_are_settings(build: Build, tags: dict[str, str]) -> None:
    engine = build(database(tags, deletion_protection=True, multi_az=True, backup_retention_days=14, allow_major_version_upgrade=True))
    assert engine.request(*INSTANCE).protect, "by Pulumi too, which refuses a destroy before anything has gone"
    assert not build(database(tags)).request(*INSTANCE).protect
    inputs = engine.resources[INSTANCE]
    assert inputs["allowMajorVersionUpgrade"] is True
    assert (inputs["deletionProtection"], inputs["multiAz"], inputs["backupRetentionPeriod"]) == (True, True, 14)


def test_the_database_says_where_it_is_and_keeps_its_password(build: Build, preview: bool, tags: dict[str, str]) -> None:
    told = build(database(tags)).registered_outputs("metadata")["connection"]
    assert preview or told["host"] == "airflow-postgres.c0.us-west-2.rds.amazonaws.com"
    assert preview or list(secrets_of(told["password"])) == [PASSWORD]


def test_both_uris_verify_the_servers_certificate_in_their_drivers_own_words(preview: bool) -> None:
    def program() -> None:
        connection = DatabaseConnection(host="db.example.com", password="p@ss/word")
        pulumi.export("sync", connection.sync_uri)
        pulumi.export("async", connection.async_uri)

    engine = run_program(program, stack="dev", preview=preview)
    bundle = "/opt/airflow/database-ca.pem"
    place = "airflow:p%40ss%2Fword@db.example.com:5432/airflow"
    assert engine.exports["sync"] == f"postgresql+psycopg2://{place}?sslmode=verify-full&sslrootcert={bundle}"
    before, _, query = engine.exports["async"].partition("?")
    assert before == f"postgresql+asyncpg://{place}"
    assert parse_qs(query) == {"dsn": [f"postgresql://?sslmode=verify-full&sslrootcert={bundle}"]}
    assert engine.secret_exports == {"sync", "async"}
    assert f" {bundle}\n" in (PROJECT / "docker" / "Dockerfile").read_text(), "the image has it"


def test_the_password_is_nowhere_in_clear(build: Build, tags: dict[str, str]) -> None:
    engine = build(database(tags))
    outputs = engine.registered_outputs("metadata")
    hidden = [text for text in secrets_of({**engine.raw[INSTANCE], "outputs": outputs}) if isinstance(text, str)]
    clear = json.dumps([engine.raw[INSTANCE], outputs])
    for text in hidden:
        clear = clear.replace(json.dumps(text), "")
    assert PASSWORD not in clear


def test_ckv_aws_118_rds_may_write_monitoring_figures_and_nobody_else_gets_the_role(build: Build, tags: dict[str, str]) -> None:
    role = build(database(tags)).resources["aws:iam/role:Role", "metadata-monitoring"]
    [statement] = json.loads(role["assumeRolePolicy"])["Statement"]
    assert statement["Principal"] == {"Service": "monitoring.rds.amazonaws.com"}
