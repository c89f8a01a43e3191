"""The embedded AWS provider: creates, reads, changes and deletes what `aws_resources` lists, by calls to the embedded AWS.

It differs from the real provider only in what it does not know, which it refuses by name, and in switching on the hardware that AWS would
have (`aws_hardware`).
"""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import boto3
import jmespath
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from embedded.cloud import ACCOUNT_ID, Cloud, CloudError
from embedded.providers import aws_functions
from embedded.providers.aws_hardware import Hardware
from embedded.providers.aws_reading import foreseen, from_id, read_record, remains, seen, state_of
from embedded.providers.aws_request import setting_value, update_params, validate
from embedded.providers.aws_resources import TABLE
from embedded.providers.aws_table import Call, Context, Input, Kind, Values, is_missing
from embedded.providers.aws_values import same
from embedded.providers.server import (
    UNKNOWN,
    CheckError,
    Diff,
    InitError,
    Properties,
    Provider,
    ProviderError,
    Resource,
    compare,
    covers,
    decoded,
)

DEFAULTS = "__defaults"
"""Which inputs the provider filled in, kept among the inputs as the real provider does; the engine hides it."""
CONFIG_KEYS = frozenset(
    {
        "region",
        "defaultTags",
        "allowedAccountIds",
        "profile",
        "maxRetries",
        "skipCredentialsValidation",
        "skipRegionValidation",
        "skipMetadataApiCheck",
        "skipRequestingAccountId",
    }
)
BUSY_CODES = (
    "DependencyViolation",
    "ResourceInUse",
    "DeleteConflict",
    "InvalidIPAddress.InUse",
    "FileSystemInUse",
    "InvalidDBSubnetGroupState",
)
"""Errors on deletion that pass when something else is gone."""
BUSY_SECONDS = 5.0
READY_SECONDS = 120.0
_clients: dict[tuple[str, str], Any] = {}
_clients_lock = threading.Lock()


def client(cloud: Cloud, service: str) -> Any:
    """A client of the embedded AWS, made once a service."""
    with _clients_lock:
        key = (cloud.aws_endpoint, service)
        if key not in _clients:
            session = boto3.Session(aws_access_key_id="embedded", aws_secret_access_key="embedded", region_name=cloud.region)
            config = Config(retries={"mode": "standard", "max_attempts": 8}, max_pool_connections=64, proxies={})
            _clients[key] = session.client(service, endpoint_url=cloud.aws_endpoint, config=config)
        return _clients[key]


class AwsProvider(Provider):
    """The `aws` package."""

    package = "aws"
    config_keys = CONFIG_KEYS

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self.default_tags: dict[str, str] = {}
        self.hardware = Hardware(cloud)

    def check_config(self, news: Properties) -> None:
        """The region and the account must be this cloud's."""
        super().check_config(news)
        if news.get("region") not in (None, UNKNOWN, self.cloud.region):
            raise CheckError({"region": f"this embedded cloud is in {self.cloud.region}, not in {news['region']}"})
        allowed = decoded(news.get("allowedAccountIds"))
        if isinstance(allowed, list) and allowed and ACCOUNT_ID not in allowed:
            raise CheckError({"allowedAccountIds": f"the embedded account is {ACCOUNT_ID}"})

    def configure(self, config: Properties) -> None:
        """Take the default tags."""
        tags = decoded(config.get("defaultTags")) or {}
        self.default_tags = {key: str(value) for key, value in (tags.get("tags") or {}).items()} if isinstance(tags, dict) else {}

    def _kind(self, token: str) -> Kind:
        if token not in TABLE:
            raise self.unsupported(token)
        return TABLE[token]

    def _context(self, resource: Resource, inputs: Values, **more: Any) -> Context:
        known = {key: value for key, value in inputs.items() if key != DEFAULTS}
        return Context(self.cloud, lambda service: client(self.cloud, service), self._kind(resource.type), known, id=resource.id, **more)

    def check(self, resource: Resource, olds: Properties, news: Properties) -> Properties:
        """Fill in names, defaults and default tags; refuse what the table or AWS's own models do not have."""
        kind = self._kind(resource.type)
        given = {key: value for key, value in news.items() if value is not None and key != DEFAULTS}
        prefix = f"{kind.name}Prefix" if kind.name else ""
        known = {*kind.inputs, "region", *({"tags", "tagsAll"} if kind.tags else ()), prefix}
        wrong = {key: f"the embedded cloud has no rule for this input of {resource.type}" for key in given if key not in known}
        wrong |= {name: f"{resource.type} needs it" for name, rule in kind.inputs.items() if rule.required and given.get(name) is None}
        if given.pop("region", self.cloud.region) not in (self.cloud.region, UNKNOWN):
            wrong["region"] = f"this embedded cloud is in {self.cloud.region}"
        if wrong:
            raise CheckError(wrong)
        filled = [name for name, rule in kind.inputs.items() if rule.default is not None and name not in given]
        inputs = {name: kind.inputs[name].default for name in filled} | given
        if kind.name and kind.name not in inputs:
            old = olds.get(kind.name) if kind.name in olds.get(DEFAULTS, ()) and olds.get(prefix) == given.get(prefix) else None
            start = inputs.get(prefix)
            fresh = f"{start}{resource.seed.hex()[:16]}" if isinstance(start, str) else kind.name_form(resource.auto_name())
            inputs[kind.name] = old or fresh
            filled.append(kind.name)
        if kind.tags:
            tags = inputs.get("tags") or {}
            inputs["tagsAll"] = UNKNOWN if tags is UNKNOWN else self.default_tags | tags
        validate(self._context(resource, {key: value for key, value in inputs.items() if key != prefix}))
        return inputs | ({DEFAULTS: filled} if filled else {})

    def diff(self, resource: Resource, state: Properties, olds: Properties, news: Properties) -> Diff:
        """Changes of inputs; documents that say the same are no change."""
        kind = self._kind(resource.type)
        prefix = f"{kind.name}Prefix"
        old, new = ({key: value for key, value in side.items() if key not in (DEFAULTS, prefix)} for side in (olds, news))
        changes = {path: change for path, change in compare(old, new).items() if not _equal(change.old, change.new)}
        replaces = {path for path in changes if any(covers(key, path) for key in kind.replace_keys)}
        named = bool(kind.name) and kind.name not in news.get(DEFAULTS, ()) and old.get(kind.name) == new.get(kind.name)
        return Diff(changes, replaces, bool(replaces) and named)

    def create(self, resource: Resource, inputs: Properties) -> tuple[str, Properties]:
        """Make it, set what creation does not take, switch on its hardware, read it back."""
        context = self._context(resource, inputs)
        if resource.preview:
            return "", foreseen(context)
        kind = context.kind
        try:
            if isinstance(kind.create, Call):
                params = context.request(kind.create.operation) | context.fill(kind.create.params)
                context.created = context.ask(kind.service, kind.create.operation, params)
            else:
                context.created = kind.create(context) or {}
        except (ClientError, BotoCoreError) as problem:
            raise _explained(problem) from problem
        context.id = context.id or context.fill(kind.id)
        try:
            for name, rule in kind.inputs.items():
                value = context.inputs.get(name)
                if rule.param is None and value is not None:
                    self._set(context, name, rule, value)
            self._wait(context, resource.timeout)
            self.hardware.created(resource.type, context)
            return context.id, state_of(context, self.default_tags)
        except Exception as problem:  # whatever it was: AWS has the resource, and the state must know it or nobody will delete it
            raise InitError(context.id, remains(context, self.default_tags), [str(_explained(problem))], inputs) from problem

    def read(self, resource: Resource, inputs: Properties, state: Properties) -> tuple[Properties, Properties] | None:
        """What AWS has now, in the program's words where it is the same."""
        kind = self._kind(resource.type)
        known = inputs or from_id(kind, resource.id)
        context = self._context(resource, known, state=state)
        try:
            if not read_record(context):
                return None
            found = state_of(context, self.default_tags, fresh=False)
        except (ClientError, BotoCoreError) as problem:
            raise _explained(problem) from problem
        news = {
            name: value for name in kind.inputs if (value := seen(context, name, whole=False)) is not None and (name in known or not inputs)
        }
        if kind.tags:
            actual = kind.tags.incoming(context.record)
            own = {key: value for key, value in actual.items() if key in (known.get("tags") or {}) or self.default_tags.get(key) != value}
            news |= {"tagsAll": actual} | ({"tags": own} if own or "tags" in known else {})
        return news | ({DEFAULTS: inputs[DEFAULTS]} if DEFAULTS in inputs else {}), found

    def update(self, resource: Resource, state: Properties, olds: Properties, news: Properties) -> Properties:
        """Make the calls that the changed inputs need."""
        context = self._context(resource, news, state=state, olds={key: value for key, value in olds.items() if key != DEFAULTS})
        if resource.preview:
            kept = {key: value for key, value in state.items() if key not in context.kind.inputs or key in context.inputs}
            merged = {
                key: {**kept[key], **value} for key, value in context.inputs.items() if _is_object(kept.get(key)) and _is_object(value)
            }
            objects = {key: value for key, value in merged.items() if context.kind.inputs.get(key, Input()).computed}
            changes = any(path.split(".")[0].split("[")[0] not in ("tags", "tagsAll") for path in compare(context.olds, context.inputs))
            return kept | (dict.fromkeys(context.kind.moving, UNKNOWN) if changes else {}) | context.inputs | objects
        kind = context.kind
        changed = {
            name
            for name in {*context.olds, *context.inputs}
            if compare(context.olds.get(name), context.inputs.get(name)) and not _equal(context.olds.get(name), context.inputs.get(name))
        }
        try:
            if kind.update and any(name in changed and rule.on_change == "update" for name, rule in kind.inputs.items()):
                if isinstance(kind.update, Call):
                    context.ask(kind.service, kind.update.operation, update_params(context, kind.update, changed))
                else:
                    kind.update(context)
            for name, rule in kind.inputs.items():
                if name in changed and rule.on_change == "set":
                    self._set(context, name, rule, context.inputs.get(name))
            self._tag(context)
            self._wait(context, resource.timeout)
            self.hardware.updated(resource.type, context, changed)
            return state_of(context, self.default_tags)
        except (ClientError, BotoCoreError, ProviderError, CloudError) as problem:
            raise _explained(problem) from problem

    def delete(self, resource: Resource, inputs: Properties, state: Properties) -> None:
        """Delete it once nothing hangs on it, then switch off its hardware."""
        context = self._context(resource, inputs or state, state=state)
        kind = context.kind
        try:
            self.hardware.before_delete(resource.type, context)
            deadline = time.monotonic() + (resource.timeout or BUSY_SECONDS)
            while True:
                try:
                    if isinstance(kind.delete, Call):
                        context.call(kind.delete)
                    elif kind.delete:
                        kind.delete(context)
                    break
                except ClientError as problem:
                    code = problem.response["Error"]["Code"]
                    if is_missing(problem):
                        break
                    if not code.startswith(BUSY_CODES) or time.monotonic() > deadline or self.cancelled.is_set():
                        raise
                    time.sleep(0.5)
            self.hardware.deleted(resource.type, context)
        except (ClientError, BotoCoreError, ProviderError, CloudError) as problem:
            raise _explained(problem) from problem

    def invoke(self, token: str, args: Properties) -> Properties:
        """Answer a function."""
        function = aws_functions.FUNCTIONS.get(token)
        if function is None:
            raise self.unsupported(token)
        given = {key: value for key, value in args.items() if value is not None}
        if given.pop("region", self.cloud.region) != self.cloud.region:
            raise CheckError({"region": f"this embedded cloud is in {self.cloud.region}"})
        unknown = given.keys() - function.arguments
        if unknown:
            raise CheckError({key: f"the embedded cloud has no rule for this argument of {token}" for key in sorted(unknown)})
        try:
            answer = function.act(lambda service: client(self.cloud, service), self.cloud, given)
        except (ClientError, BotoCoreError) as problem:
            raise _explained(problem) from problem
        return {"id": self.cloud.region, "region": self.cloud.region} | given | answer

    def _set(self, context: Context, name: str, rule: Input, value: Any) -> None:
        if value in (None, False) and rule.unsets:
            calls = rule.unsets
        elif value is None:
            return
        else:
            calls = rule.sets
        for call in calls:
            context.call(call, value=setting_value(context, name, rule, value))

    def _tag(self, context: Context) -> None:
        tags = context.kind.tags
        old, new = context.olds.get("tagsAll") or {}, context.inputs.get("tagsAll") or {}
        if not tags or old == new:
            return
        gone = [key for key in old if key not in new]
        added = {key: value for key, value in new.items() if old.get(key) != value}
        if gone:
            context.call(tags.remove, keys=gone, keys_as_pairs=[{"Key": key} for key in gone], all_tags=tags.outgoing(new))
        if added:
            context.call(tags.add, tags=tags.outgoing(added), all_tags=tags.outgoing(new))

    def _wait(self, context: Context, seconds: float) -> None:
        if context.kind.wait is None:
            return
        path, ready, failed = context.kind.wait
        deadline = time.monotonic() + (seconds or READY_SECONDS)
        while True:
            read_record(context)
            status = str(jmespath.search(path, context.record))
            if status == ready:
                return
            if re.fullmatch(failed, status) or time.monotonic() > deadline or self.cancelled.is_set():
                health = jmespath.search("health.issues[].message", context.record)
                raise ProviderError(f"{context.id} is {status}" + (f": {'; '.join(health)}" if health else ""))
            time.sleep(0.5)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _equal(old: Any, new: Any) -> bool:
    return isinstance(old, str) and isinstance(new, str) and same(old, new)


def _explained(problem: Exception) -> ProviderError:
    """An AWS error with the operation and the code that AWS gave."""
    if isinstance(problem, ClientError):
        error = problem.response["Error"]
        return ProviderError(f"{problem.operation_name}: {error['Code']}: {error.get('Message', '')}")
    return problem if isinstance(problem, ProviderError) else ProviderError(str(problem))
