"""The providers of the embedded cloud, which the real Pulumi engine uses in place of the ones that talk to AWS."""

from __future__ import annotations

import os
import socket
import sys

from embedded import processes
from embedded.cloud import PROJECT, PROVIDER_PORTS, Cloud

NAME = "providers"
"""Under which the process is known to `embedded.processes`."""


def provider_port(cloud: Cloud, package: str) -> int:
    """Where a package listens on 127.0.0.1, the only address the engine looks at; clouds side by side have ports of their own."""
    return PROVIDER_PORTS[package] + 10 * (cloud.index - 1)


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start_providers(cloud: Cloud) -> None:
    """Start the process that serves every provider; one that runs is kept."""
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY"), "localhost", "127.0.0.1", cloud.loopback, cloud.gateway]))
    environment = cloud.aws_environment | {
        "PYTHONPATH": str(PROJECT),
        "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",  # for `aws eks get-token`
        "NO_PROXY": direct,
        "no_proxy": direct,
    }
    processes.start(
        cloud,
        NAME,
        # a profile or session of the user's own must not reach `aws eks get-token`
        ["env", "-u", "AWS_PROFILE", "-u", "AWS_SESSION_TOKEN", sys.executable, "-m", "embedded.providers"],
        environment=environment,
        cwd=PROJECT,
        ready=lambda: all(_listening(provider_port(cloud, package)) for package in PROVIDER_PORTS),
        seconds=90,
    )
