"""Rules for the git repository of DAGs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.git_dags_plan import SSH_PORT, Remote, remote
from components.settings_parser import Problem, camel
from components.settings_rule import WIDEST_PREFIX, between, legal_ranges, parsed_ranges, registered

if TYPE_CHECKING:
    from components.settings import AirflowSettings, GitDagsSettings

SECTION = "airflow.gitDags"
REFRESH_SECONDS = (10, 86400)
"""Fewest and most; each refresh asks the host once for every DAG processor."""
_REF = re.compile(r"(?!.*(\.\.|//|@\{|\.lock$|/$|\.$))[A-Za-z0-9_][A-Za-z0-9_./+@-]{0,254}")
"""A branch, a tag or a commit, as `git check-ref-format` allows, in fewer characters."""
_FOLDER = re.compile(r"(?!.*(^|/)\.\.(/|$))[A-Za-z0-9_.][A-Za-z0-9_./+-]*")
_KEY = re.compile(r"(?P<hosts>\S+) (ssh-|ecdsa-|sk-)\S+ [A-Za-z0-9+/]{40,}={0,3}( .*)?")


@registered
def git_dags_can_be_cloned(airflow: AirflowSettings, region: str) -> Iterator[Problem]:
    """A repository that is reached encrypted, by credentials that stand nowhere in clear."""
    git = airflow.git_dags
    if git.repository is None:
        for name in ("subdirectory", "credentials_secret_arn", "known_hosts", "host_cidrs"):
            if getattr(git, name):
                yield Problem(setting=f"{SECTION}.{camel(name)}", rule="of which repository?", way_out=f"set {SECTION}.repository too")
        return
    where = remote(git.repository)
    if where is None:
        # the value is not shown: whatever it is, it may hold a password
        rule = "is neither https://HOST/PATH nor ssh://git@HOST/PATH nor git@HOST:PATH"
        yield Problem(setting=f"{SECTION}.repository", rule=rule, way_out="http:// and git:// are not encrypted; give one of these")
        return
    yield from _credentials(git, where, region)
    yield from _known_hosts(git, where)
    if not _REF.fullmatch(git.tracking_ref):
        rule = "is no name of a branch or tag, and no commit"
        yield Problem(setting=f"{SECTION}.trackingRef", value=git.tracking_ref, rule=rule)
    if git.subdirectory and not _FOLDER.fullmatch(git.subdirectory):
        rule, way_out = "is no folder within the repository", "give it without a leading / and without .."
        yield Problem(setting=f"{SECTION}.subdirectory", value=git.subdirectory, rule=rule, way_out=way_out)
    yield from between(f"{SECTION}.refreshSeconds", git.refresh_seconds, *REFRESH_SECONDS)
    yield from legal_ranges(f"{SECTION}.hostCidrs", git.host_cidrs)
    for network in parsed_ranges(git.host_cidrs):
        if network.prefixlen < WIDEST_PREFIX[network.version]:
            rule = "opens more to the pods of tasks than one host's network"
            yield Problem(setting=f"{SECTION}.hostCidrs", value=str(network), rule=rule, way_out="name the host's own addresses")


def _credentials(git: GitDagsSettings, where: Remote, region: str) -> Iterator[Problem]:
    setting, arn = f"{SECTION}.credentialsSecretArn", git.credentials_secret_arn
    if (not where.ssh and where.user) or ":" in where.user:
        rule = "has credentials in it, and stands in the configuration of every pod"
        yield Problem(setting=f"{SECTION}.repository", rule=rule, way_out=f"remove them, revoke them, and give new ones by {setting}")
    if where.ssh and not where.user:
        yield Problem(setting=f"{SECTION}.repository", rule="names no user, which hosts of git want", way_out="ssh://git@HOST/PATH")
    if where.ssh and arn is None:
        rule, way_out = "is needed for a repository by ssh, with the private key", "or give the repository's https:// URL"
        yield Problem(setting=setting, rule=rule, way_out=way_out)
    if arn is not None and not re.fullmatch(r"arn:aws:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\w/+=.@!-]+", arn):
        yield Problem(setting=setting, rule="is no ARN of a secret (arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME)")
    elif arn is not None and arn.split(":")[3] != region:
        yield Problem(setting=setting, rule=f"is of region {arn.split(':')[3]}, the stack is in {region}")


def _known_hosts(git: GitDagsSettings, where: Remote) -> Iterator[Problem]:
    setting = f"{SECTION}.knownHosts"
    if not where.ssh:
        if git.known_hosts:
            yield Problem(setting=setting, rule="has no effect: the repository's URL is https://", only_warns=True)
        return
    way_out = f"ssh-keyscan {where.host} shows them; compare them with those that the host publishes"
    if not git.known_hosts:
        rule = "is needed for a repository by ssh: without the host's keys whoever answers is believed"
        yield Problem(setting=setting, rule=rule, way_out=way_out)
    names: set[str] = set()
    for line in git.known_hosts:
        if found := _KEY.fullmatch(line):
            names.update(found["hosts"].split(","))
        else:
            yield Problem(setting=setting, value=line, rule="is no line of known_hosts (HOST TYPE KEY)", way_out=way_out)
    host = where.host if where.port == SSH_PORT else f"[{where.host}]:{where.port}"
    if names and host not in names and not any(name.startswith("|") for name in names):
        yield Problem(setting=setting, rule=f"has no key of {host}", way_out=way_out)
