"""The tasks of a DAG file as far as its text tells: what they are, their settings, the functions they run. Pure, imports no Airflow."""

from __future__ import annotations

import ast
import math
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

UNKNOWN: Final = object()
"""A value that only running the file would tell."""
OPEN = "**"
"""Key of a mapping that may hold more than is seen."""
DEPTH = 30
"""Names resolved through names; a definition by itself ends here."""
NO_POD = "EmptyOperator"
"""The scheduler finishes these itself, so no node can be lost."""
UNITS = {"weeks": 604800.0, "days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0, "milliseconds": 0.001, "microseconds": 1e-6}
POSITIONS = ("days", "seconds", "microseconds", "milliseconds", "minutes", "hours", "weeks")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Settings = dict[str, ast.expr]


@dataclass(frozen=True)
class Dag:
    """A DAG, or a group inside one."""

    name: str
    settings: Settings
    defaults: Settings


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task as written."""

    name: str
    """DAG and task, `*` standing for what is computed."""
    kind: str
    """Operator class, or the decorator such as task.bash."""
    line: int
    own: Settings
    settings: Settings
    """Its own and what default_args gives it."""
    dag_settings: Settings
    functions: tuple[Function, ...] = field(default=())

    @property
    def open(self) -> bool:
        """Whether it may have settings that are not seen."""
        return OPEN in self.settings or OPEN in self.dag_settings


class DagFile:
    """A parsed file and the tasks found in it."""

    def __init__(self, tree: ast.Module) -> None:
        self.tasks: list[Task] = []
        self.aliases: dict[str, str] = {}
        self.modules: set[str] = set()
        self.functions: dict[str, Function] = {}
        self._loose: dict[str, tuple[Function, ast.expr]] = {}
        self._decorated: dict[str, tuple[Function, ast.expr]] = {}
        self._placed: set[tuple[str, str]] = set()
        self._values: dict[str, ast.expr] = {}
        self._collect(tree)
        for node in tree.body:
            self._visit(node, None)
        self._unplaced()

    def path(self, node: ast.AST) -> tuple[str, ...]:
        """Dotted name of what is called or named, imports under another name undone."""
        if isinstance(node, ast.Call):
            return self.path(node.func)
        if isinstance(node, ast.Attribute):
            return (*(self.path(node.value) or ("?",)), node.attr)
        return (self.aliases.get(node.id, node.id),) if isinstance(node, ast.Name) else ()

    def fold(self, node: ast.expr | None, depth: int = 0) -> Any:
        """The value of an expression: durations as seconds, paths as text; None if there is no expression."""
        if depth > DEPTH:
            return UNKNOWN
        match node:
            case None:
                return None
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name) if name in self._values:
                return self.fold(self._values[name], depth + 1)
            case ast.JoinedStr(values=parts):
                return "".join(str(part.value) if isinstance(part, ast.Constant) else self._part(part, depth) for part in parts)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value = self.fold(operand, depth + 1)
                return -value if isinstance(value, int | float) else UNKNOWN
            case ast.BinOp(left=left, op=op, right=right):
                return _combined(self.fold(left, depth + 1), op, self.fold(right, depth + 1))
            case ast.Call():
                return self._called(node, depth)
        return UNKNOWN

    def reachable(self, functions: Iterable[Function]) -> list[Function]:
        """Functions and those of this file that they name, and so on."""
        found: dict[str, Function] = {}
        waiting = list(functions)
        while waiting:
            function = waiting.pop()
            if found.setdefault(function.name, function) is function:
                waiting += [self.functions[name] for name in self.names(function) if name in self.functions and name not in found]
        return list(found.values())

    def names(self, node: ast.AST) -> set[str]:
        """Every name and attribute below a node."""
        below = list(ast.walk(node))
        return {one.id for one in below if isinstance(one, ast.Name)} | {one.attr for one in below if isinstance(one, ast.Attribute)}

    def slept(self, node: ast.AST) -> float:
        """Seconds of sleep that are written as numbers, loops over a known range counted."""
        total = 0.0
        if isinstance(node, ast.Call) and self.path(node)[-1:] == ("sleep",) and node.args:
            seconds = self.fold(node.args[0])
            total = float(seconds) if isinstance(seconds, int | float) else 0.0
        inner = sum(self.slept(child) for child in ast.iter_child_nodes(node))
        return total + inner * (self._rounds(node.iter) if isinstance(node, ast.For) else 1)

    def _rounds(self, over: ast.expr) -> int:
        if isinstance(over, ast.Call) and self.path(over) == ("range",):
            numbers = [self.fold(argument) for argument in over.args]
            if all(isinstance(number, int) for number in numbers):
                try:
                    return len(range(*numbers))
                except OverflowError:
                    return sys.maxsize
                except (TypeError, ValueError):
                    return 1
        return 1

    def _part(self, part: ast.expr, depth: int) -> str:
        value = self.fold(part.value, depth + 1) if isinstance(part, ast.FormattedValue) and part.format_spec is None else UNKNOWN
        return str(value) if isinstance(value, str | int) else "*"

    def _called(self, call: ast.Call, depth: int) -> Any:
        name = self.path(call)[-1:]
        values = [self.fold(argument, depth + 1) for argument in call.args]
        if name == ("timedelta",):
            parts = dict(zip(POSITIONS, values, strict=False)) | {
                word.arg or OPEN: self.fold(word.value, depth + 1) for word in call.keywords
            }
            known = all(unit in UNITS and isinstance(value, int | float) for unit, value in parts.items())
            return math.fsum(UNITS[unit] * value for unit, value in parts.items()) if known else UNKNOWN
        if name and name[0] in ("Path", "PurePath", "join", "joinpath") and values and isinstance(values[0], str):
            owner = [self.fold(call.func.value, depth + 1)] if name == ("joinpath",) and isinstance(call.func, ast.Attribute) else []
            if name != ("join",) or self.path(call)[-2:] == ("path", "join"):
                return "/".join(value if isinstance(value, str) else "*" for value in owner + values)
        return UNKNOWN

    def _collect(self, tree: ast.Module) -> None:
        counts: Counter[str] = Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
        counts.update(node.arg for node in ast.walk(tree) if isinstance(node, ast.arg))
        for node in ast.walk(tree):
            if isinstance(node, Function):
                self.functions[node.name] = node
            elif isinstance(node, ast.ImportFrom):
                self.aliases |= {name.asname: name.name for name in node.names if name.asname}
            elif isinstance(node, ast.Import):
                self.modules |= {name.asname or name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                # a name that is given twice has no one value
                self._values |= {one.id: node.value for one in targets if isinstance(one, ast.Name) and counts[one.id] == 1}

    def _mapping(self, node: ast.expr | None, depth: int = 0) -> Settings:
        if node is None or (isinstance(node, ast.Constant) and node.value is None):
            return {}
        if depth > DEPTH:
            return {OPEN: node}
        match node:
            case ast.Name(id=name) if name in self._values:
                return self._mapping(self._values[name], depth + 1)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._mapping(left, depth + 1) | self._mapping(right, depth + 1)
            case ast.Call(func=ast.Name(id="dict"), args=args):
                start = self._mapping(args[0], depth + 1) if args else {}
                return start | self._keywords(node, depth + 1)
            case ast.Dict(keys=keys, values=values):
                found: Settings = {}
                for key, value in zip(keys, values, strict=True):
                    name = self.fold(key)
                    found |= self._mapping(value, depth + 1) if key is None else {name if isinstance(name, str) else OPEN: value}
                return found
        return {OPEN: node}

    def _keywords(self, call: ast.AST, depth: int = 0) -> Settings:
        found: Settings = {}
        for word in call.keywords if isinstance(call, ast.Call) else []:
            found |= {word.arg: word.value} if word.arg else self._mapping(word.value, depth + 1)
        return found

    def _dag(self, node: ast.AST, named: str = "*") -> Dag:
        own = self._keywords(node)
        first = node.args[0] if isinstance(node, ast.Call) and node.args else None
        name = self.fold(own.get("dag_id", first))
        return Dag(name if isinstance(name, str) else named, own, self._mapping(own.get("default_args")))

    def _entered(self, node: ast.expr, inside: Dag | None) -> Dag | None:
        """The DAG or group that a with statement opens."""
        if isinstance(node, ast.Name) and node.id in self._values:
            node = self._values[node.id]
        if not isinstance(node, ast.Call):
            return inside
        if self.path(node)[-1:] == ("DAG",):
            return self._dag(node)
        return self._group(node, inside) if self.path(node)[-1:] == ("TaskGroup",) else inside

    def _group(self, node: ast.AST, inside: Dag | None) -> Dag | None:
        return inside and replace(inside, defaults=inside.defaults | self._mapping(self._keywords(node).get("default_args")))

    def _visit(self, node: ast.AST, dag: Dag | None) -> None:
        if isinstance(node, Function):
            self._function(node, dag)
            return
        if isinstance(node, ast.With):
            for item in node.items:
                self._visit(item.context_expr, dag)
                dag = self._entered(item.context_expr, dag)
            for statement in node.body:
                self._visit(statement, dag)
            return
        if isinstance(node, ast.Call):
            self._call(node, dag)
        if isinstance(node, ast.Name) and dag and node.id in self._loose and (dag.name, node.id) not in self._placed:
            self._placed.add((dag.name, node.id))
            self._add_function(*self._loose[node.id], dag)
        for inner in ast.iter_child_nodes(node):
            self._visit(inner, dag)

    def _function(self, node: Function, dag: Dag | None) -> None:
        for decorator in node.decorator_list:
            path = self.path(decorator)
            if "task" in path[-2:]:
                self._decorated[node.name] = (node, decorator)
                if dag:
                    self._add_function(node, decorator, dag)
                else:
                    self._loose[node.name] = (node, decorator)
                return
            if path[-1:] == ("dag",):
                dag = self._dag(decorator, node.name)
            elif path[-1:] == ("task_group",):
                dag = self._group(decorator, dag)
        for statement in node.body:
            self._visit(statement, dag)

    def _call(self, call: ast.Call, dag: Dag | None) -> None:
        path = self.path(call)
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        if path[-1:] == ("override",) and isinstance(owner, ast.Name) and owner.id in self._decorated:
            self._placed.add((dag.name if dag else "*", owner.id))
            function, decorator = self._decorated[owner.id]
            self._add_function(function, decorator, dag, self._keywords(call), call.lineno)
            return
        kind = next((part for part in path[:-3:-1] if part not in ("partial",)), "")
        if not kind.endswith(("Operator", "Sensor")) or kind == NO_POD or (path[-1] not in (kind, "partial")):
            return
        own = self._keywords(call)
        if "dag" in own:
            dag = self._entered(own["dag"], dag)
        callback = own.get("python_callable")
        functions = (self.functions[callback.id],) if isinstance(callback, ast.Name) and callback.id in self.functions else ()
        self._add(own, kind, call.lineno, dag, functions, "*")

    def _add_function(self, node: Function, decorator: ast.expr, dag: Dag | None, more: Settings | None = None, line: int = 0) -> None:
        own = self._keywords(decorator) | (more or {})
        path = self.path(decorator)
        kind = ".".join(path[-2:]) if path[-2:-1] == ("task",) else "task"
        self._add(own, kind, line or node.lineno, dag, (node,), node.name)

    def _add(self, own: Settings, kind: str, line: int, dag: Dag | None, functions: tuple[Function, ...], named: str) -> None:
        task_id = self.fold(own["task_id"]) if "task_id" in own else named
        # without its DAG, nobody knows what default_args gives it
        unseen: Settings = {} if dag else {OPEN: ast.Constant(value=None)}
        defaults, dag_settings = (dag.defaults, dag.settings) if dag else (unseen, unseen)
        self.tasks.append(
            Task(
                name=f"{dag.name if dag else '*'}.{task_id if isinstance(task_id, str) else '*'}",
                kind=kind,
                line=line,
                own=own,
                settings=defaults | self._mapping(own.get("default_args")) | own,
                dag_settings=dag_settings,
                functions=functions,
            )
        )

    def _unplaced(self) -> None:
        placed = {name for _, name in self._placed}
        for name, (function, decorator) in self._loose.items():
            if name not in placed:
                self._add_function(function, decorator, None)


def _combined(left: Any, op: ast.operator, right: Any) -> Any:
    if isinstance(left, int | float) and isinstance(right, int | float):
        try:
            match op:
                case ast.Add():
                    return left + right
                case ast.Sub():
                    return left - right
                case ast.Mult():
                    return left * right
                case ast.Div():
                    return left / right
        except (ZeroDivisionError, OverflowError):
            return UNKNOWN
    if isinstance(op, ast.Add | ast.Div) and (isinstance(left, str) or isinstance(right, str)):
        ends = [value if isinstance(value, str) else "*" for value in (left, right)]
        return ("/" if isinstance(op, ast.Div) else "").join(ends)
    return UNKNOWN
