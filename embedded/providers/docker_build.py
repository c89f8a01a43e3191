"""The `docker-build` package: images built by buildah and pushed to the registry behind ECR.

Paths are relative to the project, as the real provider takes them. A preview does not build, so the digest is unknown until the update.
"""

from __future__ import annotations

import copy
import hashlib
import platform
import stat
import threading
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.exceptions import ClientError
from docker.utils.build import PatternMatcher

from embedded.cloud import PROJECT, CloudError
from embedded.providers.server import UNKNOWN, Change, CheckError, Diff, Properties, Provider, ProviderError, Resource, compare, is_known

TOKEN = "docker-build:index:Image"
SUPPORTED = {"buildArgs", "buildOnPreview", "context", "dockerfile", "platforms", "push", "registries", "tags"}
MACHINES = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}
_one_build = threading.Lock()
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy of the machine knows nothing of the bridge


def context_hash(context: Path, dockerfile: Path) -> str:
    """Digest of the Dockerfile and of every file of the context that a build would see: contents, names and modes."""
    digest = hashlib.sha256(dockerfile.read_bytes())
    candidates = [dockerfile.with_name(f"{dockerfile.name}.dockerignore"), context / ".dockerignore"]
    rules = next((file.read_text().splitlines() for file in candidates if file.exists()), [])
    # Docker's own way of reading the file, which also does not enter folders that are left out: a running cloud's state is one
    seen = PatternMatcher([rule.strip() for rule in rules if rule.strip() and not rule.startswith("#")]).walk(str(context))
    for name in sorted(seen):
        file = context / name
        if file.is_file():
            digest.update(file.read_bytes())
            digest.update(f"{name}{stat.filemode(file.stat().st_mode)}".encode())
    return digest.hexdigest()


class DockerBuildProvider(Provider):
    """Images of the stack."""

    package = "docker-build"
    config_keys = frozenset({"host", "registries"})

    def check(self, resource: Resource, olds: Properties, news: Properties) -> Properties:
        """Refuse what buildah is not asked to do; find the Dockerfile."""
        if resource.type != TOKEN:
            raise self.unsupported(resource.type)
        inputs = copy.deepcopy(news)
        failures = {name: "is not supported by the embedded docker-build provider" for name in inputs.keys() - SUPPORTED if inputs[name]}
        if inputs.get("network") == "default":  # what the SDK fills in
            del failures["network"]
        machine = MACHINES.get(platform.machine(), "")
        if inputs.get("platforms") not in (None, UNKNOWN, [], [machine]):
            failures["platforms"] = (
                f"can only be [{machine!r}] here: images run on this machine's own processor, got {inputs['platforms']!r}"
            )
        if inputs.get("push") not in (True, UNKNOWN):
            failures["push"] = "must be true: an image that is in no registry is of no use to the nodes"
        if not inputs.get("tags"):
            failures["tags"] = "is required, with at least one full name in the ECR registry"
        registries = inputs.get("registries") or []
        for number, registry in enumerate(registries if is_known(registries) else []):
            address = str(registry["address"]).removeprefix("https://")
            if address.split("/")[0] != self.cloud.registry_host:
                failures[f"registries[{number}].address"] = f"is {address}; the embedded cloud's registry is {self.cloud.registry_host}"
        if failures or not is_known([inputs.get("context"), inputs.get("dockerfile")]):
            return _accepted(inputs, failures)
        context, dockerfile = dict(inputs.get("context") or {}), dict(inputs.get("dockerfile") or {})
        if context.get("named") or dockerfile.get("inline"):
            failures["context"] = "named contexts and inline Dockerfiles are not supported"
        context.setdefault("location", ".")
        dockerfile.setdefault("location", str(Path(context["location"]) / "Dockerfile"))
        for name, path, fits in (("context", context, Path.is_dir), ("dockerfile", dockerfile, Path.is_file)):
            if not fits(PROJECT / path["location"]):
                failures[f"{name}.location"] = f"{PROJECT / path['location']} does not exist"
        return _accepted(inputs | {"context": context, "dockerfile": dockerfile}, failures)

    def diff(self, resource: Resource, state: Properties, olds: Properties, news: Properties) -> Diff:
        """Inputs other than passwords, which are new at every run, and the files of the context."""
        changes = {path: change for path, change in compare(olds, news).items() if not path.endswith("].password")}
        hashed = self._hash(news)
        if hashed != state.get("contextHash"):
            changes["contextHash"] = Change("update", state.get("contextHash"), hashed)
        return Diff(changes)

    def create(self, resource: Resource, inputs: Properties) -> tuple[str, Properties]:
        """Build and push."""
        outputs = inputs | {"contextHash": self._hash(inputs)}
        if resource.preview:
            return "", outputs | {"digest": UNKNOWN, "ref": UNKNOWN}
        from embedded.image_build import build_and_push  # brings the tools of a build, which most runs do not need

        immutable = [self._is_immutable(tag) for tag in inputs["tags"]]
        self.log("building the image", resource.urn, passing=True)
        try:
            with _one_build:
                digest = build_and_push(
                    self.cloud,
                    context=PROJECT / inputs["context"]["location"],
                    dockerfile=PROJECT / inputs["dockerfile"]["location"],
                    build_args=inputs.get("buildArgs") or {},
                    tags=inputs["tags"],
                    immutable=any(immutable),
                )
        except CloudError as error:
            raise ProviderError(str(error)) from error
        return digest, outputs | {"digest": digest, "ref": f"{inputs['tags'][0]}@{digest}"}

    def update(self, resource: Resource, state: Properties, olds: Properties, news: Properties) -> Properties:
        """Build anew; the earlier image stays in the registry."""
        return self.create(resource, news)[1]

    def read(self, resource: Resource, inputs: Properties, state: Properties) -> tuple[Properties, Properties] | None:
        """Gone when no tag has the digest any more."""
        from embedded.registry import image_digests

        if not state:
            raise ProviderError("an image cannot be imported: its build inputs are not known")
        tags = [tag for tag in state["tags"] if state["digest"] in image_digests(self.cloud, self._repository(tag)).values()]
        return (inputs, state) if tags else None

    def delete(self, resource: Resource, inputs: Properties, state: Properties) -> None:
        """Remove the manifest; like the real provider, do not mind when the registry does not allow it."""
        for name in {self._repository(tag) for tag in state.get("tags") or [] if state.get("digest")}:
            url = f"http://{self.cloud.registry_address}/v2/{name}/manifests/{state['digest']}"
            try:
                _direct.open(urllib.request.Request(url, method="DELETE"), timeout=30).close()
            except urllib.error.URLError as error:
                self.log(f"{name}@{state['digest']} was not deleted: {error}", resource.urn, "DEBUG")

    def _hash(self, inputs: Properties) -> object:
        if not is_known([inputs.get("context"), inputs.get("dockerfile")]):
            return UNKNOWN
        return context_hash(PROJECT / inputs["context"]["location"], PROJECT / inputs["dockerfile"]["location"])

    def _repository(self, tag: str) -> str:
        return tag.partition("/")[2].rpartition(":")[0]

    def _is_immutable(self, tag: str) -> bool:
        try:
            found = boto3.client("ecr").describe_repositories(repositoryNames=[self._repository(tag)])["repositories"]
        except ClientError as error:
            raise ProviderError(f"cannot push {tag}: {error}") from error
        return str(found[0].get("imageTagMutability", "")).startswith("IMMUTABLE")


def _accepted(inputs: Properties, failures: dict[str, str]) -> Properties:
    if failures:
        raise CheckError(failures)
    return inputs
