"""Access to the git repository that DAGs come from: the credentials, the host's keys, the way through the network.

Owns a Secret and, where they are needed, a ConfigMap and a NetworkPolicy. The repository, and its credentials in AWS Secrets Manager, are
somebody else's. A new token or key takes effect with the next `up`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components import git_dags_plan as plan
from components.settings import GitDagsSettings


@dataclass(frozen=True, kw_only=True)
class GitDagsArgs:
    """Which repository, for which Airflow."""

    git: GitDagsSettings
    namespace: pulumi.Input[str]


class GitDags(pulumi.ComponentResource):
    """Secret `{name}-connection`; for a repository by ssh ConfigMap `{name}-known-hosts`, for a host of private addresses NetworkPolicy
    `{name}-traffic`.
    """

    connections: pulumi.Output[str]
    """Content of the file with the connection, a secret."""

    def __init__(self, name: str, args: GitDagsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-on-eks:index:GitDags", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        git = args.git
        self.connections = pulumi.Output.secret(self._credentials(git).apply(lambda text: plan.connections(git, text)))
        metadata = {"name": plan.OBJECT, "namespace": args.namespace}
        k8s.core.v1.Secret(f"{name}-connection", metadata=metadata, string_data={plan.CONNECTIONS_KEY: self.connections}, opts=child)
        if git.known_hosts:
            k8s.core.v1.ConfigMap(
                f"{name}-known-hosts",
                metadata=metadata,
                data={plan.KNOWN_HOSTS: "".join(f"{line}\n" for line in git.known_hosts)},
                opts=child,
            )
        if git.host_cidrs:
            k8s.networking.v1.NetworkPolicy(
                f"{name}-traffic",
                metadata=metadata,
                spec=plan.traffic(git),
                opts=child,
            )
        self.register_outputs({"connections": self.connections})

    def _credentials(self, git: GitDagsSettings) -> pulumi.Output[str | None]:
        if git.credentials_secret_arn is None:
            return pulumi.Output.from_input(None)
        opts = pulumi.InvokeOptions(parent=self)
        found = aws.secretsmanager.get_secret_version_output(secret_id=git.credentials_secret_arn, opts=opts)
        return pulumi.Output.secret(found.secret_string)
