"""The gRPC side that every provider here shares: plain dictionaries in, plain dictionaries out, and errors a person can act on.

The engine attaches to a running provider once per provider *resource* (the default one, each explicit one) and requests do not say which
one they mean. Connections do: each has its own `Provider` object, which is configured once. Secrets are not accepted, so the engine keeps
track of them itself and marks the outputs of secret inputs.
"""

from __future__ import annotations

import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from embedded.cloud import Cloud
from embedded.providers.properties import UNKNOWN, Change, Diff, Properties, compare, covers, decoded, diff_by_keys, is_known, plain, struct
from embedded.providers.provider import CheckError, InitError, Provider, ProviderError, Resource

__all__ = [
    "UNKNOWN",
    "Change",
    "CheckError",
    "Diff",
    "InitError",
    "Properties",
    "Provider",
    "ProviderError",
    "Resource",
    "compare",
    "covers",
    "decoded",
    "diff_by_keys",
    "is_known",
    "plain",
    "serve",
    "struct",
]
THREADS = 64
"""Requests in flight per provider: each waits for its resource, so this is how many resources can be in the making at once."""
CONNECTIONS = 256
GRPC_OPTIONS = (("grpc.max_receive_message_length", 400 * 1024 * 1024), ("grpc.max_send_message_length", 400 * 1024 * 1024))
INTERNAL_KEYS = {"version", "pluginDownloadURL", "__internal", "__defaults"}


def diff_response(diff: Diff) -> provider_pb2.DiffResponse:
    """The engine's form of a diff."""
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


def settings(values: struct_pb2.Struct) -> Properties:
    """A provider's configuration without what the engine adds to it."""
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
        """Remember where this engine listens; the answer's defaults say: no secrets, references or outputs as such."""
        provider = self._make()
        provider.engine_address = request.engine_address
        with self._lock:
            self._providers[context.peer()] = provider
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The same, for an engine that attaches."""
        self._provider(context).engine_address = request.address
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Version of the program's own SDK."""
        distribution = f"pulumi_{self._provider(context).package.replace('-', '_')}"
        return plugin_pb2.PluginInfo(version=metadata.version(distribution))  # the engine warns when it is not the program's own

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The person interrupted the run."""
        self._provider(context).cancelled.set()
        return empty_pb2.Empty()

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Is the configuration understood?"""

        def act() -> Any:
            self._provider(context).check_config(settings(request.news))
            return provider_pb2.CheckResponse(inputs=request.news)

        return _answer(context, act, provider_pb2.CheckResponse)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Does another configuration mean another world?"""

        def act() -> Any:
            olds, news = settings(request.old_inputs), settings(request.news)
            return diff_response(diff_by_keys(olds, news, self._provider(context).config_replaces(olds, news)))

        return _answer(context, act)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Take the configuration."""

        def act() -> Any:
            provider, config = self._provider(context), settings(request.args)
            if is_known(config):
                provider.check_config(config)
            provider.configure(config)
            return provider_pb2.ConfigureResponse(supportsPreview=True)

        return _answer(context, act)

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Are the inputs understood?"""

        def act() -> Any:
            resource = _resource(request, seed=request.randomSeed)
            inputs = self._provider(context).check(resource, plain(request.olds), plain(request.news))
            return provider_pb2.CheckResponse(inputs=struct(inputs))

        return _answer(context, act, provider_pb2.CheckResponse)

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        """What changes, and how?"""

        def act() -> Any:
            resource = _resource(request, id=request.id, ignore_changes=tuple(request.ignoreChanges))
            olds = plain(request.old_inputs if request.HasField("old_inputs") else request.olds)
            return diff_response(self._provider(context).diff(resource, plain(request.olds), olds, plain(request.news)))

        return _answer(context, act)

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Make, or foresee, a resource."""

        def act() -> Any:
            resource = _resource(request, preview=request.preview, timeout=request.timeout)
            id, outputs = self._provider(context).create(resource, plain(request.properties))
            return provider_pb2.CreateResponse(id=id, properties=struct(outputs))

        return _answer(context, act)

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        """How a resource really is."""

        def act() -> Any:
            resource = _resource(request, id=request.id, timeout=request.timeout)
            found = self._provider(context).read(resource, plain(request.inputs), plain(request.properties))
            if found is None:
                return provider_pb2.ReadResponse()
            return provider_pb2.ReadResponse(id=request.id, inputs=struct(found[0]), properties=struct(found[1]))

        return _answer(context, act)

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Change, or foresee the change of, a resource."""

        def act() -> Any:
            ignored = tuple(request.ignoreChanges)
            resource = _resource(request, id=request.id, preview=request.preview, timeout=request.timeout, ignore_changes=ignored)
            arguments = (plain(request.olds), plain(request.old_inputs), plain(request.news))
            return provider_pb2.UpdateResponse(properties=struct(self._provider(context).update(resource, *arguments)))

        return _answer(context, act)

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Remove a resource."""

        def act() -> Any:
            resource = _resource(request, id=request.id, timeout=request.timeout)
            self._provider(context).delete(resource, plain(request.old_inputs), plain(request.properties))
            return empty_pb2.Empty()

        return _answer(context, act)

    def Construct(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Make a component: none of these packages has any."""

        def act() -> Any:
            raise self._provider(context).unsupported(request.type)

        return _answer(context, act)

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer a function call."""

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
