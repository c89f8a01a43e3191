"""The embedded cloud's own providers: what they refuse, replace, hash and wait for, and how errors reach the engine.

What this level cannot prove: that the engine accepts the answers and that a cluster behaves so; the engine tier does.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pulumi
import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from embedded.cloud import Cloud
from embedded.providers import docker_build, kubernetes_api, kubernetes_rules, properties, server
from embedded.providers import kubernetes_await as awaiting
from embedded.providers.docker_build import DockerBuildProvider
from embedded.providers.eks_inputs import check_inputs, cni_configuration, kubeconfig
from embedded.providers.kubernetes import KubernetesProvider
from embedded.providers.kubernetes_api import Api, Kind
from embedded.providers.kubernetes_stuck import StuckPod
from embedded.providers.properties import UNKNOWN, compare, covers, decoded, diff_by_keys, is_known, plain, struct
from embedded.providers.provider import CheckError, InitError, Provider, ProviderError, Resource
from embedded.providers.random import KINDS, RandomProvider

CLOUD = Cloud(home=Path("/nonexistent"), index=7)
REGISTRY = CLOUD.registry_host


def resource(type: str, **more: Any) -> Resource:
    return Resource(type=type, name="thing", urn=f"urn:pulumi:s::p::{type}::thing", seed=b"\x12\x34\x56\x78\x9a", **more)


def test_values_survive_the_way_to_the_engine_and_back() -> None:
    value = {"text": "a", "whole": 3, "part": 1.5, "yes": True, "none": None, "list": [1, {"deep": UNKNOWN}]}
    assert plain(struct(value)) == value


def test_secrets_are_unwrapped_and_references_become_ids() -> None:
    marked = {
        "secret": {properties.SIGNATURE: properties.SECRET_SIGNATURE, "value": "s"},
        "custom": {properties.SIGNATURE: properties.RESOURCE_SIGNATURE, "urn": "urn:x", "id": "i-1"},
        "component": {properties.SIGNATURE: properties.RESOURCE_SIGNATURE, "urn": "urn:x", "id": ""},
        "output": {properties.SIGNATURE: properties.OUTPUT_SIGNATURE, "dependencies": ["urn:x"]},
    }
    assert plain(struct(marked)) == {"secret": "s", "custom": "i-1", "component": "urn:x", "output": UNKNOWN}


def test_provider_options_arrive_as_json_text_or_plain_text() -> None:
    assert [decoded(value) for value in ('{"tags": {"a": "b"}}', "true", "us-west-2")] == [{"tags": {"a": "b"}}, True, "us-west-2"]


def test_only_values_without_unknown_parts_are_known() -> None:
    assert is_known({"a": [1, {"b": "c"}]})
    assert not is_known({"a": [1, {"b": UNKNOWN}]})


def test_differences_are_named_by_property_path() -> None:
    old = {"a": {"b.c": 1, "same": [1, 2]}, "list": [1, 2], "gone": True, "null": None}
    new = {"a": {"b.c": 2, "same": [1.0, 2]}, "list": [1, 3, 4]}
    kinds = {path: change.kind for path, change in compare(old, new).items()}
    assert kinds == {'a["b.c"]': "update", "list[1]": "update", "list[2]": "add", "gone": "delete"}


def test_true_and_one_are_not_the_same() -> None:
    assert compare({"a": True}, {"a": 1})


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("spec", "spec.a[0]", True),
        ("spec.a", "spec.ab", False),
        ("rules[*].name", "rules[3].name", True),
        ("rules[*].name", "rules[3].port", False),
    ],
)
def test_a_pattern_covers_what_lies_inside_its_property(pattern: str, path: str, expected: bool) -> None:
    assert covers(pattern, path) is expected


def test_replacement_is_asked_for_exactly_the_changes_under_replace_keys() -> None:
    diff = diff_by_keys({"name": "a", "size": 1}, {"name": "b", "size": 2}, {"name"}, delete_first=True)
    assert (set(diff.changes), diff.replaces, diff.delete_before_replace) == ({"name", "size"}, {"name"}, True)


class Picky(Provider):
    package = "random"

    def configure(self, config: dict[str, Any]) -> None:
        self.answer = config["answer"]

    def check(self, resource: Resource, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        raise CheckError({"size": "is too big"})

    def create(self, resource: Resource, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        raise InitError("half-made", {"size": 1}, ["it does not start"])

    def read(self, resource: Resource, inputs: dict[str, Any], state: dict[str, Any]) -> None:
        return None

    def invoke(self, token: str, args: dict[str, Any]) -> dict[str, Any]:
        return {"answer": self.answer}

    def delete(self, resource: Resource, inputs: dict[str, Any], state: dict[str, Any]) -> None:
        raise ZeroDivisionError("a bug")


@pytest.fixture
def engines() -> Iterator[list[Any]]:
    """Two engines' stubs on one running provider."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = server.serve(Picky, CLOUD, port)
    options = (("grpc.use_local_subchannel_pool", 1),)
    channels = [grpc.insecure_channel(f"127.0.0.1:{port}", options=options) for _ in range(2)]
    yield [provider_pb2_grpc.ResourceProviderStub(channel) for channel in channels]
    for channel in channels:
        channel.close()
    running.stop(None).wait()


def test_each_connection_has_its_own_configuration(engines: list[Any]) -> None:
    for number, engine in enumerate(engines):
        engine.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address=""))
        engine.Configure(provider_pb2.ConfigureRequest(args=struct({"answer": number, "version": "1.0"})))
    answers = [plain(getattr(engine.Invoke(provider_pb2.InvokeRequest(tok="t")), "return")) for engine in engines]
    assert answers == [{"answer": 0}, {"answer": 1}]


def test_refused_inputs_arrive_with_their_names(engines: list[Any]) -> None:
    answer = engines[0].Check(provider_pb2.CheckRequest(news=struct({"size": 9})))
    assert [(failure.property, failure.reason) for failure in answer.failures] == [("size", "is too big")]


def test_a_half_made_resource_stays_in_the_state(engines: list[Any]) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        engines[0].Create(provider_pb2.CreateRequest(properties=struct({})))
    details = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]  # type: ignore[attr-defined]
    half_made = provider_pb2.ErrorResourceInitFailed()
    assert status_pb2.Status.FromString(details).details[0].Unpack(half_made)
    assert (half_made.id, plain(half_made.properties), list(half_made.reasons)) == ("half-made", {"size": 1}, ["it does not start"])


def test_a_resource_that_is_gone_reads_as_empty(engines: list[Any]) -> None:
    assert engines[0].Read(provider_pb2.ReadRequest(id="x")).id == ""


def test_what_a_provider_does_not_have_is_refused_by_name(engines: list[Any]) -> None:
    with pytest.raises(grpc.RpcError, match="random:x:Y is not among what the embedded random provider has"):
        engines[0].Update(provider_pb2.UpdateRequest(type="random:x:Y"))


def test_a_bug_is_an_error_and_not_a_hang(engines: list[Any], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(grpc.RpcError, match="ZeroDivisionError: a bug"):
        engines[0].Delete(provider_pb2.DeleteRequest())
    assert "Traceback" in capfd.readouterr().err


PASSWORD = "random:index/randomPassword:RandomPassword"


def drawn(type: str, **inputs: Any) -> dict[str, Any]:
    provider = RandomProvider(CLOUD)
    return provider.create(resource(type), provider.check(resource(type), {}, inputs))[1]


def test_a_password_has_what_was_asked_for() -> None:
    outputs = drawn(PASSWORD, length=40, special=False, minUpper=5, minNumeric=5)
    result = outputs["result"]
    assert len(result) == 40
    assert result.isalnum()
    assert sum(character.isupper() for character in result) >= 5
    assert outputs["bcryptHash"].startswith("$2b$10$")
    assert drawn(PASSWORD, length=40)["result"] != result


def test_bytes_and_ids_have_consistent_forms() -> None:
    key = drawn("random:index/randomBytes:RandomBytes", length=32)
    assert base64.b64decode(key["base64"]).hex() == key["hex"]
    identifier = drawn("random:index/randomId:RandomId", byteLength=4, prefix="x-")
    assert identifier["dec"] == f"x-{int(identifier['hex'].removeprefix('x-'), 16)}"


@pytest.mark.parametrize(
    ("inputs", "property"),
    [
        ({}, "length"),
        ({"length": "8"}, "length"),
        ({"length": 0}, "length"),
        ({"length": 3, "minUpper": 4}, "length"),
        ({"length": 8, "lenght": 9}, "lenght"),
        ({"length": 8, "upper": False, "lower": False, "numeric": False, "special": False}, "special"),
    ],
)
def test_bad_password_inputs_are_refused(inputs: dict[str, Any], property: str) -> None:
    with pytest.raises(CheckError) as caught:
        drawn(PASSWORD, **inputs)
    assert property in caught.value.failures


@pytest.mark.parametrize("type", sorted(KINDS))
def test_every_change_draws_a_new_value_and_a_preview_draws_none(type: str) -> None:
    provider = RandomProvider(CLOUD)
    diff = provider.diff(resource(type), {}, {"keepers": {"a": "1"}}, {"keepers": {"a": "2"}})
    assert diff.replaces == {"keepers.a"}
    assert set(provider.create(resource(type, preview=True), {})[1].values()) == {UNKNOWN}


class FakeApi:
    namespace = "default"
    server = "https://cluster"

    def __init__(self, objects: dict[str, Any] | None = None) -> None:
        self.objects = objects or {}

    def kind(self, api_version: str, name: str) -> Kind | None:
        return None if name == "Deploymint" else Kind("/api/v1", f"{name.lower()}s", name not in ("Namespace", "StorageClass"))

    def find(self, path: str) -> Any:
        return self.objects.get(path)

    def items(self, path: str, **query: str) -> list[Any]:
        return self.objects.get(path, [])


def kubernetes(**config: Any) -> KubernetesProvider:
    provider = KubernetesProvider(CLOUD)
    provider.configure(config)
    provider._api = FakeApi()  # type: ignore[assignment]
    return provider


def checked(type: str, news: dict[str, Any], olds: dict[str, Any] | None = None) -> dict[str, Any]:
    return kubernetes().check(resource(type), olds or {}, news)


def test_an_object_without_a_name_gets_one_and_keeps_it() -> None:
    first = checked("kubernetes:core/v1:ConfigMap", {"data": {"a": "1"}})
    assert first["metadata"] == {"name": "thing-12345678", "namespace": "default", "annotations": {"pulumi.com/autonamed": "true"}}
    other = Resource(type="kubernetes:core/v1:ConfigMap", name="thing", urn="u", seed=b"\xff" * 8)
    assert kubernetes().check(other, first, {"data": {"a": "2"}})["metadata"]["name"] == "thing-12345678"


def test_inputs_are_not_changed_in_place() -> None:
    news: dict[str, Any] = {"metadata": {}}
    checked("kubernetes:core/v1:ConfigMap", news)
    assert news == {"metadata": {}}


@pytest.mark.parametrize(
    ("type", "news", "message"),
    [
        ("kubernetes:helm.sh/v3:Release", {}, "write the objects as resources of their own kinds"),
        ("kubernetes:yaml/v2:ConfigFile", {}, "write the objects as resources of their own kinds"),
        ("kubernetes:core/v1:ConfigMapPatch", {}, "write the objects as resources of their own kinds"),
        ("kubernetes:core/v1:ConfigMap", {"kind": "Secret"}, "must be 'ConfigMap'"),
        ("kubernetes:core/v1:ConfigMap", {"metadata": {"generateName": "x-"}}, "leave metadata.name out"),
        ("kubernetes:core/v1:Namespace", {"metadata": {"name": "a", "namespace": "b"}}, "Namespace is not namespaced"),
        ("kubernetes:apps/v1:Deploymint", {}, "the API server has no kind Deploymint in apps/v1"),
    ],
)
def test_what_the_kubernetes_provider_refuses(type: str, news: dict[str, Any], message: str) -> None:
    with pytest.raises(ProviderError, match=message):
        checked(type, news)


def test_the_users_own_kubeconfig_is_never_used() -> None:
    provider = KubernetesProvider(CLOUD)
    provider.configure({})
    with pytest.raises(ProviderError, match="never falls back to the kubeconfig of your user account"):
        provider.check(resource("kubernetes:core/v1:ConfigMap"), {}, {})


@pytest.mark.parametrize(("option", "value"), [("renderYamlToDirectory", "/tmp"), ("enableServerSideApply", "false"), ("kubeconfg", "x")])
def test_unknown_provider_options_are_refused(option: str, value: str) -> None:
    with pytest.raises(CheckError) as caught:
        KubernetesProvider(CLOUD).check_config({option: value})
    assert option in caught.value.failures


CONFIG_MAP = ("v1", "ConfigMap")


@pytest.mark.parametrize(
    ("kind", "old", "new", "config", "replaced"),
    [
        (CONFIG_MAP, {"data": {"a": "1"}}, {"data": {"a": "2"}}, {}, True),
        (CONFIG_MAP, {"data": {"a": "1"}}, {"data": {"a": "2"}}, {"enableConfigMapMutable": "true"}, False),
        (
            CONFIG_MAP,
            {"data": {"a": "1"}, "immutable": True},
            {"data": {"a": "2"}, "immutable": True},
            {"enableConfigMapMutable": True},
            True,
        ),
        (("v1", "Secret"), {"stringData": {"a": "1"}}, {"stringData": {"a": "2"}}, {"enableSecretMutable": True}, False),
        (("v1", "Secret"), {"type": "a"}, {"type": "b"}, {"enableSecretMutable": True}, True),
        (("apps/v1", "Deployment"), {"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}, {}, False),
        (("apps/v1", "Deployment"), {"spec": {"selector": {"a": 1}}}, {"spec": {"selector": {"a": 2}}}, {}, True),
        (("batch/v1", "Job"), {"spec": {"template": {"a": 1}}}, {"spec": {"template": {"a": 2}}}, {}, True),
        (("batch/v1", "CronJob"), {"spec": {"jobTemplate": {"a": 1}}}, {"spec": {"jobTemplate": {"a": 2}}}, {}, False),
        (("v1", "PersistentVolumeClaim"), {"spec": {"resources": 1}}, {"spec": {"resources": 2}}, {}, False),
        (("v1", "PersistentVolumeClaim"), {"spec": {"volumeName": "1"}}, {"spec": {"volumeName": "2"}}, {}, True),
        (("rbac.authorization.k8s.io/v1", "RoleBinding"), {"roleRef": {"name": "a"}}, {"roleRef": {"name": "b"}}, {}, True),
    ],
)
def test_which_changes_need_a_new_object(
    kind: Any, old: dict[str, Any], new: dict[str, Any], config: dict[str, Any], replaced: bool
) -> None:
    common = {"apiVersion": kind[0], "kind": kind[1], "metadata": {"name": "a", "namespace": "b"}}
    diff = kubernetes(**config).diff(resource("x"), {}, common | old, common | new)
    assert diff.changes
    assert bool(diff.replaces) is replaced
    assert diff.delete_before_replace is replaced, "the name is given, so the old object must go first"


def test_an_object_named_by_the_provider_is_replaced_without_a_gap() -> None:
    metadata = {"name": "a", "annotations": {"pulumi.com/autonamed": "true"}}
    old = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}
    assert kubernetes().diff(resource("x"), {}, old, old | {"data": {"a": "2"}}).delete_before_replace is False


def test_a_failed_job_is_replaced_when_the_program_says_so() -> None:
    inputs = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "annotations": {"pulumi.com/replaceUnready": "true"}}}
    failed = {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}
    assert kubernetes().diff(resource("x"), failed, inputs, inputs).replaces == {"status"}
    assert not kubernetes().diff(resource("x"), {}, inputs, inputs).changes


def test_refresh_sees_what_others_changed_and_not_what_the_server_rewrote() -> None:
    inputs = {"spec": {"cpu": "0.5", "replicas": 1, "list": [{"name": "a"}]}, "stringData": {"p": "x"}}
    seen = {"spec": {"cpu": "500m", "replicas": 1, "list": [{"name": "a", "default": 1}]}, "data": {"p": base64.b64encode(b"x").decode()}}
    assert kubernetes_rules.live_inputs(inputs, seen, seen | {"status": {"new": 1}}) == inputs
    changed = {
        "spec": {"cpu": "500m", "replicas": 9, "list": [{"name": "b", "default": 1}]},
        "data": {"p": base64.b64encode(b"y").decode()},
    }
    assert kubernetes_rules.live_inputs(inputs, seen, changed) == {
        "spec": {"cpu": "0.5", "replicas": 9, "list": [{"name": "b"}]},
        "stringData": {"p": "y"},
    }


def test_a_secrets_texts_are_sent_as_the_server_keeps_them() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "data": {"a": "MQ==", "b": "Mg=="}, "stringData": {"b": "3"}}
    assert kubernetes_rules.as_kept(secret) == {"apiVersion": "v1", "kind": "Secret", "data": {"a": "MQ==", "b": "Mw=="}}
    other = {"apiVersion": "example.com/v1", "kind": "Secret", "stringData": {"b": "3"}}
    assert kubernetes_rules.as_kept(other) == other


def test_another_cluster_replaces_every_object() -> None:
    def config(server: str) -> str:
        return json.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )

    provider = KubernetesProvider(CLOUD)
    assert provider.config_replaces({"kubeconfig": config("https://a")}, {"kubeconfig": config("https://b")}) == {"kubeconfig"}
    assert provider.config_replaces({"kubeconfig": config("https://a")}, {"kubeconfig": config("https://a")}) == set()
    assert provider.config_replaces({"kubeconfig": config("https://a")}, {"kubeconfig": UNKNOWN}) == set()
    named = {"clusterIdentifier": "one", "kubeconfig": config("https://a")}
    assert provider.config_replaces(named, named | {"kubeconfig": config("https://b")}) == {"clusterIdentifier"}


def live(kind: str, *, spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **annotations: str) -> dict[str, Any]:
    notes = {f"pulumi.com/{key}": value for key, value in annotations.items()}
    metadata = {"name": "a", "namespace": "n", "uid": "u", "generation": 2, "annotations": notes}
    return {"kind": kind, "metadata": metadata, "spec": spec or {}, "status": status or {}}


def condition(type: str, **more: str) -> dict[str, Any]:
    return {"conditions": [{"type": type, "status": "True", **more}]}


ROLLED_OUT = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


@pytest.mark.parametrize(
    ("object", "ready", "failed"),
    [
        (live("Deployment", spec={"replicas": 2}, status=ROLLED_OUT), True, False),
        (live("Deployment", spec={"replicas": 2}, status=ROLLED_OUT | {"observedGeneration": 1}), False, False),
        (live("Deployment", spec={"replicas": 2}, status=ROLLED_OUT | {"replicas": 3}), False, False),
        (live("Deployment", status={"observedGeneration": 2} | condition("Progressing", reason="ProgressDeadlineExceeded")), False, True),
        (live("Job", status=condition("Complete")), True, False),
        (live("Job", status=condition("Failed", message="backoff")), False, True),
        (live("Job", status={"active": 1}), False, False),
        (live("Pod", status=condition("Ready") | {"phase": "Running"}), True, False),
        (live("Pod", status={"phase": "Succeeded"}), True, False),
        (live("PersistentVolumeClaim", status={"phase": "Bound"}), True, False),
        (live("PersistentVolumeClaim", spec={"storageClassName": "later"}), True, False),
        (live("PersistentVolumeClaim", spec={"storageClassName": "now"}), False, False),
        (live("Service", spec={"selector": {"a": "b"}}), False, False),
        (live("Service", spec={"selector": {"a": "b"}, "clusterIP": "None"}), True, False),
        (live("Service", spec={"type": "LoadBalancer"}), False, False),
        (live("Service", spec={"type": "LoadBalancer"}, status={"loadBalancer": {"ingress": [{"hostname": "h"}]}}), True, False),
        (live("ConfigMap"), True, False),
        (live("ConfigMap", waitFor="condition=Warm"), False, False),
        (live("ConfigMap", status=condition("Warm"), waitFor="condition=Warm"), True, False),
        (live("ConfigMap", status={"phase": "Warm"}, waitFor="jsonpath={.status.phase}=Warm"), True, False),
    ],
)
def test_when_an_object_works(object: dict[str, Any], ready: bool, failed: bool) -> None:
    classes = "/apis/storage.k8s.io/v1/storageclasses/"
    api = FakeApi({f"{classes}later": {"volumeBindingMode": "WaitForFirstConsumer"}, f"{classes}now": {"volumeBindingMode": "Immediate"}})
    progress = awaiting.progress(api, object)  # type: ignore[arg-type]
    assert (progress.ready, progress.failed) == (ready, failed)


def test_a_failure_names_the_pod_the_container_the_event_and_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = {"name": "web", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 3}}}
    pod = live("Pod", status={"phase": "Pending", "containerStatuses": [waiting]})
    api = FakeApi(
        {
            "/api/v1/namespaces/n/pods": [pod],
            "/api/v1/namespaces/n/events": [{"reason": "BackOff", "message": "restarting"}],
        }
    )
    monkeypatch.setattr(awaiting, "_log", lambda *_, **__: ["no database"])
    deployment = live("Deployment", spec={"selector": {"matchLabels": {"a": "b"}}})
    text = awaiting.explain(api, deployment, awaiting.Progress(False, "0 of 1"))  # type: ignore[arg-type]
    for part in ("0 of 1", "pod a: Pending", "container web: CrashLoopBackOff", "ended with code 3", "| no database", "event BackOff"):
        assert part in text


def stuck_pod(reason: str, *, uid: str = "u", made: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    waiting = {"name": "base", "state": {"waiting": {"reason": reason, "message": f"told by the kubelet of {uid}"}}}
    pod = live("Pod", status={"phase": "Pending", "containerStatuses": [waiting]})
    return pod | {"metadata": pod["metadata"] | {"uid": uid, "creationTimestamp": made}}


@pytest.mark.parametrize(
    ("reason", "patience"),
    [("InvalidImageName", 0), ("CreateContainerConfigError", 60), ("ErrImagePull", 90), ("ImagePullBackOff", 90)],
)
def test_a_container_that_can_never_start_is_given_up_early(reason: str, patience: int) -> None:
    now = [1000.0]
    stuck = StuckPod(clock=lambda: now[0])
    text = f"pod a, container base: {reason} told by the kubelet of u"
    assert stuck.look([stuck_pod(reason)]) == (text, patience == 0)
    now[0] += patience - 0.5
    assert stuck.look([stuck_pod(reason)])[1] is False
    now[0] += 0.5
    assert stuck.look([stuck_pod(reason)]) == (text, True)


def test_a_slow_start_is_waited_for() -> None:
    now = [0.0]
    stuck = StuckPod(clock=lambda: now[0])
    for now[0] in (0, 3600):
        assert stuck.look([stuck_pod("ContainerCreating")]) == ("", False)
    assert stuck.look([]) == ("", False)


def test_only_the_newest_pod_counts_and_a_container_that_recovers_is_forgiven() -> None:
    now = [0.0]
    stuck = StuckPod(clock=lambda: now[0])
    old = stuck_pod("ImagePullBackOff", uid="old")
    stuck.look([old])
    now[0] = 100
    new = stuck_pod("ErrImagePull", uid="new", made="2026-01-02T00:00:00Z")
    assert stuck.look([new, old]) == ("pod a, container base: ErrImagePull told by the kubelet of new", False)
    now[0] = 150
    assert stuck.look([stuck_pod("", uid="new", made="2026-01-02T00:00:00Z"), old]) == ("", False), "its template is the present one"
    now[0] = 240
    assert not stuck.look([new, old])[1], "the clock began anew"


def test_a_job_whose_image_cannot_be_had_fails_with_the_pods_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awaiting, "_log", lambda *_, **__: [])
    job = live("Job", spec={"selector": {"matchLabels": {"a": "b"}}}, status={"active": 1})
    api = FakeApi({"url": job, "/api/v1/namespaces/n/pods": [stuck_pod("InvalidImageName")]})
    with pytest.raises(awaiting.NotReady, match=r"(?s)^1 active.*container base: InvalidImageName told by the kubelet"):
        awaiting.wait_ready(kubernetes(), resource("x"), {}, api, "url", job)  # type: ignore[arg-type]


def test_waiting_ends_when_the_person_interrupts() -> None:
    provider = kubernetes()
    provider.cancelled.set()
    job = live("Job")
    with pytest.raises(awaiting.NotReady, match="interrupted"):
        awaiting.wait_ready(provider, resource("x"), {}, FakeApi({"url": job}), "url", job)  # type: ignore[arg-type]


def test_an_interrupted_wait_keeps_the_object_in_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = kubernetes()
    provider.cancelled.set()
    made = {"apiVersion": "batch/v1"} | live("Job")
    monkeypatch.setattr(provider, "_apply", lambda *_, **__: made | {kubernetes_rules.FIELD_MANAGER: "pulumi-kubernetes-x"})
    with pytest.raises(InitError) as caught:
        provider.create(resource("kubernetes:batch/v1:Job"), {"apiVersion": "batch/v1", "kind": "Job", "metadata": made["metadata"]})
    assert caught.value.id == "n/a"
    assert caught.value.outputs[kubernetes_rules.FIELD_MANAGER] == "pulumi-kubernetes-x"


def _token_config(command: list[str]) -> str:
    exec_user = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": command[0], "args": command[1:]}
    return json.dumps(
        {
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
            "users": [{"name": "u", "user": {"exec": exec_user}}],
        }
    )


def test_a_token_program_runs_once_until_its_token_ends(tmp_path: Path) -> None:
    script = tmp_path / "token.py"
    runs = tmp_path / "runs"
    status = {"token": "secret", "expirationTimestamp": "2999-01-01T00:00:00Z"}
    script.write_text(f"open({str(runs)!r}, 'a').write('x')\nprint({json.dumps({'status': status})!r})")
    api = Api(_token_config([sys.executable, str(script)]))
    assert [api._authorization() for _ in range(2)] == [{"Authorization": "Bearer secret"}] * 2
    assert runs.read_text() == "x"


def test_a_token_program_that_fails_says_why(tmp_path: Path) -> None:
    api = Api(_token_config([sys.executable, "-c", "import sys; sys.exit('session expired')"]))
    with pytest.raises(ProviderError, match="session expired"):
        api._authorization()


def test_a_kubeconfig_without_the_named_context_is_refused() -> None:
    with pytest.raises(ProviderError, match="the kubeconfig has no context 'other'"):
        Api(_token_config(["x"]), context="other")
    with pytest.raises(kubernetes_api.Unreachable, match=r"https://127\.0\.0\.1:1 does not answer"):
        Api(_token_config([sys.executable, "-c", 'print(\'{"status": {"token": "t"}}\')'])).find("/api")


@pytest.fixture
def image(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "Dockerfile").write_text("FROM base\nCOPY a /a\n")
    (tmp_path / "a").write_text("1")
    return {"context": {"location": str(tmp_path)}, "push": True, "tags": [f"{REGISTRY}/airflow:1"], "network": "default"}


def test_the_dockerfile_of_the_context_is_the_default(image: dict[str, Any]) -> None:
    inputs = DockerBuildProvider(CLOUD).check(resource(docker_build.TOKEN), {}, image)
    assert inputs["dockerfile"] == {"location": f"{image['context']['location']}/Dockerfile"}


@pytest.mark.parametrize(
    ("changes", "property"),
    [
        ({"push": False}, "push"),
        ({"tags": []}, "tags"),
        ({"platforms": ["linux/s390x"]}, "platforms"),
        ({"cacheFrom": [{"raw": "x"}]}, "cacheFrom"),
        ({"context": {"location": "/nowhere"}}, "context.location"),
        ({"registries": [{"address": "docker.io"}]}, "registries[0].address"),
    ],
)
def test_what_the_image_provider_refuses(image: dict[str, Any], changes: dict[str, Any], property: str) -> None:
    with pytest.raises(CheckError) as caught:
        DockerBuildProvider(CLOUD).check(resource(docker_build.TOKEN), {}, image | changes)
    assert property in caught.value.failures


def test_an_image_is_built_anew_when_a_file_changes_and_not_for_a_new_password(image: dict[str, Any], tmp_path: Path) -> None:
    provider = DockerBuildProvider(CLOUD)
    login = {"registries": [{"address": REGISTRY, "username": "AWS", "password": "1"}]}
    inputs = provider.check(resource(docker_build.TOKEN), {}, image | login)
    id, state = provider.create(resource(docker_build.TOKEN, preview=True), inputs)
    assert (id, state["digest"], state["ref"]) == ("", UNKNOWN, UNKNOWN)
    again = inputs | {"registries": [login["registries"][0] | {"password": "2"}]}
    assert not provider.diff(resource(docker_build.TOKEN), state, inputs, again).changes
    (tmp_path / "a").write_text("2")
    assert set(provider.diff(resource(docker_build.TOKEN), state, inputs, again).changes) == {"contextHash"}


@pytest.mark.parametrize(
    ("rules", "name", "ignored"),
    [
        ("*.pyc", "a.pyc", True),
        ("*.pyc", "dags/a.pyc", False),
        ("**/*.pyc", "dags/a.pyc", True),
        ("**/__pycache__", "dags/__pycache__/a.pyc", True),
        ("dags\n!dags/keep.py", "dags/keep.py", False),
        ("dags\n!dags/keep.py", "dags/other.py", True),
        ("# a\n/logs/", "logs/x", True),
    ],
)
def test_ignored_files_do_not_change_the_hash(tmp_path: Path, rules: str, name: str, ignored: bool) -> None:
    (tmp_path / "Dockerfile").write_text("FROM base\n")
    (tmp_path / ".dockerignore").write_text(rules)
    before = docker_build.context_hash(tmp_path, tmp_path / "Dockerfile")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("x")
    assert (docker_build.context_hash(tmp_path, tmp_path / "Dockerfile") == before) is ignored


def test_a_folder_that_the_build_leaves_out_is_not_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A running cloud keeps its nodes' disks below the project: folders come and go there, and there are very many."""
    (tmp_path / "Dockerfile").write_text("FROM base\n")
    (tmp_path / ".dockerignore").write_text("*\n!dags\n")
    for folder in (".embedded", "dags"):
        (tmp_path / folder / "snapshots").mkdir(parents=True)
    entered = []
    for reader in ("listdir", "scandir"):
        read = getattr(os, reader)
        monkeypatch.setattr(os, reader, lambda folder, read=read: entered.append(Path(folder).name) or read(folder))
    docker_build.context_hash(tmp_path, tmp_path / "Dockerfile")
    assert "dags" in entered
    assert ".embedded" not in entered


CLUSTER = {"authenticationMode": "API", "skipDefaultNodeGroup": True, "vpcId": "vpc-1", "privateSubnetIds": ["a"]}


def test_the_stacks_cluster_is_accepted() -> None:
    check_inputs(CLUSTER | {"createOidcProvider": False, "instanceRoles": [], "vpcCniOptions": {"enableNetworkPolicy": True}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gpu": True}, "gpu is not supported"),
        ({"instanceType": "m5.large"}, "instanceType is not supported"),
        ({"authenticationMode": "CONFIG_MAP"}, "authenticationMode must be 'API', got 'CONFIG_MAP'"),
        ({"createOidcProvider": True}, "createOidcProvider is not supported"),
        ({"instanceRoles": pulumi.Output.from_input([])}, "instanceRoles is not supported"),
        ({"vpcCniOptions": {"securityContextPrivileged": True}}, "vpcCniOptions.securityContextPrivileged is not supported"),
        ({"vpcId": None}, "vpcId is required"),
        ({"subnetIds": ["b"]}, "subnetIds excludes"),
        ({"publicAccessCidrs": ["1.2.3.4/32"], "endpointPublicAccess": False}, "publicAccessCidrs can only be set"),
    ],
)
def test_what_the_cluster_component_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ProviderError, match=message):
        check_inputs(CLUSTER | changes)


def test_network_policies_reach_the_cni_addon_as_the_real_component_writes_them() -> None:
    values = cni_configuration({"enableNetworkPolicy": True, "warmIpTarget": 3.0, "configurationValues": {"env": {"WARM_ENI_TARGET": "2"}}})
    assert values["enableNetworkPolicy"] == "true"
    assert {name: values["env"][name] for name in ("WARM_IP_TARGET", "WARM_ENI_TARGET", "ENABLE_POD_ENI")} == {
        "WARM_IP_TARGET": "3",
        "WARM_ENI_TARGET": "2",
        "ENABLE_POD_ENI": "false",
    }
    assert values["init"] == {"env": {"DISABLE_TCP_EARLY_DEMUX": "false"}}


def test_the_kubeconfig_asks_aws_for_a_token() -> None:
    config = kubeconfig("airflow-dev", "https://e", "Q0E=", "us-west-2", {"roleArn": "arn:r"})
    program = config["users"][0]["user"]["exec"]
    command = " ".join([program["command"], *program["args"]])
    assert command == "aws --region us-west-2 eks get-token --cluster-name airflow-dev --output json --role arn:r"
