"""What becomes of a resource when roles are bounded. That every role of the stack is, the engine tier shows: mocks run no transforms."""

from __future__ import annotations

from components.permissions_boundary import ROLE, with_boundary

ARN = "arn:aws:iam::123456789012:policy/boundary"


def test_a_role_gets_the_boundary_and_keeps_the_rest() -> None:
    assert with_boundary(ROLE, {"description": "nodes"}, ARN) == {"description": "nodes", "permissionsBoundary": ARN}


def test_other_resources_stay_as_they_are() -> None:
    assert with_boundary("aws:iam/rolePolicy:RolePolicy", {"role": "x"}, ARN) is None
