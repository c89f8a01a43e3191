"""The EKS control plane: etcd, the Kubernetes API server, controller manager and scheduler, and the objects a cluster is born with.

Owns their processes (`k8s-*`), the folder `control-plane`, and the kubeconfig files in it. AWS runs these on machines of its own; here
they run on the host itself, so that a pod can reach only what the API server offers.
"""

from __future__ import annotations

import json
import shutil
import ssl
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from embedded import efs_csi, pki, processes, simulation
from embedded.cloud import API_PORT, AWS_PORT, POD_CIDR, SERVICE_CIDR, Cloud
from embedded.dns import dns_objects
from embedded.load_balancer import start_load_balancers, stop_load_balancers
from embedded.network import command, ensure_bridge, remove_bridge
from embedded.toolchain import go_tools, scratch_suffix

__all__ = ["admin_kubeconfig", "apply", "ca_pem", "kubeconfig", "kubectl", "remove_bridge", "start_control_plane", "stop_control_plane"]

ETCD_PORT = 2379
FIRST_SERVICE_ADDRESS = "172.20.0.1"
CLIENTS = {
    "admin": ("kubernetes-admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
    "kube-proxy": ("system:kube-proxy", None),
    "kubelet-client": ("kube-apiserver-kubelet-client", "system:masters"),
    "etcd-client": ("kube-apiserver-etcd-client", None),
}
"""Certificate name to the Kubernetes user and group it stands for."""
OF_THE_CLUSTER = ("kube-", "system-", "default")
"""How the names of what every cluster has begin."""
PROCESSES = ("k8s-kwok", "k8s-scheduler", "k8s-controller-manager", "k8s-apiserver", "k8s-etcd")
"""In the order they are stopped."""


def ca_pem(cloud: Cloud) -> str:
    """Certificate of the authority that signs the API server's certificate."""
    return pki.ca(cloud)[0].read_text()


def client_certificate(cloud: Cloud, client: str) -> tuple[Path, Path]:
    """Certificate and key of one of `CLIENTS`."""
    user, group = CLIENTS[client]
    return pki.issue(cloud, client, common_name=user, organization=group)


def kubeconfig(cloud: Cloud, name: str, certificate: tuple[Path, Path]) -> Path:
    """A kubeconfig file with which the owner of the certificate reaches the API server."""
    named = {"cluster": {"server": cloud.kubernetes_endpoint, "certificate-authority": str(pki.ca(cloud)[0])}, "name": "embedded"}
    user = {"client-certificate": str(certificate[0]), "client-key": str(certificate[1])}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [named],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "embedded", "context": {"cluster": "embedded", "user": name}}],
        "current-context": "embedded",
    }
    file = cloud.path("control-plane") / f"{name}.kubeconfig"
    # renamed into place: with half a file kubectl would ask localhost:8080, which may be somebody's web UI
    scratch = file.with_name(f"{file.name}.{scratch_suffix()}")
    scratch.touch(mode=0o600)
    scratch.write_text(json.dumps(content, indent=2))
    scratch.rename(file)
    return file


def admin_kubeconfig(cloud: Cloud) -> Path:
    """The cloud's own way in, independent of EKS access entries."""
    return kubeconfig(cloud, "admin", client_certificate(cloud, "admin"))


def kubectl(cloud: Cloud, *arguments: str, input_text: str | None = None, check: bool = True) -> str:
    """Output of kubectl as administrator."""
    program = go_tools("kubernetes")["kubectl"]
    # its cache would otherwise be left in the user's home; calls at the same time spoil a shared one
    with tempfile.TemporaryDirectory(dir=cloud.path("control-plane")) as cache:
        common = ("--kubeconfig", admin_kubeconfig(cloud), "--cache-dir", cache)
        return command(program, *common, *arguments, input_text=input_text, check=check)


def apply(cloud: Cloud, objects: list[dict[str, Any]]) -> None:
    """Create or update objects as administrator."""
    document = {"apiVersion": "v1", "kind": "List", "items": objects}
    kubectl(cloud, "apply", "--server-side", "--force-conflicts", "--field-manager=eks", "-f", "-", input_text=json.dumps(document))


def administrator(cloud: Cloud) -> ssl.SSLContext:
    """The API server's certificate is checked, and the client shows the administrator's."""
    trust = ssl.create_default_context(cafile=str(pki.ca(cloud)[0]))
    trust.load_cert_chain(*client_certificate(cloud, "admin"))
    return trust


def _is_ready(cloud: Cloud) -> bool:
    trust = administrator(cloud)
    try:
        with urllib.request.urlopen(f"{cloud.kubernetes_endpoint}/readyz", timeout=2, context=trust) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def token_webhook(cloud: Cloud) -> dict[str, Any]:
    """Who authenticates bearer tokens that Kubernetes did not issue: the embedded AWS, as IAM does for EKS."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "aws", "cluster": {"server": f"http://{cloud.loopback}:{AWS_PORT}/kubernetes/token"}}],
        "users": [{"name": "apiserver"}],
        "contexts": [{"name": "aws", "context": {"cluster": "aws", "user": "apiserver"}}],
        "current-context": "aws",
    }


def etcd_flags(cloud: Cloud) -> dict[str, object]:
    """Flags of etcd: reachable from this machine only, and only with a certificate."""
    certificate, key = pki.issue(cloud, "etcd", common_name="etcd", hosts=(cloud.loopback,))
    address = f"https://{cloud.loopback}:{ETCD_PORT}"
    peers = f"http://{cloud.loopback}:{ETCD_PORT + 1}"
    return {
        "data-dir": cloud.path("control-plane") / "etcd",
        "name": "embedded",
        "listen-client-urls": address,
        "advertise-client-urls": address,
        "listen-peer-urls": peers,
        "initial-advertise-peer-urls": peers,
        "initial-cluster": f"embedded={peers}",
        "cert-file": certificate,
        "key-file": key,
        "trusted-ca-file": pki.ca(cloud)[0],
        "client-cert-auth": "true",
        # the cloud does not outlive its machine, so nothing is gained by waiting for the disk at every write
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }


def apiserver_flags(cloud: Cloud) -> dict[str, object]:
    """Flags of the API server, with EKS's authorizers and Service range."""
    names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost")
    hosts = (cloud.gateway, FIRST_SERVICE_ADDRESS, *names)
    certificate, key = pki.issue(cloud, "apiserver", common_name="kube-apiserver", hosts=hosts)
    etcd_certificate, etcd_key = client_certificate(cloud, "etcd-client")
    kubelet_certificate, kubelet_key = client_certificate(cloud, "kubelet-client")
    public, private = pki.key_pair(cloud, "service-accounts")
    webhook = cloud.path("control-plane") / "token-webhook.json"
    webhook.write_text(json.dumps(token_webhook(cloud), indent=2))
    ca = pki.ca(cloud)[0]
    return {
        "advertise-address": cloud.gateway,
        "bind-address": cloud.gateway,
        "secure-port": API_PORT,
        "tls-cert-file": certificate,
        "tls-private-key-file": key,
        "client-ca-file": ca,
        "etcd-servers": f"https://{cloud.loopback}:{ETCD_PORT}",
        "etcd-cafile": ca,
        "etcd-certfile": etcd_certificate,
        "etcd-keyfile": etcd_key,
        "kubelet-certificate-authority": ca,
        "kubelet-client-certificate": kubelet_certificate,
        "kubelet-client-key": kubelet_key,
        "kubelet-preferred-address-types": "InternalIP",
        "service-cluster-ip-range": SERVICE_CIDR,
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": public,
        "service-account-signing-key-file": private,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": "true",
        "authentication-token-webhook-config-file": webhook,
        "authentication-token-webhook-version": "v1",
        "authentication-token-webhook-cache-ttl": "10s",
        "profiling": "false",
    }


def controller_manager_flags(cloud: Cloud) -> dict[str, object]:
    """Flags of the controller manager; one of each, so no leader is elected."""
    ca, ca_key = pki.ca(cloud)
    config = kubeconfig(cloud, "controller-manager", client_certificate(cloud, "controller-manager"))
    return {
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "bind-address": cloud.loopback,
        "cluster-cidr": POD_CIDR,
        "root-ca-file": ca,
        "cluster-signing-cert-file": ca,
        "cluster-signing-key-file": ca_key,
        "service-account-private-key-file": pki.key_pair(cloud, "service-accounts")[1],
        "use-service-account-credentials": "true",
        "pvclaimbinder-sync-period": "2s",  # the default is 15 s, which is how long a claim can wait for a volume made just after it
        "leader-elect": "false",
        "profiling": "false",
    }


def scheduler_flags(cloud: Cloud) -> dict[str, object]:
    """Flags of the scheduler."""
    config = kubeconfig(cloud, "scheduler", client_certificate(cloud, "scheduler"))
    return {
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "bind-address": cloud.loopback,
        "leader-elect": "false",
        "profiling": "false",
    }


def start_program(cloud: Cloud, name: str, program: Path, flags: dict[str, object]) -> None:
    """Start one of the control plane's programs; return once the API server serves, if it is that one.

    Raises:
        CloudError: it ended or was not ready in time; the message has its last lines.
    """
    line: list[str | Path] = [program, *(f"--{flag}={value}" for flag, value in flags.items())]
    ready = (lambda: _is_ready(cloud)) if name == "k8s-apiserver" else None
    processes.start(cloud, name, line, ready=ready, seconds=120)


def birth_objects(cloud: Cloud) -> list[dict[str, Any]]:
    """What EKS has in a cluster before anybody adds to it."""
    proxy_binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "eks:kube-proxy"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node-proxier"},
        "subjects": [{"kind": "User", "name": "system:kube-proxy", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    return [proxy_binding, *dns_objects(cloud)]


def start_control_plane(cloud: Cloud, *, cluster_name: str) -> None:
    """Start what is not running and return when the API server is ready to serve.

    Raises:
        CloudError: a program ended or was not ready in time; the message has its last lines.
    """
    ensure_bridge(cloud)
    programs = go_tools("etcd", "kubernetes")
    start_program(cloud, "k8s-etcd", programs["etcd"], etcd_flags(cloud))
    start_program(cloud, "k8s-apiserver", programs["kube-apiserver"], apiserver_flags(cloud))
    manager = controller_manager_flags(cloud) | {"cluster-name": cluster_name}
    start_program(cloud, "k8s-controller-manager", programs["kube-controller-manager"], manager)
    start_program(cloud, "k8s-scheduler", programs["kube-scheduler"], scheduler_flags(cloud))
    if cloud.simulated:
        stages = cloud.path("control-plane") / "kwok.yaml"
        stages.write_text(simulation.kwok_configuration())
        start_program(cloud, "k8s-kwok", go_tools("kwok")["kwok"], simulation.kwok_flags(admin_kubeconfig(cloud), stages))
    else:
        from embedded import pod_identity  # brings moto

        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{cloud.aws_endpoint}/embedded/serve-pods", timeout=30):
            apply(cloud, [pod_identity.webhook(cloud)])
    apply(cloud, birth_objects(cloud))
    start_load_balancers(cloud)


def leftovers(cloud: Cloud) -> dict[str, list[str]]:
    """What a stack left in Kubernetes, by kind: on AWS the volumes and load balancers behind it would go on costing money."""
    found: dict[str, list[str]] = {}
    for kind in ("namespaces", "persistentvolumes", "storageclasses", "priorityclasses", "nodes", "services"):
        listed = json.loads(kubectl(cloud, "get", kind, "--all-namespaces", "--output", "json"))["items"]
        names = [f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}".lstrip("/") for item in listed]
        found[f"kubernetes {kind}"] = [name for name in names if not name.startswith(OF_THE_CLUSTER)]
    return found


def stop_control_plane(cloud: Cloud) -> None:
    """Stop the programs and forget every Kubernetes object; certificates stay, as the cloud's other servers use them."""
    stop_load_balancers(cloud)
    for name in PROCESSES:
        processes.stop(cloud, name, sudden=name == "k8s-apiserver")  # it would wait for open watches
    efs_csi.installed_flag(cloud).unlink(missing_ok=True)
    shutil.rmtree(cloud.path("control-plane"))
