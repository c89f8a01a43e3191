"""Watches a stack during a drill: its nodes and pods, its EC2 instances, and the web UI through the load balancer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import requests
from kubernetes import client

from operations.deployment import Deployment
from operations.drill_record import Event
from operations.drill_view import Look, Probe, SeenNode, SeenPod, changes
from operations.placement import LIFECYCLE, SPOT, WORKER_LABEL

LOOK_SECONDS = 0.5
PROBE_SECONDS = 1.0
PROBE_TIMEOUT_SECONDS = 30
"""Longer than a person waits; how long answers took is told beside the errors."""
PAGES = ("/", "/api/v2/dags?limit=1")
"""What the prober asks for: a page of the web UI, and an answer that needs the database."""


def seen_node(node: client.V1Node) -> SeenNode:
    """What matters of a Node object."""
    ready = any(condition.type == "Ready" and condition.status == "True" for condition in node.status.conditions or [])
    labels, instance = node.metadata.labels or {}, (node.spec.provider_id or "").rpartition("/")[2]
    return SeenNode(spot=labels.get(LIFECYCLE) == SPOT, ready=ready, cordoned=bool(node.spec.unschedulable), instance=instance)


def seen_pod(pod: client.V1Pod) -> SeenPod:
    """What matters of a Pod object."""
    notes, work = pod.metadata.annotations or {}, None
    if WORKER_LABEL in (pod.metadata.labels or {}):
        numbers = int(notes.get("map_index", -1)), int(notes.get("try_number", 1))
        work = (notes.get("run_id", ""), notes.get("dag_id", ""), notes.get("task_id", ""), *numbers)
    return SeenPod(
        name=pod.metadata.name,
        node=pod.spec.node_name or "",
        running=pod.status.phase == "Running",
        going=pod.metadata.deletion_timestamp is not None,
        work=work,
    )


class _Repeated:
    """Does something over and over in a thread of its own, until it is left."""

    def __init__(self, act: Callable[[], None], pause: float) -> None:
        self._act, self._pause, self._stop = act, pause, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._act()
            self._stop.wait(self._pause)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


class Watch:
    """Looks at the cluster all the time; tells each event as it happens."""

    def __init__(self, deployment: Deployment, tell: Callable[[Event], None], instances: Callable[[], set[str]]) -> None:
        self._api, self._namespace = deployment.core_api(), deployment.namespace
        self._tell, self._instances = tell, instances
        self._loop = _Repeated(self._step, LOOK_SECONDS)
        self.looks: list[Look] = []
        self.events: list[Event] = []
        self._due: list[Event] = []
        self.struck: set[str] = set()
        """Nodes and pods that the blow is meant for; set by the drill once it knows."""
        self.places: dict[Any, str] = {}
        """Work to the node that its pod was last seen on."""

    def __enter__(self) -> Watch:
        self.looks.append(self._look())  # a cluster that does not answer is an error of the caller's, not of a thread's
        self._loop.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.stop()

    @property
    def last(self) -> Look:
        """The newest look."""
        return self.looks[-1]

    def add(self, event: Event) -> None:
        """Note an event that somebody else saw, or that will be: then it is told when it is due."""
        if event.at > time.time():
            self._due.append(event)
            return
        self.events.append(event)
        self._tell(event)

    def _look(self) -> Look:
        nodes = {node.metadata.name: seen_node(node) for node in self._api.list_node().items}
        pods = {pod.metadata.uid: seen_pod(pod) for pod in self._api.list_namespaced_pod(self._namespace).items}
        return Look(at=time.time(), nodes=nodes, pods=pods)

    def _step(self) -> None:
        for event in [event for event in self._due if event.at <= time.time()]:
            self._due.remove(event)
            self.add(event)
        try:
            look = self._look()
            running = self._instances() if self.struck else None
        except Exception:  # the API may be away for a moment under a drill: the next look sees what came of it
            return
        self.places |= {pod.work: pod.node for pod in look.pods.values() if pod.work and pod.node}
        for event in changes(self.last, look, self.struck):
            self.add(event)
        known = {name: node for earlier in (self.looks[0], self.last) for name, node in earlier.nodes.items()}
        told = {event.who for event in self.events if event.what == "machine gone"}
        for name in sorted(self.struck & known.keys() - told):
            if running is not None and known[name].instance not in running:
                self.add(Event(at=look.at, what="machine gone", who=name))
        self.looks.append(look)


class Prober:
    """Uses the web UI as a person would, once a second, with a new connection each time."""

    def __init__(self, deployment: Deployment, headers: dict[str, str]) -> None:
        self._url, self._headers = deployment.web_ui_url.rstrip("/"), headers
        self._loop = _Repeated(self._probe, PROBE_SECONDS)
        self.probes: list[Probe] = []

    def __enter__(self) -> Prober:
        self._loop.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.stop()

    def _probe(self) -> None:
        for page in PAGES:
            began, problem = time.time(), ""
            try:
                with requests.Session() as session:
                    session.trust_env = False
                    answer = session.get(self._url + page, headers=self._headers, timeout=PROBE_TIMEOUT_SECONDS)
                problem = "" if answer.ok else f"GET {page}: {answer.status_code}"
            except requests.RequestException as error:
                problem = f"GET {page}: {type(error).__name__}"
            self.probes.append(Probe(at=began, took=time.time() - began, problem=problem))
