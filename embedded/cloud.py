"""Where one embedded cloud keeps its state and which addresses it uses.

A cloud belongs to one clone of the project and lives in one folder. Clones run side by side: each takes the first free index, and
everything that could clash (loopback address, bridge, node addresses) derives from it, so that ports are the same everywhere.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

PROJECT = Path(__file__).parent.parent
ACCOUNT_ID = "123456789012"
"""The account every request of the embedded AWS belongs to (moto's default)."""
SERVICE_CIDR = "172.20.0.0/16"
"""What EKS gives Services when the VPC is in 10.0.0.0/8 (EKS user guide, CreateCluster kubernetesNetworkConfig)."""
DNS_ADDRESS = "172.20.0.10"
POD_CIDR = "10.244.0.0/16"
"""Pods live behind each node's own namespace, so clones may use the same range."""
API_PORT = 6443
AWS_PORT = 4566
POD_AWS_PORT = 4567
"""AWS over TLS, on the bridge: where nodes lead what their pods send to an AWS host name."""
POD_AGENT, POD_AGENT_PORT = "169.254.170.23", 4568
"""Address of EKS Pod Identity's agent (EKS user guide), and where on the bridge it is."""
DATABASE_PORT = 5432
REGISTRY_PORT = 5000
PROVIDER_PORTS = {"aws": 4571, "eks": 4572, "kubernetes": 4573, "random": 4574, "docker-build": 4575}
MAX_CLOUDS = 200


class CloudError(RuntimeError):
    """The embedded cloud cannot do what was asked; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Addresses and folders of one embedded cloud."""

    home: Path
    """State folder; removed by `make down`."""
    index: int
    """1 for the first clone on the machine."""
    region: str = "us-west-2"
    simulated: bool = False
    """True: nodes are simulated (no kubelet, no containers). Used by the engine tests."""

    @property
    def loopback(self) -> str:
        """Address for what a person or the Pulumi engine connects to: AWS API, providers, load balancers."""
        return f"127.0.0.{self.index}"

    @property
    def bridge(self) -> str:
        """Network interface that joins the nodes with the control plane, the database and the registry."""
        return f"aoe{self.index}"

    @property
    def gateway(self) -> str:
        """Address of this machine as the nodes see it: Kubernetes API, PostgreSQL, registry."""
        return f"10.231.{self.index}.1"

    def node_address(self, number: int) -> str:
        """Address of the n-th node on the bridge, n from 1."""
        return f"10.231.{self.index}.{10 + number}"

    @property
    def aws_endpoint(self) -> str:
        """The embedded AWS."""
        return f"http://{self.loopback}:{AWS_PORT}"

    @property
    def kubernetes_endpoint(self) -> str:
        """The Kubernetes API server, as nodes, pods and people reach it."""
        return f"https://{self.gateway}:{API_PORT}"

    @property
    def registry_host(self) -> str:
        """ECR's host name in this account and region; nodes and builds are redirected to the local registry."""
        return f"{ACCOUNT_ID}.dkr.ecr.{self.region}.amazonaws.com"

    @property
    def registry_address(self) -> str:
        """Where the registry behind `registry_host` really listens (plain HTTP)."""
        return f"{self.gateway}:{REGISTRY_PORT}"

    def path(self, *parts: str) -> Path:
        """A folder under the state folder, made if missing."""
        folder = self.home.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def aws_environment(self) -> dict[str, str]:
        """Environment in which AWS clients talk to this cloud and to nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.aws_endpoint,
            "AWS_ACCESS_KEY_ID": "embedded",
            "AWS_SECRET_ACCESS_KEY": "embedded",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AIRFLOW_EMBEDDED_HOME": str(self.home),
        }

    def save(self) -> None:
        """Remember the addresses for later commands."""
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "cloud.json").write_text(json.dumps(asdict(self) | {"home": str(self.home)}, indent=2) + "\n")


def state_folder() -> Path:
    """`.embedded` in this clone, or the folder named by `$AIRFLOW_EMBEDDED_HOME`."""
    return Path(os.environ.get("AIRFLOW_EMBEDDED_HOME") or PROJECT / ".embedded")


def load(home: Path | None = None) -> Cloud | None:
    """The cloud whose state is in `home`, or None when there is none."""
    file = (home or state_folder()) / "cloud.json"
    if not file.exists():
        return None
    values = json.loads(file.read_text())
    return Cloud(**values | {"home": Path(values["home"])})


def _is_free(index: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((f"127.0.0.{index}", AWS_PORT))
        except OSError:
            return False
    return not Path(f"/sys/class/net/aoe{index}").exists()


def _is_in_use(home: Path, index: int) -> bool:
    """Whether the clone that once chose an index still has its cloud: its programs may be about to start."""
    other = load(home)
    return other is not None and other.index == index


def create(home: Path | None = None, *, simulated: bool = False) -> Cloud:
    """A new cloud at the first free index.

    Raises:
        CloudError: every index is taken.
    """
    home = (home or state_folder()).resolve()
    claims = Path(tempfile.gettempdir()) / f"airflow-on-eks-{os.geteuid()}"
    claims.mkdir(mode=0o700, exist_ok=True)
    with (claims / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two clones that start at the same moment must not choose the same addresses
        for index in range(1, MAX_CLOUDS):
            claim = claims / str(index)
            if _is_free(index) and not (claim.exists() and _is_in_use(Path(claim.read_text()), index)):
                cloud = Cloud(home=home, index=index, simulated=simulated)
                claim.write_text(str(home))
                cloud.save()
                return cloud
    raise CloudError(f"{MAX_CLOUDS} embedded clouds run on this machine; stop one with 'make down' in its clone")
