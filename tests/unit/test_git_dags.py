"""DAGs from a git repository: what may be asked for, what Airflow is told, who gets the credentials, which way is opened.

That Airflow clones with it is shown in the image itself, by the e2e tests; no host of git is reached from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml

from components import git_dags_plan as plan
from components import traffic
from components.settings import GitDagsSettings
from policies.check import examine
from tests import conftest
from tests.conftest import Engine, secrets_of
from tests.unit.test_policies_stack import planned
from tests.unit.test_settings import load, refusal

ARN = "arn:aws:secretsmanager:us-west-2:123456789012:secret:airflow/git-AbCdEf"
KEY = "git.example.com ssh-ed25519 " + "A" * 68
HTTPS = {"airflow.gitDags.repository": "https://git.example.com/team/dags.git", "airflow.gitDags.credentialsSecretArn": ARN}
SSH = {**HTTPS, "airflow.gitDags.repository": "git@git.example.com:team/dags.git", "airflow.gitDags.knownHosts": [KEY]}
SECRET = ("kubernetes:core/v1:Secret", "airflow-git-connection")
KNOWN_HOSTS = ("kubernetes:core/v1:ConfigMap", "airflow-git-known-hosts")
TRAFFIC = ("kubernetes:networking.k8s.io/v1:NetworkPolicy", "airflow-git-traffic")
TOKEN, PRIVATE_KEY = conftest.GIT_CREDENTIALS, '{"sshPrivateKey": "-----BEGIN KEY-----\\nkey-of-the-robot"}'


def git(**changes: Any) -> GitDagsSettings:
    given = load({**HTTPS, **{f"airflow.gitDags.{key}": value for key, value in changes.items()}})
    return given.airflow.git_dags


@pytest.mark.parametrize(
    ("repository", "host", "port", "ssh"),
    [
        ("https://github.com/team/dags.git", "github.com", 443, False),
        ("https://git.example.com:8443/team/dags", "git.example.com", 8443, False),
        ("git@github.com:team/dags.git", "github.com", 22, True),
        ("ssh://git@git.example.com/team/dags.git", "git.example.com", 22, True),
        ("ssh://git@git.example.com:2222/team/dags.git", "git.example.com", 2222, True),
    ],
)
def test_where_a_repository_is(repository: str, host: str, port: int, ssh: bool) -> None:
    found = plan.remote(repository)
    assert found is not None
    assert (found.host, found.port, found.ssh) == (host, port, ssh)


REFUSED: dict[str, tuple[Mapping[str, Any], str]] = {
    "in clear": ({"repository": "http://git.example.com/dags.git"}, "http:// and git:// are not encrypted"),
    "git's own protocol": ({"repository": "git://git.example.com/dags.git"}, "is neither https://HOST/PATH nor ssh://"),
    "a folder": ({"repository": "/srv/dags.git"}, "is neither https://HOST/PATH nor ssh://"),
    "a token in the URL": (
        {"repository": "https://robot:hunter2@git.example.com/d.git"},
        "has credentials in it, and stands in the config",
    ),
    "a token alone in the URL": ({"repository": "https://hunter2@git.example.com/d.git"}, "remove them, revoke them, and give new ones by"),
    "a password for ssh": ({**SSH, "repository": "ssh://git:hunter2@git.example.com/d.git"}, "has credentials in it"),
    "ssh as nobody": ({**SSH, "repository": "ssh://git.example.com/d.git"}, "names no user"),
    "ssh without a key": ({**SSH, "credentialsSecretArn": ""}, "is needed for a repository by ssh, with the private key"),
    "ssh to whoever answers": (
        {**SSH, "knownHosts": []},
        "without the host's keys whoever answers is believed; ssh-keyscan git.example.com",
    ),
    "a key of another host": (
        {**SSH, "knownHosts": [KEY.replace("git.", "www.")]},
        "airflow.gitDags.knownHosts: has no key of git.example.com",
    ),
    "a key of another port": (
        {**SSH, "repository": "ssh://git@git.example.com:2222/d.git"},
        "has no key of [git.example.com]:2222",
    ),
    "no key at all": ({**SSH, "knownHosts": ["git.example.com"]}, "is no line of known_hosts (HOST TYPE KEY)"),
    "no ARN": ({"credentialsSecretArn": "hunter2"}, "is no ARN of a secret"),
    "a secret elsewhere": (
        {"credentialsSecretArn": ARN.replace("us-west-2", "eu-west-1")},
        "is of region eu-west-1, the stack is in us-west-2",
    ),
    "an option for a branch": ({"trackingRef": "--upload-pack=x"}, "is no name of a branch or tag, and no commit"),
    "a range for a branch": ({"trackingRef": "main..dev"}, "is no name of a branch or tag, and no commit"),
    "a folder outside": ({"subdirectory": "../other"}, "is no folder within the repository"),
    "a folder of the machine": ({"subdirectory": "/etc"}, "is no folder within the repository"),
    "asking all the time": ({"refreshSeconds": 1}, "airflow.gitDags.refreshSeconds = 1: must be 10 to 86400"),
    "a host of everywhere": ({"hostCidrs": ["0.0.0.0/0"]}, "opens more to the pods of tasks than one host's network"),
    "no range": ({"hostCidrs": ["git.example.com"]}, "is no address range"),
    "a folder of nothing": ({"repository": "", "subdirectory": "dags", "credentialsSecretArn": ""}, "of which repository?"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_repository_that_cannot_be_cloned_safely_is_refused(case: str) -> None:
    changes, message = REFUSED[case]
    text = refusal({**HTTPS, **{key if "." in key else f"airflow.gitDags.{key}": value for key, value in changes.items()}})
    assert message in text
    assert "hunter2" not in text, "what may be a password is not shown"


@pytest.mark.parametrize(
    ("repository", "secret"),
    [
        ("https://h/d.git", '{"token": "t0ken", "sshPrivateKey": "k"}'),
        ("https://h/d.git", '{"sshPrivateKey": "t0ken"}'),
        ("https://h/d.git", '{"token": ""}'),
        ("https://h/d.git", '{"token": 5}'),
        ("https://h/d.git", "t0ken"),
        ("https://h/d.git", '["t0ken"]'),
        ("git@h:d.git", '{"token": "t0ken"}'),
        ("git@h:d.git", '{"sshPrivateKey": "t0ken", "token": "t"}'),
    ],
)
def test_a_secret_of_another_form_is_refused_without_being_shown(repository: str, secret: str) -> None:
    wanted = GitDagsSettings(
        repository=repository,
        tracking_ref="main",
        subdirectory=None,
        refresh_seconds=60,
        credentials_secret_arn=ARN,
        known_hosts=(),
        host_cidrs=(),
    )
    with pytest.raises(ValueError, match=r"the secret of airflow\.gitDags\.credentialsSecretArn must be") as caught:
        plan.connections(wanted, secret)
    assert "t0ken" not in str(caught.value)


def test_airflow_gets_a_connection_of_its_kind() -> None:
    [token] = json.loads(plan.connections(git(), TOKEN)).values()
    assert token == {"conn_type": "git", "host": HTTPS["airflow.gitDags.repository"], "login": "robot", "password": "token-of-the-robot"}
    [key] = json.loads(plan.connections(load(SSH).airflow.git_dags, PRIVATE_KEY)).values()
    assert key["extra"] == {
        "private_key": "-----BEGIN KEY-----\nkey-of-the-robot\n",
        "strict_host_key_checking": "yes",
        "known_hosts_file": "/opt/airflow/git/known_hosts",
    }
    [public] = json.loads(plan.connections(git(), None)).values()
    assert public == {"conn_type": "git", "host": HTTPS["airflow.gitDags.repository"]}


def test_the_bundle_says_what_to_follow_and_no_secret() -> None:
    assert plan.bundle(git(subdirectory="team/dags", trackingRef="v1.2")) == {
        "name": "git",
        "classpath": "airflow.providers.git.bundles.git.GitDagBundle",
        "kwargs": {
            "repo_url": HTTPS["airflow.gitDags.repository"],
            "tracking_ref": "v1.2",
            "git_conn_id": "git_dags",
            "subdir": "team/dags",
            "refresh_interval": 60,
        },
    }
    assert plan.bundle(load().airflow.git_dags) is None


@pytest.fixture
def stack(run_main: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Engine]:
    """The dev stack with a repository, whose credentials AWS answers."""

    def run(changes: Mapping[str, Any]) -> Engine:
        text = PRIVATE_KEY if "knownHosts" in str(changes) else TOKEN
        monkeypatch.setattr(conftest, "GIT_CREDENTIALS", text)
        return run_main("dev", changes)

    return run


def mounted(engine: Engine, program: str) -> set[str]:
    spec = engine.resources["kubernetes:apps/v1:Deployment", f"airflow-{program}"]["spec"]["template"]["spec"]
    return {volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume}


def environment(engine: Engine, program: str) -> dict[str, str]:
    [container] = engine.resources["kubernetes:apps/v1:Deployment", f"airflow-{program}"]["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item["value"] for item in container["env"]}


def test_b3_who_clones_or_answers_for_a_task_has_the_credentials_and_nobody_else(stack: Callable[..., Engine]) -> None:
    engine = stack(HTTPS)
    having = {name for name in ("api-server", "scheduler", "dag-processor", "triggerer") if plan.OBJECT in mounted(engine, name)}
    assert having == set(plan.SERVERS)
    for name in plan.SERVERS:
        told = environment(engine, name)
        assert told["AIRFLOW__SECRETS__BACKEND"] == plan.BACKEND
        assert json.loads(told["AIRFLOW__SECRETS__BACKEND_KWARGS"]) == {
            "connections_file_path": "/opt/airflow/git-connection/connections.json"
        }
    assert "token-of-the-robot" in engine.resources[SECRET]["stringData"][plan.CONNECTIONS_KEY]
    [hidden] = [value for value in secrets_of(engine.raw[SECRET]) if "token-of-the-robot" in str(value)][:1]
    assert hidden, "the Secret's data is a secret of Pulumi's too"
    others = {key: inputs for key, inputs in engine.resources.items() if key != SECRET}
    assert "token-of-the-robot" not in repr(others), "no ConfigMap, template of workers or environment has it"


@pytest.mark.parametrize("changes", [HTTPS, SSH], ids=["token", "key"])
def test_every_policy_holds_with_a_repository(stack: Callable[..., Engine], changes: Mapping[str, Any]) -> None:
    assert [str(finding) for finding in examine(planned(stack(changes)), environment="dev").findings] == []


def test_the_hosts_keys_reach_all_who_clone(stack: Callable[..., Engine]) -> None:
    engine = stack(SSH)
    assert engine.resources[KNOWN_HOSTS]["data"] == {"known_hosts": f"{KEY}\n"}
    templates = engine.resources["kubernetes:core/v1:ConfigMap", "airflow-worker-pod"]["data"]
    pods = [yaml.safe_load(text)["spec"] for text in templates.values()]
    pods.append(engine.resources["kubernetes:apps/v1:Deployment", "airflow-dag-processor"]["spec"]["template"]["spec"])
    assert len(pods) == 3
    for pod in pods:
        assert {"name": "git", "configMap": {"name": "airflow-git"}} in pod["volumes"]
        assert {"name": "git", "mountPath": "/opt/airflow/git", "readOnly": True} in pod["containers"][0]["volumeMounts"]
    assert "key-of-the-robot" not in json.dumps(pods)


def test_b4_a_host_of_private_addresses_is_reached_by_who_clones_at_its_port(stack: Callable[..., Engine]) -> None:
    before = set(traffic.flows(planned(stack(HTTPS))))
    engine = stack({**SSH, "airflow.gitDags.hostCidrs": ["10.20.30.0/28"]})
    assert TRAFFIC in engine.resources
    more = set(traffic.flows(planned(engine))) - before
    assert more == {traffic.Flow(source=name, target="10.20.30.0/28", port="TCP 22") for name in plan.CLONERS}


def test_without_a_repository_nothing_is_added(run_main: Callable[..., Engine]) -> None:
    engine = run_main("dev")
    assert not [name for _, name in engine.resources if name.startswith("airflow-git")]
    assert mounted(engine, "api-server") == {"airflow-secrets"}
    assert "AIRFLOW__SECRETS__BACKEND" not in environment(engine, "api-server")
