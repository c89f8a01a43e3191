"""The keys that Airflow signs and encrypts with: made once, kept in the stack's state, never in clear."""

from __future__ import annotations

import pulumi
import pulumi_random as random

from components.settings import FernetKeySettings

SIGNING_KEYS = ("api-secret-key", "jwt-secret")


def generated_keys(name: str, fernet: FernetKeySettings, opts: pulumi.ResourceOptions) -> dict[str, pulumi.Input[str]]:
    """Key of the Secret to its value.

    Airflow encrypts with the first Fernet key of its list and decrypts with any: every generation from the newest to the oldest that is
    still accepted is in it.
    """
    signing = {kind: random.RandomPassword(f"{name}-{kind}", length=64, special=False, opts=opts).result for kind in SIGNING_KEYS}
    generations = range(fernet.generation, fernet.oldest_accepted - 1, -1)
    keys = [random.RandomBytes(f"{name}-{_logical(number)}", length=32, opts=opts).base64.apply(_url_safe) for number in generations]
    return {"fernet-key": pulumi.Output.all(*keys).apply(",".join), **signing}


def _logical(generation: int) -> str:
    return "fernet-key" if generation == 1 else f"fernet-key-{generation}"


def _url_safe(base64: str) -> str:
    return base64.translate(str.maketrans("+/", "-_"))
