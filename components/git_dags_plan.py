"""DAGs from a git repository: what Airflow, its pods and the network are told of it. Pure.

The credentials are a connection of Airflow's, in a file that the API server and the DAG processor have. The pod of a task has no
secret: Airflow in it asks the API server for the connection, as for those of its DAG, and clones.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

from components.airflow_config import HOME
from components.airflow_pods import Extra, Manifest, Volume

if TYPE_CHECKING:
    from components.settings import GitDagsSettings

BUNDLE = "git"
"""Name of the bundle, beside `image` and `shared`."""
CLASSPATH = "airflow.providers.git.bundles.git.GitDagBundle"
CONNECTION = "git_dags"
OBJECT = "airflow-git"
"""Name of the Secret with the connection, and of the ConfigMap with the host's keys: gone with the option, and what is in them."""
CONNECTIONS_KEY = "connections.json"
CONNECTIONS_FOLDER = f"{HOME}/git-connection"
BACKEND = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
KNOWN_HOSTS = "known_hosts"
KNOWN_HOSTS_FOLDER = f"{HOME}/git"
SERVERS = ("api-server", "dag-processor")
"""Who reads the connection from its file."""
CLONERS = ("dag-processor", "worker")
"""Who clones. Not the triggerer: it gets triggers from the database and imports no DAG."""
HTTPS_PORT, SSH_PORT = 443, 22
_CONNECTION: Volume = (
    # group 0 is all that Airflow's user shares with files of a Secret
    {"name": "git-connection", "secret": {"secretName": OBJECT, "defaultMode": 0o440}},
    {"name": "git-connection", "mountPath": CONNECTIONS_FOLDER, "readOnly": True},
)
_HOSTS: Volume = (
    {"name": "git", "configMap": {"name": OBJECT}},
    {"name": "git", "mountPath": KNOWN_HOSTS_FOLDER, "readOnly": True},
)
_HTTPS = re.compile(r"https://(?P<user>[^/@]*@)?(?P<host>[^/@:\s]+)(?::(?P<port>\d{1,5}))?/\S+")
_SSH = re.compile(
    r"ssh://(?P<user>[^/@]+@)?(?P<host>[^/@:\s]+)(?::(?P<port>\d{1,5}))?/\S+|(?P<short>[^/@:\s]+)@(?P<name>[^/@:\s]+):[^/\s]\S*"
)


@dataclass(frozen=True, kw_only=True)
class Remote:
    """Where a repository is."""

    host: str
    port: int
    ssh: bool
    user: str = ""
    """What stands before the host, without the @."""


def remote(repository: str) -> Remote | None:
    """Where the repository of a URL is; None when it is neither https://... nor ssh://... nor git@host:path."""
    if found := _HTTPS.fullmatch(repository):
        return Remote(host=found["host"], port=int(found["port"] or HTTPS_PORT), ssh=False, user=(found["user"] or "").rstrip("@"))
    if found := _SSH.fullmatch(repository):
        user = found["short"] or (found["user"] or "").rstrip("@")
        return Remote(host=found["host"] or found["name"], port=int(found["port"] or SSH_PORT), ssh=True, user=user)
    return None


def is_wanted(git: GitDagsSettings | None) -> TypeGuard[GitDagsSettings]:
    """Whether DAGs come from a repository too."""
    return git is not None and git.repository is not None


def bundle(git: GitDagsSettings | None) -> dict[str, Any] | None:
    """The entry of Airflow's list of bundles, without a secret; None: no repository is wanted."""
    if not is_wanted(git):
        return None
    more = {"subdir": git.subdirectory} if git.subdirectory else {}
    kwargs = {"repo_url": git.repository, "tracking_ref": git.tracking_ref, "git_conn_id": CONNECTION}
    return {"name": BUNDLE, "classpath": CLASSPATH, "kwargs": {**kwargs, **more, "refresh_interval": git.refresh_seconds}}


def connections(git: GitDagsSettings, credentials: str | None) -> str:
    """Content of the file with the connection.

    Args:
        git: with a repository.
        credentials: text of the secret: `{"token": ...}`, with "username" if the host wants a certain one, or `{"sshPrivateKey": ...}`,
            with "passphrase" if the key has one; None for a repository that everybody may read.

    Raises:
        ValueError: the secret is something else, or does not fit the URL; no part of it is in the message.
    """
    where = remote(git.repository or "")
    connection: dict[str, Any] = {"conn_type": "git", "host": git.repository}
    if credentials is not None and where is not None:
        given = _given(credentials, "sshPrivateKey" if where.ssh else "token")
        if where.ssh:
            connection["extra"] = {
                "private_key": given["sshPrivateKey"].rstrip("\n") + "\n",  # ssh reads no key whose last line has no end
                **({"private_key_passphrase": given["passphrase"]} if "passphrase" in given else {}),
                "strict_host_key_checking": "yes",
                "known_hosts_file": f"{KNOWN_HOSTS_FOLDER}/{KNOWN_HOSTS}",
            }
        else:
            connection |= {"password": given["token"]} | ({"login": given["username"]} if "username" in given else {})
    return json.dumps({CONNECTION: connection})


def _given(credentials: str, wanted: str) -> dict[str, str]:
    known = {"token": {"token", "username"}, "sshPrivateKey": {"sshPrivateKey", "passphrase"}}[wanted]
    rule = f'must be an object with "{wanted}" ({", ".join(sorted(known))} are known), and nothing else, for the repository\'s kind of URL'
    try:
        given = json.loads(credentials)
    except json.JSONDecodeError:
        given = None
    if not isinstance(given, dict) or wanted not in given or not given.keys() <= known:
        raise ValueError(f"the secret of airflow.gitDags.credentialsSecretArn {rule}")
    if not all(isinstance(value, str) and value.strip() for value in given.values()):
        raise ValueError(f"the secret of airflow.gitDags.credentialsSecretArn {rule}; each a text that is not empty")
    return given


def pod_extra(git: GitDagsSettings | None, component: str) -> Extra:
    """What a component's pod has because of the repository."""
    if not is_wanted(git):
        return Extra()
    backend = {
        "AIRFLOW__SECRETS__BACKEND": BACKEND,
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": f"{CONNECTIONS_FOLDER}/{CONNECTIONS_KEY}"}),
    }
    wanted = ((_CONNECTION, component in SERVERS), (_HOSTS, component in CLONERS and bool(git.known_hosts)))
    return Extra(environment=backend if component in SERVERS else {}, volumes=tuple(volume for volume, mounted in wanted if mounted))


def traffic(git: GitDagsSettings) -> Manifest:
    """Spec of the NetworkPolicy to a host of private addresses; public ones are reached like everything that DAGs reach."""
    where = remote(git.repository or "")
    port = where.port if where else HTTPS_PORT
    return {
        "podSelector": {"matchExpressions": [{"key": "component", "operator": "In", "values": list(CLONERS)}]},
        "policyTypes": ["Egress"],
        "egress": [
            {"to": [{"ipBlock": {"cidr": cidr}} for cidr in git.host_cidrs], "ports": [{"protocol": "TCP", "port": port}]},
        ],
    }
