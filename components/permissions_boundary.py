"""An IAM permissions boundary on every role of a stack, those that pulumi-eks makes inside of its own components included.

A boundary that some role of the stack lacks is refused by an account that demands one, in the middle of a deployment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi import runtime

ROLE = "aws:iam/role:Role"


def bound_every_role(arn: str | None) -> None:
    """Make the engine put this boundary on each role that is registered from now on; None: roles have none."""
    if arn is None:
        return

    def transform(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
        props = with_boundary(args.type_, args.props, arn)
        return None if props is None else pulumi.ResourceTransformResult(props=props, opts=args.opts)

    runtime.register_resource_transform(transform)


def with_boundary(type_: str, props: Mapping[str, Any], arn: str) -> dict[str, Any] | None:
    """The properties a resource shall have; None: as they are."""
    return {**props, "permissionsBoundary": arn} if type_ == ROLE else None
