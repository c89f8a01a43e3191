"""A11-A16, B3-B6: the objects of a release, their order and where its secrets are. That Airflow runs is shown by the e2e tests."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pytest
import yaml
from cryptography.fernet import Fernet, MultiFernet

from components.airflow_database import DatabaseConnection
from components.airflow_manifests import MANIFESTS
from components.airflow_release import AirflowRelease, AirflowReleaseArgs
from components.efs_storage import SharedVolumes
from components.settings import CleanupSettings, FernetKeySettings, LogArchiveSettings, MetricsSettings, ReplicaSettings
from tests.conftest import Engine, built_once, only_up, random_bytes, secrets_of

Build = Callable[..., Engine]
IMAGE = "123456789012.dkr.ecr.us-west-2.amazonaws.com/airflow-eks-demo@sha256:" + "a" * 64
PROGRAMS = ("api-server", "scheduler", "dag-processor", "triggerer")
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
JOB = "kubernetes:batch/v1:Job"
SECRET = ("kubernetes:core/v1:Secret", "airflow-secrets")
CONFIG = ("kubernetes:core/v1:ConfigMap", "airflow-config")
KEYS = {name: base64.urlsafe_b64encode(random_bytes(f"airflow-fernet-key{name}")) for name in ("", "-2", "-3")}
"""End of a Fernet key's name to the key."""
CLUSTER_WIDE = {
    ("kubernetes:core/v1:Namespace", "airflow-namespace"),
    ("kubernetes:scheduling.k8s.io/v1:PriorityClass", "airflow-priority"),
}


@built_once
def release(tags: Mapping[str, str], **changes: Any) -> Callable[[], AirflowRelease]:
    def make() -> AirflowRelease:
        connection = DatabaseConnection(host="db.example.com", password=pulumi.Output.secret("database-password"))
        plan = {
            "image": IMAGE,
            "database": connection,
            "volumes": SharedVolumes(storage_class="airflow-sc", dags="airflow-dags", logs="airflow-logs"),
            "deployment": "airflow-dev",
            "version": "3.3.2",
            "admin_user": "eksuser",
            "admin_email": "admin@example.com",
            "task_retries": 2,
            "task_retry_delay_seconds": 60,
            "task_timeout_minutes": 360,
            "interruption_retries": 5,
            "worker_grace_period_seconds": 100,
            "worker_pods_creation_batch_size": 16,
            "worker_cpu": "250m",
            "worker_memory": "1Gi",
            "replicas": ReplicaSettings(api_server=2, scheduler=3, dag_processor=1, triggerer=1),
            "fernet_key": FernetKeySettings(generation=1, oldest_accepted=1),
            "metrics": MetricsSettings(enabled=False, image="exporter:v1"),
            "cleanup": CleanupSettings(pods=False, database_retention_days=0, log_retention_days=0),
            "log_archive": LogArchiveSettings(enabled=False, retention_days=365, delete_with_stack=False),
            "web_allowed_cidrs": (),
            "web_certificate_arn": None,
            "web_port": 8080,
            "tags": tags,
        }
        return AirflowRelease("airflow", AirflowReleaseArgs(**{**plan, **changes}))

    return make


def waits_for(engine: Engine, kind: str, name: str) -> set[str]:
    return {urn.rpartition("::")[2] for urn in engine.request(kind, name).dependencies}


def checksums(engine: Engine, program: str) -> dict[str, str]:
    annotations = engine.resources[DEPLOYMENT, f"airflow-{program}"]["spec"]["template"]["metadata"]["annotations"]
    return {key: value for key, value in annotations.items() if key.startswith("checksum/")}


def test_a11_a13_the_release_consists_of_exactly_these_resources(build: Build, tags: dict[str, str]) -> None:
    policies = ("default-deny", "dns", "to-api-server", "to-triggerer-logs", "core-to-database", "to-kubernetes-api")
    policies += ("api-server-to-triggerer-logs", "dags-to-the-world")
    accounts = (*PROGRAMS, "jobs", "worker")
    assert build(release(tags)).children == {
        *CLUSTER_WIDE,
        SECRET,
        CONFIG,
        ("kubernetes:core/v1:ConfigMap", "airflow-worker-pod"),
        ("kubernetes:core/v1:PersistentVolumeClaim", "airflow-dags-claim"),
        ("kubernetes:core/v1:PersistentVolumeClaim", "airflow-logs-claim"),
        ("kubernetes:core/v1:Service", "airflow-internal"),
        ("kubernetes:core/v1:Service", "airflow-web"),
        (JOB, "airflow-migrations"),
        (JOB, "airflow-create-user"),
        *((DEPLOYMENT, f"airflow-{program}") for program in PROGRAMS),
        *(("kubernetes:policy/v1:PodDisruptionBudget", f"airflow-{program}-budget") for program in PROGRAMS),
        *(("kubernetes:core/v1:ServiceAccount", f"airflow-{account}-account") for account in accounts),
        *(
            (f"kubernetes:rbac.authorization.k8s.io/v1:Role{kind}", f"airflow-{account}-{name}")
            for account in (*PROGRAMS[:2], "node-leases")
            for kind, name in _BOTH
        ),
        *(("kubernetes:networking.k8s.io/v1:NetworkPolicy", f"airflow-{policy}-traffic") for policy in policies),
        ("random:index/randomPassword:RandomPassword", "airflow-admin-password"),
        ("random:index/randomPassword:RandomPassword", "airflow-api-secret-key"),
        ("random:index/randomPassword:RandomPassword", "airflow-jwt-secret"),
        ("random:index/randomBytes:RandomBytes", "airflow-fernet-key"),
    }


_BOTH = (("", "role"), ("Binding", "binding"))


@pytest.mark.parametrize(
    ("kind", "logical", "name"),
    [
        ("kubernetes:core/v1:Namespace", "airflow-namespace", "airflow"),
        ("kubernetes:core/v1:Secret", "airflow-secrets", "airflow-secrets"),
        ("kubernetes:core/v1:ConfigMap", "airflow-config", "airflow-configmap"),
        ("kubernetes:core/v1:PersistentVolumeClaim", "airflow-dags-claim", "airflow-dags"),
        ("kubernetes:core/v1:PersistentVolumeClaim", "airflow-logs-claim", "airflow-logs"),
        ("kubernetes:core/v1:Service", "airflow-web", "airflow"),
        ("kubernetes:core/v1:Service", "airflow-internal", "airflow-api-server"),
    ],
)
def test_a11_a12_a13_names_are_those_of_the_lab(kind: str, logical: str, name: str, build: Build, tags: dict[str, str]) -> None:
    assert build(release(tags)).resources[kind, logical]["metadata"]["name"] == name


def test_everything_else_is_in_the_namespace(build: Build, tags: dict[str, str]) -> None:
    engine = build(release(tags))
    for key in engine.children - CLUSTER_WIDE:
        if key[0].startswith("kubernetes:"):
            home = "kube-node-lease" if "node-leases" in key[1] else "airflow"
            assert engine.resources[key]["metadata"]["namespace"] == home, key


def test_b4_the_namespace_enforces_restricted_pods(build: Build, tags: dict[str, str]) -> None:
    labels = build(release(tags)).resources["kubernetes:core/v1:Namespace", "airflow-namespace"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_b5_migration_then_user_then_programs_then_load_balancer(build: Build, tags: dict[str, str]) -> None:
    engine = build(release(tags))
    assert waits_for(engine, JOB, "airflow-migrations") >= {"airflow-secrets", "airflow-config", "airflow-jobs-account"}
    assert "airflow-migrations" in waits_for(engine, JOB, "airflow-create-user")
    for program in PROGRAMS:
        assert waits_for(engine, DEPLOYMENT, f"airflow-{program}") >= {"airflow-create-user", "airflow-dags-claim", "airflow-logs-claim"}
    for service in ("airflow-web", "airflow-internal"):
        assert "airflow-api-server" in waits_for(engine, "kubernetes:core/v1:Service", service)


def test_b5_another_image_or_configuration_is_another_migration(build: Build, preview: bool, tags: dict[str, str]) -> None:
    changes: list[dict[str, Any]] = [{}, {}, {"image": IMAGE.replace("a" * 64, "b" * 64)}, {"task_retries": 3}]
    names = [build(release(tags, **change)).resources[JOB, "airflow-migrations"]["metadata"].get("name") for change in changes]
    if not preview or names[0]:
        assert names[0] == names[1], "the same again must change nothing"
        assert len(set(names)) == 3
        assert all(name.startswith("airflow-migrations-") for name in names)


@only_up
def test_b6_a_second_run_gives_the_same_pods(build: Build, tags: dict[str, str]) -> None:
    first, second = build(release(tags)), build(release(tags), again=True)
    for program in PROGRAMS:
        assert first.resources[DEPLOYMENT, f"airflow-{program}"] == second.resources[DEPLOYMENT, f"airflow-{program}"]


@only_up
def test_b6_a_changed_configuration_restarts_all_and_another_worker_size_none(build: Build, tags: dict[str, str]) -> None:
    before = build(release(tags))
    retries, worker = build(release(tags, task_retries=3)), build(release(tags, worker_memory="2Gi"))
    for program in PROGRAMS:
        assert checksums(worker, program) == checksums(before, program)
        assert checksums(retries, program) != checksums(before, program)


def test_a_changed_password_of_the_administrator_restarts_nothing(build: Build, preview: bool, tags: dict[str, str]) -> None:
    if preview:
        return
    values = [checksums(build(release(tags)), program)["checksum/secrets"] for program in PROGRAMS]
    assert len(set(values)) == len(PROGRAMS), "each is made of the keys that its own program reads"


@pytest.mark.parametrize(("program", "replicas"), [("api-server", 2), ("scheduler", 3), ("dag-processor", 1), ("triggerer", 1)])
def test_b1_replicas_are_settings(program: str, replicas: int, build: Build, tags: dict[str, str]) -> None:
    assert build(release(tags)).resources[DEPLOYMENT, f"airflow-{program}"]["spec"]["replicas"] == replicas


def test_a15_b15_the_workers_templates_are_a_config_map_of_their_own(build: Build, tags: dict[str, str]) -> None:
    data = build(release(tags)).resources["kubernetes:core/v1:ConfigMap", "airflow-worker-pod"]["data"]
    assert set(data) == {"pod_template_file.yaml", "on_demand.yaml"}
    for text in data.values():
        pod = yaml.safe_load(text)
        assert "image" not in pod["spec"]["containers"][0]
        assert pod["spec"]["serviceAccountName"] == "airflow-worker"


def test_a15_the_scheduler_and_nobody_else_knows_the_image_of_worker_pods(build: Build, tags: dict[str, str]) -> None:
    for name, inputs in build(release(tags)).of_type(DEPLOYMENT).items():
        [container] = inputs["spec"]["template"]["spec"]["containers"]
        given = {entry["name"]: entry["value"] for entry in container["env"] if "WORKER_CONTAINER" in entry["name"]}
        assert list(given.values()) == (IMAGE.rsplit(":", 1) if name == "airflow-scheduler" else [])


def test_secrets_stand_in_the_secret_and_nowhere_else(build: Build, preview: bool, tags: dict[str, str]) -> None:
    engine = build(release(tags))
    assert set(engine.resources[SECRET]["stringData"]) == {
        "sql-alchemy-conn",
        "sql-alchemy-conn-async",
        "fernet-key",
        "api-secret-key",
        "jwt-secret",
        "admin-password",
    }
    texts = ("database-password", "generated-airflow-jwt-secret", "generated-airflow-admin-password", KEYS[""].decode())
    for key, inputs in engine.raw.items():
        if key[0].startswith("random:"):
            continue
        clear = json.dumps(inputs)
        for hidden in secrets_of(inputs):
            clear = clear.replace(json.dumps(hidden), "")
        if key != SECRET:
            assert not [text for text in texts if text in json.dumps(inputs)], key
        assert "database-password" not in clear, key


def test_a_pod_is_not_hidden_from_the_diff_by_the_hash_of_a_secret(build: Build, tags: dict[str, str]) -> None:
    engine = build(release(tags))
    for program in PROGRAMS:
        assert not list(secrets_of(engine.raw[DEPLOYMENT, f"airflow-{program}"]))


def test_b6_the_fernet_key_is_32_url_safe_bytes(build: Build, preview: bool, tags: dict[str, str]) -> None:
    engine = build(release(tags))
    assert engine.resources["random:index/randomBytes:RandomBytes", "airflow-fernet-key"] == {"length": 32}
    if not preview:
        assert not set("+/") & set(engine.resources[SECRET]["stringData"]["fernet-key"])


@only_up
@pytest.mark.parametrize(("generation", "oldest", "names"), [(2, 1, ["-2", ""]), (3, 3, ["-3"]), (3, 2, ["-3", "-2"])])
def test_b6_the_newest_key_comes_first_and_older_ones_stay_while_they_are_accepted(
    build: Build, preview: bool, tags: dict[str, str], generation: int, oldest: int, names: list[str]
) -> None:
    engine = build(release(tags, fernet_key=FernetKeySettings(generation=generation, oldest_accepted=oldest)))
    keys = {name for kind, name in engine.resources if kind == "random:index/randomBytes:RandomBytes"}
    assert keys == {f"airflow-fernet-key{name}" for name in names}
    rotation = (JOB, "airflow-rotate-fernet-key")
    assert (rotation in engine.resources) is (len(names) > 1), "with one key there is nothing to encrypt anew"
    if rotation in engine.resources:
        assert waits_for(engine, *rotation) >= {f"airflow-{program}" for program in PROGRAMS}, "all must know the new key first"
    if not preview:
        assert engine.resources[SECRET]["stringData"]["fernet-key"].encode().split(b",") == [KEYS[name] for name in names]


@pytest.mark.parametrize("preview", [False], indirect=True, ids=["up"])
def test_b6_with_two_keys_the_old_text_is_read_and_encrypted_anew(build: Build, tags: dict[str, str]) -> None:
    """As Airflow uses its setting: the first key encrypts, every one decrypts, and `rotate-fernet-key` goes from the last to the first."""
    engine = build(release(tags, fernet_key=FernetKeySettings(generation=2, oldest_accepted=1)))
    both = MultiFernet([Fernet(key) for key in engine.resources[SECRET]["stringData"]["fernet-key"].split(",")])
    old = Fernet(KEYS[""]).encrypt(b"password of a connection")
    assert both.decrypt(old) == b"password of a connection"
    assert Fernet(KEYS["-2"]).decrypt(both.rotate(old)) == b"password of a connection", "the old key is needed no more"


@pytest.mark.parametrize("claim", ["dags", "logs"])
def test_a12_claims_name_their_volume_and_go_with_the_namespace(claim: str, build: Build, tags: dict[str, str]) -> None:
    key = ("kubernetes:core/v1:PersistentVolumeClaim", f"airflow-{claim}-claim")
    engine = build(release(tags))
    assert engine.resources[key]["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "airflow-sc",
        "volumeName": f"airflow-{claim}",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    deleted_with = engine.request(*key).deletedWith
    assert deleted_with.endswith("::airflow-namespace"), "a running task's pod holds a claim for as long as the task takes"


def test_a13_a16_outputs_are_what_a_person_needs_to_log_in(build: Build, preview: bool, tags: dict[str, str]) -> None:
    outputs = build(release(tags)).registered_outputs("airflow")
    assert (outputs["admin_user"], outputs["namespace"]) == ("eksuser", "airflow")
    if not preview:
        assert outputs["web_ui_url"] == "http://airflow-web.elb.us-west-2.amazonaws.com:8080"
        assert list(secrets_of(outputs["admin_password"])) == ["generated-airflow-admin-password"]


def test_a_certificate_gives_https_and_secure_cookies(build: Build, preview: bool, tags: dict[str, str]) -> None:
    engine = build(release(tags, web_certificate_arn="arn:certificate", web_port=443, web_allowed_cidrs=("198.51.100.0/24",)))
    assert engine.resources[CONFIG]["data"]["AIRFLOW__FAB__COOKIE_SECURE"] == "True"
    assert engine.resources["kubernetes:core/v1:Service", "airflow-web"]["spec"]["loadBalancerSourceRanges"] == ["198.51.100.0/24"]
    if not preview:
        assert engine.registered_outputs("airflow")["web_ui_url"] == "https://airflow-web.elb.us-west-2.amazonaws.com"


def test_a_domain_name_is_the_url_and_gets_its_record_in_the_zone(build: Build, preview: bool, tags: dict[str, str]) -> None:
    named = {"web_domain_name": "airflow.example.com", "web_port": 443, "web_certificate_arn": "arn:certificate"}
    engine = build(release(tags, **named, web_hosted_zone_id="Z1"))
    assert engine.resources[CONFIG]["data"]["AIRFLOW__API__BASE_URL"] == "https://airflow.example.com"
    record = engine.resources["aws:route53/record:Record", "airflow-web-name"]
    assert (record["zoneId"], record["name"], record["ttl"]) == ("Z1", "airflow.example.com", 60)
    if not preview:
        assert (record["type"], record["records"]) == ("CNAME", ["airflow-web.elb.us-west-2.amazonaws.com"])
        assert engine.registered_outputs("airflow")["web_ui_url"] == "https://airflow.example.com"
    assert not build(release(tags, **named)).of_type("aws:route53/record:Record"), "without a zone the record is somebody else's"


def test_b3_roles_hold_just_the_verbs_that_airflow_calls(build: Build, tags: dict[str, str]) -> None:
    engine = build(release(tags))
    roles = engine.of_type("kubernetes:rbac.authorization.k8s.io/v1:Role")
    rules = {name: [(rule["resources"], rule["verbs"]) for rule in role["rules"]] for name, role in roles.items()}
    assert rules == {
        "airflow-scheduler-role": [(["pods"], ["create", "get", "list", "watch", "patch", "delete"])],
        "airflow-api-server-role": [(["pods"], ["list"]), (["pods/log"], ["get"])],
        "airflow-node-leases-role": [(["leases"], ["list"])],
    }
    for name, binding in engine.of_type("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding").items():
        [subject] = binding["subjects"]
        account = "airflow-scheduler" if "node-leases" in name else name.removesuffix("-binding")
        assert subject == {"kind": "ServiceAccount", "name": account, "namespace": "airflow"}
        assert binding["roleRef"]["name"] == name.removesuffix("-binding")


def test_b3_only_scheduler_and_api_server_get_a_token(build: Build, tags: dict[str, str]) -> None:
    accounts = build(release(tags)).of_type("kubernetes:core/v1:ServiceAccount")
    with_token = {name for name, account in accounts.items() if account["automountServiceAccountToken"]}
    assert with_token == {"airflow-scheduler-account", "airflow-api-server-account"}


def test_b4_nothing_is_allowed_that_no_policy_names(build: Build, tags: dict[str, str]) -> None:
    policies = {
        name: policy["spec"] for name, policy in build(release(tags)).of_type("kubernetes:networking.k8s.io/v1:NetworkPolicy").items()
    }
    assert policies["airflow-default-deny-traffic"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    to_database = policies["airflow-core-to-database-traffic"]["podSelector"]["matchExpressions"][0]["values"]
    assert "worker" not in to_database
    world = policies["airflow-dags-to-the-world-traffic"]["egress"][1]["to"][0]["ipBlock"]
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(world["except"]), "tasks reach neither the database nor the nodes' credentials"


@only_up
def test_b8_the_exporter_stands_before_whoever_reports_to_it(build: Build, tags: dict[str, str]) -> None:
    engine = build(release(tags, metrics=MetricsSettings(enabled=True, image="exporter:v1")))
    assert engine.resources[CONFIG]["data"]["AIRFLOW__METRICS__STATSD_HOST"] == "airflow-statsd"
    for program in PROGRAMS:
        assert "airflow-metrics-service" in waits_for(engine, DEPLOYMENT, f"airflow-{program}")


def test_b9_programs_are_told_of_the_archive_and_the_api_server_may_reach_it(build: Build, preview: bool, tags: dict[str, str]) -> None:
    archive = LogArchiveSettings(enabled=True, retention_days=365, delete_with_stack=False)
    engine = build(release(tags, log_archive=archive, kms_key_arn="arn:key"))
    told = engine.resources[CONFIG]["data"]
    assert told["AIRFLOW__LOGGING__REMOTE_LOGGING"] == "True"
    if not preview:
        assert told["AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER"].startswith("s3://")
    traffic = engine.resources["kubernetes:networking.k8s.io/v1:NetworkPolicy", "airflow-log-archive-traffic"]["spec"]
    assert traffic["podSelector"]["matchLabels"]["component"] == "api-server"
    assert [rule["ports"][0]["port"] for rule in traffic["egress"]] == [443, 80]


@only_up
def test_clean_up_comes_after_the_migration(build: Build, tags: dict[str, str]) -> None:
    cleanup = CleanupSettings(pods=True, database_retention_days=90, log_retention_days=90)
    engine = build(release(tags, cleanup=cleanup))
    assert "airflow-migrations" in waits_for(engine, "airflow-on-eks:index:AirflowMaintenance", "airflow-maintenance")
    assert len(engine.of_type("kubernetes:batch/v1:CronJob")) == 3


def test_manifests_hold_no_value_of_a_stack() -> None:
    for file in MANIFESTS.glob("*.yaml"):
        for manifest in yaml.safe_load_all(file.read_text()):
            namespace = manifest["metadata"].get("namespace", "kube-node-lease")
            assert (set(manifest["metadata"]) - {"namespace"}, namespace) == ({"name"}, "kube-node-lease"), "or the release's own"
