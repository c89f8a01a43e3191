"""The `eks` package: `eks:index:Cluster`, whose children the `aws` provider then creates.

Clusters without a default node group and with access entries are supported; what else the real component can do is refused by name.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
from importlib import metadata
from typing import Any

import grpc
import pulumi
from google.protobuf import empty_pb2
from pulumi.provider import ConstructResult
from pulumi.provider import Provider as ComponentProvider
from pulumi.provider.server import ProviderServicer
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from embedded.providers.eks_cluster import Cluster
from embedded.providers.eks_inputs import Inputs, check_inputs
from embedded.providers.properties import diff_by_keys
from embedded.providers.provider import ProviderError
from embedded.providers.server import GRPC_OPTIONS, diff_response, settings


class EksProvider(ComponentProvider):
    """Makes the component; its children are other providers' work."""

    def __init__(self) -> None:
        super().__init__(metadata.version("pulumi_eks"))

    def construct(self, name: str, resource_type: str, inputs: Inputs, options: pulumi.ResourceOptions | None = None) -> ConstructResult:
        """Make the component or refuse it."""
        if resource_type != "eks:index:Cluster":
            raise ProviderError(f"{resource_type} is not supported by the embedded eks provider: use the aws package's own resource")
        check_inputs(inputs)
        if shutil.which("aws") is None:
            raise ProviderError("Could not find aws CLI for EKS; it is among the project's requirements (awscli)")
        cluster = Cluster(name, inputs, options or pulumi.ResourceOptions())
        return ConstructResult(cluster.urn, cluster.outputs)


class Servicer(ProviderServicer):
    """The SDK's server of components, for an engine that attaches instead of starting it."""

    def __init__(self) -> None:
        super().__init__(EksProvider(), [], "")
        self._engines: dict[str, str] = {}
        self._turn = asyncio.Lock()  # the SDK keeps the deployment it works for in process-wide settings

    async def Handshake(self, request: Any, context: Any) -> Any:
        """Remember where this engine listens; the answer's defaults say: no secrets, references or outputs as such."""
        self._engines[context.peer()] = request.engine_address
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True, accept_outputs=True)

    async def Attach(self, request: Any, context: Any) -> Any:
        """The same, for an engine that attaches."""
        self._engines[context.peer()] = request.address
        return empty_pb2.Empty()

    async def CheckConfig(self, request: Any, context: Any) -> Any:
        """Is the configuration understood?"""
        return provider_pb2.CheckResponse(inputs=request.news)

    async def DiffConfig(self, request: Any, context: Any) -> Any:
        """Does another configuration mean another world?"""
        return diff_response(diff_by_keys(settings(request.old_inputs), settings(request.news), set()))

    async def Construct(self, request: Any, context: Any) -> Any:
        """Make the component: one at a time."""
        async with self._turn:
            self.engine_address = self._engines.get(context.peer(), "")
            try:
                return await self._construct(request, context)
            except ProviderError as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


def serve(port: int) -> None:
    """Serve the package on 127.0.0.1 in a background thread that ends with the process."""
    listening = threading.Event()

    async def run() -> None:
        server = grpc.aio.server(options=GRPC_OPTIONS)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(), server)
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        listening.set()
        await server.wait_for_termination()

    threading.Thread(target=lambda: asyncio.run(run()), daemon=True, name="eks").start()
    if not listening.wait(60):
        raise ProviderError(f"port {port} on 127.0.0.1 is taken")
