"""The embedded Kubernetes as far as it is arithmetic and text: what nodes claim to be, what images hold, who may do what.

Whether pods run, names resolve and volumes mount is for the end-to-end tests.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import socket
import stat
import tarfile
import threading
import tomllib
from pathlib import Path

import pytest
from cryptography import x509

from embedded import (
    control_plane,
    dns,
    efs_csi,
    file_system,
    load_balancer,
    node_boot,
    node_config,
    nodes,
    oci,
    pki,
    simulation,
    startup_taint,
)
from embedded.cloud import Cloud, CloudError
from embedded.node_config import NodeSpec


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(home=tmp_path, index=1)


def spec(**changes: object) -> NodeSpec:
    given: dict = {"name": "n", "group": "workers", "capacity_type": "SPOT", "instance_type": "m5.large", "vcpu": 2, "memory_mib": 8192}
    return NodeSpec(**given | {"zone": "us-west-2b", "instance_id": "i-0123456789abcdef0"} | changes)


def test_a_node_has_the_labels_of_eks_and_of_its_group(cloud):
    assert node_config.labels(cloud, spec(labels={"workload": "airflow"})) == {
        "workload": "airflow",
        "eks.amazonaws.com/nodegroup": "workers",
        "eks.amazonaws.com/capacityType": "SPOT",
        "node.kubernetes.io/instance-type": "m5.large",
        "topology.kubernetes.io/region": "us-west-2",
        "topology.kubernetes.io/zone": "us-west-2b",
    }


def test_a_node_is_named_after_its_address_as_on_eks(cloud):
    assert node_config.node_name(cloud, 1) == "ip-10-231-1-11.us-west-2.compute.internal"


def test_every_node_has_a_valid_address_and_a_pod_range_of_its_own(cloud):
    numbers = range(1, node_config.MAX_NODES + 1)
    assert max(int(cloud.node_address(number).rpartition(".")[2]) for number in numbers) < 255
    assert len({node_config.pod_cidr(number) for number in numbers}) == len(numbers)


@pytest.mark.parametrize(
    ("instance_type", "vcpu", "pods", "cpu", "memory"),
    [
        ("t3.medium", 2, 17, "70m", "442Mi"),
        ("m5.large", 2, 29, "70m", "574Mi"),
        ("m5.xlarge", 4, 58, "80m", "893Mi"),
        ("m5.2xlarge", 8, 58, "90m", "893Mi"),
        ("m5.4xlarge", 16, 234, "110m", "2829Mi"),
    ],
)
def test_reservations_are_those_of_the_eks_node_image(instance_type, vcpu, pods, cpu, memory):
    node = spec(instance_type=instance_type, vcpu=vcpu)
    assert node_config.max_pods(node) == pods
    assert node_config.reserved(node) | {"ephemeral-storage": ""} == {"cpu": cpu, "memory": memory, "ephemeral-storage": ""}


def test_a_node_offers_pods_no_more_than_the_real_machine():
    assert node_config.memory_kib(spec()) < 7_867_456, (
        "an m5.large on EKS has 7867456Ki (amazon-vpc-cni-k8s issue 148): what fits here fits there"
    )
    assert simulation.allocatable(spec()) == {"cpu": "1930m", "memory": "7069286Ki", "pods": "29"}, "what a kubelet makes of it"


def test_the_kubelet_registers_what_ec2_would_say(cloud):
    node = spec(taints=(("spot", "true", "NoSchedule"),))
    config = node_config.kubelet_configuration(cloud, node, ca=Path("ca"), certificate=Path("crt"), key=Path("key"))
    assert config["providerID"] == "aws:///us-west-2b/i-0123456789abcdef0"
    assert config["registerWithTaints"] == [{"key": "spot", "value": "true", "effect": "NoSchedule"}]
    assert config["authentication"]["anonymous"] == {"enabled": False}
    assert config["failCgroupV1"] is False, "this project's machines may still have cgroup version 1"
    assert config["clusterDNS"] == ["172.20.0.10"]


def test_a_node_counts_the_processors_and_memory_of_its_type():
    files = node_config.processor_files(spec(vcpu=4))
    assert sum(name.startswith("cpu/") and name.endswith("core_id") for name in files) == 4
    assert node_config.memory_file(spec()).startswith("MemTotal:       7759462 kB\n")


def test_nodes_leave_the_settings_of_the_machine_alone(tmp_path):
    masks = node_boot._write_masks(tmp_path, spec())
    assert {"/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/panic", "/proc/meminfo"} <= set(masks.values())
    assert all(Path(source).exists() for source in masks)


def test_containerd_runs_where_root_may_not_lower_oom_scores():
    plugin = tomllib.loads(node_config.containerd_configuration(Path("/cni"), "overlayfs"))["plugins"]["io.containerd.grpc.v1.cri"]
    assert plugin["restrict_oom_score_adj"] is True
    assert plugin["sandbox_image"] == oci.PAUSE_IMAGE
    assert plugin["cni"]["bin_dir"] == "/cni"


def test_images_of_ecr_come_from_the_local_registry(cloud):
    hosts = tomllib.loads(node_config.registry_hosts(cloud))["host"]
    assert list(hosts) == [f"http://{cloud.registry_address}"]


def test_folders_that_nodes_hide_are_refused():
    with pytest.raises(CloudError, match="is under /var/lib"):
        node_boot.check_folders(Cloud(home=Path("/var/lib/somewhere"), index=1))


def test_only_what_a_node_says_after_its_start_counts_as_ready():
    def node(name: str, status: str, heartbeat: str) -> dict:
        condition = {"type": "Ready", "status": status, "lastHeartbeatTime": heartbeat}
        return {"metadata": {"name": name}, "status": {"conditions": [condition]}}

    objects = [
        node("stale", "True", "2026-01-01T00:00:00Z"),
        node("fresh", "True", "2026-01-01T00:00:10Z"),
        node("sick", "False", "2026-01-01T00:00:11Z"),
        {"metadata": {"name": "new"}, "status": {}},
    ]
    assert nodes.ready_names(objects, since=1767225605) == {"fresh"}


def test_specs_survive_the_process_that_made_them(cloud):
    given = spec(name="", taints=(("spot", "true", "NoSchedule"),), labels={"a": "b"})
    named, number = nodes._take_number(cloud, given)
    assert (named.name, number) == ("ip-10-231-1-11.us-west-2.compute.internal", 1)
    assert nodes.nodes(cloud) == [named]
    assert nodes._take_number(cloud, given)[1] == 2


def test_the_startup_taint_goes_and_nothing_else_is_lost():
    lasting = {"key": "spotInstance", "value": "true", "effect": "NoSchedule"}
    passing = {"key": "efs.csi.aws.com/agent-not-ready", "effect": "NoExecute"}
    patch = startup_taint.removal({"spec": {"taints": [lasting, passing]}})
    assert patch == [
        {"op": "test", "path": "/spec/taints", "value": [lasting, passing]},
        {"op": "replace", "path": "/spec/taints", "value": [lasting]},
    ], "what another wrote in between must not be overwritten"
    assert startup_taint.removal({"spec": {"taints": [lasting]}}) == startup_taint.removal({"spec": {}}) == []


def test_a_refused_removal_is_tried_again_with_the_taints_of_then(cloud, monkeypatch):
    passing = {"key": "efs.csi.aws.com/agent-not-ready", "effect": "NoExecute"}
    other = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    answers = [{"spec": {"taints": [passing]}}, OSError("HTTP Error 422"), {"spec": {"taints": [passing, other]}}, {}]
    asked = []

    def ask(_, name, patch=None):
        asked.append(patch)
        answer = answers[len(asked) - 1]
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(startup_taint, "ask", ask)
    monkeypatch.setattr(startup_taint, "RETRY_SECONDS", 0)
    startup_taint.take_off(cloud, "node")
    assert asked[-1][1]["value"] == [other], "what came in between stays"


def test_a_removal_that_is_refused_for_good_says_so(cloud, monkeypatch):
    def ask(*_):
        raise OSError("HTTP Error 403: Forbidden")

    monkeypatch.setattr(startup_taint, "ask", ask)
    monkeypatch.setattr(startup_taint, "RETRY_SECONDS", 0)
    with pytest.raises(CloudError, match="the startup taint of node n cannot be taken off: HTTP Error 403: Forbidden"):
        startup_taint.take_off(cloud, "n")


def test_only_an_installed_driver_takes_the_taint_off(cloud, monkeypatch):
    freed = []
    monkeypatch.setattr(startup_taint, "take_off", lambda _, name: freed.append(name))
    efs_csi.simulated_ready(cloud, ["before"])
    efs_csi.installed_flag(cloud).touch()
    efs_csi.simulated_ready(cloud, ["after"])
    assert freed == ["after"]


@pytest.mark.parametrize("registered", [True, False])
def test_a_driver_that_the_kubelet_refuses_leaves_the_taint_on(cloud, monkeypatch, capsys, registered):
    freed = threading.Event()
    monkeypatch.setattr(startup_taint, "take_off", lambda *_: freed.set())
    status = efs_csi.MESSAGES["RegistrationStatus"](plugin_registered=registered, error="no")
    efs_csi.Driver(cloud, "node", Path("/csi.sock")).registered(status, None)
    assert freed.wait(0.3) is registered
    assert ("the kubelet refused efs.csi.aws.com: no" in capsys.readouterr().out) is not registered


def test_a_running_node_is_not_started_twice(cloud):
    nodes._take_number(cloud, spec(name="twin"))
    with pytest.raises(CloudError, match="twin runs already"):
        nodes._take_number(cloud, spec(name="twin"))


def read_archive(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as opened:
        return {entry.name: opened.extractfile(entry).read() for entry in opened}


def test_an_image_archive_is_whole_and_always_the_same():
    made = oci.archive("localhost/x:1", {"x": b"program"}, entrypoint=["/x"])
    assert made == oci.archive("localhost/x:1", {"x": b"program"}, entrypoint=["/x"])
    files = read_archive(made)
    for name, content in files.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"
    entry = json.loads(files["index.json"])["manifests"][0]
    assert entry["annotations"]["io.containerd.image.name"] == "localhost/x:1"
    manifest = json.loads(files["blobs/" + entry["digest"].replace(":", "/")])
    layer = read_archive(files["blobs/" + manifest["layers"][0]["digest"].replace(":", "/")])
    assert layer == {"x": b"program"}


def test_pods_resolve_aws_names_to_this_machine_and_no_others(cloud):
    text = dns.corefile(cloud)
    assert "forward" not in text, "no question leaves the machine"
    assert f"60 IN A {cloud.gateway}" in text
    service = dns.dns_objects(cloud)[-1]
    assert service["spec"]["clusterIP"] == "172.20.0.10"


def test_certificates_are_signed_by_the_cloud_and_kept(cloud):
    certificate, key = pki.issue(cloud, "node", common_name="system:node:n", organization="system:nodes", hosts=("10.231.1.11", "n"))
    made = x509.load_pem_x509_certificate(certificate.read_bytes())
    made.verify_directly_issued_by(x509.load_pem_x509_certificate(pki.ca(cloud)[0].read_bytes()))
    assert made.subject.rfc4514_string() == "CN=system:node:n,O=system:nodes"
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["n"]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = certificate.read_bytes()
    assert pki.issue(cloud, "node", common_name="other")[0].read_bytes() == before


def test_a_host_name_longer_than_a_common_name_is_still_served(cloud):
    host = "airflow-metadata-with-a-rather-long-name.abcdefghijkl.us-west-2.rds.amazonaws.com"
    certificate, _ = pki.issue(cloud, "database", common_name=host, hosts=(host,))
    made = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName) == [host]


def test_the_api_server_asks_aws_about_tokens_and_kubelets_are_confined(cloud):
    flags = control_plane.apiserver_flags(cloud)
    assert flags["authorization-mode"] == "Node,RBAC"
    assert "NodeRestriction" in str(flags["enable-admission-plugins"])
    webhook = json.loads(Path(str(flags["authentication-token-webhook-config-file"])).read_text())
    assert webhook["clusters"][0]["cluster"]["server"] == "http://127.0.0.1:4566/kubernetes/token"
    assert control_plane.etcd_flags(cloud)["client-cert-auth"] == "true"


def test_secrets_of_the_control_plane_are_readable_by_root_only(cloud):
    assert stat.S_IMODE(control_plane.admin_kubeconfig(cloud).stat().st_mode) == 0o600
    assert stat.S_IMODE((cloud.home / "pki").stat().st_mode) == 0o700


@pytest.fixture
def shared(cloud: Cloud) -> Cloud:
    file_system.create_file_system(cloud, "fs-1")
    owner = {"uid": os.getuid(), "gid": os.getgid(), "permissions": "0750"}
    file_system.create_access_point(cloud, "fs-1", "fsap-1", path="/airflow/dags", **owner)
    return cloud


@pytest.mark.parametrize("handle", ["fs-1::fsap-1", "fs-1:/airflow/dags", "fs-1:/:fsap-1"])
def test_a_volume_handle_names_a_folder_of_the_file_system(shared, handle):
    folder = file_system.access_point_path(shared, handle)
    assert folder == shared.home / "efs" / "fs-1" / "airflow" / "dags"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750


@pytest.mark.parametrize("handle", ["fs-2", "fs-1::fsap-2", "fs-1:/missing", "fs-1:/../..", "fs-1:/link", "../fs-1", ""])
def test_a_volume_handle_that_leads_nowhere_or_out_is_refused(shared, handle):
    (shared.home / "efs" / "fs-1" / "link").symlink_to("/")
    with pytest.raises(CloudError):
        file_system.access_point_path(shared, handle)


def test_an_access_point_leaves_files_behind_and_an_existing_folder_as_it_is(shared):
    folder = file_system.access_point_path(shared, "fs-1::fsap-1")
    file_system.create_access_point(shared, "fs-1", "fsap-2", path="/airflow/dags", uid=1, gid=1, permissions="0777")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    file_system.delete_access_point(shared, "fs-1", "fsap-1")
    assert folder.is_dir()
    file_system.delete_file_system(shared, "fs-1")
    file_system.delete_file_system(shared, "fs-1")
    assert not folder.exists()


def test_the_csi_driver_reads_the_fields_it_needs_and_skips_the_rest():
    volume_id, target, context = b"\x0a\x04fs-1", b"\x22\x02/t", b"\x42\x06\x0a\x01k\x12\x01v"
    request = efs_csi.MESSAGES["NodePublishVolumeRequest"].FromString(volume_id + target + b"\x30\x01" + context)
    assert (request.volume_id, request.target_path, request.readonly) == ("fs-1", "/t", True)
    info = efs_csi.MESSAGES["PluginInfo"](type="CSIPlugin", name="n", endpoint="/s", supported_versions=["1.0.0"])
    assert info.SerializeToString() == b"\x0a\x09CSIPlugin\x12\x01n\x1a\x02/s\x22\x051.0.0"


def service(**changes: object) -> dict:
    ports = [{"port": 0, "nodePort": 0, "protocol": "TCP"}]
    meta = {"namespace": "airflow", "name": "web", "uid": "u", "resourceVersion": "1"}
    return {"metadata": meta, "spec": {"type": "LoadBalancer", "ports": ports}, "status": {}} | changes


def test_only_services_of_this_controller_get_a_load_balancer():
    assert load_balancer.wants_balancer(service())
    assert not load_balancer.wants_balancer(service(spec={"type": "ClusterIP"}))
    assert not load_balancer.wants_balancer(service(spec={"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb"}))


def test_traffic_goes_to_ready_nodes_only():
    def node(address: str, ready: str, **labels: str) -> dict:
        status = {"conditions": [{"type": "Ready", "status": ready}], "addresses": [{"type": "InternalIP", "address": address}]}
        return {"metadata": {"labels": labels}, "status": status}

    listed = [node("10.0.0.1", "True"), node("10.0.0.2", "Unknown"), node("10.0.0.3", "True", **{load_balancer.EXCLUDED: ""})]
    assert load_balancer.ready_addresses(listed) == ["10.0.0.1"]


class RecordedApi:
    """Applies patches to the Service it is given, as the API server would."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def patch(self, target: dict, change: dict, subresource: str = "") -> None:
        for part, value in change.items():
            target[part] = target[part] | value

    def warn(self, target: dict, reason: str, message: str) -> None:
        self.warnings.append(message)


def test_a_load_balancer_forwards_and_goes_with_its_service(cloud):
    async def scenario() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()

        backend = await asyncio.start_server(answer, "127.0.0.1", 0)
        with socket.socket() as probe:
            probe.bind((cloud.loopback, 0))
            port = probe.getsockname()[1]
        api = RecordedApi()
        balancer = load_balancer.Balancer(cloud, api)  # type: ignore[arg-type]
        balancer.nodes = ["127.0.0.1"]
        web = service(
            spec={"type": "LoadBalancer", "ports": [{"port": port, "nodePort": backend.sockets[0].getsockname()[1], "protocol": "TCP"}]}
        )
        await balancer._settle(web)
        assert web["metadata"]["finalizers"] == [load_balancer.FINALIZER]
        assert web["status"]["loadBalancer"]["ingress"][0]["ip"] == cloud.loopback
        reader, writer = await asyncio.open_connection(cloud.loopback, port)
        assert await reader.read() == b"hello"
        writer.close()

        rival = service(metadata=web["metadata"] | {"name": "rival", "finalizers": []}, spec=web["spec"])
        await balancer._settle(rival)
        assert rival["status"].get("loadBalancer") is None
        assert len(api.warnings) == 1
        assert "cannot listen" in api.warnings[0]

        web["metadata"]["deletionTimestamp"] = "now"
        await balancer._settle(web)
        assert web["metadata"]["finalizers"] == []
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await asyncio.open_connection(cloud.loopback, port)
        backend.close()

    asyncio.run(scenario())


def test_a_mount_point_is_told_from_a_folder_beside_it(tmp_path: Path) -> None:
    from embedded.efs_csi import is_mounted

    assert is_mounted(Path("/proc"))
    assert not is_mounted(tmp_path)


def test_two_node_groups_that_start_at_once_make_the_pause_image_in_peace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from embedded import oci

    monkeypatch.setenv("AIRFLOW_ON_EKS_CACHE", str(tmp_path))
    with ThreadPoolExecutor(4) as threads:
        files = list(threads.map(lambda _: oci.pause_archive(), range(4)))
    assert len(set(files)) == 1
    assert [file.name for file in files[0].parent.iterdir()] == [files[0].name], "nothing unfinished is left"
