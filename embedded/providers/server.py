"""The gRPC side that every provider here shares: plain dictionaries in, plain dictionaries out, and errors a person can act on.

The engine attaches to a running provider once per provider *resource* (the default one, each explicit one) and requests do not say which
one they mean. Connections do: each has its own `Provider` object, which is configured once. Secrets are not accepted, so the engine keeps
track of them itself and marks the outputs of secret inputs.
"""

from __future__ import annotations

import json
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import metadata
from itertools import zip_longest
from typing import Any, NamedTuple

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from embedded.cloud import Cloud

Properties = dict[str, Any]
THREADS = 64
"""Requests in flight per provider: each waits for its resource, so this is how many resources can be in the making at once."""
CONNECTIONS = 256
GRPC_OPTIONS = (("grpc.max_receive_message_length", 400 * 1024 * 1024), ("grpc.max_send_message_length", 400 * 1024 * 1024))
INTERNAL_KEYS = {"version", "pluginDownloadURL", "__internal", "__defaults"}
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"
RESOURCE_SIGNATURE = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT_SIGNATURE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWN_TEXTS = {  # pulumi/sdk/go/common/resource/plugin/rpc.go: one for each type of value that is not known yet
    UNKNOWN_TEXT,
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
}


class Unknown:
    """The type of `UNKNOWN`, a value that a preview cannot know yet."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __deepcopy__(self, memo: object) -> Unknown:
        return self


UNKNOWN = Unknown()


class ProviderError(Exception):
    """A request that cannot be fulfilled; the message is what the person sees."""


class CheckError(ProviderError):
    """Inputs that are refused, each property with its reason."""

    def __init__(self, failures: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in failures.items()))
        self.failures = dict(failures)


class InitError(ProviderError):
    """The resource exists but is not what was asked for (not ready in time, half made): it stays in the state, and the run fails."""

    def __init__(self, id: str, outputs: Properties, reasons: list[str], inputs: Properties | None = None) -> None:
        super().__init__("\n".join(reasons))
        self.id, self.outputs, self.reasons, self.inputs = id, outputs, reasons, inputs


class Change(NamedTuple):
    """What became of one property."""

    kind: str
    """add, delete or update."""
    old: Any
    new: Any


@dataclass
class Diff:
    """Changes by property path and those among them that need a new resource."""

    changes: dict[str, Change] = field(default_factory=dict)
    replaces: set[str] = field(default_factory=set)
    delete_before_replace: bool = False


@dataclass(frozen=True, kw_only=True)
class Resource:
    """The resource a request is about."""

    type: str
    name: str
    """Logical name."""
    urn: str
    id: str = ""
    preview: bool = False
    timeout: float = 0
    """Seconds from `customTimeouts`; 0 when the program did not say."""
    seed: bytes = b""
    """For names: the same in preview and update (only in `check`)."""
    ignore_changes: tuple[str, ...] = ()

    def auto_name(self, digits: int = 7) -> str:
        """Logical name and random hexadecimal digits, as Pulumi's providers name what has no name."""
        return f"{self.name}-{self.seed.hex()[:digits]}"


class Provider:
    """What one package does with its resources. A subclass overrides what it supports; the rest is refused by name."""

    package = ""
    config_keys: frozenset[str] | None = None
    """Names the configuration may have; None: checked by the subclass."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.engine_address = ""
        self.cancelled = threading.Event()
        """Set when the person interrupts the run: whoever waits stops waiting."""

    def check_config(self, news: Properties) -> None:
        """Raise CheckError for configuration that is not understood."""
        if self.config_keys is not None:
            unknown = sorted(news.keys() - self.config_keys)
            if unknown:
                raise CheckError({key: f"the embedded {self.package} provider has no such option" for key in unknown})

    def configure(self, config: Properties) -> None:
        """Take the provider's configuration, before any resource request on this connection."""

    def config_replaces(self, olds: Properties, news: Properties) -> set[str]:
        """Configuration keys whose change means another world, so that all resources are replaced."""
        return set()

    def check(self, resource: Resource, olds: Properties, news: Properties) -> Properties:
        """The inputs with defaults and names filled in; raise CheckError for what is not understood."""
        raise self.unsupported(resource.type)

    def diff(self, resource: Resource, state: Properties, olds: Properties, news: Properties) -> Diff:
        """How the new inputs differ from the old ones."""
        return Diff(compare(olds, news))

    def create(self, resource: Resource, inputs: Properties) -> tuple[str, Properties]:
        """Make it (or, in a preview, foresee it); id and outputs."""
        raise self.unsupported(resource.type)

    def read(self, resource: Resource, inputs: Properties, state: Properties) -> tuple[Properties, Properties] | None:
        """Inputs and outputs as they really are now; None when it is gone. `inputs` is empty for an import or a `.get()`."""
        raise self.unsupported(resource.type)

    def update(self, resource: Resource, state: Properties, olds: Properties, news: Properties) -> Properties:
        """Change it in place (or, in a preview, foresee that); new outputs."""
        raise self.unsupported(resource.type)

    def delete(self, resource: Resource, inputs: Properties, state: Properties) -> None:
        """Remove it; one that is gone already is fine."""
        raise self.unsupported(resource.type)

    def invoke(self, token: str, args: Properties) -> Properties:
        """Answer a function call; raise CheckError for bad arguments."""
        raise self.unsupported(token)

    def log(self, text: str, urn: str = "", severity: str = "INFO", *, passing: bool = False) -> None:
        """Show a line to the person; `passing`: only beside the resource's row while it is at work."""
        if not self.engine_address:
            return
        request = engine_pb2.LogRequest(severity=engine_pb2.LogSeverity.Value(severity), message=text, urn=urn, ephemeral=passing)
        try:
            with grpc.insecure_channel(self.engine_address) as channel:
                engine_pb2_grpc.EngineStub(channel).Log(request, timeout=5)
        except grpc.RpcError as error:  # a lost progress line must not fail the resource
            print(f"log line lost: {error}", file=sys.stderr)

    def unsupported(self, what: str) -> ProviderError:
        """The error for a resource type or function that is not there."""
        return ProviderError(f"{what} is not among what the embedded {self.package} provider has; it only works on AWS")


def plain(value: Any) -> Any:
    """A protobuf value as Python: whole numbers as int, secrets unwrapped, references as ids, unknowns as UNKNOWN."""
    if isinstance(value, struct_pb2.Struct):
        return plain_object({key: plain(item) for key, item in value.fields.items()})
    kind = value.WhichOneof("kind")
    if kind in (None, "null_value"):
        return None
    if kind == "struct_value":
        return plain(value.struct_value)
    if kind == "list_value":
        return [plain(item) for item in value.list_value.values]
    if kind == "number_value":
        return int(value.number_value) if value.number_value.is_integer() else value.number_value
    if kind == "string_value" and value.string_value in UNKNOWN_TEXTS:
        return UNKNOWN
    return getattr(value, kind)


def plain_object(value: Properties) -> Any:
    """Resolve the engine's marked objects (secrets, outputs, resource references); assets and archives stay as they are."""
    mark = value.get(SIGNATURE)
    if mark == SECRET_SIGNATURE:
        return value.get("value")
    if mark == OUTPUT_SIGNATURE:
        return value.get("value", UNKNOWN)
    if mark == RESOURCE_SIGNATURE:
        return value.get("id") or value["urn"]
    return value


def decoded(value: Any) -> Any:
    """A provider option, which SDKs send as JSON text unless it is a string; text that is not JSON is returned as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, object_hook=plain_object)
    except ValueError:
        return value


def is_known(value: Any) -> bool:
    """Whether there is no UNKNOWN anywhere in the value."""
    if isinstance(value, dict):
        return all(is_known(item) for item in value.values())
    if isinstance(value, list):
        return all(is_known(item) for item in value)
    return value is not UNKNOWN


def struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """The protobuf form of properties."""

    def value(item: Any) -> Any:
        if item is UNKNOWN:
            return UNKNOWN_TEXT
        if isinstance(item, Mapping):
            return {str(key): value(inner) for key, inner in item.items()}
        return [value(inner) for inner in item] if isinstance(item, list | tuple) else item

    result = struct_pb2.Struct()
    result.update(value(properties))
    return result


def _step(path: str, key: str) -> str:
    if not key or any(character in key for character in '.[]"'):
        return f"{path}[{json.dumps(key)}]"
    return f"{path}.{key}" if path else key


def compare(old: Any, new: Any, path: str = "") -> dict[str, Change]:
    """Changes between two values by property path; a missing property and a null one are the same."""
    if isinstance(old, dict) and isinstance(new, dict):
        pairs: Iterator[tuple[str, Any, Any]] = ((_step(path, key), old.get(key), new.get(key)) for key in {**old, **new})
    elif isinstance(old, list) and isinstance(new, list):
        before_after = zip_longest(old, new)
        pairs = ((f"{path}[{index}]", before, after) for index, (before, after) in enumerate(before_after))
    elif type(old) is type(new) and old == new:
        return {}
    elif isinstance(old, int | float) and isinstance(new, int | float) and old == new:
        return {}
    else:
        return {path: Change("add" if old is None else "delete" if new is None else "update", old, new)}
    return {key: change for step, before, after in pairs for key, change in compare(before, after, step).items()}


def covers(pattern: str, path: str) -> bool:
    """Whether a path is the pattern's property or lies inside it; `[*]` stands for every index."""
    star = pattern.split("[*]")
    if len(star) > 1:
        head, _, rest = path.partition("[")
        return head == star[0] and covers("x" + "[*]".join(star[1:]), "x" + rest.partition("]")[2])
    return path == pattern or path.startswith((f"{pattern}.", f"{pattern}["))


def diff_by_keys(olds: Properties, news: Properties, replace_keys: frozenset[str] | set[str], *, delete_first: bool = False) -> Diff:
    """Diff of inputs where a change in any of `replace_keys` (paths; "*": everything) needs a new resource."""
    changes = compare(olds, news)
    replaces = {path for path in changes if "*" in replace_keys or any(covers(key, path) for key in replace_keys)}
    return Diff(changes, replaces, bool(replaces) and delete_first)


def _diff_response(diff: Diff) -> provider_pb2.DiffResponse:
    kinds = provider_pb2.PropertyDiff.Kind
    entries = {
        path: provider_pb2.PropertyDiff(
            kind=kinds.Value(change.kind.upper() + ("_REPLACE" if path in diff.replaces else "")), inputDiff=True
        )
        for path, change in diff.changes.items()
    }

    def top(paths: object) -> list[str]:
        return sorted({path.split(".")[0].split("[")[0] for path in paths})  # type: ignore[attr-defined]

    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if diff.changes else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=top(diff.changes),
        replaces=top(diff.replaces),
        detailedDiff=entries,
        hasDetailedDiff=True,
        deleteBeforeReplace=diff.delete_before_replace,
    )


def _settings(values: struct_pb2.Struct) -> Properties:
    return {key: value for key, value in plain(values).items() if key not in INTERNAL_KEYS}


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Translates the engine's requests for one package; one Provider object a connection."""

    def __init__(self, make: Callable[[], Provider]) -> None:
        self._make = make
        self._providers: OrderedDict[str, Provider] = OrderedDict()
        self._lock = threading.Lock()

    def _provider(self, context: grpc.ServicerContext) -> Provider:
        peer = context.peer()
        with self._lock:
            if peer not in self._providers:
                # an engine that was idle for half an hour comes back on a new connection without configuring it again
                previous = next(reversed(self._providers.values()), None)
                self._providers[peer] = self._make()
                self._providers[peer].__dict__.update(previous.__dict__ if previous else {})
                self._providers[peer].cancelled = threading.Event()
            while len(self._providers) > CONNECTIONS:
                self._providers.popitem(last=False)
            return self._providers[peer]

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        provider = self._make()
        provider.engine_address = request.engine_address
        with self._lock:
            self._providers[context.peer()] = provider
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._provider(context).engine_address = request.address
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        distribution = f"pulumi_{self._provider(context).package.replace('-', '_')}"
        return plugin_pb2.PluginInfo(version=metadata.version(distribution))  # the engine warns when it is not the program's own

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._provider(context).cancelled.set()
        return empty_pb2.Empty()

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        def act() -> Any:
            self._provider(context).check_config(_settings(request.news))
            return provider_pb2.CheckResponse(inputs=request.news)

        return _answer(context, act, provider_pb2.CheckResponse)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        def act() -> Any:
            olds, news = _settings(request.old_inputs), _settings(request.news)
            return _diff_response(diff_by_keys(olds, news, self._provider(context).config_replaces(olds, news)))

        return _answer(context, act)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        def act() -> Any:
            provider, config = self._provider(context), _settings(request.args)
            if is_known(config):
                provider.check_config(config)
            provider.configure(config)
            return provider_pb2.ConfigureResponse(supportsPreview=True)

        return _answer(context, act)

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        def act() -> Any:
            resource = _resource(request, seed=request.randomSeed)
            inputs = self._provider(context).check(resource, plain(request.olds), plain(request.news))
            return provider_pb2.CheckResponse(inputs=struct(inputs))

        return _answer(context, act, provider_pb2.CheckResponse)

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        def act() -> Any:
            resource = _resource(request, id=request.id, ignore_changes=tuple(request.ignoreChanges))
            olds = plain(request.old_inputs if request.HasField("old_inputs") else request.olds)
            return _diff_response(self._provider(context).diff(resource, plain(request.olds), olds, plain(request.news)))

        return _answer(context, act)

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        def act() -> Any:
            resource = _resource(request, preview=request.preview, timeout=request.timeout)
            id, outputs = self._provider(context).create(resource, plain(request.properties))
            return provider_pb2.CreateResponse(id=id, properties=struct(outputs))

        return _answer(context, act)

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        def act() -> Any:
            resource = _resource(request, id=request.id, timeout=request.timeout)
            found = self._provider(context).read(resource, plain(request.inputs), plain(request.properties))
            if found is None:
                return provider_pb2.ReadResponse()
            return provider_pb2.ReadResponse(id=request.id, inputs=struct(found[0]), properties=struct(found[1]))

        return _answer(context, act)

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        def act() -> Any:
            ignored = tuple(request.ignoreChanges)
            resource = _resource(request, id=request.id, preview=request.preview, timeout=request.timeout, ignore_changes=ignored)
            arguments = (plain(request.olds), plain(request.old_inputs), plain(request.news))
            return provider_pb2.UpdateResponse(properties=struct(self._provider(context).update(resource, *arguments)))

        return _answer(context, act)

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        def act() -> Any:
            resource = _resource(request, id=request.id, timeout=request.timeout)
            self._provider(context).delete(resource, plain(request.old_inputs), plain(request.properties))
            return empty_pb2.Empty()

        return _answer(context, act)

    def Construct(self, request: Any, context: grpc.ServicerContext) -> Any:
        def act() -> Any:
            raise self._provider(context).unsupported(request.type)

        return _answer(context, act)

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        def act() -> Any:
            answer = self._provider(context).invoke(request.tok, plain(request.args))
            return provider_pb2.InvokeResponse(**{"return": struct(answer)})

        return _answer(context, act, provider_pb2.InvokeResponse)


def _resource(request: Any, **more: Any) -> Resource:
    return Resource(type=request.type, name=request.name, urn=request.urn, **more)


def _answer(context: grpc.ServicerContext, act: Callable[[], Any], refusal: Callable[..., Any] | None = None) -> Any:
    """Run a request; turn what goes wrong into the form in which the engine keeps state and shows messages."""
    try:
        return act()
    except CheckError as error:
        failures = [provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in error.failures.items()]
        if refusal is not None:
            return refusal(failures=failures)
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except InitError as error:
        detail = provider_pb2.ErrorResourceInitFailed(
            id=error.id, properties=struct(error.outputs), reasons=error.reasons, inputs=struct(error.inputs or {})
        )
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
        status.details.add().Pack(detail)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, str(error))
    except ProviderError as error:
        context.abort(grpc.StatusCode.UNKNOWN, str(error))
    except Exception as error:
        traceback.print_exc()
        context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
    raise AssertionError("abort raises")


def serve(provider: Callable[[Cloud], Provider], cloud: Cloud, port: int) -> grpc.Server:
    """Serve one package on 127.0.0.1 in background threads; the caller keeps the server."""
    server = grpc.server(ThreadPoolExecutor(THREADS), options=GRPC_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(lambda: provider(cloud)), server)
    if not server.add_insecure_port(f"127.0.0.1:{port}"):
        raise ProviderError(f"port {port} on 127.0.0.1 is taken")
    server.start()
    return server
