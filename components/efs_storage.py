"""Shared file system of DAGs and task logs on EFS.

Owns the file system with its mount targets, access points and policy, and what Kubernetes needs to offer it: StorageClass and one
PersistentVolume for DAGs and one for logs. Claims belong to a namespace and so to whoever runs in it: `AirflowRelease` claims the two
volumes by the names given here. Without it a task killed with its node leaves no log.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.cost_tags import component_tags
from components.store_access import for_nodes_only

PORT = 2049
USER_ID = 50000
"""User of the Airflow image."""
GROUP_ID = 0
VOLUMES = ("dags", "logs")
STORAGE_CLASS = "airflow-sc"
DRIVER = "efs.csi.aws.com"
CAPACITY = "100Gi"
"""Kubernetes wants a number; EFS has no size limit and ignores it."""


@dataclass(frozen=True, kw_only=True)
class EfsStorageArgs:
    """Where the file system is reachable and how it is kept."""

    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    """One private subnet in each zone; their number decides how many mount targets there are."""
    client_security_group_id: pulumi.Input[str]
    """Group the nodes carry; nothing else mounts the file system."""
    kms_key_arn: pulumi.Input[str] | None = None
    """Key for the data; None: the account's default key for EFS."""

    throughput_mode: str
    backups: bool
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class SharedVolumes:
    """What a namespace must claim to use the shared folders."""

    storage_class: pulumi.Input[str]
    dags: pulumi.Input[str]
    """PersistentVolume of the DAG folder."""
    logs: pulumi.Input[str]
    """PersistentVolume of the log folder."""


class EfsStorage(pulumi.ComponentResource):
    """Encrypted file system with a folder for DAGs and one for logs, mounted with TLS only."""

    volumes: SharedVolumes
    """The volumes, usable once their mount targets are."""
    file_system_id: pulumi.Output[str]
    """Id of the file system."""
    security_group_id: pulumi.Output[str]
    """Group of the mount targets, for those who must prove what reaches them."""

    def __init__(self, name: str, args: EfsStorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-on-eks:index:EfsStorage", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = component_tags(args.tags, "storage")

        files = aws.efs.FileSystem(
            f"{name}-files",
            encrypted=True,
            kms_key_id=args.kms_key_arn,
            performance_mode="generalPurpose",
            throughput_mode=args.throughput_mode,
            # one transition an item, or EFS refuses the list
            lifecycle_policies=[{"transition_to_ia": "AFTER_30_DAYS"}, {"transition_to_primary_storage_class": "AFTER_1_ACCESS"}],
            tags={**tags, "Name": name},
            opts=child,
        )
        aws.efs.BackupPolicy(
            f"{name}-backups",
            file_system_id=files.id,
            backup_policy={"status": "ENABLED" if args.backups else "DISABLED"},
            opts=child,
        )
        policy = aws.efs.FileSystemPolicy(
            f"{name}-policy", file_system_id=files.id, policy=files.arn.apply(lambda arn: json.dumps(_policy(arn))), opts=child
        )
        group = for_nodes_only(
            name,
            vpc_id=args.vpc_id,
            client_security_group_id=args.client_security_group_id,
            port=PORT,
            store="Airflow's shared file system",
            protocol="NFS",
            tags=tags,
            opts=child,
        )
        targets = [
            aws.efs.MountTarget(
                f"{name}-mount-target-{number}", file_system_id=files.id, subnet_id=subnet, security_groups=[group.id], opts=child
            )
            for number, subnet in enumerate(args.subnet_ids)
        ]
        storage_class = k8s.storage.v1.StorageClass(
            f"{name}-storage-class",
            metadata={"name": STORAGE_CLASS},
            provisioner=DRIVER,
            reclaim_policy="Retain",
            volume_binding_mode="Immediate",
            mount_options=["tls"],
            opts=child,
        )
        # a pod that mounts before the targets answer fails on their DNS names
        mountable = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[*targets, policy]))
        volumes = {}
        for purpose in VOLUMES:
            access = aws.efs.AccessPoint(
                f"{name}-{purpose}-access",
                file_system_id=files.id,
                posix_user={"uid": USER_ID, "gid": GROUP_ID},
                root_directory={
                    "path": f"/{purpose}",
                    "creation_info": {"owner_uid": USER_ID, "owner_gid": GROUP_ID, "permissions": "0770"},
                },
                tags={**tags, "Name": f"{name}-{purpose}"},
                opts=child,
            )
            volumes[purpose] = k8s.core.v1.PersistentVolume(
                f"{name}-{purpose}-volume",
                metadata={"name": f"airflow-{purpose}"},
                spec={
                    "capacity": {"storage": CAPACITY},
                    "volumeMode": "Filesystem",
                    "accessModes": ["ReadWriteMany"],
                    "persistentVolumeReclaimPolicy": "Retain",
                    "storageClassName": storage_class.metadata["name"],
                    "mountOptions": ["tls"],
                    "csi": {"driver": DRIVER, "volumeHandle": pulumi.Output.concat(files.id, "::", access.id)},
                },
                opts=mountable,
            )

        self.volumes = SharedVolumes(
            storage_class=storage_class.metadata["name"],
            dags=volumes["dags"].metadata["name"],
            logs=volumes["logs"].metadata["name"],
        )
        self.file_system_id = files.id
        self.security_group_id = group.id
        self.register_outputs(
            {"volumes": vars(self.volumes), "file_system_id": self.file_system_id, "security_group_id": self.security_group_id}
        )


def _policy(file_system_arn: str) -> dict[str, Any]:
    # a policy replaces EFS's default of "anyone who can mount": with the Deny alone nobody could
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "MountFromTheVpc",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [f"elasticfilesystem:{verb}" for verb in ("ClientMount", "ClientWrite", "ClientRootAccess")],
                "Resource": file_system_arn,
                "Condition": {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}},
            },
            {
                "Sid": "OnlyWithTls",
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "*",
                "Resource": file_system_arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }
