"""Where a secret could leak to, searched for values that are known to be secret (row B3).

Every one is looked for as it is and in base64, because Kubernetes objects and container registries carry texts in either form.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import zstandard
from kubernetes import client

from embedded.cloud import Cloud
from embedded.control_plane import admin_kubeconfig
from embedded.engine import engine_environment

SHORTEST = 16
"""Characters; a shorter one would be found by chance."""
OWN_STORES = ("control-plane/etcd", "database.env.json")
"""Under the state folder: where the cluster itself keeps its Secrets (encrypted with a key of the stack on AWS), and what `make env` hands
to psql, readable by its owner only.
"""
LOGS = ("logs", "pulumi/home/logs", "nodes/*/log", "efs/*/logs*")
"""Under the state folder."""
BASE_BYTES = 50_000_000
"""The layer with Airflow itself is larger than this when packed, every other one far smaller."""


def administrator(cloud: Cloud) -> client.ApiClient:
    """A client of the API server that may do anything."""
    from kubernetes import config

    made: client.ApiClient = config.new_client_from_config(str(admin_kubeconfig(cloud)))
    return made


def call(api: client.ApiClient, path: str, method: str = "GET", body: Any = None) -> Any:
    """One request to the API server; its answer as it came."""
    kind = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if body is not None else {})
    answer = api.call_api(method, api.configuration.host + path, header_params=kind, body=body)
    return json.loads(answer.read())


def served(api: client.ApiClient) -> dict[tuple[str, str], dict[str, Any]]:
    """Every resource and subresource that the API server serves, by (group, name), each in its group's preferred version."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    groups = [("", "/api/v1")]
    groups += [(item["name"], f"/apis/{item['preferredVersion']['groupVersion']}") for item in call(api, "/apis")["groups"]]
    for group, path in groups:
        for resource in call(api, path)["resources"]:
            found[group, resource["name"]] = {**resource, "path": path}
    return found


def planted(cloud: Cloud, namespace: str, secret: str, exported: Mapping[str, Any]) -> dict[str, str]:
    """Name to value of all that the stack generates: the keys of its Secret, and every result of Pulumi's random provider.

    Args:
        cloud: the embedded cloud.
        namespace: where the Secret is.
        secret: its name.
        exported: the stack's state with secrets shown.
    """
    with administrator(cloud) as api:
        data = client.CoreV1Api(api).read_namespaced_secret(secret, namespace).data
    values = {f"key {key}": base64.b64decode(text).decode() for key, text in data.items()}
    for resource in exported["resources"]:
        if resource["type"] in ("random:index/randomPassword:RandomPassword", "random:index/randomBytes:RandomBytes"):
            for output in ("result", "base64", "hex"):
                if text := _shown((resource.get("outputs") or {}).get(output)):
                    values[f"{output} of {resource['urn'].rpartition('::')[2]}"] = text
    return {name: value for name, value in values.items() if len(value) >= SHORTEST}


def _shown(value: Any) -> str | None:
    if isinstance(value, Mapping) and "plaintext" in value:
        value = json.loads(value["plaintext"])
    return value if isinstance(value, str) else None


def found_in(text: str | bytes, canaries: Mapping[str, str]) -> list[str]:
    """Names of the canaries in a text."""
    content = text.encode() if isinstance(text, str) else text
    return [name for name, value in canaries.items() if any(form in content for form in _forms(value))]


def _forms(value: str) -> Iterator[bytes]:
    yield value.encode()
    # wherever it begins within the encoded text, all but its ends looks the same
    for shift in range(3):
        yield base64.b64encode(b"\0" * shift + value.encode())[4 * (shift > 0) : -4]


def objects(cloud: Cloud) -> Iterator[tuple[str, str]]:
    """Every object of the cluster but Secrets, as JSON: pods with their environment and annotations, ConfigMaps, events, ..."""
    with administrator(cloud) as api:
        for (_, name), resource in served(api).items():
            if "list" in resource["verbs"] and name != "secrets":
                for item in call(api, f"{resource['path']}/{name}")["items"]:
                    metadata = item["metadata"]
                    yield f"{resource['kind']} {metadata.get('namespace', '')}/{metadata['name']}", json.dumps(item)


def pulumi_texts(cloud: Cloud, stack: str) -> Iterator[tuple[str, str]]:
    """What Pulumi keeps and shows of a stack when nobody asks it for secrets."""
    folder = cloud.path("pulumi", "workspace")
    for command in (("stack", "export"), ("stack", "output", "--json"), ("config", "--json")):
        answer = subprocess.run(
            ["pulumi", *command, "--stack", stack], cwd=folder, env=engine_environment(cloud), capture_output=True, text=True, check=True
        )
        yield "pulumi " + " ".join(command), answer.stdout + answer.stderr


def logs(cloud: Cloud) -> Iterator[tuple[str, bytes]]:
    """What the cloud, the engine, nodes, pods and tasks have written so far."""
    for pattern in LOGS:
        for folder in cloud.home.glob(pattern):
            for name, content in files(folder):
                yield f"{folder.relative_to(cloud.home)}/{name}", content


def image_layers(cloud: Cloud) -> Iterator[tuple[str, bytes]]:
    """Manifests, configurations and unpacked layers of the images that the cloud's registry holds; not the base, older than the stack."""
    for path in sorted(cloud.path("registry", "docker", "registry", "v2", "blobs").rglob("data")):
        content = path.read_bytes()
        if len(content) < BASE_BYTES:
            packed = content.startswith(zstandard.FRAME_HEADER)
            yield f"image blob {path.parent.name}", zstandard.ZstdDecompressor().decompressobj().decompress(content) if packed else content


def files(folder: Path, *, leave_out: Iterable[str] = ()) -> Iterator[tuple[str, bytes]]:
    """Every file of a folder: logs, the engine's state and history, what was rendered on the way."""
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not path.is_symlink() and not name.startswith(tuple(leave_out)):
            yield name, path.read_bytes()
