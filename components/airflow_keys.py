"""The keys that Airflow signs and encrypts with: made once, kept in the stack's state, never in clear."""

from __future__ import annotations

import pulumi
import pulumi_random as random

SIGNING_KEYS = ("api-secret-key", "jwt-secret")


def generated_keys(name: str, opts: pulumi.ResourceOptions) -> dict[str, pulumi.Input[str]]:
    """Key of the Secret to its value."""
    signing = {kind: random.RandomPassword(f"{name}-{kind}", length=64, special=False, opts=opts).result for kind in SIGNING_KEYS}
    fernet = random.RandomBytes(f"{name}-fernet-key", length=32, opts=opts).base64
    return {"fernet-key": fernet.apply(_url_safe), **signing}


def _url_safe(base64: str) -> str:
    return base64.translate(str.maketrans("+/", "-_"))
