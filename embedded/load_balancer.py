"""Load balancers: what AWS's cloud controller and an NLB do for Services of type LoadBalancer, as one process.

Every Service gets this cloud's loopback address; connections to a Service's port go to its node port on a Ready node. Like AWS's
controller it also deletes the Node objects of machines that are gone. Source ranges and
`scheme` annotations have no meaning on a loopback address and are not read. Services with a `loadBalancerClass` are left to whoever serves
that class, as the real controller does.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path
from typing import Any

import requests

from embedded import processes
from embedded.cloud import PROJECT, Cloud, load

PROCESS = "load-balancer"
FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
WATCH_SECONDS = 5
"""How long to wait for a change before the list of nodes is read again."""
CONNECT_SECONDS = 2.0
Service = dict[str, Any]
ListenerKey = tuple[str, str, int]


def start_load_balancers(cloud: Cloud) -> None:
    """Start serving Services of type LoadBalancer."""
    line: list[str | Path] = [sys.executable, "-m", "embedded.load_balancer", cloud.home]
    processes.start(cloud, PROCESS, line, environment={"PYTHONPATH": str(PROJECT)}, cwd=PROJECT)


def stop_load_balancers(cloud: Cloud) -> None:
    """Stop serving; every listener closes."""
    processes.stop(cloud, PROCESS)


def wants_balancer(service: Service) -> bool:
    """Whether the Service should have a load balancer from this controller."""
    spec = service["spec"]
    return spec.get("type") == "LoadBalancer" and "loadBalancerClass" not in spec and "deletionTimestamp" not in service["metadata"]


def ready_addresses(nodes: list[dict[str, Any]]) -> list[str]:
    """Internal addresses of the nodes that may get traffic."""
    return [
        address["address"]
        for node in nodes
        if EXCLUDED not in node["metadata"].get("labels", {})
        and any(condition["type"] == "Ready" and condition["status"] == "True" for condition in node["status"].get("conditions", []))
        for address in node["status"].get("addresses", [])
        if address["type"] == "InternalIP"
    ]


def vanished(node_objects: list[dict[str, Any]], instances: set[str]) -> list[dict[str, Any]]:
    """Nodes that stopped answering and whose instance is none of those that run: the cloud controller deletes their objects."""
    return [
        node
        for node in node_objects
        if (provider := node["spec"].get("providerID", "")).startswith("aws:") and provider.rpartition("/")[2] not in instances
        if any(condition["type"] == "Ready" and condition["status"] != "True" for condition in node["status"].get("conditions", []))
    ]


class Api:
    """The few calls to the Kubernetes API that the controller makes."""

    def __init__(self, cloud: Cloud) -> None:
        from embedded.control_plane import client_certificate
        from embedded.pki import ca

        self.root = f"{cloud.kubernetes_endpoint}/api/v1"
        self.session = requests.Session()
        self.session.verify = str(ca(cloud)[0])
        self.session.cert = tuple(str(file) for file in client_certificate(cloud, "admin"))  # type: ignore[assignment]
        self.session.trust_env = False  # a proxy of the user's is not for this address

    def get(self, kind: str) -> dict[str, Any]:
        """All objects of a kind."""
        answer = self.session.get(f"{self.root}/{kind}", timeout=10)
        answer.raise_for_status()
        return answer.json()

    def wait_for_change(self, version: str) -> None:
        """Return at the first change of any Service after `version`, or after WATCH_SECONDS."""
        parameters = {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
        with self.session.get(f"{self.root}/services", params=parameters, stream=True, timeout=WATCH_SECONDS + 5) as answer:
            answer.raise_for_status()
            next(answer.iter_lines(), None)

    def patch(self, service: Service, change: dict[str, Any], subresource: str = "") -> None:
        """Merge a change into a Service, unless it changed in between."""
        meta = service["metadata"]
        body = change | {"metadata": {"resourceVersion": meta["resourceVersion"]} | change.get("metadata", {})}
        url = f"{self.root}/namespaces/{meta['namespace']}/services/{meta['name']}{subresource}"
        answer = self.session.patch(url, json=body, headers={"Content-Type": "application/merge-patch+json"}, timeout=10)
        answer.raise_for_status()
        meta["resourceVersion"] = answer.json()["metadata"]["resourceVersion"]

    def forget(self, node: dict[str, Any]) -> None:
        """Delete a Node object, unless another machine took its name in between."""
        body = {"preconditions": {"uid": node["metadata"]["uid"]}}
        self.session.delete(f"{self.root}/nodes/{node['metadata']['name']}", json=body, timeout=10)

    def warn(self, service: Service, reason: str, message: str) -> None:
        """Leave an Event on a Service."""
        meta = service["metadata"]
        about = {"kind": "Service", "apiVersion": "v1", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}
        event: Any = {
            "metadata": {"generateName": f"{meta['name']}."},
            "involvedObject": about,
            "type": "Warning",
            "reason": reason,
            "message": message,
            "source": {"component": "service-controller"},
        }
        self.session.post(f"{self.root}/namespaces/{meta['namespace']}/events", json=event, timeout=10)


class Balancer:
    """Listeners of all Services, and the controller that keeps them and the Services' status right."""

    def __init__(self, cloud: Cloud, api: Api) -> None:
        self.cloud, self.api = cloud, api
        self.listeners: dict[ListenerKey, asyncio.Server] = {}
        self.targets: dict[ListenerKey, int] = {}
        self.nodes: list[str] = []
        self.turn = itertools.count()
        self.warned: set[ListenerKey] = set()

    async def run(self) -> None:
        """Follow the API server for good; while it is away, connections are still served."""
        from embedded.nodes import nodes

        while True:
            try:
                node_objects = (await asyncio.to_thread(self.api.get, "nodes"))["items"]
                self.nodes = ready_addresses(node_objects)
                for node in vanished(node_objects, {spec.instance_id for spec in nodes(self.cloud)}):
                    await asyncio.to_thread(self.api.forget, node)
                services = await asyncio.to_thread(self.api.get, "services")
                for service in services["items"]:
                    await self._settle(service)
                names = {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in services["items"]}
                self._close([key for key in self.listeners if key[:2] not in names])
                await asyncio.to_thread(self.api.wait_for_change, services["metadata"]["resourceVersion"])
            except requests.RequestException as error:
                print(f"Kubernetes API: {error}", flush=True)
                await asyncio.sleep(0.5)

    async def _settle(self, service: Service) -> None:
        meta = service["metadata"]
        finalizers = meta.get("finalizers", [])
        if wants_balancer(service):
            if FINALIZER not in finalizers:
                await asyncio.to_thread(self.api.patch, service, {"metadata": {"finalizers": [*finalizers, FINALIZER]}})
            listening = await self._listen(service)
            status = {"ingress": [{"ip": self.cloud.loopback, "ipMode": "Proxy"}]} if listening else {}
            if service["status"].get("loadBalancer", {}) != status:
                await asyncio.to_thread(self.api.patch, service, {"status": {"loadBalancer": status or None}}, "/status")
        elif FINALIZER in finalizers:
            self._close([key for key in self.listeners if key[:2] == (meta["namespace"], meta["name"])])
            if "deletionTimestamp" not in meta:
                await asyncio.to_thread(self.api.patch, service, {"status": {"loadBalancer": None}}, "/status")
            remaining = [finalizer for finalizer in finalizers if finalizer != FINALIZER]
            await asyncio.to_thread(self.api.patch, service, {"metadata": {"finalizers": remaining}})

    async def _listen(self, service: Service) -> bool:
        meta = service["metadata"]
        owner = (meta["namespace"], meta["name"])
        ports = {(*owner, port["port"]): port for port in service["spec"]["ports"]}
        self._close([key for key in self.listeners if key[:2] == owner and key not in ports])
        for key, port in ports.items():
            self.targets[key] = port["nodePort"]
            if key in self.listeners:
                continue
            try:
                if port.get("protocol", "TCP") != "TCP":
                    raise OSError(f"protocol {port['protocol']} is not served, only TCP")
                self.listeners[key] = await asyncio.start_server(self._connection(key), self.cloud.loopback, port["port"])
            except OSError as error:
                if key not in self.warned:
                    self.warned.add(key)
                    message = f"Error syncing load balancer: cannot listen on {self.cloud.loopback}:{port['port']}: {error}"
                    await asyncio.to_thread(self.api.warn, service, "SyncLoadBalancerFailed", message)
        return all(key in self.listeners for key in ports)

    def _close(self, keys: list[ListenerKey]) -> None:
        for key in keys:
            self.listeners.pop(key).close()
            self.targets.pop(key, None)
            self.warned.discard(key)

    def _connection(self, key: ListenerKey) -> Any:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            upstream = await self._connect(self.targets.get(key))
            if upstream is None:
                writer.close()
                return
            await asyncio.gather(_pump(reader, upstream[1]), _pump(upstream[0], writer))
            writer.close()
            upstream[1].close()

        return serve

    async def _connect(self, port: int | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection to the first node that answers, starting with another one each time."""
        nodes = list(self.nodes)
        first = next(self.turn)
        for offset in range(len(nodes)):
            node = nodes[(first + offset) % len(nodes)]
            try:
                return await asyncio.wait_for(asyncio.open_connection(node, port), CONNECT_SECONDS)
            except (OSError, TimeoutError):
                continue
        return None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except (OSError, RuntimeError):
        writer.close()


if __name__ == "__main__":
    found = load(Path(sys.argv[1]))
    if found is None:
        raise SystemExit(f"there is no embedded cloud in {sys.argv[1]}")
    asyncio.run(Balancer(found, Api(found)).run())
