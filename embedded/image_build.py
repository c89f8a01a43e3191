"""Builds the stack's image and pushes it to the registry behind ECR, as the docker-build provider and `docker push` would."""

from __future__ import annotations

import time
from pathlib import Path

from embedded import image_base, pki, registry, toolchain
from embedded.cloud import Cloud, CloudError
from embedded.image_base import Buildah, machine_settings, remove_tree

LOCAL_NAME = "localhost/built"
COMPRESSION = ("--compression-format=zstd", "--compression-level=1")
"""Of gzip, zstd and none the one that nodes unpack fastest (measured: 5.2, 3.6 and 5.9 s), and no slower to push."""


def _destination(cloud: Cloud, tag: str) -> tuple[str, str]:
    """Repository and tag within this cloud's registry."""
    host, _, rest = tag.partition("/")
    repository, _, name = rest.rpartition(":")
    if host != cloud.registry_host or not repository:
        raise CloudError(
            f"cannot push {tag}: the embedded cloud's registry is {cloud.registry_host}, as {cloud.registry_host}/REPOSITORY:TAG"
        )
    return repository, name


def _base(asked: str) -> str:
    """The base to build from; the official image of the version that is made here is replaced by its stand-in."""
    if asked != image_base.REFERENCE and asked.partition("-python")[0].removeprefix("docker.io/") != image_base.OFFICIAL:
        raise CloudError(
            f"base image {asked}: the embedded cloud has {image_base.REFERENCE} only, which also stands in for {image_base.OFFICIAL}"
        )
    if asked != image_base.REFERENCE:
        toolchain.say(f"  image: {image_base.REFERENCE} stands in for {asked}")
    return image_base.REFERENCE


def _push(cloud: Cloud, buildah: Buildah, image_id: str, tag: str, *, immutable: bool) -> str:
    repository, name = _destination(cloud, tag)
    present = registry.config_digest(cloud, repository, name)
    if present and present != f"sha256:{image_id}" and immutable:
        # the words of ECR's ImageTagAlreadyExistsException
        taken = f"The image tag '{name}' already exists in the '{repository}' repository"
        raise CloudError(f"{taken} and cannot be overwritten because the tag is immutable.")
    if present != f"sha256:{image_id}":
        destination = f"docker://{cloud.registry_address}/{repository}:{name}"
        buildah("push", "--quiet", "--tls-verify=false", *COMPRESSION, image_id, destination)
    digest = registry.digest_of(cloud, repository, name)
    if digest is None:
        raise CloudError(f"{repository}:{name} was pushed, but the registry does not have it")
    return digest


def build_and_push(
    cloud: Cloud, *, context: Path, dockerfile: Path, build_args: dict[str, str], tags: list[str], immutable: bool = True
) -> str:
    """Build an image and push it under every tag; its digest, as the registry has it.

    Args:
        cloud: whose registry gets it.
        context: folder that the Dockerfile copies from, seen through its `.dockerignore`.
        dockerfile: path of the Dockerfile.
        build_args: values of its ARGs; the base is made first when the cache lacks it.
        tags: full names in `cloud.registry_host`.
        immutable: refuse a tag that already names another image, as a repository with immutable tags does.

    Raises:
        CloudError: the build fails, the base is another one, a tag is not of this registry or is taken; the message says which.
    """
    for tag in tags:
        _destination(cloud, tag)
    # this cloud's RDS has its certificates from this cloud's own authority, which its AWS publishes as Amazon does
    trust_store = {"DATABASE_TRUST_STORE": f"{cloud.aws_endpoint}{pki.TRUST_STORE_PATH}"}
    build_args = build_args | {"BASE_IMAGE": _base(build_args.get("BASE_IMAGE", image_base.REFERENCE))} | trust_store
    began = time.monotonic()
    folder = cloud.path("images")
    base = image_base.ensure_base_image()
    # a store for each base: layers that were built on another one could not be read
    buildah = Buildah(folder / base.name, cloud.path("logs") / "image-build.log", more_images=base)
    with machine_settings(folder) as options:
        id_file = folder / "image-id"
        arguments = [f"--build-arg={name}={value}" for name, value in sorted(build_args.items())]
        buildah(
            "build", "--isolation=chroot", "--format=oci", "--layers", "--pull=false", *options, *arguments,
            f"--iidfile={id_file}", f"--file={dockerfile}", f"--tag={LOCAL_NAME}", str(context),
        )  # fmt: skip
    image_id = id_file.read_text().strip().removeprefix("sha256:")
    toolchain.say(f"  image: built in {time.monotonic() - began:.0f} s, pushing")
    digests = {_push(cloud, buildah, image_id, tag, immutable=immutable) for tag in tags}
    toolchain.say(f"  image: in the registry after {time.monotonic() - began:.0f} s")
    if len(digests) != 1:
        raise CloudError(f"one image has several digests in the registry: {', '.join(sorted(digests))}")
    return digests.pop()


def remove_images(cloud: Cloud) -> None:
    """Remove what builds left in the state folder; a failed one leaves mounts there, and they keep the folder from being removed."""
    remove_tree(cloud.home / "images")
