"""A8, A12: the inputs of every resource. That pods really mount the folders is shown on real nodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from components.efs_storage import EfsStorage, EfsStorageArgs
from tests.conftest import Engine, built_once

Build = Callable[[Callable[[], Any]], Engine]
ACCESS = "aws:efs/accessPoint:AccessPoint"
VOLUME = "kubernetes:core/v1:PersistentVolume"


@built_once
def storage(tags: Mapping[str, str], **changes: Any) -> Callable[[], EfsStorage]:
    plan = {
        "vpc_id": "vpc-1",
        "subnet_ids": ("subnet-1", "subnet-2", "subnet-3"),
        "client_security_group_id": "sg-nodes",
        "throughput_mode": "elastic",
        "backups": True,
        "tags": tags,
    }
    return lambda: EfsStorage("storage", EfsStorageArgs(**{**plan, **changes}))


def test_a8_a12_the_storage_consists_of_exactly_these_resources(build: Build, tags: dict[str, str]) -> None:
    assert build(storage(tags)).children == {
        ("aws:efs/fileSystem:FileSystem", "storage-files"),
        ("aws:efs/backupPolicy:BackupPolicy", "storage-backups"),
        ("aws:efs/fileSystemPolicy:FileSystemPolicy", "storage-policy"),
        ("aws:ec2/securityGroup:SecurityGroup", "storage-security-group"),
        ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "storage-from-nodes"),
        ("aws:efs/mountTarget:MountTarget", "storage-mount-target-0"),
        ("aws:efs/mountTarget:MountTarget", "storage-mount-target-1"),
        ("aws:efs/mountTarget:MountTarget", "storage-mount-target-2"),
        (ACCESS, "storage-dags-access"),
        (ACCESS, "storage-logs-access"),
        ("kubernetes:storage.k8s.io/v1:StorageClass", "storage-storage-class"),
        (VOLUME, "storage-dags-volume"),
        (VOLUME, "storage-logs-volume"),
    }


def test_a8_the_file_system_is_encrypted_and_says_what_it_costs(build: Build, tags: dict[str, str]) -> None:
    assert build(storage(tags, kms_key_arn="arn:key")).resources["aws:efs/fileSystem:FileSystem", "storage-files"] == {
        "encrypted": True,
        "kmsKeyId": "arn:key",
        "performanceMode": "generalPurpose",
        "throughputMode": "elastic",
        "lifecyclePolicies": [{"transitionToIa": "AFTER_30_DAYS"}, {"transitionToPrimaryStorageClass": "AFTER_1_ACCESS"}],
        "tags": {**tags, "Component": "storage", "CapacityType": "none", "Name": "storage"},
    }


@pytest.mark.parametrize(("backups", "status"), [(True, "ENABLED"), (False, "DISABLED")])
def test_daily_backups_are_a_setting(backups: bool, status: str, build: Build, tags: dict[str, str]) -> None:
    policy = build(storage(tags, backups=backups)).resources["aws:efs/backupPolicy:BackupPolicy", "storage-backups"]
    assert policy["backupPolicy"] == {"status": status}


def test_a8_the_policy_lets_nodes_mount_and_refuses_everybody_without_tls(build: Build, preview: bool, tags: dict[str, str]) -> None:
    inputs = build(storage(tags)).resources["aws:efs/fileSystemPolicy:FileSystemPolicy", "storage-policy"]
    if preview:
        return
    allow, deny = json.loads(inputs["policy"])["Statement"]
    assert allow["Effect"] == "Allow", "a policy with a Deny alone locks everybody out"
    assert allow["Action"] == [f"elasticfilesystem:{verb}" for verb in ("ClientMount", "ClientWrite", "ClientRootAccess")]
    assert allow["Condition"] == {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}}
    assert (deny["Effect"], deny["Action"]) == ("Deny", "*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a8_only_the_nodes_group_reaches_2049_and_the_file_system_reaches_nothing(build: Build, tags: dict[str, str]) -> None:
    engine = build(storage(tags))
    assert not {"ingress", "egress"} & set(engine.resources["aws:ec2/securityGroup:SecurityGroup", "storage-security-group"])
    [rule] = engine.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").values()
    assert not {"cidrIpv4", "cidrIpv6", "prefixListId"} & set(rule)
    assert (rule["ipProtocol"], rule["fromPort"], rule["toPort"]) == ("tcp", 2049, 2049)
    assert rule["referencedSecurityGroupId"] == "sg-nodes"


def test_a8_there_is_a_mount_target_in_each_subnet(build: Build, tags: dict[str, str]) -> None:
    targets = build(storage(tags, subnet_ids=("subnet-1", "subnet-2"))).of_type("aws:efs/mountTarget:MountTarget")
    assert sorted(target["subnetId"] for target in targets.values()) == ["subnet-1", "subnet-2"]


@pytest.mark.parametrize("purpose", ["dags", "logs"])
def test_a8_each_access_point_is_a_folder_of_the_images_user(purpose: str, build: Build, tags: dict[str, str]) -> None:
    access = build(storage(tags)).resources[ACCESS, f"storage-{purpose}-access"]
    assert access["posixUser"] == {"uid": 50000, "gid": 0}
    assert access["rootDirectory"] == {
        "path": f"/{purpose}",
        "creationInfo": {"ownerUid": 50000, "ownerGid": 0, "permissions": "0770"},
    }


@pytest.mark.parametrize("purpose", ["dags", "logs"])
def test_a12_the_volumes_are_static_shared_kept_and_mounted_with_tls(
    purpose: str, build: Build, preview: bool, tags: dict[str, str]
) -> None:
    inputs = build(storage(tags)).resources[VOLUME, f"storage-{purpose}-volume"]
    assert inputs["metadata"] == {"name": f"airflow-{purpose}"}
    spec = inputs["spec"]
    csi = spec.pop("csi")
    assert spec == {
        "capacity": {"storage": "100Gi"},
        "volumeMode": "Filesystem",
        "accessModes": ["ReadWriteMany"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "airflow-sc",
        "mountOptions": ["tls"],
    }
    assert csi["driver"] == "efs.csi.aws.com"
    if not preview:
        assert csi["volumeHandle"] == f"storage-files-id::storage-{purpose}-access-id"


@pytest.mark.parametrize("purpose", ["dags", "logs"])
def test_nobody_mounts_before_the_mount_targets_answer_and_the_policy_allows_it(purpose: str, build: Build, tags: dict[str, str]) -> None:
    waits_for = build(storage(tags)).request(VOLUME, f"storage-{purpose}-volume").dependencies
    names = {urn.rpartition("::")[2] for urn in waits_for}
    assert names >= {"storage-mount-target-0", "storage-mount-target-1", "storage-mount-target-2", "storage-policy"}


def test_a12_the_class_makes_nothing_by_itself_and_keeps_what_is_released(build: Build, tags: dict[str, str]) -> None:
    inputs = build(storage(tags)).resources["kubernetes:storage.k8s.io/v1:StorageClass", "storage-storage-class"]
    assert inputs["metadata"] == {"name": "airflow-sc"}
    assert (inputs["provisioner"], inputs["reclaimPolicy"], inputs["mountOptions"]) == ("efs.csi.aws.com", "Retain", ["tls"])
    assert "parameters" not in inputs, "without them the driver cannot make access points of its own"
