"""`python -m embedded.providers`: serve every provider of the cloud whose state folder is in the environment, until SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading

from embedded.cloud import load
from embedded.providers import eks, provider_port, server
from embedded.providers.aws import AwsProvider
from embedded.providers.docker_build import DockerBuildProvider
from embedded.providers.kubernetes import KubernetesProvider
from embedded.providers.random import RandomProvider

PROVIDERS: dict[str, type[server.Provider]] = {
    "aws": AwsProvider,
    "kubernetes": KubernetesProvider,
    "random": RandomProvider,
    "docker-build": DockerBuildProvider,
}


def main() -> None:
    """Serve until told to stop."""
    cloud = load()
    if cloud is None:
        sys.exit("no embedded cloud here; start one with 'make cloud'")
    servers = [server.serve(provider, cloud, provider_port(cloud, package)) for package, provider in PROVIDERS.items()]
    eks.serve(provider_port(cloud, "eks"))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    for each in servers:
        each.stop(grace=None)
    os._exit(0)  # requests that wait for something must not keep the process


if __name__ == "__main__":
    main()
