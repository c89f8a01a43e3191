"""Images of public registries that the stack can use: their programs built from Go modules, under the registries' own names.

There is no registry to pull them from, so nodes ask this cloud's registry for them, where an image is put when the first object that names
it is made. Its digest is not the original's: such an image can only be named by its tag.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from embedded import oci, registry
from embedded.cloud import Cloud, CloudError
from embedded.image_base import Buildah
from embedded.toolchain import go_tools

_one_at_a_time = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class PublicImage:
    """What an image consists of."""

    module: str
    """Module of `embedded/tools`, and its program."""
    entrypoint: str


PUBLIC_IMAGES = {"quay.io/prometheus/statsd-exporter:v0.31.0": PublicImage(module="statsd_exporter", entrypoint="bin/statsd_exporter")}
REGISTRIES = {reference.partition("/")[0] for reference in PUBLIC_IMAGES}
"""Hosts that nodes are redirected from."""


def images_of(spec: Any) -> Iterator[str]:
    """Every container's image in an object's inputs."""
    if isinstance(spec, dict):
        for key, value in spec.items():
            if key in ("containers", "initContainers") and isinstance(value, list):
                yield from (item["image"] for item in value if isinstance(item, dict) and isinstance(item.get("image"), str))
            else:
                yield from images_of(value)
    elif isinstance(spec, list):
        for item in spec:
            yield from images_of(item)


def provide(cloud: Cloud, reference: str) -> None:
    """Make sure that nodes can pull an image; one of the stack's own repository is there already.

    Raises:
        CloudError: no registry here has it, so its pod would wait for ever.
    """
    host, _, rest = reference.partition("/")
    if host == cloud.registry_host:
        return
    image = PUBLIC_IMAGES.get(reference)
    if image is None:
        raise CloudError(f"image {reference}: the embedded cloud has those of {cloud.registry_host} and {', '.join(PUBLIC_IMAGES)} only")
    repository, _, tag = rest.rpartition(":")
    with _one_at_a_time:
        if registry.digest_of(cloud, repository, tag):
            return
        program = go_tools(image.module)[image.module]
        archive = cloud.path("images") / f"{image.module}.tar"
        archive.write_bytes(oci.archive(reference, {image.entrypoint: program}, entrypoint=[f"/{image.entrypoint}"]))
        buildah = Buildah(cloud.path("images", "public"), cloud.path("logs") / "public-images.log")
        image_id = buildah("pull", "--quiet", f"oci-archive:{archive}")
        buildah("push", "--quiet", "--tls-verify=false", image_id, f"docker://{cloud.registry_address}/{rest}")
        archive.unlink()
