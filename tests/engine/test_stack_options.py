"""Options of a deployed stack that bring secrets of somebody else's (rows B3, B7). Comes between the stack's life and what protects it."""

from __future__ import annotations

import base64
import json

import pulumi
import pulumi_kubernetes as k8s
from kubernetes import client

from components.git_dags_plan import CONNECTIONS_KEY, KNOWN_HOSTS, OBJECT
from embedded.control_plane import admin_kubeconfig
from embedded.engine import Progress
from tests import canaries
from tests.engine.conftest import Engine

PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nkey-of-the-robot-that-reads-dags\n-----END OPENSSH PRIVATE KEY-----\n"
HOST_KEY = "git.example.com ssh-ed25519 " + "A" * 68


def test_b7_credentials_of_a_git_repository_reach_the_secret_and_nothing_else(engine: Engine, deployed: Progress) -> None:
    store = engine.client("secretsmanager")
    arn = store.create_secret(Name="airflow/git", SecretString=json.dumps({"sshPrivateKey": PRIVATE_KEY}))["ARN"]
    git = {"repository": "git@git.example.com:team/dags.git", "credentialsSecretArn": arn, "knownHosts": [HOST_KEY]}
    stack = engine.stack("local", settings={"airflow-on-eks:airflow": {"gitDags": {**git, "hostCidrs": ["10.20.30.0/28"]}}})
    engine.run(stack.up)
    with canaries.administrator(engine.cloud) as connected:
        api = client.CoreV1Api(connected)
        content = api.read_namespaced_secret(OBJECT, "airflow").data[CONNECTIONS_KEY]
        assert api.read_namespaced_config_map(OBJECT, "airflow").data == {KNOWN_HOSTS: f"{HOST_KEY}\n"}
    connection = json.loads(base64.b64decode(content))["git_dags"]
    assert connection["extra"]["private_key"] == PRIVATE_KEY
    key = {"the private key": "key-of-the-robot-that-reads-dags"}
    places = [*canaries.objects(engine.cloud), *canaries.pulumi_texts(engine.cloud, "local"), ("state", engine.state("local"))]
    assert len(places) > 100
    assert [place for place, text in places if canaries.found_in(text, key)] == []
    assert engine.run(stack.up).changes == []
    engine.run(engine.stack("local").up)
    store.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    with canaries.administrator(engine.cloud) as connected:
        api = client.CoreV1Api(connected)
        left = [*api.list_namespaced_secret("airflow").items, *api.list_namespaced_config_map("airflow").items]
        assert OBJECT not in [item.metadata.name for item in left], "the credentials go with the option"


def test_a_key_that_leaves_a_secret_leaves_the_cluster(engine: Engine, deployed: Progress) -> None:
    texts = {"kept": "1", "leaving": "2"}

    def program() -> None:
        cluster = k8s.Provider("cluster", kubeconfig=admin_kubeconfig(engine.cloud).read_text(), enable_secret_mutable=True)
        metadata = {"name": "texts", "namespace": "default"}
        k8s.core.v1.Secret("texts", metadata=metadata, string_data=texts, opts=pulumi.ResourceOptions(provider=cluster))

    stack = engine.stack("dev", program=program)
    try:
        stack.up(suppress_progress=True)
        del texts["leaving"]
        stack.up(suppress_progress=True)
        with canaries.administrator(engine.cloud) as connected:
            assert client.CoreV1Api(connected).read_namespaced_secret("texts", "default").data == {"kept": "MQ=="}
        assert engine.run(stack.up).changes == []
    finally:
        stack.destroy(suppress_progress=True)
