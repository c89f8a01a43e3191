"""The embedded AWS: moto's server on loopback, made stricter and completed.

Every request is read with botocore's service model first, so that unknown enum values are refused as AWS refuses them, operations moto
lacks (`aws_eks`, `aws_extra`) are answered in the right protocol, and failures can be injected. It also authenticates `aws eks get-token`
tokens for the Kubernetes API server, and lists everything that exists, which is how a destroyed stack proves that it left nothing.
"""

from __future__ import annotations

import io
import json
import re
import sys
import threading
import traceback
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from botocore.model import OperationNotFoundError
from moto.core.exceptions import ServiceException
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request
from moto.core.routing import get_service_router
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.exceptions import Forbidden, NotFound
from werkzeug.serving import make_server

from embedded import aws_eks, aws_extra, aws_token, cloud, pki, pod_identity, processes
from embedded.aws_checks import BEFORE
from embedded.aws_inventory import inventory
from embedded.aws_records import CALLER_ARN, error
from embedded.cloud import ACCOUNT_ID, AWS_PORT, PROJECT, Cloud, CloudError

SIGNING_NAMES = {
    "elasticfilesystem": "efs",
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "tagging": "resourcegroupstaggingapi",
}
"""Where the name in a request's signature is not the service's name in botocore."""
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


@dataclass(frozen=True)
class Call:
    """One AWS request, understood."""

    access_key: str
    service: str
    operation: str
    params: dict[str, Any]
    model: Any
    protocol: str


@dataclass
class Fault:
    """A failure that the next calls of an operation get."""

    code: str
    message: str
    left: int


@dataclass
class Api:
    """The WSGI application."""

    cloud: Cloud
    moto: Any = field(default_factory=lambda: DomainDispatcherApplication(create_backend_app))
    faults: dict[str, Fault] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    """How often each operation was called since the start."""
    # moto's records are plain dictionaries; one request at a time keeps their iteration safe
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one HTTP request."""
        path = environ.get("PATH_INFO", "")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        pod = environ.get(pod_identity.SESSION)
        if path == pki.TRUST_STORE_PATH:
            start_response("200 OK", [("Content-Type", "application/x-pem-file")])
            return [pki.ca(self.cloud)[0].read_bytes()]
        with self.lock:
            if path.startswith(("/embedded/", "/kubernetes/")) and pod is None:
                return self._own(path, body, start_response)
            call = understand(environ)
            environ["wsgi.input"] = io.BytesIO(body)
            if call is None:
                return list((self.moto if pod is None else Forbidden())(environ, start_response))
            return self._aws(call, environ, start_response)

    def _own(self, path: str, body: bytes, start_response: StartResponse) -> Iterable[bytes]:
        routes: dict[str, Callable[[Any], Any]] = {
            "/embedded/health": lambda _: {"ready": True},
            "/embedded/inventory": lambda _: inventory(self.cloud),
            "/embedded/calls": lambda _: self.calls,
            "/embedded/faults": self._set_fault,
            "/embedded/serve-pods": lambda _: pod_identity.listen(self.cloud, self.__call__),
            "/kubernetes/token": lambda review: aws_token.review(self.cloud, review),
        }
        route = routes.get(path)
        answer = route(json.loads(body or b"{}")) if route else {"error": f"no {path}; there are {', '.join(routes)}"}
        refused = isinstance(answer, dict) and "error" in answer
        start_response("400 Bad Request" if refused else "200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer, default=str).encode()]

    def _set_fault(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """`{"service": "ec2", "operation": "CreateVpc", "code": "Throttling", "count": 3}`; "*" is every one, `{}` clears all."""
        if not wanted:
            self.faults.clear()
            return {}
        service, _, operation = str(wanted["operation"]).rpartition(":")
        service = wanted.get("service", service)
        if service != "*" and operation != "*" and operation not in get_service_model(service).operation_names:
            return {"error": f"AWS has no operation {service}:{operation}"}
        name = "*" if service == "*" else f"{service}:{operation}"
        self.faults[name] = Fault(wanted["code"], wanted.get("message", "injected failure"), int(wanted.get("count", 1)))
        return {name: fault.left for name, fault in self.faults.items()}

    def _aws(self, call: Call, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        name = f"{call.service}:{call.operation}"
        self.calls[name] = self.calls.get(name, 0) + 1
        try:
            for key in (name, f"{call.service}:*", "*"):
                fault = self.faults.get(key)
                if fault and fault.left > 0:
                    fault.left -= 1
                    raise error(fault.code, fault.message)
            check_enums(call)
            if pod_identity.SESSION in environ:
                pod_identity.authorize(self.cloud, call, environ[pod_identity.SESSION])
            for check in BEFORE.get(name, ()):
                check(self.cloud, call.params)
            handler = aws_eks.OPERATIONS.get(name) or aws_extra.OPERATIONS.get(name)
            if handler:
                return answer(call, handler(self.cloud, call.params), start_response)
            if name == "sts:GetCallerIdentity" and call.access_key == aws_token.CALLER_KEY:
                identity = {"UserId": "AIDAEMBEDDED", "Account": ACCOUNT_ID, "Arn": CALLER_ARN}
                return answer(call, identity, start_response)
            if call.service == "eks":
                raise error("InvalidRequestException", f"the embedded AWS has no {name}; it only works on AWS")
            statuses: list[str] = []

            def remember(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                statuses.append(status)
                return start_response(status, headers, *rest)

            content = list(self.moto(environ, remember))
            if statuses[0].startswith("2"):
                for act in aws_extra.AFTER.get(name, ()):
                    act(self.cloud, call.params)
            return content
        except ServiceException as refusal:
            return answer(call, refusal, start_response)
        except Exception as problem:  # our own defect: say so where the caller sees it
            traceback.print_exc()
            failure = error("InternalFailure", f"{name}: {type(problem).__name__}: {problem}")
            return answer(call, failure, start_response)


def understand(environ: dict[str, Any]) -> Call | None:
    """Which operation of which service a signed request is, and its parameters; None when botocore does not know it."""
    found = re.search(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/aws4_request", environ.get("HTTP_AUTHORIZATION", ""))
    if found is None:
        return None
    access_key, signed_for = found.groups()
    service = SIGNING_NAMES.get(signed_for, signed_for)
    try:
        model = get_service_model(service)
        request = Request(environ)
        target = request.headers.get("X-Amz-Target", "")
        protocol = model.metadata["protocol"]
        if protocol not in PROTOCOL_PARSERS:  # the newest of several that a service speaks, which SDKs do not use here
            protocol = "json" if target else "query"
        name, url_params = request.values.get("Action") or target.rpartition(".")[2], {}
        if not name:
            operation, url_params = get_service_router(service).match(request)
            name = operation.name
        operation = model.operation_model(name)
    except (OperationNotFoundError, NotFound, NotImplementedError, LookupError, ValueError):
        return None
    parser = PROTOCOL_PARSERS[protocol](operation)
    values = {"method": request.method, "values": request.values, "headers": request.headers, "body": request.data}
    params = parser.parse(values | {"url_path": request.path, "url_params": url_params})
    return Call(access_key, service, name, params, operation, protocol)


def answer(call: Call, result: Any, start_response: StartResponse) -> Iterable[bytes]:
    """Send a result, or an error, in the service's own protocol."""
    serializer = get_serializer_class(call.service, call.protocol)(call.model)
    response = serializer.serialize(result)
    if isinstance(result, ServiceException) and result.code in STATUSES:
        response["status_code"] = STATUSES[result.code]
    body = response["body"] if isinstance(response["body"], bytes) else response["body"].encode()
    start_response(f"{response['status_code']} {'OK' if response['status_code'] < 300 else 'Error'}", list(response["headers"].items()))
    return [body]


STATUSES = {"RequestLimitExceeded": 503, "Throttling": 400, "ServiceUnavailable": 503, "InternalFailure": 500} | dict.fromkeys(
    ("AccessDenied", "InvalidAccessKeyId"), 403
)
"""Codes that belong to no operation's model, with their HTTP status."""


def check_enums(call: Call) -> None:
    """Refuse values that AWS's own model does not list. SDKs send them unchecked."""
    wrong = list(_wrong_enums(call.params, call.model.input_shape, ""))
    if wrong:
        code = "InvalidParameterException" if call.service == "eks" else "InvalidParameterValue"
        raise error(code, f"{call.service}:{call.operation}: {'; '.join(wrong)}")


def _wrong_enums(value: Any, shape: Any, path: str) -> Iterable[str]:
    if shape is None or value is None:
        return
    if shape.type_name == "structure":
        for name, item in value.items():
            yield from _wrong_enums(item, shape.members.get(name), f"{path}.{name}" if path else name)
    elif shape.type_name == "list":
        for index, item in enumerate(value):
            yield from _wrong_enums(item, shape.member, f"{path}[{index}]")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from _wrong_enums(item, shape.value, f"{path}.{key}")
    elif shape.type_name == "string" and shape.enum and value not in shape.enum:
        known = f"one of {', '.join(shape.enum)}" if len(shape.enum) <= 30 else f"one of {len(shape.enum)} that AWS lists"
        yield f"{path} is '{value}', which is not {known}"


def start_aws_api(cloud: Cloud) -> None:
    """Start the embedded AWS in its own process and wait until it answers; a running one is kept."""
    address = f"{cloud.aws_endpoint}/embedded/health"

    def ready() -> bool:
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    command = [sys.executable, "-m", "embedded.aws_api"]
    environment = cloud.aws_environment | {"PYTHONUNBUFFERED": "1", "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
    processes.start(cloud, "aws-api", command, environment=environment, cwd=PROJECT, ready=ready)


def stop_aws_api(cloud: Cloud) -> None:
    """Stop the embedded AWS; its records are gone, as they live in its memory."""
    processes.stop(cloud, "aws-api")


def main() -> None:
    """Serve the cloud whose state folder the environment names."""
    here = cloud.load()
    if here is None:
        raise CloudError("there is no embedded cloud in this clone; run 'make up'")
    aws_extra.prepare(here)
    pod_identity.read_conditions_of_buckets()
    server = make_server(here.loopback, AWS_PORT, Api(here), threaded=True, request_handler=MotoRequestHandler)
    print(f"embedded AWS on {here.aws_endpoint}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
