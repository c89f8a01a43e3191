"""What a resource's inputs become in AWS's operations, and whether AWS's own models accept them."""

from __future__ import annotations

from typing import Any

from botocore.validate import ParamValidator

from embedded.providers.aws_table import Call, Context, Input, Values
from embedded.providers.aws_values import locate, placeholder, problems, to_aws
from embedded.providers.server import UNKNOWN, CheckError, is_known


def validate(context: Context) -> None:
    """Raise CheckError for inputs that AWS would refuse by its models alone; unknown values count as right."""
    kind = context.kind
    wrong = kind.check(context.inputs) if kind.check else {}
    operation = kind.validate or (kind.create.operation if isinstance(kind.create, Call) else "")
    if operation:
        shape = context.shape(operation)
        params = context.request(operation)
        if isinstance(kind.create, Call):
            params |= context.fill(kind.create.params)
        wrong |= {path: reason for path, reason in problems(params, shape)}
        params |= {name: UNKNOWN for name, part in shape.members.items() if part.metadata.get("idempotencyToken") and name not in params}
        report = ParamValidator().validate(placeholder(params, shape), shape)
        if report.has_errors():
            wrong[operation] = report.generate_report()
    for name, rule in kind.inputs.items():
        value = context.inputs.get(name)
        if rule.shape and value is not None and is_known(value):
            for _, reason in problems(setting_value(context, name, rule, value), form_of(context, rule)):
                wrong[name] = reason
    if wrong:
        raise CheckError(wrong)


def setting_value(context: Context, name: str, rule: Input, value: Any) -> Any:
    """An input's value as a call of its own takes it."""
    if value is None:
        return None
    if rule.to_aws:
        return rule.to_aws(value)
    if rule.shape:
        return to_aws(value, form_of(context, rule), rule.names, name)
    if rule.param and isinstance(context.kind.create, Call):
        return to_aws(value, locate(context.shape(context.kind.create.operation), name, rule.param)[1], rule.names, name)
    return value


def update_params(context: Context, call: Call, changed: set[str]) -> Values:
    """Parameters of the update operation for the inputs that changed."""
    params = context.fill(call.params)
    shape = context.shape(call.operation)
    for name in sorted(changed):
        rule = context.kind.inputs.get(name)
        if rule is None or rule.on_change != "update" or rule.param is None:
            continue
        old, new = context.olds.get(name), context.inputs.get(name)
        value = rule.update_to(old, new) if rule.update_to else new
        if value is None:
            value = rule.default if rule.default is not None else [] if isinstance(old, list) else None
        if value is None:
            continue
        path, leaf = locate(shape, name, rule.update_param or rule.param.split(".")[-1])
        params[path[-1]] = to_aws(rule.to_aws(value) if rule.to_aws else value, leaf, rule.names, name)
    return params


def form_of(context: Context, rule: Input) -> Any:
    """Shape of an input that is set by a call of its own."""
    operation, name = rule.shape.split(":")
    return context.shape(operation).members[name]
