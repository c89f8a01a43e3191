"""The node half of the driver `efs.csi.aws.com`: a process on each node that mounts file systems into pods' volumes.

Runs on a node only while the driver's add-on is installed (`install`, `uninstall`), as on EKS. There is no controller half: volumes are
static, named by access point.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from embedded import file_system, startup_taint
from embedded.cloud import Cloud, CloudError, load

DRIVER = "efs.csi.aws.com"
VERSION = "v3.4.2"
PLUGINS = Path("/var/lib/kubelet/plugins")
REGISTRATIONS = Path("/var/lib/kubelet/plugins_registry")
_TYPES = {"string": 9, "bool": 8}
_MESSAGES: dict[str, dict[str, tuple[int, str, bool]]] = {
    "Empty": {},
    "GetPluginInfoResponse": {"name": (1, "string", False), "vendor_version": (2, "string", False)},
    "NodeGetInfoResponse": {"node_id": (1, "string", False)},
    "NodePublishVolumeRequest": {"volume_id": (1, "string", False), "target_path": (4, "string", False), "readonly": (6, "bool", False)},
    "NodeUnpublishVolumeRequest": {"volume_id": (1, "string", False), "target_path": (2, "string", False)},
    "PluginInfo": {
        "type": (1, "string", False),
        "name": (2, "string", False),
        "endpoint": (3, "string", False),
        "supported_versions": (4, "string", True),
    },
    "RegistrationStatus": {"plugin_registered": (1, "bool", False), "error": (2, "string", False)},
}
"""Fields that matter here of the messages of CSI 1.x and of the kubelet's plugin registration: number, type, repeated. Messages on the
wire carry no names, and fields that are not listed are skipped."""


def _message_classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="embedded_csi.proto", package="embedded_csi", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            message.field.add(name=field, number=number, type=_TYPES[kind], label=3 if repeated else 1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"embedded_csi.{name}")) for name in _MESSAGES}


MESSAGES = _message_classes()


def installed_flag(cloud: Cloud) -> Path:
    """File that exists while the driver is installed; nodes watch it."""
    return cloud.home / "efs-csi-installed"


def command(cloud: Cloud, node: str) -> list[str]:
    """Command line of the node's driver process."""
    return [sys.executable, "-m", "embedded.efs_csi", str(cloud.home), node]


def install(cloud: Cloud) -> None:
    """What EKS does for the add-on aws-efs-csi-driver: the CSIDriver object, and a driver process on every node."""
    from embedded.control_plane import apply

    spec = {"attachRequired": False, "fsGroupPolicy": "ReadWriteOnceWithFSType", "podInfoOnMount": False}
    apply(cloud, [{"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": DRIVER}, "spec": spec}])
    installed_flag(cloud).touch()
    if cloud.simulated:
        from embedded.nodes import nodes

        simulated_ready(cloud, [spec.name for spec in nodes(cloud)])


def simulated_ready(cloud: Cloud, names: Iterable[str]) -> None:
    """What the driver's process does on real nodes when it is ready; nothing as long as the driver is not installed."""
    if installed_flag(cloud).exists():
        for name in names:
            startup_taint.take_off(cloud, name)


def uninstall(cloud: Cloud) -> None:
    """Remove the driver; mounted volumes stay mounted."""
    from embedded.control_plane import kubectl

    installed_flag(cloud).unlink(missing_ok=True)
    kubectl(cloud, "delete", "csidriver", DRIVER, "--ignore-not-found")


def is_mounted(target: Path) -> bool:
    """Whether something is mounted exactly there. `Path.is_mount` misses a bind mount from the same device."""
    rows = Path("/proc/self/mountinfo").read_text().splitlines()
    return any(row.split()[4].encode().decode("unicode_escape") == str(target) for row in rows)


class Driver:
    """Answers the kubelet's calls on one node."""

    def __init__(self, cloud: Cloud, node: str, socket: Path) -> None:
        self.cloud, self.node, self.socket = cloud, node, socket
        self.lock = threading.Lock()

    def plugin_info(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Who this driver is, for CSI."""
        return MESSAGES["GetPluginInfoResponse"](name=DRIVER, vendor_version=VERSION)

    def node_info(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Which node this is."""
        return MESSAGES["NodeGetInfoResponse"](node_id=self.node)

    def registration_info(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Who this driver is, for the kubelet's plugin registration."""
        return MESSAGES["PluginInfo"](type="CSIPlugin", name=DRIVER, endpoint=str(self.socket), supported_versions=["1.0.0"])

    def registered(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The kubelet has taken the driver in, or says why not: only now can a pod be mounted for."""
        if request.plugin_registered:
            threading.Thread(target=startup_taint.take_off, args=(self.cloud, self.node), daemon=True).start()
        else:
            print(f"the kubelet refused {DRIVER}: {request.error}", flush=True)
        return MESSAGES["Empty"]()

    def nothing(self, request: Any, context: grpc.ServicerContext) -> Any:
        """An empty answer: no optional capability, or nothing to say."""
        return MESSAGES["Empty"]()

    def publish(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Mount a volume where a pod's containers will find it."""
        try:
            source = file_system.access_point_path(self.cloud, request.volume_id)
        except CloudError as error:
            context.abort(grpc.StatusCode.NOT_FOUND, str(error))
        target = Path(request.target_path)
        with self.lock:
            target.mkdir(mode=0o750, parents=True, exist_ok=True)
            if not is_mounted(target):
                self._mount(context, "--bind", str(source), str(target))
                if request.readonly:
                    self._mount(context, "-o", "remount,bind,ro", str(target))
        return MESSAGES["Empty"]()

    def unpublish(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Undo `publish`; a volume that is not mounted is no error."""
        target = Path(request.target_path)
        with self.lock:
            if is_mounted(target):
                self._run(context, "umount", str(target))
            if target.is_dir():
                target.rmdir()
        return MESSAGES["Empty"]()

    def _mount(self, context: grpc.ServicerContext, *arguments: str) -> None:
        self._run(context, "mount", *arguments)

    def _run(self, context: grpc.ServicerContext, *line: str) -> None:
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            context.abort(grpc.StatusCode.INTERNAL, done.stderr.strip())


def _handlers(driver: Driver) -> list[grpc.GenericRpcHandler]:
    methods = {
        "csi.v1.Identity": {
            "GetPluginInfo": (driver.plugin_info, "Empty"),
            "GetPluginCapabilities": (driver.nothing, "Empty"),
            "Probe": (driver.nothing, "Empty"),
        },
        "csi.v1.Node": {
            "NodeGetCapabilities": (driver.nothing, "Empty"),
            "NodeGetInfo": (driver.node_info, "Empty"),
            "NodePublishVolume": (driver.publish, "NodePublishVolumeRequest"),
            "NodeUnpublishVolume": (driver.unpublish, "NodeUnpublishVolumeRequest"),
        },
        "pluginregistration.Registration": {
            "GetInfo": (driver.registration_info, "Empty"),
            "NotifyRegistrationStatus": (driver.registered, "RegistrationStatus"),
        },
    }

    def handler(behaviour: Any, request: str) -> grpc.RpcMethodHandler:
        decode = MESSAGES[request].FromString
        return grpc.unary_unary_rpc_method_handler(
            behaviour, request_deserializer=decode, response_serializer=lambda answer: answer.SerializeToString()
        )

    return [
        grpc.method_handlers_generic_handler(service, {name: handler(*entry) for name, entry in table.items()})
        for service, table in methods.items()
    ]


def serve(cloud: Cloud, node: str) -> None:
    """Serve until killed."""
    folder = PLUGINS / DRIVER
    sockets = [folder / "csi.sock", REGISTRATIONS / f"{DRIVER}-reg.sock"]
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(tuple(_handlers(Driver(cloud, node, sockets[0]))))
    for socket in sockets:
        socket.parent.mkdir(parents=True, exist_ok=True)
        socket.unlink(missing_ok=True)
        server.add_insecure_port(f"unix:{socket}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    found = load(Path(sys.argv[1]))
    if found is None:
        raise SystemExit(f"there is no embedded cloud in {sys.argv[1]}")
    serve(found, sys.argv[2])
