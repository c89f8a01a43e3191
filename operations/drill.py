"""`make drill`: take something away from a busy Airflow and prove that nothing was lost.

The drill starts its own work (the fan-out and the checkpoint DAG), waits until every Spot node is busy, strikes, watches until all is done,
and judges what it saw. It ends with a timeline and a table, and leaves them in a file (`drill_record`).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from operations import drill_blows as blows
from operations import drill_record, drill_view
from operations.airflow_api import FINISHED, AirflowApi
from operations.deployment import Deployment, OperationError, configuration
from operations.drill_record import Event, Record, Try
from operations.drill_watch import Prober, Watch

PIECE_SECONDS = 4
BUSY_SECONDS = 420
"""How long to wait until every Spot node has work."""
CALM_SECONDS = 180
"""How long to wait, after the last task, until the nodes and pods are what they were."""
DEFAULT_OUTPUT = "drill.json"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be rehearsed."""

    kind: str
    notice_scale: float = 1.0
    """Shortens the notice on an embedded cloud; AWS gives its two minutes whatever is asked."""
    confirm: str = ""
    """The stack's name, when it is production."""
    output: Path = Path(DEFAULT_OUTPUT)
    seconds: float = 1500
    """How long the work may take after the blow."""


def default_output() -> Path:
    """Where the record goes: the embedded cloud's state folder, or `.embedded` here."""
    return Path(os.environ.get("AIRFLOW_EMBEDDED_HOME") or ".embedded") / DEFAULT_OUTPUT


def refusal(order: Order, environment: str, stack: str, *, on_aws: bool) -> str | None:
    """Why this drill is not to be; None if it may."""
    if order.kind not in blows.KINDS:
        return f"there is no drill '{order.kind}'; kinds are {', '.join(blows.KINDS)}"
    if not 0 < order.notice_scale <= 1:
        return f"the notice's scale is {order.notice_scale:g}; it is above 0 and at most 1"
    if order.notice_scale != 1 and on_aws:
        return "AWS gives two minutes of notice and nothing shortens them: a notice scale is for the embedded cloud"
    if environment == "prod" and order.confirm != stack:
        return f"stack '{stack}' is production: its users would see a drill. Name it to confirm: CONFIRM={stack} (--confirm {stack})"
    return None


def run(deployment: Deployment, order: Order, say: Callable[[str], None] = print) -> Record:
    """Rehearse, and leave the record in the order's output file.

    Raises:
        OperationError: the drill is refused (nothing was done then), or cannot be carried out.
    """
    environment = deployment.cost_tags.get("Environment", "")
    problem = refusal(order, environment, deployment.stack, on_aws=not os.environ.get("AWS_ENDPOINT_URL"))
    if problem:
        raise OperationError(problem)
    aws = blows.connect(deployment, configuration(deployment.stack))
    blow = None
    if order.kind in blows.SPOT_KINDS:
        template = blows.find_template(aws, order.kind, deployment.cost_tags)
        blow = blows.SpotBlow(aws=aws, template=template, scale=order.notice_scale)
    record = _Drill(deployment, order, aws, blow, say).run()
    drill_record.write(record, order.output)
    say(f"\n{drill_record.text(record)}\n\nrecord in {order.output}: {'everything held' if record.held else 'NOT everything held'}")
    return record


def work_of(nodes: int, notice_seconds: float) -> dict[str, dict[str, int]]:
    """DAG to the configuration of its run: enough to have every node busy, and a job longer than the notice."""
    tasks, pieces = 4 * max(nodes, 1), math.ceil((notice_seconds + 90) / PIECE_SECONDS)
    return {"spot_fan_out": {"tasks": tasks, "seconds": 40}, "spot_checkpoint": {"pieces": pieces, "seconds": PIECE_SECONDS}}


def wanted_of(work: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """DAG to the number of task instances of a whole run: the mapped ones, and the one before and the one after; the job and its report."""
    return {"spot_fan_out": work["spot_fan_out"]["tasks"] + 2, "spot_checkpoint": 2}


class _Drill:
    """One drill, from the work it starts to the judgement."""

    def __init__(
        self, deployment: Deployment, order: Order, aws: blows.Aws, blow: blows.SpotBlow | None, say: Callable[[str], None]
    ) -> None:
        self.deployment, self.order, self.aws, self.blow, self.say = deployment, order, aws, blow, say
        self.began = time.time()
        self.api = AirflowApi(deployment)
        self.runs: dict[str, str] = {}

    def _tell(self, event: Event) -> None:
        self.say(f"  {event.at - self.began:7.1f} s  {event.what:24} {event.who}")

    def run(self) -> Record:
        """The whole drill."""
        for dag in work_of(1, 0):
            self.api.wait_for_dag(dag)
        watch = Watch(self.deployment, self._tell, self.blow.running if self.blow else set)
        with watch, Prober(self.deployment, self.api.headers) as prober:
            notice = 0.0
            if self.blow:
                [action] = self.blow.template["actions"].values()
                duration = action.get("parameters", {}).get("durationBeforeInterruption", "PT0S")
                notice = blows.minutes_and_seconds(duration) * self.order.notice_scale
            nodes = sum(node.spot and node.ready for node in watch.last.nodes.values())
            work = work_of(nodes, notice)
            self.say(f"drill '{self.order.kind}' on stack '{self.deployment.stack}': {nodes} Spot nodes; starting the work")
            self.runs = {dag: self.api.trigger(dag, dict(conf)) for dag, conf in work.items()}
            self._wait_busy(watch)
            struck_at = self._strike(watch)
            self._wait_finished(watch, struck_at)
            self._wait_calm(watch)
        tries = [item for dag in self.runs for item in self._tries(dag, watch)]
        api_servers = sum("api-server" in pod.name and pod.running for pod in watch.looks[0].pods.values())
        probes = [probe for probe in prober.probes if probe.at >= struck_at]  # before the blow there is nothing to prove
        events = [*watch.events, *drill_view.retry_events(tries), *drill_view.interface_events(probes)]
        verdicts = drill_view.verdicts(
            tries=tries,
            wanted=wanted_of(work),
            events=events,
            looks=watch.looks,
            probes=probes,
            struck=watch.struck,
            outage_seconds=blows.outage_seconds(self.order.kind, api_servers),
        )
        return Record(
            kind=self.order.kind,
            stack=self.deployment.stack,
            started=struck_at,
            events=tuple(sorted(events, key=lambda event: event.at)),
            tries=tuple(sorted(tries, key=lambda item: (item.started is None, item.started))),
            verdicts=tuple(verdicts),
        )

    def _patiently(self, act: Callable[[], Any], seconds: float = 180) -> Any:
        """An answer of Airflow, which may be away for a while under a drill."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return act()
            except (OperationError, requests.RequestException) as error:
                if time.monotonic() > deadline:
                    raise OperationError(f"Airflow has not answered for {seconds:.0f} s, last: {error}") from error
                time.sleep(1)

    def _states(self) -> list[str]:
        return [
            str(task["state"])
            for dag, run in self.runs.items()
            for task in self._patiently(lambda: self.api.task_instances(dag, run))  # noqa: B023
        ]

    def _wait_busy(self, watch: Watch) -> None:
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            look = watch.last
            spots = {name for name, node in look.nodes.items() if node.spot and node.ready}
            idle = spots - {pod.node for pod in look.pods.values() if pod.work and pod.running and pod.work[2] in ("work", "long_job")}
            states = self._states()
            running = states.count("running")
            if running > len(spots) and not idle:
                break
            if time.monotonic() > deadline:
                if running:
                    break  # an autoscaled group may have more nodes than this work needs
                raise OperationError(f"no task ran within {BUSY_SECONDS} s; tasks: {', '.join(states) or 'none'}; nothing was struck")
            time.sleep(0.5)
        watch.add(Event(at=time.time(), what="busy", who=f"{running} tasks run"))

    def _strike(self, watch: Watch) -> float:
        at = time.time()
        if self.blow:
            watch.struck = self.blow.strike(watch.last)
            for event in self.blow.events(watch.struck, at):
                watch.add(event)
        elif self.order.kind in blows.POD_KINDS:
            watch.struck = {blows.kill_pod(self.deployment, self.order.kind, watch.last)}
            watch.add(Event(at=at, what="strike", who=f"pod {', '.join(watch.struck)} killed"))
        else:
            name = blows.restart_database(self.aws, self.deployment.cost_tags)
            watch.add(Event(at=at, what="strike", who=f"database {name} restarted"))
        return at

    def _wait_finished(self, watch: Watch, struck_at: float) -> None:
        open_runs, last = dict(self.runs), ""
        while open_runs and time.time() < struck_at + self.order.seconds:
            time.sleep(1)
            for dag, run in list(open_runs.items()):
                state = self._patiently(lambda: self.api.run_state(dag, run))  # noqa: B023
                if state in FINISHED:
                    watch.add(Event(at=time.time(), what="run finished", who=f"{dag}: {state}"))
                    del open_runs[dag]
            states = sorted(self._states())
            line = ", ".join(f"{states.count(name)} {name}" for name in dict.fromkeys(states))
            if line != last:
                self.say(f"  {time.time() - self.began:7.1f} s  tasks: {line}")
                last = line
        if open_runs:
            self.say(f"  not finished after {self.order.seconds:.0f} s: {', '.join(open_runs)}")

    def _wait_calm(self, watch: Watch) -> None:
        """Until the experiment is over, the nodes it took are gone, and Airflow's own pods all run again."""
        core = sum(pod.work is None and pod.running for pod in watch.looks[0].pods.values())
        deadline = time.monotonic() + CALM_SECONDS
        while time.monotonic() < deadline:
            look = watch.last
            here = sum(pod.work is None and pod.running for pod in look.pods.values())
            gone = not (self.blow and watch.struck & look.nodes.keys())
            if gone and here >= core and (self.blow is None or self.blow.done()):
                return
            time.sleep(1)
        self.say(f"  not calm after {CALM_SECONDS} s; the record has what was seen until then")

    def _tries(self, dag: str, watch: Watch) -> list[Try]:
        run, found = self.runs[dag], []
        for task in self._patiently(lambda: self.api.task_instances(dag, run)):
            for item in self._patiently(lambda: self.api.tries(dag, run, task["task_id"], task["map_index"])):  # noqa: B023
                key = (run, dag, task["task_id"], task["map_index"], item["try_number"])
                found.append(
                    Try(
                        dag=dag,
                        task=task["task_id"],
                        map_index=task["map_index"],
                        number=item["try_number"],
                        node=watch.places.get(key, ""),
                        state=str(item["state"]),
                        started=drill_record.seconds(item["start_date"]),
                        ended=drill_record.seconds(item["end_date"]),
                        log=bool(item["start_date"]) and self._has_log(*key),
                    )
                )
        return found

    def _has_log(self, run: str, dag: str, task: str, index: int, number: int) -> bool:
        try:
            lines = self.api.log_lines(dag, run, task, number, index)
        except OperationError:
            return False
        return any(isinstance(line, dict) and line.get("timestamp") for line in lines)  # those without are Airflow's words about the log
