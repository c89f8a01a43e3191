"""What a provider is, whatever its package: the requests it answers with plain dictionaries, and the errors it may raise."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from embedded.cloud import Cloud
from embedded.providers.properties import Diff, Properties, compare


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
