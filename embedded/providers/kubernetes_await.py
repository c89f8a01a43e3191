"""When a Kubernetes object works, and why it does not: a failure names the pod, the container, the event and the last log lines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from embedded.providers.kubernetes_api import Api, ApiError, Object
from embedded.providers.kubernetes_stuck import StuckPod
from embedded.providers.properties import UNKNOWN, Properties
from embedded.providers.provider import Provider, ProviderError, Resource

POLL_SECONDS = 0.5
DEFAULT_SECONDS = 600
TIMEOUTS = {"PersistentVolumeClaim": 300, "PersistentVolume": 300}
DELETE_SECONDS = 600
LOG_LINES = 10
PODS_SHOWN = 3


@dataclass(frozen=True)
class Progress:
    """How far an object is."""

    ready: bool
    text: str = ""
    failed: bool = False
    """It will not become ready by waiting."""


class NotReady(ProviderError):
    """The object exists but does not work."""

    def __init__(self, live: Object, message: str) -> None:
        super().__init__(message)
        self.live = live


def annotation(inputs: Properties, name: str) -> str:
    """Value of `pulumi.com/NAME` on an object."""
    metadata = inputs.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    value = (annotations or {}).get(f"pulumi.com/{name}", "") if annotations is not UNKNOWN else ""
    return value if isinstance(value, str) else ""


def wanted(inputs: Properties) -> bool:
    """Whether the program wants to wait for the object."""
    return annotation(inputs, "skipAwait") != "true"


def _condition(live: Object, type: str) -> Object:
    found = ((live.get("status") or {}).get("conditions")) or []
    return next((item for item in found if item.get("type") == type), {})


def job_failed(live: Object) -> bool:
    """Whether a Job has given up."""
    return _condition(live, "Failed").get("status") == "True"


def _observed(live: Object) -> bool:
    return bool((live.get("status") or {}).get("observedGeneration", 0) >= live["metadata"].get("generation", 0))


def _deployment(_: Api, live: Object) -> Progress:
    status, wanted = live.get("status") or {}, live["spec"].get("replicas", 1)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    stalled = _condition(live, "Progressing")
    if _observed(live) and stalled.get("reason") == "ProgressDeadlineExceeded":
        return Progress(False, str(stalled.get("message")), failed=True)
    done = _observed(live) and updated >= wanted and available >= wanted and status.get("replicas", 0) <= updated
    return Progress(done, f"{available} of {wanted} pods available, {updated} of the new version")


def _stateful_set(_: Api, live: Object) -> Progress:
    status, wanted = live.get("status") or {}, live["spec"].get("replicas", 1)
    ready = status.get("readyReplicas", 0)
    done = _observed(live) and ready >= wanted and status.get("currentRevision") == status.get("updateRevision")
    return Progress(done, f"{ready} of {wanted} pods ready")


def _daemon_set(_: Api, live: Object) -> Progress:
    status = live.get("status") or {}
    wanted, updated = status.get("desiredNumberScheduled", 0), status.get("updatedNumberScheduled", 0)
    ready = status.get("numberAvailable", 0)
    return Progress(_observed(live) and ready >= wanted and updated >= wanted, f"{ready} of {wanted} pods available")


def _job(_: Api, live: Object) -> Progress:
    failed = _condition(live, "Failed")
    if failed.get("status") == "True":
        return Progress(False, f"the Job failed: {failed.get('message')}", failed=True)
    status = live.get("status") or {}
    text = f"{status.get('active', 0)} active, {status.get('succeeded', 0)} succeeded, {status.get('failed', 0)} failed pods"
    return Progress(_condition(live, "Complete").get("status") == "True" or bool(live["spec"].get("suspend")), text)


def _pod(_: Api, live: Object) -> Progress:
    phase = (live.get("status") or {}).get("phase", "Pending")
    ready = phase == "Succeeded" or _condition(live, "Ready").get("status") == "True"
    return Progress(ready, f"phase {phase}", failed=phase == "Failed")


def _claim(api: Api, live: Object) -> Progress:
    phase = (live.get("status") or {}).get("phase", "Pending")
    name = live["spec"].get("storageClassName")
    storage = api.find(f"/apis/storage.k8s.io/v1/storageclasses/{name}") if name and phase == "Pending" else None
    waits = bool(storage) and (storage or {}).get("volumeBindingMode") == "WaitForFirstConsumer"
    return Progress(phase == "Bound" or waits, f"phase {phase}", failed=phase == "Lost")


def _volume(_: Api, live: Object) -> Progress:
    phase = (live.get("status") or {}).get("phase", "Pending")
    return Progress(phase in ("Available", "Bound", "Released"), f"phase {phase}", failed=phase == "Failed")


def _service(api: Api, live: Object) -> Progress:
    spec, metadata = live["spec"], live["metadata"]
    type = spec.get("type", "ClusterIP")
    if spec.get("selector") and type != "ExternalName" and spec.get("clusterIP") != "None":
        selector = f"kubernetes.io/service-name={metadata['name']}"
        slices = api.items(f"/apis/discovery.k8s.io/v1/namespaces/{metadata['namespace']}/endpointslices", labelSelector=selector)
        endpoints = [endpoint for item in slices for endpoint in item.get("endpoints") or []]
        if not any((endpoint.get("conditions") or {}).get("ready") is not False for endpoint in endpoints):
            return Progress(False, f"no ready pod matches the selector {spec['selector']}")
    if type == "LoadBalancer" and not ((live.get("status") or {}).get("loadBalancer") or {}).get("ingress"):
        return Progress(False, "the load balancer has no address yet")
    return Progress(True)


def _definition(_: Api, live: Object) -> Progress:
    return Progress(_condition(live, "Established").get("status") == "True", "not established")


CHECKS: dict[str, Callable[[Api, Object], Progress]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "Pod": _pod,
    "PersistentVolumeClaim": _claim,
    "PersistentVolume": _volume,
    "Service": _service,
    "CustomResourceDefinition": _definition,
}


def progress(api: Api, live: Object) -> Progress:
    """How far a live object is: by `pulumi.com/waitFor` when given, else by its kind."""
    wish = annotation(live, "waitFor")
    if wish:
        return _wish(live, wish)
    check = CHECKS.get(live["kind"])
    return check(api, live) if check else Progress(True)


def _wish(live: Object, wish: str) -> Progress:
    wishes = json.loads(wish) if wish.startswith("[") else [wish]
    for each in wishes:
        how, _, what = each.partition("=")
        path, _, expected = what.partition("=")
        if how == "condition":
            met = _condition(live, path).get("status", "").lower() == (expected or "true").lower()
        elif how == "jsonpath":
            value: Any = live
            for step in path.strip("{}").strip(".").split("."):
                value = value.get(step) if isinstance(value, dict) else None
            met = value is not None and (not expected or str(value) == expected)
        else:
            raise ProviderError(f"pulumi.com/waitFor: {each!r} is neither condition=TYPE[=STATUS] nor jsonpath={{.a.b}}[=VALUE]")
        if not met:
            return Progress(False, f"waiting for {each}")
    return Progress(True)


def _seconds(resource: Resource, inputs: Properties, default: float) -> float:
    if resource.timeout:
        return resource.timeout
    text = annotation(inputs, "timeoutSeconds")
    try:
        return float(text) if text else default
    except ValueError as error:
        raise ProviderError(f"pulumi.com/timeoutSeconds must be a number, got {text!r}") from error


def wait_ready(provider: Provider, resource: Resource, inputs: Properties, api: Api, url: str, live: Object) -> Object:
    """Wait until the object works; the object as it then is.

    Raises:
        NotReady: it failed, did not make it in time, or the person interrupted the run.
    """
    seconds = _seconds(resource, inputs, TIMEOUTS.get(live["kind"], DEFAULT_SECONDS))
    deadline, said, stuck = time.monotonic() + seconds, "", StuckPod()
    while not (now := progress(api, live)).ready:
        now = _with_pods(api, live, now, stuck)
        if now.text != said:
            provider.log(now.text, resource.urn, passing=True)
            said = now.text
        over = now.failed or time.monotonic() > deadline
        if over or provider.cancelled.wait(POLL_SECONDS):
            why = "" if now.failed else f"not ready within {seconds:.0f} s: " if over else "interrupted: "
            raise NotReady(live, why + explain(api, live, now))
        found = api.find(url)
        if found is None:
            raise NotReady(live, f"{live['kind']} {live['metadata']['name']} was deleted by somebody else while it was being made")
        live = found
    return live


def _with_pods(api: Api, live: Object, now: Progress, stuck: StuckPod) -> Progress:
    """The same progress, with what keeps the object's newest pod from starting."""
    if now.failed or live["kind"] == "Service":
        return now
    hindrance, pointless = stuck.look(_pods(api, live))
    return Progress(False, f"{now.text}; {hindrance}", failed=pointless) if hindrance else now


def wait_gone(provider: Provider, resource: Resource, inputs: Properties, api: Api, url: str) -> None:
    """Wait until a deleted object and what it owns are gone."""
    seconds = _seconds(resource, inputs, DELETE_SECONDS)
    deadline, uid = time.monotonic() + seconds, ""
    while live := api.find(url):
        uid = uid or live["metadata"]["uid"]
        if live["metadata"]["uid"] != uid:  # somebody, or a controller, made a new one of that name
            return
        over = time.monotonic() > deadline
        if over or provider.cancelled.wait(POLL_SECONDS):
            conditions = [item["message"] for item in (live.get("status") or {}).get("conditions") or [] if item.get("status") == "True"]
            held = f"finalizers {live['metadata'].get('finalizers') or (live.get('spec') or {}).get('finalizers') or []}"
            since = f"after {seconds:.0f} s" if over else "and the run was interrupted"
            raise ProviderError(
                f"{live['kind']} {live['metadata']['name']} is still there {since}; "
                + "; ".join([held, *(text for text in conditions if text)])
            )


def explain(api: Api, live: Object, now: Progress) -> str:
    """What stands in the object's way, as far as the cluster tells."""
    lines = [now.text]
    try:
        lines += [f"condition {item['type']}={item['status']}: {item.get('message', '')}" for item in _bad_conditions(live)]
        lines += _events(api, live)
        pods = _pods(api, live)
        unready = [pod for pod in pods if not _pod(api, pod).ready]
        for pod in unready[:PODS_SHOWN]:
            lines += _explain_pod(api, pod, with_events=live["kind"] != "Pod")
        if len(unready) > PODS_SHOWN:
            lines.append(f"and {len(unready) - PODS_SHOWN} more pods that are not ready")
        if not pods and live["kind"] in OWNERS and live["spec"].get("selector"):
            lines.append("it has no pods")
    except ProviderError as error:
        lines.append(f"(more could not be found out: {error})")
    return "\n".join(line for line in dict.fromkeys(lines) if line)


OWNERS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "Service")
_GOOD_WHEN_TRUE = {"Available", "Ready", "Progressing", "Established", "ContainersReady", "Initialized", "PodScheduled"}


def _bad_conditions(live: Object) -> list[Object]:
    found = ((live.get("status") or {}).get("conditions")) or []
    bad = [item for item in found if (item.get("status") == "True") != (item.get("type") in _GOOD_WHEN_TRUE) and item.get("message")]
    return [item for item in bad if item["type"] != "FailureTarget"]  # a Job's Failed condition repeats it


def _pods(api: Api, live: Object) -> list[Object]:
    if live["kind"] == "Pod":
        return [live]
    selector = (live.get("spec") or {}).get("selector") or {}
    labels = selector if live["kind"] == "Service" else selector.get("matchLabels")
    if live["kind"] not in OWNERS or not labels:
        return []
    text = ",".join(f"{key}={value}" for key, value in labels.items())
    pods = api.items(f"/api/v1/namespaces/{live['metadata']['namespace']}/pods", labelSelector=text)
    return sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True)


def _events(api: Api, live: Object, count: int = 3) -> list[str]:
    metadata = live["metadata"]
    selector = f"involvedObject.uid={metadata['uid']},type=Warning"
    events = api.items(f"/api/v1/namespaces/{metadata.get('namespace') or 'default'}/events", fieldSelector=selector)
    events.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return [f"event {event.get('reason')}: {event.get('message')}" for event in events[-count:]]


def _explain_pod(api: Api, pod: Object, *, with_events: bool) -> list[str]:
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    lines = [f"pod {name}: {status.get('phase', 'Pending')} {status.get('message', '')}".rstrip()]
    if _condition(pod, "PodScheduled").get("status") == "False":
        lines.append(f"  not scheduled: {_condition(pod, 'PodScheduled').get('message')}")
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        state, last = container.get("state") or {}, (container.get("lastState") or {}).get("terminated")
        waiting, ended = state.get("waiting"), state.get("terminated")
        if container.get("ready") or (ended and ended.get("exitCode") == 0):
            continue
        if waiting:
            lines.append(f"  container {container['name']}: {waiting.get('reason')} {waiting.get('message', '')}".rstrip())
        for end in (ended, last):
            if end:
                lines.append(f"  container {container['name']}: ended with code {end.get('exitCode')}, {end.get('reason')}")
        if "running" in state:
            lines.append(f"  container {container['name']}: running but not ready (restarts: {container.get('restartCount')})")
        lines += [f"    | {line}" for line in _log(api, pod, container["name"], previous=bool(waiting and last))]
    return lines + ([f"  {line}" for line in _events(api, pod)] if with_events else [])


def _log(api: Api, pod: Object, container: str, *, previous: bool) -> list[str]:
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/log"
    query = {"container": container, "tailLines": str(LOG_LINES)} | ({"previous": "true"} if previous else {})
    try:
        return str(api.request("GET", path, query)).splitlines()
    except ApiError:  # it never ran
        return []
