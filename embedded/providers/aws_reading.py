"""What AWS has of a resource, in the program's words where that is the same: outputs, inputs after a refresh, foreseen outputs."""

from __future__ import annotations

import re
from typing import Any

import jmespath
from botocore.exceptions import BotoCoreError, ClientError

from embedded.providers.aws_table import Call, Context, Kind, Values, is_missing
from embedded.providers.aws_values import locate, observed, same, to_pulumi
from embedded.providers.server import UNKNOWN, Properties, ProviderError


def read_record(context: Context) -> bool:
    """Read what AWS has; False when there is nothing."""
    kind = context.kind
    try:
        answer = context.call(kind.read) if isinstance(kind.read, Call) else kind.read(context)
        record = jmespath.search(context.fill(kind.record), answer) if isinstance(kind.read, Call) and answer else answer
    except ClientError as problem:
        if is_missing(problem):
            return False
        raise
    if not record or (kind.gone and jmespath.search(kind.gone, record)):
        return False
    context.record = dict(record)
    for call, path, key in kind.more:
        try:
            context.record[key] = jmespath.search(path, context.call(call))
        except ClientError as problem:
            if not is_missing(problem):
                raise
            context.record[key] = None
    return True


def seen(context: Context, name: str, *, whole: bool) -> Any:
    """One input as AWS has it; `whole`: with the parts that the program did not give."""
    rule, given = context.kind.inputs[name], context.inputs.get(name)
    path = rule.read
    if path and path.endswith("?"):
        operation = context.kind.create.operation if isinstance(context.kind.create, Call) else context.kind.validate
        path = ".".join(locate(context.shape(operation), name, path)[0])
    actual = jmespath.search(path, context.record) if path else None
    if actual is None:
        return None if rule.optional else given
    if rule.to_pulumi:
        actual = rule.to_pulumi(actual)
    if given is None:
        return to_pulumi(actual) if rule.shown else None
    if rule.free and isinstance(given, dict):  # its keys are the program's own: what is gone is gone, what is new is new
        return {key: given[key] if key in given and same(given[key], value) else value for key, value in actual.items()}
    result = observed(given, actual, rule.names)
    return {**to_pulumi(actual), **result} if whole and isinstance(result, dict) and isinstance(actual, dict) else result


def state_of(context: Context, default_tags: Values, *, fresh: bool = True) -> Properties:
    """Outputs, as the real provider gives them."""
    kind = context.kind
    if fresh and not read_record(context):
        raise ProviderError(f"{context.id} was made, but AWS does not list it")
    state = {name: seen(context, name, whole=True) for name in kind.inputs} | {"region": context.cloud.region}
    context.state = context.state | state
    for name, path in kind.outputs.items():
        state[name] = context.fill(path[1:]) if path.startswith("=") else to_pulumi(jmespath.search(path, context.record))
        context.state[name] = state[name]
    if kind.tags:
        actual = kind.tags.incoming(context.record)
        own = context.inputs.get("tags")
        shown = {key: value for key, value in actual.items() if key in (own or {}) or default_tags.get(key) != value}
        state |= {"tagsAll": actual} | ({"tags": shown} if own is not None or shown else {})
    return {key: value for key, value in state.items() if value is not None}


def foreseen(context: Context) -> Properties:
    """Outputs of something that a preview would make: inputs, and unknowns."""
    kind = context.kind
    state: Properties = dict.fromkeys(
        [name for name, rule in kind.inputs.items() if rule.read and rule.shown] + list(kind.outputs), UNKNOWN
    )
    state |= {"region": context.cloud.region} | context.inputs
    for name, rule in kind.inputs.items():
        if rule.computed and isinstance(state.get(name), dict):
            state[name] = dict.fromkeys(rule.computed, UNKNOWN) | state[name]
    return state


def remains(context: Context, default_tags: Values) -> Properties:
    """State of something half made."""
    try:
        return state_of(context, default_tags)
    except (ClientError, BotoCoreError, ProviderError):
        return dict(context.inputs)


def from_id(kind: Kind, id: str) -> Values:
    """Inputs that an id is made of, for `.get()` and import."""
    if "{created" in kind.id:
        return {}
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(kind.id))
    found = re.fullmatch(pattern, id)
    return found.groupdict() if found else {}
