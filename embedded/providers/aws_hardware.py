"""What AWS switches on and off behind its records: the control plane, machines, the database server, folders and the registry."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from embedded.cloud import Cloud
from embedded.providers.aws_table import Context, Values
from embedded.providers.server import ProviderError

EFS_DRIVER = "aws-efs-csi-driver"
EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}
"""EKS's spelling of taint effects to Kubernetes's."""


class Machines:
    """The real hardware, each part loaded when it is first needed. Tests put a recorder with the same methods in its place."""

    def start_cluster(self, cloud: Cloud, name: str) -> None:
        """Power on a control plane."""
        from embedded import control_plane

        control_plane.start_control_plane(cloud, cluster_name=name)

    def stop_cluster(self, cloud: Cloud, name: str) -> None:
        """Power it off for good; what was left in it is written down, for afterwards there is no API to ask."""
        from embedded import control_plane

        (cloud.home / "kubernetes-leftovers.json").write_text(json.dumps(control_plane.leftovers(cloud)))
        control_plane.stop_control_plane(cloud)

    def install_efs_driver(self, cloud: Cloud) -> None:
        """Run the EFS CSI driver on every node."""
        from embedded import efs_csi

        efs_csi.install(cloud)

    def uninstall_efs_driver(self, cloud: Cloud) -> None:
        """Stop offering it."""
        from embedded import efs_csi

        efs_csi.uninstall(cloud)

    def node_instances(self, cloud: Cloud, group: str) -> dict[str, str]:
        """Instance id to node name of a group's running nodes."""
        from embedded import nodes

        return {spec.instance_id: spec.name for spec in nodes.nodes(cloud) if spec.group == group}

    @contextmanager
    def fitting(self, cloud: Cloud, group: str) -> Iterator[None]:
        """Held while a group's machines are changed: the provider and the AWS API, two processes, both do."""
        with (cloud.path("nodes") / f".{group}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def start_nodes(self, cloud: Cloud, specs: list[Values]) -> None:
        """Power on machines and wait until they are Ready."""
        from embedded import nodes

        nodes.start_nodes(cloud, [nodes.NodeSpec(**spec) for spec in specs])

    def stop_node(self, cloud: Cloud, name: str) -> None:
        """Shut down in order, remove the Node object."""
        from embedded import nodes

        nodes.stop_node(cloud, name)

    def mark_node(self, cloud: Cloud, name: str, labels: dict[str, str | None], taints: dict[tuple[str, str], str | None]) -> None:
        """Change labels and taints (by key and effect) of a running node; None takes one away."""
        from embedded.control_plane import kubectl

        node = json.loads(kubectl(cloud, "get", "node", name, "--output", "json"))
        kept = [item for item in node["spec"].get("taints") or [] if (item["key"], item["effect"]) not in taints]
        new = [{"key": key, "value": value, "effect": effect} for (key, effect), value in taints.items() if value is not None]
        patch = {"metadata": {"labels": labels}, "spec": {"taints": kept + new}}
        kubectl(cloud, "patch", "node", name, "--type", "merge", "--patch", json.dumps(patch))

    def start_database(self, cloud: Cloud, identifier: str, **settings: Any) -> None:
        """Start PostgreSQL, or hand a running one changed parameters."""
        from embedded import database

        database.start_database(cloud, identifier, **settings)

    def set_password(self, cloud: Cloud, identifier: str, username: str, password: str) -> None:
        """Change the master user's password."""
        from embedded import database

        database.set_password(cloud, identifier, username=username, password=password)

    def delete_database(self, cloud: Cloud, identifier: str) -> None:
        """Remove the server and its data."""
        from embedded import database

        database.delete_database(cloud, identifier)

    def create_file_system(self, cloud: Cloud, id: str) -> None:
        """Make the folder of a file system."""
        from embedded import file_system

        file_system.create_file_system(cloud, id)

    def delete_file_system(self, cloud: Cloud, id: str) -> None:
        """Remove it."""
        from embedded import file_system

        file_system.delete_file_system(cloud, id)

    def create_access_point(self, cloud: Cloud, file_system_id: str, id: str, **settings: Any) -> None:
        """Make an access point's folder."""
        from embedded import file_system

        file_system.create_access_point(cloud, file_system_id, id, **settings)

    def delete_access_point(self, cloud: Cloud, file_system_id: str, id: str) -> None:
        """Forget an access point."""
        from embedded import file_system

        file_system.delete_access_point(cloud, file_system_id, id)

    def start_registry(self, cloud: Cloud) -> None:
        """Start the image registry."""
        from embedded import registry

        registry.start_registry(cloud)

    def images(self, cloud: Cloud, repository: str) -> list[str]:
        """Tags or digests in a repository."""
        from embedded import registry

        return list(registry.image_digests(cloud, repository))

    def delete_repository(self, cloud: Cloud, repository: str) -> None:
        """Remove a repository's images."""
        from embedded import registry

        registry.delete_repository(cloud, repository)


def _taints(inputs: Values) -> dict[tuple[str, str], str | None]:
    return {(item["key"], EFFECTS[item["effect"]]): item.get("value", "") for item in inputs.get("taints") or []}


def _changes(olds: Values, news: Values) -> tuple[dict[str, str | None], dict[tuple[str, str], str | None]]:
    """What an update of a node group means for the nodes it has: EKS labels and taints those too."""
    if not olds:
        return {}, {}
    old_labels, new_labels = olds.get("labels") or {}, news.get("labels") or {}
    labels = dict.fromkeys(old_labels.keys() - new_labels.keys()) | {
        key: value for key, value in new_labels.items() if old_labels.get(key) != value
    }
    old_taints, new_taints = _taints(olds), _taints(news)
    taints = dict.fromkeys(old_taints.keys() - new_taints.keys()) | {
        key: value for key, value in new_taints.items() if old_taints.get(key) != value
    }
    return labels, taints


class Hardware:
    """Calls the machines as resources come and go."""

    def __init__(self, cloud: Cloud, machines: Any = None) -> None:
        self.cloud = cloud
        self.machines = machines or Machines()

    def created(self, token: str, context: Context) -> None:
        """After AWS has made a resource."""
        self._run(self._CREATED, token, context)

    def updated(self, token: str, context: Context, changed: set[str]) -> None:
        """After AWS has changed one."""
        if token == "aws:rds/instance:Instance" and "password" in changed:
            self.machines.set_password(self.cloud, context.id, context["username"], context.inputs["password"])
        self._run(self._UPDATED, token, context)

    def before_delete(self, token: str, context: Context) -> None:
        """What AWS checks that only the hardware knows."""
        if token == "aws:ecr/repository:Repository" and not context["forceDelete"]:
            images = self.machines.images(self.cloud, context.id)
            if images:
                message = f"The repository with name '{context.id}' cannot be deleted because it still contains images: {', '.join(images)}"
                raise ProviderError(f"DeleteRepository: RepositoryNotEmptyException: {message}")

    def deleted(self, token: str, context: Context) -> None:
        """After AWS has deleted one."""
        self._run(self._DELETED, token, context)

    def _run(self, hooks: dict[str, Callable[[Hardware, Context], None]], token: str, context: Context) -> None:
        if token in hooks:
            hooks[token](self, context)

    def fit_nodes(self, context: Context) -> None:
        """Make the running nodes of a group those its Auto Scaling group lists; whoever else asks for the same meanwhile waits."""
        with self.machines.fitting(self.cloud, context["nodeGroupName"]):
            self._fit(context)

    def _fit(self, context: Context) -> None:
        cluster, group = context["clusterName"], context["nodeGroupName"]
        record = context.ask("eks", "DescribeNodegroup", {"clusterName": cluster, "nodegroupName": group})["nodegroup"]
        names = [item["name"] for item in record["resources"]["autoScalingGroups"]]
        groups = context.ask("autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": names})["AutoScalingGroups"]
        wanted = {item["InstanceId"]: item for found in groups for item in found["Instances"]}
        running = self.machines.node_instances(self.cloud, group)
        missing = [item for id, item in wanted.items() if id not in running]
        if missing:  # new ones first: pods of those that go need a place
            self.machines.start_nodes(self.cloud, self._specs(context, record, missing))
        for id in running.keys() - wanted.keys():
            self.machines.stop_node(self.cloud, running[id])
        labels, taints = _changes(context.olds, context.inputs)
        if labels or taints:
            for id in running.keys() & wanted.keys():
                self.machines.mark_node(self.cloud, running[id], labels, taints)

    def _specs(self, context: Context, record: Values, instances: list[Values]) -> list[Values]:
        types = sorted({item["InstanceType"] for item in instances})
        sizes = {
            item["InstanceType"]: item for item in context.ask("ec2", "DescribeInstanceTypes", {"InstanceTypes": types})["InstanceTypes"]
        }
        return [
            {
                "group": record["nodegroupName"],
                "capacity_type": record["capacityType"],
                "instance_type": item["InstanceType"],
                "vcpu": sizes[item["InstanceType"]]["VCpuInfo"]["DefaultVCpus"],
                "memory_mib": sizes[item["InstanceType"]]["MemoryInfo"]["SizeInMiB"],
                "zone": item["AvailabilityZone"],
                "labels": dict(record.get("labels") or {}),
                "taints": tuple((taint["key"], taint.get("value", ""), EFFECTS[taint["effect"]]) for taint in record.get("taints") or []),
                "instance_id": item["InstanceId"],
            }
            for item in instances
        ]

    def _stop_group(self, context: Context) -> None:
        for name in self.machines.node_instances(self.cloud, context["nodeGroupName"]).values():
            self.machines.stop_node(self.cloud, name)

    def _database(self, context: Context) -> None:
        found = context.ask("rds", "DescribeDBInstances", {"DBInstanceIdentifier": context.id})["DBInstances"][0]
        group = found["DBParameterGroups"][0]["DBParameterGroupName"] if found["DBParameterGroups"] else ""
        password = context["password"]
        if password is None and found.get("MasterUserSecret"):
            secret = context.ask("secretsmanager", "GetSecretValue", {"SecretId": found["MasterUserSecret"]["SecretArn"]})["SecretString"]
            password = json.loads(secret)["password"]
        self.machines.start_database(
            self.cloud,
            context.id,
            engine_version=str(found["EngineVersion"]),
            username=found["MasterUsername"],
            password=password,
            database=context["dbName"] or "",
            parameters=self._parameters(context, group),
            address=found["Endpoint"]["Address"],
        )

    def _parameters(self, context: Context, group: str) -> dict[str, str]:
        if not group or group.startswith("default."):
            return {"rds.force_ssl": "1"}  # the default of RDS for PostgreSQL 15 and newer
        listed = context.ask("rds", "DescribeDBParameters", {"DBParameterGroupName": group, "Source": "user"})["Parameters"]
        return {"rds.force_ssl": "1"} | {
            item["ParameterName"]: item["ParameterValue"] for item in listed if item.get("ParameterValue") is not None
        }

    def _parameter_group(self, context: Context) -> None:
        for found in context.ask("rds", "DescribeDBInstances", {})["DBInstances"]:
            if any(item["DBParameterGroupName"] == context.id for item in found["DBParameterGroups"]):
                known = {"dbName": found.get("DBName"), "password": ""}  # a server that has its data keeps its password
                self._database(Context(context.cloud, context.client, context.kind, known, id=found["DBInstanceIdentifier"]))

    def _access_point(self, context: Context) -> None:
        root = context["rootDirectory"] or {}
        made = root.get("creationInfo") or {}
        self.machines.create_access_point(
            self.cloud,
            context["fileSystemId"],
            context.id,
            path=root.get("path") or "/",
            uid=int(made.get("ownerUid", 0)),
            gid=int(made.get("ownerGid", 0)),
            permissions=str(made.get("permissions", "0755")),
        )

    def _add_on(self, context: Context) -> None:
        if context["addonName"] == EFS_DRIVER:
            self.machines.install_efs_driver(self.cloud)

    def _no_add_on(self, context: Context) -> None:
        if context["addonName"] == EFS_DRIVER:
            self.machines.uninstall_efs_driver(self.cloud)

    _CREATED: dict[str, Callable[[Hardware, Context], None]] = {  # noqa: RUF012
        "aws:eks/cluster:Cluster": lambda self, context: self.machines.start_cluster(self.cloud, context["name"]),
        "aws:eks/addon:Addon": _add_on,
        "aws:eks/nodeGroup:NodeGroup": fit_nodes,
        "aws:rds/instance:Instance": _database,
        "aws:efs/fileSystem:FileSystem": lambda self, context: self.machines.create_file_system(self.cloud, context.id),
        "aws:efs/accessPoint:AccessPoint": _access_point,
        "aws:ecr/repository:Repository": lambda self, context: self.machines.start_registry(self.cloud),
    }
    _UPDATED: dict[str, Callable[[Hardware, Context], None]] = {  # noqa: RUF012
        "aws:eks/nodeGroup:NodeGroup": fit_nodes,
        "aws:rds/instance:Instance": _database,
        "aws:rds/parameterGroup:ParameterGroup": _parameter_group,
    }
    _DELETED: dict[str, Callable[[Hardware, Context], None]] = {  # noqa: RUF012
        "aws:eks/addon:Addon": _no_add_on,
        "aws:eks/cluster:Cluster": lambda self, context: self.machines.stop_cluster(self.cloud, context["name"]),
        "aws:eks/nodeGroup:NodeGroup": _stop_group,
        "aws:rds/instance:Instance": lambda self, context: self.machines.delete_database(self.cloud, context.id),
        "aws:efs/fileSystem:FileSystem": lambda self, context: self.machines.delete_file_system(self.cloud, context.id),
        "aws:efs/accessPoint:AccessPoint": lambda self, context: self.machines.delete_access_point(
            self.cloud, context["fileSystemId"], context.id
        ),
        "aws:ecr/repository:Repository": lambda self, context: self.machines.delete_repository(self.cloud, context.id),
    }
