"""What makes a task unfit for a node that may be taken away, one function for each kind of reason. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from operations.dag_tasks import UNKNOWN, DagFile, Function, Task

RULES = {
    "no-retries": "the task is not tried again",
    "no-time-limit": "nothing ends the task if it hangs",
    "long-work": "a lost node costs more work than the limit",
    "append": "a second try adds to what the first one wrote",
    "shared-write": "a killed try leaves half a file where others read it",
    "pod-operator": "the task is two pods, and each can lose its node",
    "syntax": "the file is not Python",
    "suppression": "a comment that allows nothing",
}
POD_OPERATORS = re.compile(r"(Kubernetes|Eks|GKEStart)PodOperator|task\.kubernetes(_cmd)?")
FRESH = ("/tmp/", "/dev/", "/proc/")
"""A try has a pod of its own: what is below is new, or no file."""
BASH_NOISE = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"|(?:^|(?<=\s))#.*|\$\(\(.*?\)\)|\{\{.*?\}\}|\{%.*?%\}", re.MULTILINE)
BASH_SLEEP = re.compile(r"\bsleep\s+(\d+(?:\.\d+)?)([smhd]?)\b")
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
CELLS = ("to_csv", "to_json", "to_parquet", "to_excel", "to_pickle", "savefig")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the stack is like that runs the DAGs."""

    default_retries: int | None = None
    """Retries of a task that sets none; None: enough."""
    longest_minutes: float = 60
    """Work that may be lost with a node."""
    shared_folders: tuple[str, ...] = ("/opt/airflow/logs",)
    """Folders that every worker sees."""


def judge(file: DagFile, task: Task, options: Options) -> Iterator[tuple[int, str, str]]:
    """Line, rule and sentence of each reason why a task is not ready."""
    yield from _retries(file, task, options)
    yield from _duration(file, task, options)
    yield from _pods(file, task)
    for line, command in _commands(file, task):
        yield from _bash(line, command, task, options)
    for function in file.reachable(task.functions):
        yield from _writes(file, function, options)


def _retries(file: DagFile, task: Task, options: Options) -> Iterator[tuple[int, str, str]]:
    written = task.settings.get("retries")
    if written is not None and file.fold(written) in (0, None):
        place = "the task" if "retries" in task.own else "default_args"
        way = "remove it to get the stack's retries (airflow.taskRetries), or give at least 1."
        yield (
            written.lineno,
            "no-retries",
            f"retries is 0 in {place}, which overrides the stack's default: the first lost node fails it; {way}",
        )
    elif written is None and not task.open and options.default_retries == 0:
        way = "give it or its DAG's default_args retries of at least 1."
        yield task.line, "no-retries", f"sets no retries, and the stack's default is 0: the first lost node fails it; {way}"


def _duration(file: DagFile, task: Task, options: Options) -> Iterator[tuple[int, str, str]]:
    limit = options.longest_minutes * 60
    written = task.settings.get("execution_timeout")
    timeout = None if written is None else file.fold(written)
    run_limit = task.dag_settings.get("dagrun_timeout")
    if timeout is None and not task.open and (run_limit is None or file.fold(run_limit) is None):
        way = "set execution_timeout on the task or in default_args, or dagrun_timeout on the DAG."
        yield (
            task.line,
            "no-time-limit",
            f"has neither execution_timeout nor dagrun_timeout: if it hangs, it keeps its node for ever; {way}",
        )
    bodies = file.reachable(task.functions)
    if any("checkpoint" in name.lower() for body in bodies for name in file.names(body)):
        return
    way = "cut it into shorter tasks, or record progress as dags/checkpoint.py does."
    waits_outside = any(file.fold(task.settings.get(key)) == value for key, value in (("deferrable", True), ("mode", "reschedule")))
    if written is not None and isinstance(timeout, int | float) and timeout > limit and not waits_outside:
        text = f"may run for {timeout / 60:g} minutes (limit {options.longest_minutes:g}) and shows no checkpoint; {way}"
        yield written.lineno, "long-work", text
    for body in bodies:
        slept = file.slept(body)
        if slept > limit:
            yield body.lineno, "long-work", f"{body.name} sleeps for {slept / 60:g} minutes (limit {options.longest_minutes:g}); {way}"
        for loop in (node for node in ast.walk(body) if isinstance(node, ast.While)):
            if isinstance(loop.test, ast.Constant) and loop.test.value and any(file.path(call)[-1:] == ("sleep",) for call in _calls(loop)):
                text = "waits in a loop without an end, holding a node: use a deferrable operator or a sensor with mode='reschedule'."
                yield loop.lineno, "long-work", text


def _pods(file: DagFile, task: Task) -> Iterator[tuple[int, str, str]]:
    if not POD_OPERATORS.fullmatch(task.kind):
        return
    again = task.settings.get("reattach_on_restart")
    if again is not None and file.fold(again) is False:
        text = "reattach_on_restart is False, so a new try starts a second pod while the first may still run; remove the setting."
        yield again.lineno, "pod-operator", text
    for key in ("node_selector", "tolerations", "affinity"):
        value = task.settings.get(key)
        if value is not None and any("spot" in str(node.value).lower() for node in ast.walk(value) if isinstance(node, ast.Constant)):
            text = (
                f"{key} puts the launched pod on Spot: it starts over when its node goes; run the work in the task, or let it go On-Demand."
            )
            yield value.lineno, "pod-operator", text
    if file.fold(task.settings.get("deferrable")) not in (True, UNKNOWN) and not task.open:
        text = "its worker, on Spot, watches a pod that outlives or dies apart from it: set deferrable=True, or run the work in the task."
        yield task.line, "pod-operator", text


def _commands(file: DagFile, task: Task) -> Iterator[tuple[int, str]]:
    written = [task.own["bash_command"]] if "bash_command" in task.own else []
    if task.kind == "task.bash":
        written += [node.value for body in task.functions for node in ast.walk(body) if isinstance(node, ast.Return) and node.value]
    for value in written:
        if isinstance(command := file.fold(value), str):
            yield value.lineno, command


def _bash(line: int, command: str, task: Task, options: Options) -> Iterator[tuple[int, str, str]]:
    bare = BASH_NOISE.sub(lambda match: re.sub(r"[>\s]", "", match[0][1:-1]) if match[0][0] in "'\"" else " ", command)
    targets = [match[1] for match in re.finditer(r">>\s*([^\s;|&)]+)", bare)] + re.findall(r"\btee\s+(?:-a|--append)\s+([^\s;|&)]+)", bare)
    for target in sorted({target for target in targets if not target.startswith(FRESH)}):
        way = "write to a new name and 'mv' it into place."
        yield line, "append", f"the command appends to {target}, so a second try repeats what the first one wrote; {way}"
    if not re.search(r"\bmv\b", bare):
        for target in re.findall(r"(?<!>)>\|?\s*([^\s;|&)>]+)", bare):
            if target.startswith(options.shared_folders):
                way = "write to a name beside it and 'mv' it into place."
                yield line, "shared-write", f"the command writes {target} in place: a killed try leaves half of it; {way}"
    slept = sum(float(match[1]) * SECONDS[match[2]] for match in BASH_SLEEP.finditer(bare))
    endless = re.search(r"\bwhile\s+(true|:)(\s|;)", bare) and re.search(r"\bsleep\b", bare)
    if (slept > options.longest_minutes * 60 or endless) and "checkpoint" not in command.lower():
        text = "in a loop without an end" if endless else f"for {slept / 60:g} minutes (limit {options.longest_minutes:g})"
        yield line, "long-work", f"the command sleeps {text}, holding a node: use a deferrable sensor, or cut it into shorter tasks."


def _writes(file: DagFile, function: Function, options: Options) -> Iterator[tuple[int, str, str]]:
    calls = list(_calls(function))
    renamed = any(file.path(call)[-1:] in (("rename",), ("move",)) or _is_replace(file, call) for call in calls)
    for call in calls:
        target, mode = _opened(file, call)
        shown = target if isinstance(target, str) else "a file"
        if shown.startswith(FRESH):
            continue
        if "a" in mode:
            way = "write a new file for each piece of work, and rename it into place."
            yield call.lineno, "append", f"{function.name} appends to {shown}, so a second try repeats what the first one wrote; {way}"
        elif "w" in mode and shown.startswith(options.shared_folders) and not renamed:
            way = "write a name beside it and rename it into place, as dags/checkpoint.py does."
            yield call.lineno, "shared-write", f"{function.name} writes {shown} in place: a killed try leaves half of it; {way}"


def _is_replace(file: DagFile, call: ast.Call) -> bool:
    # str.replace takes two strings; Path.replace takes one target
    path = file.path(call)
    return path == ("os", "replace") or (path[-1:] == ("replace",) and len(call.args) == 1)


def _opened(file: DagFile, call: ast.Call) -> tuple[object, str]:
    """What a call writes to and in which mode; no mode if it writes nothing."""
    path, args = file.path(call), call.args
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    keyword = next((word.value for word in call.keywords if word.arg == "mode"), None)
    if path[-1:] == ("open",):
        in_module = owner is None or (isinstance(owner, ast.Name) and owner.id in file.modules)
        at = 1 if in_module else 0
        mode = file.fold(keyword or (args[at] if len(args) > at else None))
        target = (file.fold(args[0]) if args else UNKNOWN) if in_module else file.fold(owner)
        return target, mode if isinstance(mode, str) and re.fullmatch(r"[rwaxbtU+:gz2]+", mode) else ""
    if path[-1:] in (("write_text",), ("write_bytes",)):
        return file.fold(owner), "w"
    if path[-1:] and path[-1] in CELLS and args:
        mode = file.fold(keyword)
        return file.fold(args[0]), mode if isinstance(mode, str) else "w"
    if path[:1] == ("shutil",) and path[-1].startswith("copy") and len(args) > 1:
        return file.fold(args[1]), "w"
    return UNKNOWN, ""


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))
