"""A small Kubernetes client: what a kubeconfig says, which kinds the server has, and one request."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
import yaml

from embedded.providers.provider import ProviderError

Object = dict[str, Any]
EXEC_SECONDS = 60
PATIENCE = urllib3.Timeout(connect=10, read=60)
CONNECTIONS = 64
"""Kept open: as many as requests of the engine can be in flight."""
_tokens: dict[str, tuple[str, datetime]] = {}
_tokens_lock = threading.Lock()


class Unreachable(ProviderError):
    """The API server does not answer."""


class ApiError(ProviderError):
    """The API server refused a request."""

    def __init__(self, code: int, status: Object) -> None:
        super().__init__(status.get("message") or json.dumps(status))
        self.code = code
        self.reason = str(status.get("reason", ""))


@dataclass(frozen=True)
class Kind:
    """How the server addresses the objects of a kind."""

    path: str
    plural: str
    namespaced: bool

    def url(self, namespace: str = "", name: str = "") -> str:
        """Path of one object, or of the collection when there is no name."""
        place = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{self.path}{place}/{self.plural}{f'/{name}' if name else ''}"


class Api:
    """One cluster as one user sees it."""

    def __init__(self, kubeconfig: str, context: str = "", cluster: str = "") -> None:
        content = _load(kubeconfig)
        chosen = _named(content, "context", context or content.get("current-context", ""))
        self.server, options = _cluster(_named(content, "cluster", cluster or chosen["cluster"]))
        self.namespace = chosen.get("namespace") or "default"
        self._user = _named(content, "user", chosen["user"])
        certificate, key = (_data(self._user, name) for name in ("client-certificate", "client-key"))
        if certificate and key:
            with tempfile.NamedTemporaryFile("w") as pair:  # only files can be loaded
                pair.write(f"{certificate}\n{key}")
                pair.flush()
                options.load_cert_chain(pair.name)
        self._http = urllib3.PoolManager(maxsize=CONNECTIONS, ssl_context=options, retries=False, timeout=PATIENCE)
        self._kinds: dict[str, dict[str, Kind]] = {}

    def request(self, method: str, path: str, query: dict[str, str] | None = None, body: Any = None, content: str = "json") -> Any:
        """One request; the answer as Python, or as text for a log.

        Raises:
            ApiError: the server refused it.
            Unreachable: it does not answer.
        """
        try:
            return self._request(method, path, query, body, content)
        except ApiError as error:
            if error.code != 401 or "exec" not in self._user:
                raise
            _forget_token(self._user["exec"])  # the cluster was made anew, or the token ended early
            return self._request(method, path, query, body, content)

    def _request(self, method: str, path: str, query: dict[str, str] | None, body: Any, content: str) -> Any:
        url = f"{self.server}{path}?{urlencode(query)}" if query else f"{self.server}{path}"
        headers = {"Accept": "application/json, */*", "Content-Type": f"application/{content}"} | self._authorization()
        try:
            answer = self._http.request(method, url, headers=headers, body=None if body is None else json.dumps(body))
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"the Kubernetes API server at {self.server} does not answer: {error}") from error
        text = answer.data.decode(errors="replace")
        parsed = json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text
        if answer.status >= 400:
            raise ApiError(answer.status, parsed if isinstance(parsed, dict) else {"message": f"HTTP {answer.status}: {text[:500]}"})
        return parsed

    def find(self, path: str) -> Object | None:
        """The object at a path, None when there is none."""
        try:
            found: Object = self.request("GET", path)
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        return found

    def items(self, path: str, **query: str) -> list[Object]:
        """The objects of a collection, selected by `labelSelector` or `fieldSelector`."""
        found: list[Object] = self.request("GET", path, query).get("items") or []
        return found

    def kind(self, api_version: str, name: str) -> Kind | None:
        """The kind as the server knows it; None when it does not. What was not there is looked up again: it may have been installed."""
        if name not in self._kinds.get(api_version, {}):
            path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
            listing = self.find(path) or {}
            self._kinds[api_version] = {
                item["kind"]: Kind(path, item["name"], item["namespaced"])
                for item in listing.get("resources", [])
                if "/" not in item["name"]
            }
        return self._kinds[api_version].get(name)

    def _authorization(self) -> dict[str, str]:
        token = self._user.get("token") or ("exec" in self._user and _exec_token(self._user["exec"]))
        return {"Authorization": f"Bearer {token}"} if token else {}


def _load(kubeconfig: str) -> Object:
    text = kubeconfig if "\n" in kubeconfig or "{" in kubeconfig else Path(kubeconfig).expanduser().read_text()
    content = yaml.safe_load(text)
    if not isinstance(content, dict) or not content.get("clusters"):
        raise ProviderError("the kubeconfig names no cluster")
    return content


def active_server(kubeconfig: str) -> str:
    """Address that a kubeconfig leads to: what makes it another cluster."""
    content = _load(kubeconfig)
    return str(_named(content, "cluster", _named(content, "context", content.get("current-context", ""))["cluster"]).get("server"))


def _named(content: Object, what: str, name: str) -> Object:
    for item in content.get(f"{what}s") or []:
        if item.get("name") == name:
            return item.get(what) or {}
    raise ProviderError(f"the kubeconfig has no {what} '{name}'")


def _data(entry: Object, name: str) -> str:
    if entry.get(f"{name}-data"):
        return base64.b64decode(entry[f"{name}-data"]).decode()
    return Path(entry[name]).read_text() if entry.get(name) else ""


def _cluster(entry: Object) -> tuple[str, ssl.SSLContext]:
    options = ssl.create_default_context(cadata=_data(entry, "certificate-authority") or None)
    return str(entry["server"]).rstrip("/"), options


def _exec_token(spec: Object) -> str:
    """The bearer token that the user's program prints, kept until shortly before it ends."""
    key = json.dumps(spec, sort_keys=True)
    with _tokens_lock:
        token, until = _tokens.get(key, ("", datetime.min.replace(tzinfo=UTC)))
        if datetime.now(UTC) < until:
            return token
        command = [spec["command"], *(spec.get("args") or [])]
        environment = {item["name"]: item["value"] for item in spec.get("env") or []}
        info = {"apiVersion": spec["apiVersion"], "kind": "ExecCredential", "spec": {"interactive": False}}
        environment["KUBERNETES_EXEC_INFO"] = json.dumps(info)
        try:
            run = subprocess.run(
                command,
                env=os.environ | environment,
                capture_output=True,
                text=True,
                timeout=EXEC_SECONDS,
                check=True,
                stdin=subprocess.DEVNULL,
            )
            status = json.loads(run.stdout)["status"]
        except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
            output = getattr(error, "stderr", None) or ""
            raise ProviderError(f"no token for the cluster: '{' '.join(command)}' failed: {output.strip() or error}") from error
        end = status.get("expirationTimestamp")
        lifetime = datetime.fromisoformat(end) - timedelta(minutes=1) if end else datetime.now(UTC) + timedelta(minutes=5)
        _tokens[key] = status["token"], lifetime
        return str(status["token"])


def _forget_token(spec: Object) -> None:
    with _tokens_lock:
        _tokens.pop(json.dumps(spec, sort_keys=True), None)
