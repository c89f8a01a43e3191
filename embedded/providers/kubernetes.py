"""The `kubernetes` package: any kind that the real API server has, by server-side apply, awaited until it works.

The rules follow Pulumi's own provider: creating what exists is an error, a preview asks the server (dry run), some changes need a new
object, and a refresh shows what others changed but not what the server filled in.
"""

from __future__ import annotations

import copy
import hashlib

from embedded.cloud import Cloud, CloudError
from embedded.providers import kubernetes_await as awaiting
from embedded.providers.kubernetes_api import Api, ApiError, Kind, Object, Unreachable, active_server
from embedded.providers.kubernetes_rules import (
    AUTONAMED,
    CONTENT,
    FIELD_MANAGER,
    HARMLESS,
    HONOURED,
    IDENTITY,
    REPLACE_KEYS,
    as_kept,
    cleaned,
    group,
    is_builtin,
    live_inputs,
    outputs_of,
    reference,
    token,
    without_nulls,
)
from embedded.providers.properties import UNKNOWN, Change, Diff, Properties, decoded, diff_by_keys, is_known
from embedded.providers.provider import CheckError, InitError, Provider, ProviderError, Resource
from embedded.toolchain import ToolError


class KubernetesProvider(Provider):
    """Objects of one cluster."""

    package = "kubernetes"
    config_keys = frozenset(HONOURED | HARMLESS)

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self._config: Properties = {}
        self._api: Api | None = None

    def check_config(self, news: Properties) -> None:
        """Options that are known; server-side apply is the only way of working here."""
        super().check_config(news)
        if decoded(news.get("enableServerSideApply")) is False:
            raise CheckError({"enableServerSideApply": "the embedded kubernetes provider always applies on the server; remove the option"})

    def configure(self, config: Properties) -> None:
        """The cluster comes from a kubeconfig in the program, never from the user's own."""
        self._config = {key: value if key == "kubeconfig" else decoded(value) for key, value in config.items()}

    def config_replaces(self, olds: Properties, news: Properties) -> set[str]:
        """Another cluster: another `clusterIdentifier`, or without one another server address."""
        if "clusterIdentifier" in olds or "clusterIdentifier" in news:
            return {"clusterIdentifier"}
        configs = [side.get("kubeconfig") for side in (olds, news)]
        if not all(isinstance(config, str) for config in configs):
            return set()
        return {"kubeconfig"} if len({active_server(str(config)) for config in configs}) > 1 else set()

    def check(self, resource: Resource, olds: Properties, news: Properties) -> Properties:
        """Kind and name; the server checks the rest."""
        group_version, kind = token(resource.type)
        inputs = copy.deepcopy(news)
        expected = {"apiVersion": group_version, "kind": kind}
        wrong = {key: f"must be {value!r} in a {resource.type}" for key, value in expected.items() if inputs.get(key, value) != value}
        if wrong:
            raise CheckError(wrong)
        inputs |= expected
        metadata = inputs.get("metadata") or {}
        if metadata is UNKNOWN:
            return inputs
        inputs["metadata"] = metadata
        if metadata.get("generateName"):
            raise CheckError({"metadata.generateName": "is not supported; leave metadata.name out to get a generated name"})
        if not metadata.get("name"):
            previous = olds.get("metadata") or {}
            adopted = (previous.get("annotations") or {}).get(AUTONAMED) == "true"
            metadata["name"] = previous["name"] if adopted else resource.auto_name(8)
            metadata["annotations"] = (metadata.get("annotations") or {}) | {AUTONAMED: "true"}
        try:
            found = self._find_kind(inputs)
        except Unreachable:  # a preview may go on without the server
            found = None
            metadata.setdefault("namespace", (olds.get("metadata") or {}).get("namespace"))
        if found and found.namespaced and not metadata.get("namespace"):
            metadata["namespace"] = self._config.get("namespace") or self._cluster().namespace
        if found and not found.namespaced and metadata.get("namespace"):
            raise CheckError({"metadata.namespace": f"{kind} is not namespaced"})
        return inputs

    def diff(self, resource: Resource, state: Properties, olds: Properties, news: Properties) -> Diff:
        """Old and new inputs; see REPLACE_KEYS."""
        kind = str(news.get("kind"))
        keys = IDENTITY | REPLACE_KEYS.get((group(news), kind), set())
        frozen = (olds.get("immutable") is True) or not self._config.get(f"enable{kind}Mutable")
        if kind in ("ConfigMap", "Secret") and frozen:
            keys |= CONTENT
        diff = diff_by_keys(olds, news, keys)
        if awaiting.annotation(news, "replaceUnready") == "true" and kind == "Job" and awaiting.job_failed(state):
            diff.changes["status"] = Change("update", "Failed", None)
            diff.replaces.add("status")
        names = [reference(side) for side in (olds, news)]
        autonamed = awaiting.annotation(news, "autonamed") == "true"
        diff.delete_before_replace = bool(diff.replaces) and not autonamed and names[0] == names[1]
        return diff

    def create(self, resource: Resource, inputs: Properties) -> tuple[str, Properties]:
        """Apply what must not exist yet, then wait until it works."""
        if resource.preview:
            return "", self._foresee(resource, inputs, {})
        url = self._url(inputs)
        if not self._config.get("upsertExistingObjects") and self._cluster().find(url):
            raise ProviderError(
                f'{inputs["kind"]} "{reference(inputs)}" already exists and is not in this stack; '
                "delete it, give this one another name, or adopt it with the import option"
            )
        self._provide_images(inputs)
        live = self._apply(resource, inputs, {})
        return reference(inputs), self._await(resource, inputs, reference(inputs), url, live)

    def read(self, resource: Resource, inputs: Properties, state: Properties) -> tuple[Properties, Properties] | None:
        """The live object, and of the inputs what others changed."""
        namespace, _, name = resource.id.rpartition("/")
        group_version, kind = token(resource.type)
        asked = {"apiVersion": group_version, "kind": kind, "metadata": {"name": name} | ({"namespace": namespace} if namespace else {})}
        try:
            live = self._cluster().find(self._url(asked))
        except Unreachable:
            if self._config.get("deleteUnreachable"):
                return None
            raise
        if live is None:
            return None
        manager = {key: state[key] for key in (FIELD_MANAGER,) if key in state}
        found = live_inputs(inputs, state, live) if inputs else cleaned(live)
        outputs = outputs_of(live) | manager
        progress = awaiting.progress(self._cluster(), live)
        if not progress.ready and awaiting.wanted(live):
            raise InitError(resource.id, outputs, [awaiting.explain(self._cluster(), live, progress)], found)
        return found, outputs

    def update(self, resource: Resource, state: Properties, olds: Properties, news: Properties) -> Properties:
        """Apply the new inputs: the server removes the fields that are no longer among them."""
        if resource.preview:
            return self._foresee(resource, news, state)
        url = self._url(news)
        if self._cluster().find(url) is None:
            raise ProviderError(f'{news["kind"]} "{reference(news)}" no longer exists; run `pulumi refresh`')
        self._provide_images(news)
        live = self._apply(resource, news, state)
        return self._await(resource, news, resource.id, url, live)

    def delete(self, resource: Resource, inputs: Properties, state: Properties) -> None:
        """Delete it and what it owns, and wait until all is gone."""
        known = inputs or state
        try:
            url = self._url(known)
            self._cluster().request("DELETE", url, body={"propagationPolicy": "Foreground"})
        except ApiError as error:
            if error.code != 404:
                raise
            return
        except Unreachable:
            if self._config.get("deleteUnreachable"):
                return
            raise
        if awaiting.wanted(known):
            awaiting.wait_gone(self, resource, known, self._cluster(), url)

    def invoke(self, token: str, args: Properties) -> Properties:
        """YAML and charts are rendered by functions of the real provider; none of them is here."""
        raise self.unsupported(token)

    def _cluster(self) -> Api:
        if self._api is None:
            kubeconfig = self._config.get("kubeconfig")
            if not kubeconfig:
                raise ProviderError(
                    "this Kubernetes provider has no kubeconfig: pass the program's own provider to the resource. "
                    "The embedded cloud never falls back to the kubeconfig of your user account"
                )
            self._api = Api(kubeconfig, self._config.get("context") or "", self._config.get("cluster") or "")
        return self._api

    def _find_kind(self, inputs: Properties) -> Kind | None:
        kind = self._cluster().kind(inputs["apiVersion"], inputs["kind"])
        if kind is None and is_builtin(inputs):
            raise ProviderError(f"the API server has no kind {inputs['kind']} in {inputs['apiVersion']}")
        return kind  # None: a custom resource whose definition this very program may install

    def _url(self, inputs: Properties) -> str:
        kind, metadata = self._find_kind(inputs), inputs["metadata"]
        if kind is None:
            raise ProviderError(f"the API server has no kind {inputs['kind']} in {inputs['apiVersion']}; install its definition first")
        return kind.url(metadata.get("namespace") or "", metadata["name"])

    def _provide_images(self, inputs: Properties) -> None:
        from embedded.public_images import images_of, provide  # brings the tools of a build, which most runs do not need

        try:
            for image in images_of(inputs) if not self.cloud.simulated else ():
                provide(self.cloud, image)
        except (CloudError, ToolError) as error:
            raise ProviderError(str(error)) from error

    def _apply(self, resource: Resource, inputs: Properties, state: Properties, *, dry: bool = False) -> Object:
        manager = state.get(FIELD_MANAGER) or f"pulumi-kubernetes-{hashlib.sha256(resource.urn.encode()).hexdigest()[:8]}"
        query = {"fieldManager": awaiting.annotation(inputs, "patchFieldManager") or manager, "fieldValidation": "Strict"}
        if self._config.get("enablePatchForce") or awaiting.annotation(inputs, "patchForce") == "true":
            query["force"] = "true"
        if dry:
            query["dryRun"] = "All"
        try:
            live: Object = self._cluster().request("PATCH", self._url(inputs), query, as_kept(without_nulls(inputs)), "apply-patch+yaml")
        except ApiError as error:
            if error.code == 404 and dry:
                raise
            hint = ""
            if error.code == 409:
                hint = '\nAnother program owns these fields; the annotation pulumi.com/patchForce: "true" takes them over'
            what = f'{inputs["kind"]} "{reference(inputs)}"'
            raise ProviderError(f"{what} was refused by the Kubernetes API server: {error}{hint}") from error
        live[FIELD_MANAGER] = manager
        return live

    def _foresee(self, resource: Resource, inputs: Properties, state: Properties) -> Properties:
        expected = copy.deepcopy(inputs) | {"status": UNKNOWN}
        if is_known(inputs):
            try:
                live = self._apply(resource, inputs, state, dry=True) if self._find_kind(inputs) else {}
                if live and state:
                    return outputs_of(live)
            except ApiError as error:  # the namespace may be made by the same program
                if error.code != 404:
                    raise
            except Unreachable as error:
                self.log(f"not checked by the server: {error}", resource.urn, "WARNING")
        if inputs.get("kind") == "Service" and "clusterIP" not in (expected.get("spec") or {}):
            expected["spec"] = (expected.get("spec") or {}) | {"clusterIP": UNKNOWN}
        return expected

    def _await(self, resource: Resource, inputs: Properties, id: str, url: str, live: Object) -> Properties:
        manager = live.pop(FIELD_MANAGER)
        try:
            live = awaiting.wait_ready(self, resource, inputs, self._cluster(), url, live) if awaiting.wanted(inputs) else live
        except awaiting.NotReady as error:
            raise InitError(id, outputs_of(error.live) | {FIELD_MANAGER: manager}, [str(error)]) from error
        return outputs_of(live) | {FIELD_MANAGER: manager}
