"""The key with which everything of the stack that is stored is encrypted: Kubernetes secrets, logs, database, files and images.

Governed by the account's own IAM policies. Losing it loses the data: a destroy schedules its deletion a week ahead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import iam_policies
from components.cost_tags import component_tags

DELETION_DAYS = 7
"""The shortest wait that KMS grants, in which a deletion can be taken back."""


@dataclass(frozen=True, kw_only=True)
class EncryptionKeyArgs:
    """Where the key is used."""

    region: str
    kms_key_arn: str | None = None
    """A key that exists: then none is made. Its policy must let CloudWatch of this region use it."""
    tags: Mapping[str, str]


class EncryptionKey(pulumi.ComponentResource):
    """KMS key `{name}-key`, or one that exists."""

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: EncryptionKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-on-eks:index:EncryptionKey", name, None, opts)
        self.arn = pulumi.Output.from_input(args.kms_key_arn) if args.kms_key_arn else self._created(name, args)
        self.register_outputs({"arn": self.arn})

    def _created(self, name: str, args: EncryptionKeyArgs) -> pulumi.Output[str]:
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=self)).account_id
        key = aws.kms.Key(
            f"{name}-key",
            description="Everything that the stack stores",
            enable_key_rotation=True,
            deletion_window_in_days=DELETION_DAYS,
            policy=account.apply(lambda known: iam_policies.key_policy(known, args.region)),
            tags=component_tags(args.tags, "encryption", Name=f"{name}-key"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return key.arn
