"""The vocabulary of the table in `aws_resources`: how a Pulumi resource type becomes AWS operations."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jmespath
from botocore import xform_name
from botocore.exceptions import ClientError

from embedded.cloud import ACCOUNT_ID, Cloud
from embedded.providers.aws_values import locate, to_aws
from embedded.providers.server import UNKNOWN, is_known

Values = dict[str, Any]
ACCOUNT_ARN = "{region}:{account}"
Function = Callable[["Context"], Any]


@dataclass(frozen=True)
class Call:
    """An AWS operation with its parameters as a template: "{name}" is replaced by a value of the context."""

    operation: str
    params: Values = field(default_factory=dict)
    service: str = ""
    """Another service than the type's own."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """What a Pulumi input becomes."""

    param: str | None = None
    """Parameter of the create operation (dots go deeper); None: it is not one."""
    read: str | None = None
    """JMESPath in the record that was read; None: AWS does not tell, or it is nowhere to be read."""
    on_change: str = "replace"
    """replace; update: the type's update operation takes it; set: `sets` does; keep: only remembered."""
    sets: tuple[Call, ...] = ()
    """Calls made after creation, and again when it changes, with {value}."""
    unsets: tuple[Call, ...] = ()
    """Calls made when it is taken away (or false, for a switch)."""
    update_param: str = ""
    """Its name in the update operation, where it differs."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Nested names that differ from AWS's by more than case and plural."""
    replaces: tuple[str, ...] = ()
    """Parts whose change needs a new resource although the whole can be changed."""
    required: bool = False
    optional: bool = False
    """Absent in the record means absent, not that the API keeps it to itself."""
    default: Any = None
    shown: bool = True
    """False: part of the outputs only when the program gave it, because other resources change it too."""
    to_aws: Callable[[Any], Any] | None = None
    to_pulumi: Callable[[Any], Any] | None = None
    update_to: Callable[[Any, Any], Any] | None = None
    """Old and new value to the update operation's parameter, where that is not simply the new value."""
    free: bool = False
    """A map with keys of the program's own, as labels are."""
    computed: tuple[str, ...] = ()
    """Nested parts that only AWS knows; a preview shows them as unknown."""
    shape: str = ""
    """operation:Member whose shape gives the value's form, for inputs that are not create parameters."""


def fixed(param: str = "?", **more: Any) -> Input:
    """A create parameter; a change replaces the resource. "?": named like the input."""
    return Input(param=param, **{"read": more.pop("read", param), **more})


def changeable(param: str = "?", **more: Any) -> Input:
    """A create parameter that the update operation takes too."""
    return fixed(param, on_change="update", **more)


def setting(*sets: Call, read: str | None, **more: Any) -> Input:
    """Something set by calls of its own, after creation and on each change."""
    return Input(sets=sets, read=read, on_change="set", **more)


def local(**more: Any) -> Input:
    """Known to the provider only."""
    return Input(on_change="keep", **more)


@dataclass(frozen=True, kw_only=True)
class Tags:
    """How a type is tagged."""

    param: str = "Tags"
    """Parameter of the create operation."""
    read: str = "Tags"
    add: Call
    remove: Call
    form: str = "pairs"
    """pairs: [{Key, Value}]; map; kms: [{TagKey, TagValue}]; ec2: a tag specification of `kind`."""
    kind: str = ""

    def outgoing(self, tags: Values) -> Any:
        """Tags as a parameter."""
        if self.form == "map":
            return dict(tags)
        key, value = ("TagKey", "TagValue") if self.form == "kms" else ("Key", "Value")
        return [{key: name, value: str(text)} for name, text in tags.items()]

    def parameter(self, tags: Values) -> Values:
        """The create operation's parameter."""
        pairs = self.outgoing(tags)
        return {self.param: [{"ResourceType": self.kind, "Tags": pairs}] if self.form == "ec2" else pairs}

    def incoming(self, record: Values) -> dict[str, str]:
        """Tags of a record, without those AWS sets itself."""
        found = jmespath.search(self.read, record) or {}
        if isinstance(found, list):
            found = {item.get("Key", item.get("TagKey")): item.get("Value", item.get("TagValue")) for item in found}
        return {key: value for key, value in found.items() if not key.startswith("aws:")}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One resource type."""

    service: str
    inputs: Mapping[str, Input]
    create: Call | Function
    id: str
    """Template over the context; `created` is the answer of the create operation."""
    read: Call | Function
    record: str = "@"
    """JMESPath of the record in the answer of the read operation."""
    more: tuple[tuple[Call, str, str], ...] = ()
    """Further reads: call, JMESPath of the value, key in the record. One that finds nothing gives None."""
    gone: str = ""
    """JMESPath that is true for a record of something deleted."""
    update: Call | Function | None = None
    delete: Call | Function | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    """JMESPath in the record, or a template when it starts with "="."""
    moving: tuple[str, ...] = ()
    """Outputs that an update changes; a preview of one shows them as unknown."""
    tags: Tags | None = None
    name: str = ""
    """Input that gets a name when the program gives none."""
    name_form: Callable[[str], str] = str
    wait: tuple[str, str, str] | None = None
    """JMESPath of a status, value when ready, regular expression of values that will never be."""
    validate: str = ""
    """Operation whose parameters the inputs are checked as; the create operation's when that is a Call."""
    check: Callable[[Values], dict[str, str]] | None = None
    """Further checks of inputs: property to reason."""

    @property
    def replace_keys(self) -> set[str]:
        """Property paths whose change needs a new resource."""
        keys = {name for name, rule in self.inputs.items() if rule.on_change == "replace"}
        return keys | {path for rule in self.inputs.values() for path in rule.replaces}


@dataclass
class Context:
    """One request: the type, its values, and AWS."""

    cloud: Cloud
    client: Callable[[str], Any]
    kind: Kind
    inputs: Values
    """With tagsAll; the old ones while reading and deleting."""
    id: str = ""
    state: Values = field(default_factory=dict)
    olds: Values = field(default_factory=dict)
    """Old inputs during an update."""
    created: Values = field(default_factory=dict)
    record: Values = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        fixed_values = {"id": self.id, "region": self.cloud.region, "account": ACCOUNT_ID}
        if key in fixed_values:
            return fixed_values[key]
        if key.startswith(("created.", "record.")):
            head, _, path = key.partition(".")
            return jmespath.search(path, getattr(self, head))
        for values in (self.inputs, self.state):
            found = jmespath.search(key, values) if "." in key else values.get(key)
            if found is not None:
                return found
        return None

    def shape(self, operation: str) -> Any:
        """Form of an operation's parameters."""
        return self.client(self.kind.service).meta.service_model.operation_model(operation).input_shape

    def request(self, operation: str, values: Values | None = None) -> Values:
        """Parameters of the create operation from the inputs (or other values), with tags."""
        values = self.inputs if values is None else values
        params: Values = {}
        shape = self.shape(operation)
        for name, rule in self.kind.inputs.items():
            value = values.get(name)
            if rule.param is None or value is None:
                continue
            path, leaf = locate(shape, name, rule.param)
            target = params
            for step in path[:-1]:
                target = target.setdefault(step, {})
            target[path[-1]] = value if value is UNKNOWN else to_aws(rule.to_aws(value) if rule.to_aws else value, leaf, rule.names, name)
        tags = self.kind.tags
        if tags and values.get("tagsAll") and is_known(values["tagsAll"]):
            params |= tags.parameter(values["tagsAll"])
        return params

    def fill(self, template: Any, **more: Any) -> Any:
        """A template with its names replaced; parameters whose value is None are left out."""
        if isinstance(template, dict):
            filled = {key: self.fill(value, **more) for key, value in template.items()}
            return {key: value for key, value in filled.items() if value is not None}
        if isinstance(template, list):
            return [self.fill(item, **more) for item in template]
        if not isinstance(template, str):
            return template

        def value(name: str) -> Any:
            return more[name] if name in more else self[name]

        if whole := re.fullmatch(r"\{([\w.\[\]]+)\}", template):
            return value(whole.group(1))
        return re.sub(r"\{([\w.\[\]]+)\}", lambda match: str(value(match.group(1))), template)

    def call(self, call: Call, **more: Any) -> Values:
        """Make a call of the table."""
        return self.ask(call.service or self.kind.service, call.operation, self.fill(call.params, **more))

    def ask(self, service: str, operation: str, params: Values) -> Values:
        """Call AWS."""
        answer: Values = getattr(self.client(service), xform_name(operation))(**params)
        answer.pop("ResponseMetadata", None)
        return answer


def is_missing(problem: ClientError) -> bool:
    """Whether an error says that the resource does not exist."""
    code = problem.response["Error"]["Code"]
    return "NotFound" in code or code.startswith("NoSuch")


def ec2_tags(kind: str) -> Tags:
    """Tags of EC2, given at creation by a specification for the resource's type."""
    return Tags(
        param="TagSpecifications",
        form="ec2",
        kind=kind,
        add=Call("CreateTags", {"Resources": ["{id}"], "Tags": "{tags}"}, "ec2"),
        remove=Call("DeleteTags", {"Resources": ["{id}"], "Tags": "{keys_as_pairs}"}, "ec2"),
    )


def simple_tags(
    add: str, remove: str, target: Values, *, keys: str = "TagKeys", name: str = "Tags", read: str = "Tags", **more: Any
) -> Tags:
    """Tags by a pair of operations on one resource."""
    return Tags(param=name, read=read, add=Call(add, target | {name: "{tags}"}), remove=Call(remove, target | {keys: "{keys}"}), **more)


def put_again(operation: str) -> Callable[[Context], Any]:
    """An update of what AWS takes only as a whole; tags have calls of their own."""

    def put(context: Context) -> Any:
        tags = context.kind.tags
        params = {key: value for key, value in context.request(operation).items() if not tags or key != tags.param}
        return context.ask(context.kind.service, operation, params)

    return put


def ignore_missing(act: Callable[[], Any]) -> None:
    """Run a deletion; what is gone already is fine."""
    try:
        act()
    except ClientError as problem:
        if not is_missing(problem):
            raise
