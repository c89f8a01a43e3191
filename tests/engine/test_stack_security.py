"""What protects a deployed stack, asked of the API server itself (rows A22, B3, B4, B15, C5).

Nodes are simulated: what a running process could reach or read is the e2e tier's to prove, and packets are nobody's to drop here.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from components.airflow_config import ON_DEMAND_TEMPLATE_FILE, POD_TEMPLATE_FILE
from components.placement_plan import planned_pods
from embedded.cloud import PROJECT
from embedded.engine import Progress
from policies.check import examine
from tests import canaries
from tests.engine.conftest import IMAGE, Engine

NAMESPACE = "airflow"
NOBODY = "nobody-in-particular"
"""An account without any binding: what it may do, everybody may."""
CANNOT_BE_DECIDED = {"rds-verified-tls"}
"""Rules about secrets, which a plan hides for good."""


@pytest.fixture(scope="module")
def api(engine: Engine, deployed: Progress) -> client.ApiClient:
    return canaries.administrator(engine.cloud)


@pytest.fixture(scope="module")
def worker(api: client.ApiClient) -> dict[str, Any]:
    """Airflow's template of the pods that run tasks, as it lies in the cluster."""
    template = client.CoreV1Api(api).read_namespaced_config_map("airflow-worker-pod", NAMESPACE).data.values()
    pod: dict[str, Any] = yaml.safe_load(next(iter(template)))
    return pod


def _admission(api: client.ApiClient, pod: Mapping[str, Any]) -> str:
    """What admission says of a pod that is not kept; empty when it is welcome."""
    try:
        client.CoreV1Api(api).create_namespaced_pod(NAMESPACE, pod, dry_run="All")
    except client.ApiException as error:
        return str(json.loads(error.body)["message"])
    return ""


def test_b4_the_api_server_accepts_every_pod_of_the_stack(deployed: Progress, api: client.ApiClient) -> None:
    planned = planned_pods(deployed.plan)
    assert {pod.worker for pod in planned} == {True, False}
    for pod in planned:
        spec = json.loads(json.dumps(pod.spec))
        for container in spec["containers"]:
            container.setdefault("image", IMAGE)  # as the executor does with the templates of tasks
        assert _admission(api, {"metadata": {"generateName": "admission-"}, "spec": spec}) == "", pod.name
    running = client.CoreV1Api(api).list_namespaced_pod(NAMESPACE).items
    names = Counter(pod.metadata.labels["component"] for pod in running if pod.status.phase == "Running")
    assert set(names) == {"api-server", "scheduler", "dag-processor", "triggerer"}, "and really made them"


def _root(spec: dict[str, Any]) -> None:
    spec["securityContext"] |= {"runAsNonRoot": False, "runAsUser": 0}


def _root_container(spec: dict[str, Any]) -> None:
    spec["containers"][0]["securityContext"]["runAsUser"] = 0


def _privileged(spec: dict[str, Any]) -> None:
    spec["containers"][0]["securityContext"] |= {"privileged": True, "allowPrivilegeEscalation": True}


def _capable(spec: dict[str, Any]) -> None:
    spec["containers"][0]["securityContext"]["capabilities"] = {"add": ["NET_ADMIN"], "drop": ["ALL"]}


def _unconfined(spec: dict[str, Any]) -> None:
    spec["securityContext"]["seccompProfile"] = {"type": "Unconfined"}


def _host_path(spec: dict[str, Any]) -> None:
    spec["volumes"].append({"name": "host", "hostPath": {"path": "/"}})


def _host_network(spec: dict[str, Any]) -> None:
    spec["hostNetwork"] = True


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (_root, "runAsNonRoot != true"),
        (_root_container, "runAsUser=0"),
        (_privileged, "privileged"),
        (_capable, "NET_ADMIN"),
        (_unconfined, "seccompProfile"),
        (_host_path, "hostPath"),
        (_host_network, "hostNetwork=true"),
    ],
)
def test_b4_the_api_server_refuses_a_pod_that_could_harm_its_node(
    api: client.ApiClient, worker: dict[str, Any], change: Any, word: str
) -> None:
    pod = deepcopy(worker)
    pod["spec"]["containers"][0].setdefault("image", IMAGE)
    change(pod["spec"])
    refusal = _admission(api, pod)
    assert 'violates PodSecurity "restricted:latest"' in refusal, f"must be refused, got {refusal!r}"
    assert word in refusal


def test_b15_the_scheduler_puts_a_pinned_task_on_demand_and_every_other_on_spot(api: client.ApiClient) -> None:
    """Pods as Airflow makes them of the templates that lie in the cluster."""
    core = client.CoreV1Api(api)
    templates = core.read_namespaced_config_map("airflow-worker-pod", NAMESPACE).data
    lifecycles = {node.metadata.name: node.metadata.labels["lifecycle"] for node in core.list_node().items}
    landed = {}
    for number, (file, text) in enumerate(templates.items()):
        pod = yaml.safe_load(text)
        pod["metadata"]["name"] = f"pinning-{number}"
        pod["spec"]["containers"][0].setdefault("image", IMAGE)
        core.create_namespaced_pod(NAMESPACE, pod)
        deadline = time.monotonic() + 60
        while not (node := core.read_namespaced_pod(pod["metadata"]["name"], NAMESPACE).spec.node_name) and time.monotonic() < deadline:
            time.sleep(0.2)
        landed[file] = lifecycles.get(node)
        core.delete_namespaced_pod(pod["metadata"]["name"], NAMESPACE, grace_period_seconds=0)
    assert landed == {POD_TEMPLATE_FILE: "Ec2Spot", ON_DEMAND_TEMPLATE_FILE: "OnDemand"}


def _questions(api: client.ApiClient) -> Iterator[tuple[str, str, str, str]]:
    """(group, resource, verb, namespace) of all that anybody could ask, the cluster's own objects with an empty namespace."""
    for (group, name), resource in canaries.served(api).items():
        for verb in resource["verbs"]:
            # elsewhere a question of each kind is enough: a binding for the whole cluster shows in our own namespace too
            spaces = (NAMESPACE, "kube-system") if verb in ("get", "create") else (NAMESPACE,)
            spaces += ("kube-node-lease",) if name == "leases" else ()
            yield from ((group, name, verb, space) for space in (spaces if resource["namespaced"] else ("",)))


def test_b3_what_every_service_account_may_do_equals_the_checked_in_table(api: client.ApiClient) -> None:
    table: dict[str, Any] = yaml.safe_load((PROJECT / "tests" / "engine" / "rbac.yaml").read_text())
    accounts = {account.metadata.name for account in client.CoreV1Api(api).list_namespaced_service_account(NAMESPACE).items}
    assert accounts == set(table), "a table for each account, and an account for each table"
    questions = list(_questions(api))
    assert len(questions) > 500, "discovery must have worked"

    def allowed(account: str) -> set[tuple[str, ...]]:
        who = f"system:serviceaccount:{NAMESPACE}:{account}"
        return {question for question in questions if _may(api, who, *question)}

    with ThreadPoolExecutor(8) as pool:
        answers = dict(zip([NOBODY, *sorted(accounts)], pool.map(allowed, [NOBODY, *sorted(accounts)]), strict=True))
    everybody = answers.pop(NOBODY)
    assert {name for _, name, _, _ in everybody} <= {
        "selfsubjectaccessreviews",
        "selfsubjectrulesreviews",
        "selfsubjectreviews",
    }, "an account without bindings may ask about itself"
    for account, may in answers.items():
        wanted = {
            (resource.partition(".")[2], resource.partition(".")[0], verb, space)
            for space, resources in table[account].items()
            for resource, verbs in resources.items()
            for verb in verbs
        }
        assert may - everybody == wanted, account


def _may(api: client.ApiClient, who: str, group: str, resource: str, verb: str, namespace: str) -> bool:
    name, _, subresource = resource.partition("/")
    attributes = {"group": group, "resource": name, "subresource": subresource, "verb": verb, "namespace": namespace}
    review = {"spec": {"user": who, "groups": GROUPS, "resourceAttributes": attributes}}
    answer = canaries.call(api, "/apis/authorization.k8s.io/v1/subjectaccessreviews", "POST", review)
    return bool(answer["status"]["allowed"])


GROUPS = ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"]
"""What the API server adds to whoever comes with a ServiceAccount's token."""


def test_b3_no_generated_secret_is_anywhere_but_in_the_secret(engine: Engine, deployed: Progress) -> None:
    """State, outputs, settings, every object but Secrets, every log and every other file that the cloud has written."""
    exported = engine.stack("local").export_stack().deployment
    planted = canaries.planted(engine.cloud, NAMESPACE, "airflow-secrets", exported)
    kinds = ("sql-alchemy-conn", "sql-alchemy-conn-async", "fernet-key", "api-secret-key", "jwt-secret", "admin-password")
    assert {f"key {kind}" for kind in kinds} < set(planted)
    assert "result of metadata-password" in planted
    assert set(canaries.found_in(json.dumps(exported), planted)) >= {"key jwt-secret", "key admin-password"}, (
        "the search finds what is there"
    )

    clear = [
        *canaries.pulumi_texts(engine.cloud, "local"),
        *canaries.objects(engine.cloud),
        *canaries.files(engine.cloud.home, leave_out=canaries.OWN_STORES),
        ("messages of the engine", "\n".join(deployed.messages)),
        ("plan", repr(deployed.plan)),
    ]
    assert len(clear) > 200, "there must be something to search"
    leaks = {where: hits for where, text in clear if (hits := canaries.found_in(text, planted))}
    assert leaks == {}


def test_c5_every_policy_holds_over_the_deployed_stack_with_nothing_left_unknown(deployed: Progress) -> None:
    report = examine(deployed.plan, environment="dev")
    assert [str(finding) for finding in report.findings] == []
    assert {rule for rule, _ in report.undecided} <= CANNOT_BE_DECIDED


def test_c5_make_policy_of_prod_ends_with_0_findings(engine: Engine) -> None:
    environment = os.environ | {"AIRFLOW_EMBEDDED_HOME": str(engine.cloud.home)}
    answer = subprocess.run(
        ["make", "-s", "policy", "STACK=prod"], cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.splitlines()[-1] == "0 findings"
    assert "excepted" not in answer.stdout, "prod has no exception"
    assert not Path(PROJECT / ".embedded-preview").exists()
