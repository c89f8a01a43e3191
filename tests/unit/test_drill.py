"""A20, C3: what a drill makes of what it saw, and what it refuses. Whether a stack survives is the end-to-end tests' to see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from operations import drill, drill_blows, drill_record, drill_view
from operations.drill_record import Event, Record, Try, Verdict
from operations.drill_view import Look, Probe, SeenNode, SeenPod

EXAMPLE = Path(__file__).parent / "fixtures" / "drill.json"
"""A record as a drill leaves it, for whoever reads such files."""
COST_TAGS = {"Project": "airflow-on-eks", "Stack": "staging", "Environment": "staging"}


def node(**changes: object) -> SeenNode:
    return SeenNode(**{"spot": True, "ready": True, "cordoned": False, "instance": "i-1"} | changes)  # type: ignore[arg-type]


def pod(name: str, on: str = "a", **changes: object) -> SeenPod:
    known = {"name": name, "node": on, "running": True, "going": False, "work": ("run", "dag", "task", 0, 1)}
    return SeenPod(**known | changes)  # type: ignore[arg-type]


def look(at: float, nodes: dict[str, SeenNode], *pods: SeenPod) -> Look:
    return Look(at=at, nodes=nodes, pods={item.name: item for item in pods})


def attempt(number: int, started: float | None, ended: float | None, state: str, **changes: object) -> Try:
    known = {"dag": "dag", "task": "task", "map_index": 0, "number": number, "node": "a", "state": state, "log": True}
    return Try(**known | {"started": started, "ended": ended} | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": node()}, {"a": node(cordoned=True)}, ["cordon a"]),
        ({"a": node()}, {"a": node(ready=False)}, ["node not ready a"]),
        ({"a": node(ready=False)}, {}, ["node gone a"]),
        ({"a": node()}, {"a": node(), "b": node()}, ["node ready b"]),
        ({"a": node()}, {"a": node(), "b": node(ready=False)}, []),
        ({"a": node()}, {"a": node()}, []),
    ],
)
def test_what_happens_to_nodes(before: dict[str, SeenNode], after: dict[str, SeenNode], expected: list[str]) -> None:
    assert [f"{event.what} {event.who}" for event in drill_view.changes(look(1, before), look(2, after), ())] == expected


def test_what_happens_to_pods_is_told_of_struck_nodes_only() -> None:
    cordoned = {"a": node(cordoned=True), "b": node()}
    before = look(1, cordoned, pod("x"), pod("y"), pod("z", on="b"))
    draining = look(2, cordoned, pod("x", going=True), pod("y", going=True), pod("z", on="b", going=True))
    later = look(3, cordoned, pod("y", going=True))
    assert [event.who for event in drill_view.changes(before, draining, {"a"})] == ["a: 2 pods"]
    assert [(event.what, event.who) for event in drill_view.changes(draining, later, {"a"})] == [("pod gone", "x")]
    assert drill_view.changes(before, draining, ()) == []


def test_a_pod_that_was_struck_itself_is_told() -> None:
    before, after = look(1, {"a": node()}, pod("airflow-scheduler-1", work=None)), look(2, {"a": node()})
    assert [event.what for event in drill_view.changes(before, after, {"airflow-scheduler-1"})] == ["pod gone"]


@pytest.mark.parametrize(
    ("problems", "expected"),
    [
        (["", "", ""], []),
        (["", "x", ""], [(1.0, 2.0, "x")]),
        (["x", "y", "", "z", ""], [(0.0, 2.0, "x"), (3.0, 4.0, "z")]),
        (["", "x"], [(1.0, 1.5, "x")]),
    ],
)
def test_an_outage_lasts_until_the_next_answer(problems: list[str], expected: list[tuple[float, float, str]]) -> None:
    probes = [Probe(at=float(at), took=0.5, problem=problem) for at, problem in enumerate(problems)]
    assert drill_view.outages(probes) == expected


@pytest.mark.parametrize(
    ("tries", "wanted", "lost"),
    [
        ([attempt(1, 1, 2, "success")], 1, 0),
        ([attempt(1, 1, 2, "failed"), attempt(2, 3, 4, "success")], 1, 0),
        ([attempt(1, 1, 2, "failed")], 1, 1),
        ([attempt(1, 1, 2, "success"), attempt(2, 3, 4, "failed")], 1, 1),
        ([attempt(1, 1, None, "running")], 1, 1),
        ([attempt(1, 1, 2, "success")], 3, 2),
        ([], 2, 2),
    ],
)
def test_a_task_is_lost_unless_its_last_try_succeeded(tries: list[Try], wanted: int, lost: int) -> None:
    assert drill_view.tasks_lost(tries, {"dag": wanted}) == lost


def test_recovery_is_counted_from_the_machines_end_to_the_next_start() -> None:
    tries = [attempt(1, 10, 90, "failed"), attempt(2, 130, 140, "success", node="b")]
    assert drill_view.recoveries(tries, [Event(at=30, what="machine gone", who="a")]) == [100]
    assert drill_view.recoveries(tries, []) == [40], "its own end counts when no machine is known to have gone"
    assert drill_view.recoveries([attempt(1, 10, 20, "success")], []) == []


@pytest.mark.parametrize(
    ("looks", "moved"),
    [
        ([[pod("core", work=None)], [pod("core", work=None)]], 0),
        ([[pod("core", work=None)], []], 1),
        ([[pod("core", work=None)], [pod("core", work=None), pod("stray", on="spot", work=None)]], 1),
        ([[pod("struck", work=None)], [pod("new", work=None)]], 0),
        ([[pod("job", work=None, running=False)], []], 0),
        ([[pod("worker")], []], 0),
    ],
)
def test_core_pods_stay_where_they_are(looks: list[list[SeenPod]], moved: int) -> None:
    nodes = {"a": node(spot=False), "spot": node()}
    assert drill_view.core_pods_moved([look(at, nodes, *pods) for at, pods in enumerate(looks)], {"struck"}) == moved


def figures(**changes: object) -> dict[str, Verdict]:
    known: dict[str, object] = {
        "tries": [attempt(1, 1, 2, "failed"), attempt(2, 5, 9, "success")],
        "wanted": {"dag": 1},
        "events": [],
        "looks": [look(0, {})],
        "probes": [Probe(at=0, took=0.1)],
        "struck": set(),
        "outage_seconds": None,
    }
    return {item.name: item for item in drill_view.verdicts(**known | changes)}  # type: ignore[arg-type]


def test_a_drill_without_losses_holds() -> None:
    found = figures()
    assert all(item.held for item in found.values())
    assert {name for name, item in found.items() if item.limit == 0} == {"tasks lost", "logs lost", "core pods moved", "UI errors"}
    assert found["tries killed"].value == 1
    assert found["from loss to retry, median, seconds"].value == 3


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({"wanted": {"dag": 2}}, "tasks lost"),
        ({"tries": [attempt(1, 1, 2, "failed", log=False), attempt(2, 3, 4, "success")]}, "logs lost"),
        ({"looks": [look(0, {}, pod("core", work=None)), look(1, {})]}, "core pods moved"),
        ({"probes": [Probe(at=0, took=1, problem="503")]}, "UI errors"),
        ({"probes": []}, "UI errors"),
        (
            {"probes": [Probe(at=0, took=1, problem="x"), Probe(at=50, took=1)], "outage_seconds": 20.0},
            "UI unavailable at a stretch, seconds",
        ),
    ],
)
def test_every_loss_breaks_its_own_figure(changes: dict[str, object], broken: str) -> None:
    assert [name for name, item in figures(**changes).items() if not item.held] == [broken]


def test_a_try_that_never_ran_has_no_log_to_lose() -> None:
    assert figures(tries=[attempt(1, None, 2, "failed", log=False), attempt(2, 3, 4, "success")])["logs lost"].held


@pytest.mark.parametrize(
    ("order", "environment", "on_aws", "reason"),
    [
        ({"kind": "notice"}, "dev", True, None),
        ({"kind": "notice", "notice_scale": 0.1}, "dev", False, None),
        ({"kind": "earthquake"}, "dev", True, "there is no drill 'earthquake'; kinds are notice, sudden"),
        ({"kind": "notice", "notice_scale": 0.1}, "dev", True, "AWS gives two minutes"),
        ({"kind": "notice", "notice_scale": 0.0}, "dev", False, "above 0 and at most 1"),
        ({"kind": "notice"}, "prod", True, "CONFIRM=s"),
        ({"kind": "notice", "confirm": "other"}, "prod", True, "CONFIRM=s"),
        ({"kind": "notice", "confirm": "s"}, "prod", True, None),
    ],
)
def test_a_drill_is_refused_with_the_reason(order: dict[str, object], environment: str, on_aws: bool, reason: str | None) -> None:
    found = drill.refusal(drill.Order(**order), environment, "s", on_aws=on_aws)  # type: ignore[arg-type]
    assert (found is None) if reason is None else (found and reason in found)


@pytest.mark.parametrize(
    ("allowed", "refused"),
    [(None, False), ("", False), ('["1"]', False), ("1", False), ('["2"]', True), ("2", True), ('["2", "1"]', False)],
)
def test_credentials_of_another_account_are_refused(allowed: str | None, refused: bool) -> None:
    problem = drill_blows.account_problem("1", allowed)
    assert bool(problem) == refused
    assert not problem or "account 1" in problem


def template(**changes: object) -> dict[str, object]:
    target = {"resourceTags": {"Project": "airflow-on-eks", "Stack": "staging", "CapacityType": "spot"}} | changes
    return {"id": "EXT1", "targets": {"nodes": target}}


@pytest.mark.parametrize(
    ("changes", "limited"),
    [
        ({}, True),
        ({"resourceTags": {"Project": "airflow-on-eks", "Stack": "prod", "CapacityType": "spot"}}, False),
        ({"resourceTags": {"Project": "airflow-on-eks", "Stack": "staging"}}, False),
        ({"resourceTags": {"Project": "airflow-on-eks", "Stack": "staging", "CapacityType": "on-demand"}}, False),
        ({"resourceTags": {}}, False),
        ({"resourceArns": ["arn:aws:ec2:us-west-2:1:instance/i-1"]}, False),
    ],
)
def test_a_template_that_could_hit_something_else_is_refused(changes: dict[str, object], limited: bool) -> None:
    assert (drill_blows.template_problem(template(**changes), COST_TAGS) is None) == limited


def test_instances_outside_of_the_clusters_spot_nodes_are_named() -> None:
    seen = look(0, {"a": node(instance="i-1"), "core": node(instance="i-2", spot=False)})
    tags = {"eks:cluster-name": "airflow"}
    assert drill_blows.strangers({"i-1": tags}, seen, "airflow") == []
    assert drill_blows.strangers({"i-1": tags, "i-2": tags, "i-9": tags}, seen, "airflow") == ["i-2", "i-9"]
    assert drill_blows.strangers({"i-1": {"eks:cluster-name": "other"}}, seen, "airflow") == ["i-1"]


@pytest.mark.parametrize(
    ("kind", "api_servers", "expected"),
    [("notice", 1, None), ("scheduler", 1, None), ("api-server", 1, 60), ("api-server", 2, 10), ("database", 2, 120)],
)
def test_only_what_serves_the_web_ui_may_leave_it_away(kind: str, api_servers: int, expected: float | None) -> None:
    assert drill_blows.outage_seconds(kind, api_servers) == expected


@pytest.mark.parametrize(("text", "seconds"), [("PT2M", 120), ("PT3M", 180), ("PT150S", 150), ("PT2M30S", 150), ("PT0S", 0)])
def test_durations_of_templates(text: str, seconds: int) -> None:
    assert drill_blows.minutes_and_seconds(text) == seconds


def test_a_kubeconfig_that_is_not_of_eks_is_refused() -> None:
    eks = {"users": [{"user": {"exec": {"args": ["--region", "us-west-2", "eks", "get-token", "--cluster-name", "airflow"]}}}]}
    assert drill_blows.cluster_and_region(eks) == ("airflow", "us-west-2")
    with pytest.raises(drill_blows.OperationError, match="names no EKS cluster"):
        drill_blows.cluster_and_region({"users": [{"user": {"token": "x"}}]})


def test_the_work_outlasts_the_notice_and_is_counted_whole() -> None:
    work = drill.work_of(2, 180)
    job = work["spot_checkpoint"]
    assert job["pieces"] * job["seconds"] > 180
    assert drill.wanted_of(work) == {"spot_fan_out": 10, "spot_checkpoint": 2}


def test_the_record_has_the_shape_that_its_readers_rely_on(tmp_path: Path) -> None:
    record = Record(
        kind="sudden",
        stack="local",
        started=1_800_000_000.0,
        events=(Event(at=1_800_000_000.0, what="strike", who="a"),),
        tries=(attempt(1, 1_800_000_000.5, None, "failed"),),
        verdicts=(Verdict(name="tasks lost", value=1, limit=0), Verdict(name="UI requests", value=9)),
    )
    drill_record.write(record, tmp_path / "folder" / "drill.json")
    written = json.loads((tmp_path / "folder" / "drill.json").read_text())
    assert written["events"] == [{"at": "2027-01-15T08:00:00.000Z", "what": "strike", "who": "a"}]
    assert written["verdicts"][0] == {"name": "tasks lost", "value": 1, "limit": 0, "held": False}
    assert not record.held
    example = json.loads(EXAMPLE.read_text())
    assert example.keys() == written.keys()
    for key in ("events", "tasks", "verdicts"):
        assert example[key][0].keys() == written[key][0].keys()
    assert {event["what"] for event in example["events"]} <= {*drill_record.WHATS}
    assert "NO" in drill_record.text(record)
