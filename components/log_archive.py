"""A bucket that keeps task logs, and the rights of the pods that write and read it.

Owns the bucket, two roles and their Pod Identity associations. Logs still go to the shared file system
first, where they can be read while a task runs: a try's log moves to S3 when the try ends, so a try that lost its node has its log on the
file system only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components import iam_policies, pod_security
from components.cost_tags import component_tags

PREFIX = "logs"
WRITERS = ("airflow-worker", "airflow-triggerer")
READERS = ("airflow-api-server",)
OLD_VERSION_DAYS = 30
"""How long what was overwritten or deleted can be brought back."""
UNFINISHED_UPLOAD_DAYS = 7
POD_IDENTITY_AGENT = "169.254.170.23/32"
"""Where pods get credentials (EKS user guide, Pod Identity considerations)."""


@dataclass(frozen=True, kw_only=True)
class LogArchiveArgs:
    """Which cluster's logs are kept, and for how long."""

    retention_days: int
    """0: for good."""
    delete_with_stack: bool
    """Whether a destroy deletes the logs; without it AWS refuses to delete a bucket that has any."""
    cluster_name: pulumi.Input[str]
    namespace: pulumi.Input[str]
    kms_key_arn: pulumi.Input[str]
    tags: Mapping[str, str]


class LogArchive(pulumi.ComponentResource):
    """Bucket `{name}-bucket` with its settings, roles `{name}-write-role` and `{name}-read-role`."""

    uri: pulumi.Output[str]
    """Where logs are kept (s3://...)."""

    def __init__(self, name: str, args: LogArchiveArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-on-eks:index:LogArchive", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.uri = self._make()
        self.register_outputs({"uri": self.uri})

    def _make(self) -> pulumi.Output[str]:
        name, args = self._name, self._args
        tags = component_tags(args.tags, "storage", Name=f"{name}-bucket")
        bucket = aws.s3.Bucket(f"{name}-bucket", force_destroy=args.delete_with_stack, tags=tags, opts=self._child)
        private = aws.s3.BucketPublicAccessBlock(
            f"{name}-private",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        versions = aws.s3.BucketVersioning(
            f"{name}-versions", bucket=bucket.id, versioning_configuration={"status": "Enabled"}, opts=self._child
        )
        encryption = aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.id,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": args.kms_key_arn},
                    "bucket_key_enabled": True,  # one request to KMS for many objects
                }
            ],
            opts=self._child,
        )
        after = pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=[private]))
        only_tls = aws.s3.BucketPolicy(f"{name}-only-tls", bucket=bucket.id, policy=bucket.arn.apply(only_with_tls), opts=after)
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.id,
            rules=lifecycle(args.retention_days),
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=[versions])),
        )
        grants = [
            self._grant("write", WRITERS, iam_policies.LOG_WRITE, bucket.arn),
            self._grant("read", READERS, iam_policies.LOG_READ, bucket.arn),
        ]
        # known once all of it stands: a pod that starts before its association never gets credentials
        urns = pulumi.Output.all(*(resource.urn for made in grants for resource in made), encryption.urn, only_tls.urn)
        return pulumi.Output.all(bucket.bucket, urns).apply(lambda known: f"s3://{known[0]}/{PREFIX}")

    def _grant(
        self, verb: str, accounts: tuple[str, ...], actions: iam_policies.Reasons, bucket_arn: pulumi.Output[str]
    ) -> list[pulumi.Resource]:
        name, args = f"{self._name}-{verb}", self._args
        tags = component_tags(args.tags, "storage")
        role = aws.iam.Role(
            f"{name}-role",
            description=f"Log archive: {verb} logs of tasks, nothing else of the bucket",
            assume_role_policy=iam_policies.trust(iam_policies.POD_IDENTITY),
            tags=tags,
            opts=self._child,
        )
        document = pulumi.Output.all(bucket_arn, args.kms_key_arn).apply(
            lambda arns: iam_policies.log_archive(actions, bucket_arn=arns[0], prefix=PREFIX, kms_key_arn=arns[1])
        )
        policy = aws.iam.RolePolicy(f"{name}-policy", role=role.name, policy=document, opts=self._child)
        return [policy] + [
            aws.eks.PodIdentityAssociation(
                f"{name}-{account}",
                cluster_name=args.cluster_name,
                namespace=args.namespace,
                service_account=account,
                role_arn=role.arn,
                tags=tags,
                opts=self._child,
            )
            for account in accounts
        ]


def only_with_tls(bucket_arn: str) -> str:
    """A bucket's policy that refuses whatever comes in clear."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "OnlyWithTls",
                    "Effect": "Deny",
                    "Principal": {"AWS": "*"},
                    "Action": "s3:*",
                    "Resource": [bucket_arn, f"{bucket_arn}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }
    )


def lifecycle(retention_days: int) -> list[dict[str, Any]]:
    """When what goes by itself."""
    rules: list[dict[str, Any]] = [
        {
            "id": "leftovers",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrent_version_expiration": {"noncurrent_days": OLD_VERSION_DAYS},
            "abort_incomplete_multipart_upload": {"days_after_initiation": UNFINISHED_UPLOAD_DAYS},
        }
    ]
    if retention_days:
        rules.append({"id": "logs", "status": "Enabled", "filter": {"prefix": f"{PREFIX}/"}, "expiration": {"days": retention_days}})
    return rules


def archive_config(uri: Any) -> dict[str, Any]:
    """Airflow's settings for logs that move to the archive."""
    return {
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
        "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": uri,
        "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "aws_default",
        # without this the API server would be asked for a connection that nobody made; credentials come by Pod Identity
        "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
        # True would remove the folder with the logs of earlier tries, of which those that lost their node are nowhere else. What has been
        # uploaded is emptied in any case (provider amazon, since a file that a deferred try goes on with was uploaded twice)
        "AIRFLOW__LOGGING__DELETE_LOCAL_LOGS": "False",
    }


def reader_traffic(release: str) -> dict[str, Any]:
    """What the API server needs besides its other traffic; workers and triggerer reach the internet anyhow."""
    private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"]
    return {
        "podSelector": {"matchLabels": pod_security.selector(release, "api-server")},
        "policyTypes": ["Egress"],
        "egress": [
            {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": private}}], "ports": [{"protocol": "TCP", "port": 443}]},
            {"to": [{"ipBlock": {"cidr": POD_IDENTITY_AGENT}}], "ports": [{"protocol": "TCP", "port": 80}]},
        ],
    }
