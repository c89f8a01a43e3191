"""Runs the project's program, unchanged, with the real Pulumi engine against the embedded cloud.

The stack's files are copied into the state folder first: the engine writes the encryption salt of its secrets into the stack file, and a
shipped file must not change because somebody tried the stack.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation as auto
from pulumi.automation import events

from components import cost_report
from components.cost_estimate import BUDGET_SETTING
from components.planned import PlannedResource
from components.settings_parser import merged
from embedded import toolchain
from embedded.cloud import PROJECT, Cloud, CloudError
from embedded.processes import start_time
from embedded.providers import provider_port

PROJECT_NAME = "airflow-on-eks"
NOT_PLANNED = ("delete", "discard", "read", "refresh", "remove")
"""How operations begin after which a resource is gone, or is somebody else's."""
Program = Callable[[], Any]


def run_program() -> None:
    """The project's own `__main__.py`, as `pulumi up` would run it."""
    sys.path[:] = [str(PROJECT), *[entry for entry in sys.path if entry != str(PROJECT)]]
    runpy.run_path(str(PROJECT / "__main__.py"), run_name="__main__")


def shipped_stacks() -> list[str]:
    """Names of the stacks whose files the project ships."""
    return sorted(file.name.split(".")[1] for file in PROJECT.glob("Pulumi.*.yaml"))


def engine_environment(cloud: Cloud) -> dict[str, str]:
    """What the Pulumi CLI and the program see: this cloud's providers, backend and AWS, and nothing of the user's own."""
    programs = toolchain.go_tools("pulumi")
    providers = ",".join(f"{package}:{provider_port(cloud, package)}" for package in ("aws", "eks", "kubernetes", "random", "docker-build"))
    return cloud.aws_environment | {
        "PATH": os.pathsep.join([str(programs["pulumi"].parent), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PULUMI_HOME": str(cloud.path("pulumi", "home")),
        "PULUMI_BACKEND_URL": f"file://{cloud.path('pulumi', 'backend')}",
        "PULUMI_CONFIG_PASSPHRASE": "embedded",  # the state never leaves this machine and is removed with it
        "PULUMI_DEBUG_PROVIDERS": providers,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }


def _workspace(cloud: Cloud, stack: str, settings: dict[str, Any]) -> Path:
    folder = cloud.path("pulumi", "workspace")
    name = f"Pulumi.{stack}.yaml"
    shipped = PROJECT / name
    if not shipped.exists():
        raise CloudError(f"there is no stack '{stack}' ({name} is missing); stacks of this project: {', '.join(shipped_stacks())}")
    copy = folder / name
    salt = (yaml.safe_load(copy.read_text()) or {}).get("encryptionsalt") if copy.exists() else None
    content = yaml.safe_load(shipped.read_text()) or {}
    content["config"] = merged(content.get("config") or {}, settings)
    if salt:
        content["encryptionsalt"] = salt
    copy.write_text(yaml.safe_dump(content))
    project = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())
    project["main"] = str(PROJECT)
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    return folder


def _forget_dead_locks(cloud: Cloud) -> None:
    """A killed command leaves its lock; the backend is this machine's own, so a lock whose process is gone holds nothing."""
    for file in cloud.path("pulumi", "backend").glob(".pulumi/locks/**/*.json"):
        if start_time(int(json.loads(file.read_text())["pid"])) is None:
            file.unlink()


def given_settings(pairs: Iterable[str]) -> dict[str, Any]:
    """Settings written as `airflow.metrics.enabled=true`, in the form of a stack file.

    Raises:
        CloudError: one is written otherwise.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        path, equals, value = pair.partition("=")
        if not equals or not path:
            raise CloudError(f"--config {pair}: write it as SECTION.KEY=VALUE, for example airflow.metrics.enabled=true")
        section, *deeper = path.split(".")
        nested: Any = yaml.safe_load(value)
        for key in reversed(deeper):
            nested = {key: nested}
        settings = merged(settings, {f"{PROJECT_NAME}:{section}": nested})
    return settings


def open_stack(cloud: Cloud, stack: str, *, program: Program = run_program, settings: dict[str, Any] | None = None) -> auto.Stack:
    """The stack, made if it is new.

    Args:
        cloud: the embedded cloud to deploy to; its AWS and providers must run.
        stack: name of a shipped stack file.
        program: what declares the resources; the project's own by default.
        settings: configuration that overrides the stack file's, key by key, for tests.

    Raises:
        CloudError: the project ships no such stack.
    """
    _forget_dead_locks(cloud)
    environment = engine_environment(cloud)
    os.environ.update(environment)  # the inline program runs in this very process
    options = auto.LocalWorkspaceOptions(work_dir=str(_workspace(cloud, stack, settings or {})), env_vars=environment)
    return auto.create_or_select_stack(stack_name=stack, project_name=PROJECT_NAME, program=program, opts=options)


class Progress:
    """Prints a line as each resource is finished and every message of the engine; counts what happened."""

    _VERBS = {  # noqa: RUF012
        "create": "created",
        "update": "updated",
        "delete": "deleted",
        "replace": "replaced",
        "create-replacement": "created anew",
        "delete-replaced": "deleted the old",
        "refresh": "read",
        "read": "read",
    }

    def __init__(self, *, quiet: bool = False, preview: bool = False) -> None:
        self.counts: Counter[str] = Counter()
        self.changes: list[tuple[str, str]] = []
        """(operation, URN) of everything that was not left as it was."""
        self.seconds: dict[str, float] = {}
        """How long each finished resource took, by URN."""
        self.messages: list[str] = []
        self.exports: dict[str, Any] = {}
        """What the program exported, as far as it was known: also in a preview, of which the engine keeps no outputs."""
        self.over_budget = False
        """Whether the program refused its own plan, which was then shown whole and not carried out."""
        self._planned: dict[str, PlannedResource] = {}
        self._started: dict[str, float] = {}
        self._begin = time.monotonic()
        self._quiet = quiet
        self._preview = preview

    def _print(self, text: str) -> None:
        if not self._quiet:
            print(text, flush=True)

    def __call__(self, event: events.EngineEvent) -> None:
        """Receives one event of the engine."""
        if event.resource_pre_event:
            metadata = event.resource_pre_event.metadata
            self._started[metadata.urn] = time.monotonic()
            self._plan(metadata)
            if self._preview:
                self._finished(metadata)
        elif event.res_outputs_event:
            metadata = event.res_outputs_event.metadata
            if metadata.type == "pulumi:pulumi:Stack" and metadata.new:
                self.exports = dict(metadata.new.outputs or {})
            self._plan(metadata)
            if not self._preview:
                self._finished(metadata)
        elif event.res_op_failed_event:
            metadata = event.res_op_failed_event.metadata
            self._print(f"  FAILED   {_short(metadata.urn)}")
        elif event.diagnostic_event:
            message = event.diagnostic_event.message.strip()
            if message.startswith(cost_report.TITLE):
                return  # a person reads the table at the end, with the review of the plan
            self.over_budget |= BUDGET_SETTING in message
            if self._preview and BUDGET_SETTING in message:
                return  # and the verdict
            if message and event.diagnostic_event.severity in ("warning", "error", "info#err", "info"):
                self.messages.append(message)
                self._print(f"  {event.diagnostic_event.severity}: {message}")

    @property
    def plan(self) -> list[PlannedResource]:
        """Every resource that the stack has after the operation, in order of registration."""
        return list(self._planned.values())

    def _plan(self, metadata: events.StepEventMetadata) -> None:
        operation = str(getattr(metadata.op, "value", metadata.op))
        if metadata.new is None or operation.startswith(NOT_PLANNED):
            return
        parent = metadata.new.parent or ""
        self._planned[metadata.urn] = PlannedResource(  # a replacement comes in several steps, of which one is enough
            type=metadata.type,
            name=_name(metadata.urn),
            inputs=metadata.new.inputs or {},
            parent="" if "::pulumi:pulumi:Stack::" in parent else _name(parent),
            outputs=metadata.new.outputs or {},
        )

    def _finished(self, metadata: events.StepEventMetadata) -> None:
        operation = str(getattr(metadata.op, "value", metadata.op))
        self.counts[operation] += 1
        took = time.monotonic() - self._started.get(metadata.urn, time.monotonic())
        self.seconds[metadata.urn] = took
        if operation not in ("same", "read", "refresh"):
            self.changes.append((operation, metadata.urn))
        if operation in ("same", "read", "refresh") or ":providers:" in metadata.urn:
            return
        at = time.monotonic() - self._begin
        verb = ("would be " if self._preview else "") + self._VERBS.get(operation, operation)
        self._print(f"  {at:6.1f} s  {verb:12} {_short(metadata.urn)}" + ("" if self._preview else f"  ({took:.1f} s)"))


def _name(urn: str) -> str:
    return urn.split("::", 3)[-1]


def _short(urn: str) -> str:
    kind, _, name = urn.rpartition("::")
    return f"{kind.rpartition('$')[2].rpartition('::')[2]} {name}"
