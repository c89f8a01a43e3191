"""The registry behind ECR: Debian's docker-registry on the cloud's bridge, with its storage in the state folder."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request

from embedded import network, processes
from embedded.cloud import Cloud, CloudError

PROCESS = "registry"
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
# a proxy that the machine uses for the outside knows nothing of the bridge
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _request(cloud: Cloud, path: str, *, method: str = "GET") -> tuple[bytes, dict[str, str]] | None:
    """Body and headers of an answer; None when the registry does not have it."""
    request = urllib.request.Request(
        f"http://{cloud.registry_address}/v2/{path}", method=method, headers={"Accept": ", ".join(MANIFEST_TYPES)}
    )
    try:
        with _OPENER.open(request, timeout=30) as answer:
            return answer.read(), {name.lower(): value for name, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 404:
            return None
        raise CloudError(f"the registry answers {error.code} to {method} {path}") from error
    except OSError as error:
        raise CloudError(f"the registry does not answer at {cloud.registry_address}: {error}") from error


def start_registry(cloud: Cloud) -> None:
    """Start the registry, with the images it had; a running one is kept."""
    network.ensure_bridge(cloud)
    settings = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(cloud.path("registry"))}, "delete": {"enabled": True}},
        "http": {"addr": cloud.registry_address},
    }
    file = cloud.home / "registry.json"  # JSON is YAML too
    file.write_text(json.dumps(settings, indent=1))

    def answers() -> bool:
        try:
            return _request(cloud, "") is not None
        except CloudError:
            return False

    processes.start(cloud, PROCESS, ["docker-registry", "serve", file], environment={"OTEL_TRACES_EXPORTER": "none"}, ready=answers)


def stop_registry(cloud: Cloud) -> None:
    """End the registry; its images stay."""
    processes.stop(cloud, PROCESS)


def digest_of(cloud: Cloud, repository: str, tag: str) -> str | None:
    """Digest that a tag names; None when there is no such tag."""
    answer = _request(cloud, f"{repository}/manifests/{tag}", method="HEAD")
    return answer[1]["docker-content-digest"] if answer else None


def config_digest(cloud: Cloud, repository: str, tag: str) -> str | None:
    """Digest of the image's configuration, which is the image's id where it was built; None when there is no such tag."""
    answer = _request(cloud, f"{repository}/manifests/{tag}")
    return json.loads(answer[0])["config"]["digest"] if answer else None


def image_digests(cloud: Cloud, name: str) -> dict[str, str]:
    """Digest of each tag in a repository; empty when it has none."""
    answer = _request(cloud, f"{name}/tags/list")
    tags = json.loads(answer[0]).get("tags") or [] if answer else []
    return {tag: digest for tag in sorted(tags) if (digest := digest_of(cloud, name, tag))}


def delete_repository(cloud: Cloud, name: str) -> None:
    """Remove a repository with its images; the layers that no other repository uses go with the state folder."""
    running = processes.find(cloud, PROCESS)
    for digest in sorted(set(image_digests(cloud, name).values())) if running else ():
        _request(cloud, f"{name}/manifests/{digest}", method="DELETE")
    shutil.rmtree(cloud.path("registry") / "docker/registry/v2/repositories" / name, ignore_errors=True)
