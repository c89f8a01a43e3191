"""Pulumi's mock engine for the unit tests: records every registration, answers look-ups from tables, and feeds the shipped stack files.

What it cannot prove: the children of `eks.Cluster` (a remote component), what a provider would refuse, replace or await, transforms and
default tags. The engine tier proves those.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import functools
import hashlib
import json
import re
import runpy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from google.protobuf import json_format, struct_pb2
from pulumi.provider.experimental.util import camel_case
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.proto import resource_pb2, source_pb2

# the parser in C, where PyYAML has it: in Python, reading the stack files again and again was a third of the unit tests' time
yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # type: ignore[misc]
yaml.SafeDumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # type: ignore[misc]

PROJECT = Path(__file__).parent.parent
NAMESPACE = "airflow-on-eks"
ACCOUNT = "123456789012"
Key = tuple[str, str]

INSTANCE_TYPES = {
    "m5.large": (2, 8192, ["x86_64"], 0),
    "m4.large": (2, 8192, ["x86_64"], 0),
    "m5a.large": (2, 8192, ["x86_64"], 0),
    "m5d.large": (2, 8192, ["x86_64"], 0),
    "m5n.large": (2, 8192, ["x86_64"], 0),
    "m5.xlarge": (4, 16384, ["x86_64"], 0),
    "c5.large": (2, 4096, ["x86_64"], 0),
    "m7g.large": (2, 8192, ["arm64"], 0),
    "m6g.large": (2, 8192, ["arm64"], 0),
    "t3.large": (2, 8192, ["i386", "x86_64"], 0),
    "g5.xlarge": (4, 16384, ["x86_64"], 1),
}
"""vCPU, MiB, architectures, GPUs: what EC2 answers for the types that tests use."""

GIT_CREDENTIALS = json.dumps({"token": "token-of-the-robot", "username": "robot"})
"""What Secrets Manager answers: a token for the repository of DAGs."""


def _instance_type(args: Mapping[str, Any]) -> dict[str, Any]:
    vcpus, memory, architectures, gpus = INSTANCE_TYPES[args["instanceType"]]
    kind = {"count": gpus, "manufacturer": "NVIDIA", "memorySize": 24576, "name": "A10G"}
    return {
        "instanceType": args["instanceType"],
        "defaultVcpus": vcpus,
        "memorySize": memory,
        "supportedArchitectures": architectures,
        "gpuses": [kind] if gpus else [],
    }


ADD_ON_VERSIONS = {"aws-efs-csi-driver": "v3.4.2-eksbuild.1", "amazon-cloudwatch-observability": "v6.2.0-eksbuild.1"}
LOOKUPS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "aws:ec2/getInstanceType:getInstanceType": _instance_type,
    "aws:eks/getAddonVersion:getAddonVersion": lambda args: {
        **args,
        "version": ADD_ON_VERSIONS.get(args["addonName"], "v1.2.3-eksbuild.1"),
    },
    "aws:index/getCallerIdentity:getCallerIdentity": lambda args: {"accountId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:user/test"},
    "aws:index/getRegion:getRegion": lambda args: {"region": "us-west-2", "name": "us-west-2", "id": "us-west-2"},
    "aws:secretsmanager/getSecretVersion:getSecretVersion": lambda args: {**args, "arn": args["secretId"], "secretString": GIT_CREDENTIALS},
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": lambda args: {
        "userName": "AWS",
        "password": "registry-password",
        "proxyEndpoint": f"https://{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com",
    },
}
OUTPUTS: dict[str, Callable[[str, Mapping[str, Any]], dict[str, Any]]] = {
    "aws:ec2/launchTemplate:LaunchTemplate": lambda name, inputs: {"latestVersion": 3, "defaultVersion": 3},
    "aws:ecr/repository:Repository": lambda name, inputs: {
        "repositoryUrl": f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com/{inputs.get('name')}"
    },
    "aws:eks/nodeGroup:NodeGroup": lambda name, inputs: {"resources": [{"autoscalingGroups": [{"name": asg_name(name)}]}]},
    "aws:rds/instance:Instance": lambda name, inputs: {
        "address": f"{inputs.get('identifier')}.c0.us-west-2.rds.amazonaws.com",
        "endpoint": f"{inputs.get('identifier')}.c0.us-west-2.rds.amazonaws.com:5432",
        "port": 5432,
    },
    "docker-build:index:Image": lambda name, inputs: {
        "digest": "sha256:" + "a" * 64,
        "ref": f"{(inputs.get('tags') or ['registry/image:tag'])[0]}@sha256:{'a' * 64}",
    },
    "eks:index:Cluster": lambda name, inputs: {
        "kubeconfig": {"kind": "Config", "cluster": inputs.get("name")},
        "kubeconfigJson": json.dumps({"kind": "Config", "cluster": inputs.get("name")}),
        "clusterSecurityGroupId": f"{name}-pulumi-eks-cluster-group",
        "nodeSecurityGroupId": f"{name}-pulumi-eks-node-group",
    },
    "kubernetes:core/v1:Service": lambda name, inputs: {
        "status": {"loadBalancer": {"ingress": [{"hostname": f"{name}.elb.us-west-2.amazonaws.com"}]}}
    },
    "random:index/randomId:RandomId": lambda name, inputs: {
        "hex": "0a1b2c3d",
        "b64Url": "ChssPQ",
        "b64Std": "ChssPQ==",
        "dec": "169552957",
    },
    "random:index/randomBytes:RandomBytes": lambda name, inputs: {"base64": base64.b64encode(random_bytes(name)).decode()},
    "random:index/randomPassword:RandomPassword": lambda name, inputs: {"result": f"generated-{name}"},
}
"""Outputs that a provider would compute, for the types whose outputs the program reads."""


def random_bytes(name: str) -> bytes:
    """The 32 bytes of a key, in these tests; in base64 they begin with +/, which are no url-safe characters."""
    return b"\xfb\xff" + hashlib.sha256(name.encode()).digest()[:30]


def asg_name(node_group: str) -> str:
    """Name of the Auto Scaling group that EKS makes for a node group, in these tests."""
    return f"eks-{node_group}-4ec2f3a1-0b6d-4f0e-9b1a-2c3d4e5f6a7b"


def eks_group(cluster: str) -> str:
    """Id of the security group that EKS itself makes, in these tests."""
    return f"{cluster}-group-made-by-eks"


def unwrapped(value: Any) -> Any:
    """A recorded input without the wrappers of secrets."""
    if isinstance(value, Mapping):
        if rpc._special_sig_key in value and "value" in value:
            return unwrapped(value["value"])
        return {key: unwrapped(item) for key, item in value.items()}
    return [unwrapped(item) for item in value] if isinstance(value, list) else value


def secrets_of(value: Any) -> Iterator[Any]:
    """The values that a recorded input wraps as secrets."""
    if isinstance(value, Mapping):
        if value.get(rpc._special_sig_key) == rpc._special_secret_sig:
            yield unwrapped(value["value"])
        for item in value.values():
            yield from secrets_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from secrets_of(item)


class Engine(pulumi.runtime.Mocks):
    """Records registrations by (type, name). Ids and ARNs derive from logical names; a look-up without an answer is an error."""

    def __init__(self) -> None:
        self.resources: dict[Key, dict[str, Any]] = {}
        """Inputs, secrets unwrapped, in order of registration."""
        self.raw: dict[Key, dict[str, Any]] = {}
        """Inputs with the wrappers of secrets."""
        self.component: Any = None
        """What `build` made."""
        self.exports: dict[str, Any] = {}
        """What the program exported, in clear; None when only a provider could know it."""
        self.secret_exports: set[str] = set()
        self.monitor = Monitor(self)
        self.lookups: list[tuple[str, dict[str, Any]]] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        inputs = unwrapped(args.inputs)
        self.resources[args.typ, args.name] = inputs
        self.raw[args.typ, args.name] = dict(args.inputs)
        arn = f"arn:aws:mock:us-west-2:{ACCOUNT}:{args.name}"
        computed = OUTPUTS.get(args.typ, lambda name, inputs: {})(args.name, inputs)
        named = {} if "name" in inputs or args.typ.startswith(("kubernetes:", "pulumi:")) else {"name": f"{args.name}-1a2b3c4"}
        return args.resource_id or f"{args.name}-id", {"arn": arn, **named, **inputs, **computed}

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        if args.token not in LOOKUPS:
            raise LookupError(f"the program asks {args.token}, for which tests/conftest.py has no answer")
        self.lookups.append((args.token, dict(args.args)))
        return LOOKUPS[args.token](args.args)

    @property
    def children(self) -> set[Key]:
        """Every resource but components and the stack: (type, name)."""
        return {key for key in self.resources if not key[0].startswith("airflow-on-eks:")}

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Name to inputs of every resource of a type."""
        return {name: inputs for (type_, name), inputs in self.resources.items() if type_ == kind}

    def request(self, kind: str, name: str) -> Any:
        """The registration itself: dependencies, ignoreChanges, protect, parent, ..."""
        return self.monitor.requests[kind, name]

    @property
    def urns(self) -> list[str]:
        """URNs, whose type chains name the parents."""
        return list(self.monitor.get_registered_resources())

    def registered_outputs(self, name: str) -> dict[str, Any]:
        """What a component registered as its outputs."""
        found = [values for urn, values in self.monitor.outputs.items() if urn.endswith(f"::{name}")]
        assert len(found) == 1, f"{len(found)} resources called {name} registered outputs"
        return found[0]


class Monitor(mocks.MockMonitor):
    """Keeps what plain mocks hide, and passes resources as ids: as references they fail at random (pulumi/pulumi#6561)."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.requests: dict[Key, Any] = {}
        self.outputs: dict[str, dict[str, Any]] = {}

    def GetDeploymentInfo(self, request: Any) -> Any:
        known = super().GetDeploymentInfo(request).supportedFeatures
        references = resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES
        return resource_pb2.DeploymentInfo(supportedFeatures=[feature for feature in known if feature != references])

    def RegisterResource(self, request: Any) -> Any:
        self.requests[request.type, request.name] = request
        response = super().RegisterResource(request)
        if request.type == "eks:index:Cluster":
            self._add_eks_cluster(request, response)
        for key in set(request.additionalSecretOutputs) & set(response.object):  # the engine's doing, which plain mocks leave out
            wrapper = struct_pb2.Struct()
            wrapper.fields[rpc._special_sig_key].string_value = rpc._special_secret_sig
            wrapper.fields["value"].CopyFrom(response.object.fields[key])
            response.object.fields[key].struct_value.CopyFrom(wrapper)
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:
        self.outputs[request.urn] = json_format.MessageToDict(request.outputs)
        return super().RegisterResourceOutputs(request)

    def _add_eks_cluster(self, request: Any, response: Any) -> None:
        # the remote component answers with a reference to its own aws.eks.Cluster, which the program reads for EKS's security group
        urn = self.make_urn(response.urn, "aws:eks/cluster:Cluster", f"{request.name}-eksCluster")
        cluster = request.object["name"]
        state = {"name": cluster, "vpcConfig": {"clusterSecurityGroupId": eks_group(cluster), "subnetIds": [], "vpcId": "vpc"}}
        self.resources[urn] = self.ResourceRegistration(urn, cluster, state)
        reference = struct_pb2.Struct()
        reference.update({rpc._special_sig_key: rpc._special_resource_sig, "urn": urn, "id": cluster})
        response.object["eksCluster"] = reference


def shipped_config(stack: str, changes: Mapping[str, Any] | None = None) -> dict[str, str]:
    """What the program sees of Pulumi.yaml and Pulumi.<stack>.yaml, with `changes` (dotted names) as if set by `pulumi config set --path`.

    The engine merges defaults into the sections of the stack file, where it turns texts that look like numbers or truths into such, and
    hands objects over as JSON.
    """
    declared, given = _config_of("Pulumi.yaml"), _config_of(f"Pulumi.{stack}.yaml")
    values: dict[str, Any] = {key.removeprefix(f"{NAMESPACE}:"): value for key, value in copy.deepcopy(given).items()}
    values["preflight"] = "skip"  # mocks have no AWS to ask
    for dotted, value in (changes or {}).items():
        _put(values, dotted, value, over=True)
    for dotted, declaration in declared.items():
        default = declaration["default"]
        if isinstance(default, str) and "." in dotted and re.fullmatch(r"0|[1-9]\d*|true|false", default):
            default = json.loads(default)
        _put(values, dotted, default, over=False)
    return {
        key if ":" in key else f"{NAMESPACE}:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()
    }


@functools.cache
def _config_of(file: str) -> dict[str, Any]:
    return dict(yaml.safe_load((PROJECT / file).read_text())["config"])


def _put(values: dict[str, Any], dotted: str, value: Any, *, over: bool) -> None:
    *sections, leaf = dotted.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            return
    if over or leaf not in values:
        values[leaf] = value


@pytest.fixture(autouse=True)
def _event_loops(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Pulumi makes event loops, one for each thread that the mock monitor answers in, and leaves them and the failures in them (each is
    # raised once already) to the garbage collector, which reports them at some later, unrelated moment
    made: list[asyncio.AbstractEventLoop] = []
    new_event_loop = asyncio.new_event_loop

    def remembered() -> asyncio.AbstractEventLoop:
        made.append(new_event_loop())
        made[-1].set_exception_handler(lambda loop, context: None)
        return made[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", remembered)
    asyncio.set_event_loop(remembered())
    yield
    asyncio.set_event_loop(None)
    for loop in made:
        loop.close()


@pytest.fixture(params=[False, True], ids=["up", "preview"])
def preview(request: pytest.FixtureRequest) -> bool:
    """Whether the mock engine previews: outputs that only a provider knows are then unknown."""
    return bool(request.param)


only_up = pytest.mark.parametrize("preview", [False], indirect=True, ids=["up"])
"""For what a preview builds in the same way: each component is previewed by other tests, each option by the engine's."""


def run_program(make: Callable[[], Any], *, stack: str, preview: bool, config: Mapping[str, str] | None = None) -> Engine:
    """Run a program to its end and return what it registered."""
    engine = Engine()
    pulumi.runtime.resource._get_stack_trace = source_pb2.StackTrace  # where a resource was made: a sixth of the time, read by no test
    settings.set_root_resource(None)  # else the first test's stack, and its event loop, would be every later test's
    pulumi.runtime.set_mocks(engine, project=NAMESPACE, stack=stack, preview=preview, monitor=engine.monitor)
    pulumi.runtime.set_all_config(dict(config or {}))

    @pulumi.runtime.test
    def drain() -> pulumi.Output[None]:
        engine.component = make()
        root = settings.get_root_resource()
        return pulumi.Output.from_input(_exported(engine, root.outputs if root is not None else {}))

    drain()
    return engine


async def _exported(engine: Engine, outputs: Mapping[str, Any]) -> None:
    for name, value in outputs.items():
        output = pulumi.Output.from_input(value)
        engine.exports[name] = await output.future()
        if await output.is_secret():
            engine.secret_exports.add(name)


def built_once(recipe: Callable[..., Callable[[], Any]]) -> Callable[..., Callable[[], Any]]:
    """Mark a recipe of a component: what `build` makes of it is kept for later tests that ask for the same arguments."""

    @functools.wraps(recipe)
    def remembered(*args: Any, **changes: Any) -> Callable[[], Any]:
        make = recipe(*args, **changes)
        key = repr((recipe.__module__, recipe.__qualname__, args, sorted(changes.items())))
        if " at 0x" not in key:  # an address may be another object's tomorrow
            vars(make)["key"] = key
        return make

    return remembered


@pytest.fixture
def build(preview: bool) -> Callable[..., Engine]:
    """Build one component, in an update and in a preview; `again` builds it anew though its recipe is marked as built once."""

    def build(make: Callable[[], Any], *, again: bool = False) -> Engine:
        key = (vars(make).get("key"), preview)
        if key[0] is None or again:
            return run_program(make, stack="dev", preview=preview)
        if key not in _builds:
            _builds[key] = run_program(make, stack="dev", preview=preview)
        return _builds[key]

    return build


_builds: dict[tuple[Any, bool], Engine] = {}


@pytest.fixture
def run_main() -> Callable[..., Engine]:
    """Run the whole program with a shipped stack file, and changes to it; what a run registered is kept for later tests."""

    def run(stack: str, changes: Mapping[str, Any] | None = None, *, preview: bool = False) -> Engine:
        key = (stack, preview, json.dumps(changes, sort_keys=True))
        if key not in _runs:
            _runs[key] = run_program(
                lambda: runpy.run_path(str(PROJECT / "__main__.py"), run_name="__main__"),
                stack=stack,
                preview=preview,
                config=shipped_config(stack, changes),
            )
        return _runs[key]

    return run


_runs: dict[tuple[str, bool, str], Engine] = {}


def foreign(value: Any) -> Any:
    """A component's arguments as programs in other languages give them: names in camel case, no None, every number a float."""
    if is_dataclass(value):
        given = {camel_case(field.name): foreign(getattr(value, field.name)) for field in fields(value)}
        return {name: item for name, item in given.items() if item is not None}
    if isinstance(value, (tuple, list)):
        return [foreign(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


@pytest.fixture
def tags() -> dict[str, str]:
    """A stack's cost tags."""
    return {"Project": NAMESPACE, "Stack": "dev", "Environment": "dev", "Owner": "data", "CostCenter": "42", "ManagedBy": "pulumi"}
