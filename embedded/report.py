"""Gathers what the report of a stack is made from: its plan, its drill, and the pods of its cluster if that runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import kubernetes
import urllib3

from embedded.cloud import CloudError
from embedded.plan import StackPlan
from operations.deployment import Deployment, OperationError
from operations.placement import NodePods, by_node
from operations.report import Report, render
from operations.report_drill import Drill, read_drill


def writable(output: Path) -> Path:
    """The file to write.

    Raises:
        CloudError: it cannot be written; said before the long work.
    """
    if output.is_dir() or not output.parent.is_dir():
        raise CloudError(f"cannot write the report to {output}: give a file in a folder that exists (--output)")
    return output


def last_drill(file: Path, stack: str) -> tuple[Drill | None, str]:
    """The drill on record, or why there is none to show.

    Raises:
        CloudError: the record is damaged.
    """
    if not file.exists():
        return None, (
            "No drill was run on this stack, so how it survives the loss of a Spot node is not shown. Rehearse one with 'make up', "
            "'make drill', then make this report again."
        )
    try:
        drill = read_drill(json.loads(file.read_text()))
    except (OSError, ValueError) as error:
        raise CloudError(f"cannot read the drill's record {file}: {error}; remove it or run 'make drill' again") from None
    if drill.stack != stack:
        return None, f"The drill on record ({file}) was run on stack {drill.stack}, so it is not shown here."
    return drill, ""


def pods_by_node(find: Callable[[], Deployment]) -> tuple[tuple[NodePods, ...], str]:
    """What runs where in the stack's cluster, or why that is not known."""
    try:
        return by_node(find()), ""
    except OperationError as error:
        return (), f"No pods to show: {error}."
    except (kubernetes.client.ApiException, kubernetes.config.ConfigException, urllib3.exceptions.HTTPError) as error:
        return (), f"No pods to show: the cluster does not answer ({str(error).splitlines()[0]})."


def write(output: Path, plan: StackPlan, drill: tuple[Drill | None, str], nodes: tuple[tuple[NodePods, ...], str]) -> None:
    """Write the page."""
    report = Report(
        stack=plan.settings.stack,
        made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        plan=plan.resources,
        review=plan.review(),
        resources=plan.graph,
        nodes=nodes[0],
        nodes_note=nodes[1],
        drill=drill[0],
        drill_note=drill[1],
    )
    output.write_text(render(report))
