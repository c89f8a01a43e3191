"""One stack's life, from the first plan on (rows B6, C1). The tests run in their order on one stack, which the next files use and remove.

Nodes are simulated, so this tier cannot prove that a container starts or that Airflow works; the e2e tier does.
"""

from __future__ import annotations

import json
import time
import urllib.request

import pytest
from botocore.exceptions import ClientError
from kubernetes import client, config
from pulumi import automation as auto

from components.efs_driver import STARTUP_TAINT
from embedded.control_plane import admin_kubeconfig
from embedded.engine import Progress
from operations import hibernation, hibernation_pods
from operations.deployment import from_outputs
from operations.hibernation_aws import Sleeper
from tests.engine.conftest import Engine


def _changed(progress: Progress) -> list[str]:
    return [urn.rpartition("::")[2] for _, urn in progress.changes]


def test_a_broken_up_is_repaired_by_the_next(engine: Engine) -> None:
    """AWS refuses one call in the middle of the deployment; the next `up` finishes it."""
    fault = {"service": "rds", "operation": "CreateDBInstance", "code": "InsufficientDBInstanceCapacity", "count": 1}
    request = urllib.request.Request(
        f"{engine.cloud.aws_endpoint}/embedded/faults", json.dumps(fault).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()
    stack = engine.stack("local")
    with pytest.raises(auto.CommandError, match="InsufficientDBInstanceCapacity"):
        stack.up(suppress_progress=True)
    repaired = engine.run(stack.up)
    assert "metadata" in " ".join(_changed(repaired))
    assert stack.outputs()["web_ui_url"].value.startswith("http://")


def test_a_second_up_changes_nothing(engine: Engine) -> None:
    progress = engine.run(engine.stack("local").up)
    assert progress.changes == []


def test_refresh_finds_no_drift(engine: Engine) -> None:
    summary = engine.stack("local").refresh(suppress_progress=True).summary.resource_changes
    assert set(summary or {}) == {"same"}, summary


def test_refresh_sees_a_change_made_behind_pulumis_back(engine: Engine) -> None:
    rds = engine.client("rds")
    before = rds.describe_db_instances()["DBInstances"][0]
    days = before["BackupRetentionPeriod"] + 1
    rds.modify_db_instance(DBInstanceIdentifier=before["DBInstanceIdentifier"], BackupRetentionPeriod=days, ApplyImmediately=True)
    stack = engine.stack("local")
    summary = stack.refresh(suppress_progress=True).summary.resource_changes
    assert (summary or {}).get("update") == 1, summary
    repaired = engine.run(stack.up)
    assert len(repaired.changes) == 1, repaired.changes
    assert rds.describe_db_instances()["DBInstances"][0]["BackupRetentionPeriod"] == days - 1


def test_a_changed_setting_updates_only_what_depends_on_it(engine: Engine) -> None:
    progress = engine.run(engine.stack("local", settings={"airflow-on-eks:airflow": {"taskRetries": 4}}).up)
    kinds = {urn.rpartition("::")[0].rpartition("$")[2] for _, urn in progress.changes}
    assert progress.changes
    assert all(kind.startswith("kubernetes:") for kind in kinds), f"a retry count is Airflow's business only, changed: {kinds}"
    engine.run(engine.stack("local").up)


def test_other_instance_types_replace_the_spot_group_and_its_nodes(engine: Engine) -> None:
    group = {"name": "ng-spot1", "instanceTypes": ["m6i.large", "m5.large", "m5a.large"], "minSize": 1, "desiredSize": 2, "maxSize": 4}
    changes = {"airflow-on-eks:workers": {"groups": [group], "fallback": "on-demand"}}
    progress = engine.run(engine.stack("local", settings=changes).up)
    replaced = {urn.rpartition("::")[2] for operation, urn in progress.changes if operation in ("replace", "create-replacement")}
    assert {name for name in replaced if "-asg-" not in name} == {"ng-spot1"}, progress.changes
    eks = engine.client("eks")
    cluster = eks.list_clusters()["clusters"][0]
    assert eks.describe_nodegroup(clusterName=cluster, nodegroupName="ng-spot1")["nodegroup"]["instanceTypes"] == group["instanceTypes"]
    overflow = eks.describe_nodegroup(clusterName=cluster, nodegroupName="ng-overflow")["nodegroup"]
    assert overflow["scalingConfig"] == {"minSize": 0, "desiredSize": 0, "maxSize": 2}, "row B10: empty until Spot has no room"
    _knows_its_nodes(engine, cluster, "ng-spot1", lifecycle="Ec2Spot")
    _knows_its_nodes(engine, cluster, "ng-overflow", lifecycle="OnDemandOverflow")
    assert not engine.run(engine.stack("local").up).counts["failed"]
    assert "ng-overflow" not in eks.list_nodegroups(clusterName=cluster)["nodegroups"]


def _knows_its_nodes(engine: Engine, cluster: str, group: str, *, lifecycle: str) -> None:
    """The Auto Scaling group tells an autoscaler what a node would be like, and that it may be changed (rows A6, B10)."""
    made = engine.client("eks").describe_nodegroup(clusterName=cluster, nodegroupName=group)["nodegroup"]["resources"]["autoScalingGroups"]
    listed = engine.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[made[0]["name"]])["AutoScalingGroups"]
    tags = {tag["Key"].removeprefix("k8s.io/cluster-autoscaler/"): tag["Value"] for tag in listed[0]["Tags"]}
    assert tags["node-template/label/lifecycle"] == lifecycle
    assert {key: value for key, value in tags.items() if "/taint/" in key} == {"node-template/taint/spotInstance": "true:NoSchedule"}
    assert tags[cluster] == "owned"


def test_a5_new_nodes_keep_the_spot_taint_and_lose_the_startup_taint_once_the_driver_is_there(engine: Engine) -> None:
    eks = engine.client("eks")
    cluster = eks.list_clusters()["clusters"][0]
    taints = eks.describe_nodegroup(clusterName=cluster, nodegroupName="ng-spot1")["nodegroup"]["taints"]
    assert {"key": STARTUP_TAINT, "effect": "NO_EXECUTE"} in taints
    assert _taints(spot_nodes(admin(engine))) == {("spotInstance", "NoSchedule")}


def _taints(nodes: dict[str, client.V1Node]) -> set[tuple[str, str]]:
    return {(taint.key, taint.effect) for node in nodes.values() for taint in node.spec.taints or []}


def test_a20_an_interrupted_spot_node_is_replaced_drained_and_gone_and_the_stack_has_no_drift(engine: Engine) -> None:
    fis, scaling, cluster = engine.client("fis"), engine.client("autoscaling"), admin(engine)
    templates = {item["tags"]["Drill"]: item["id"] for item in fis.list_experiment_templates()["experimentTemplates"]}
    assert templates.keys() == {"notice", "sudden", "all-spot"}
    before = spot_nodes(cluster)
    id = fis.start_experiment(experimentTemplateId=templates["notice"], tags={"NoticeScale": "0.1"})["experiment"]["id"]
    [chosen] = fis.list_experiment_resolved_targets(experimentId=id)["resolvedTargets"]
    deadline, cordoned = time.monotonic() + 60, set()
    while fis.get_experiment(id=id)["experiment"]["state"]["status"] == "running" and time.monotonic() < deadline:
        now = spot_nodes(cluster)
        cordoned |= {name for name, node in now.items() if node.spec.unschedulable and len(now) == len(before) + 1}
        time.sleep(0.1)
    assert fis.get_experiment(id=id)["experiment"]["state"]["status"] == "completed"
    after = spot_nodes(cluster)
    [gone] = before.keys() - after.keys()
    assert before[gone].spec.provider_id.endswith(chosen["targetInformation"]["arn"].rpartition("/")[2])
    assert cordoned == {gone}, "the replacement is there before the old node is cordoned"
    assert len(after) == len(before)
    assert _taints(after) == {("spotInstance", "NoSchedule")}, "its replacement takes tasks"
    sizes = {group["DesiredCapacity"] for group in scaling.describe_auto_scaling_groups()["AutoScalingGroups"]}
    assert sizes == {2}, "a replacement is no growth"
    assert set(engine.stack("local").refresh(suppress_progress=True).summary.resource_changes or {}) == {"same"}


def test_b11_a_stack_sleeps_and_wakes_with_nothing_changed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated pods answer no log-in; that runs and logs are still there is the end-to-end tier's to show."""
    monkeypatch.setattr(hibernation_pods, "no_answer", lambda _: None)
    stack, api, rds = engine.stack("local"), admin(engine), engine.client("rds")
    outputs = {key: output.value for key, output in stack.outputs().items()}
    kubeconfig = json.loads(admin_kubeconfig(engine.cloud).read_text())
    deployment = from_outputs("local", outputs | {"kubeconfig": kubeconfig})
    sleeper = Sleeper(deployment=deployment, eks=engine.client("eks"), rds=rds, poll_seconds=0.5)
    before = {node.metadata.labels["eks.amazonaws.com/nodegroup"] for node in api.list_node().items}
    hibernation.sleep(sleeper)
    assert api.list_node().items == []
    assert rds.describe_db_instances()["DBInstances"][0]["DBInstanceStatus"] == "stopped"
    with pytest.raises(auto.CommandError, match=r"stack local is asleep, and nothing can be deployed without nodes: make wake"):
        stack.up(suppress_progress=True)
    hibernation.wake(sleeper)
    assert {node.metadata.labels["eks.amazonaws.com/nodegroup"] for node in api.list_node().items} == before
    assert len(api.list_node().items) == 4
    assert engine.run(stack.refresh).changes == []
    assert engine.run(engine.stack("local").up).changes == []


def admin(engine: Engine) -> client.CoreV1Api:
    return client.CoreV1Api(config.new_client_from_config(str(admin_kubeconfig(engine.cloud))))


def spot_nodes(api: client.CoreV1Api) -> dict[str, client.V1Node]:
    return {node.metadata.name: node for node in api.list_node(label_selector="lifecycle=Ec2Spot").items}


def test_b9_b8_log_archive_and_container_insights_come_with_all_their_settings_and_go(engine: Engine) -> None:
    archive = {"airflow-on-eks:airflow": {"logArchive": {"enabled": True, "deleteWithStack": True}}}
    stack = engine.stack("local", settings={**archive, "airflow-on-eks:cluster": {"containerInsights": True}})
    engine.run(stack.up)
    assert len(_insights_logs(engine)) == 4
    s3 = engine.client("s3")
    [bucket] = [found["Name"] for found in s3.list_buckets()["Buckets"]]
    [rule] = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
    rules = {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]}
    assert rules["logs"]["Expiration"] == {"Days": 365}
    assert {"Project", "Component"} <= {tag["Key"] for tag in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
    with pytest.raises(ClientError, match="403"):  # this endpoint is plain HTTP, which the bucket's policy refuses
        s3.put_object(Bucket=bucket, Key="logs/attempt=1.log", Body=b"line")
    assert engine.run(stack.up).changes == []
    assert set(stack.refresh(suppress_progress=True).summary.resource_changes or {}) == {"same"}
    engine.run(engine.stack("local").up)
    assert s3.list_buckets()["Buckets"] == []
    assert _insights_logs(engine) == []


def _insights_logs(engine: Engine) -> list[str]:
    """Row B8: the log groups of Container Insights, where the add-on and its role are there, all of them with an end and a key."""
    eks = engine.client("eks")
    cluster = eks.list_clusters()["clusters"][0]
    if "amazon-cloudwatch-observability" in eks.list_addons(clusterName=cluster)["addons"]:
        add_on = eks.describe_addon(clusterName=cluster, addonName="amazon-cloudwatch-observability")["addon"]
        assert json.loads(add_on["configurationValues"])["manager"]["nodeSelector"] == {"lifecycle": "OnDemand"}
        [identity] = eks.list_pod_identity_associations(clusterName=cluster, namespace="amazon-cloudwatch")["associations"]
        assert identity["serviceAccount"] == "cloudwatch-agent"
    groups = engine.client("logs").describe_log_groups(logGroupNamePrefix="/aws/containerinsights/")["logGroups"]
    assert all(group["retentionInDays"] and group["kmsKeyId"] for group in groups)
    return [group["logGroupName"] for group in groups]
