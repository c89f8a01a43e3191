"""A deployed stack as its outputs describe it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import kubernetes


class OperationError(RuntimeError):
    """The operation cannot be done; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """How to reach one deployed stack."""

    stack: str
    web_ui_url: str
    admin_user: str
    admin_password: str
    namespace: str
    kubeconfig: dict[str, Any]
    cost_tags: dict[str, str]
    """Tags of every AWS resource of the stack."""
    hibernation: dict[str, Any] = field(default_factory=dict)
    """Whether the stack may sleep, and region, cluster and database that would; empty: deployed before there was such an output."""

    def __repr__(self) -> str:
        return f"Deployment(stack={self.stack!r}, web_ui_url={self.web_ui_url!r})"  # never the password or the kubeconfig

    def core_api(self) -> kubernetes.client.CoreV1Api:
        """Kubernetes core API of the stack's cluster."""
        return kubernetes.client.CoreV1Api(self._client)

    def apps_api(self) -> kubernetes.client.AppsV1Api:
        """The part of it that knows Deployments."""
        return kubernetes.client.AppsV1Api(self._client)

    @cached_property
    def _client(self) -> Any:
        # one for all: each asks AWS for a token of its own, which it renews by itself, and keeps its connections open
        return kubernetes.config.new_client_from_config_dict(self.kubeconfig)


def from_outputs(stack: str, outputs: dict[str, Any]) -> Deployment:
    """The deployment that a stack's outputs describe.

    Raises:
        OperationError: an output is missing, so the stack is not (fully) deployed.
    """
    wanted = ("web_ui_url", "admin_user", "admin_password", "namespace", "kubeconfig", "cost_tags")
    missing = [key for key in wanted if not outputs.get(key)]
    if missing:
        raise OperationError(f"stack '{stack}' is not deployed: it has no output {', '.join(missing)}; deploy it first")
    kubeconfig = outputs["kubeconfig"]
    if isinstance(kubeconfig, str):
        kubeconfig = json.loads(kubeconfig)
    known = {key: outputs[key] for key in wanted if key != "kubeconfig"}
    return Deployment(stack=stack, kubeconfig=kubeconfig, hibernation=outputs.get("hibernation") or {}, **known)


def find(stack: str) -> Deployment:
    """The deployment of a stack, read with the `pulumi` on PATH.

    Raises:
        OperationError: there is no such stack, no access to it, or it is not deployed.
    """
    return from_outputs(stack, json.loads(_pulumi(stack, "stack", "output", "--json", "--show-secrets")))


def configuration(stack: str) -> dict[str, str]:
    """Settings of a stack by their full names, as text.

    Raises:
        OperationError: there is no such stack, or no access to it.
    """
    settings = json.loads(_pulumi(stack, "config", "--json"))
    return {name: str(item.get("value", "")) for name, item in settings.items()}


def _pulumi(stack: str, *arguments: str) -> str:
    command = ["pulumi", *arguments, "--stack", stack]
    folder = os.environ.get("AIRFLOW_ON_EKS_WORKSPACE")
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    except FileNotFoundError:
        raise OperationError("no 'pulumi' on PATH; install it, or use the embedded cloud: 'make up'") from None
    if answer.returncode:
        raise OperationError(f"cannot read stack '{stack}': {answer.stderr.strip()}")
    return answer.stdout
