"""The `random` package: values drawn once, kept in the state, and drawn anew only when an input changes."""

from __future__ import annotations

import base64
import secrets
import string
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import bcrypt

from embedded.providers.server import UNKNOWN, CheckError, Diff, Properties, Provider, ProviderError, Resource, diff_by_keys, is_known

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
"""What the provider uses when `overrideSpecial` is not given."""
BCRYPT_BYTES = 72
"""bcrypt reads no more of a password; newer libraries refuse what is longer, the provider cuts it."""
_TEXT_DEFAULTS = {name: True for name in ("lower", "numeric", "special", "upper")} | {
    name: 0 for name in ("minLower", "minNumeric", "minSpecial", "minUpper")
}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One resource type."""

    required: dict[str, type]
    optional: dict[str, type]
    outputs: tuple[str, ...]
    make: Callable[[Properties], Properties]
    id: str = ""
    """Output that is the id; empty: "none"."""


def _text(inputs: Properties) -> str:
    # the first class named is also what `minX` counts
    classes = {
        "upper": string.ascii_uppercase,
        "lower": string.ascii_lowercase,
        "numeric": string.digits,
        "special": inputs.get("overrideSpecial") or SPECIAL,
    }
    required = [secrets.choice(letters) for name, letters in classes.items() for _ in range(inputs[f"min{name.capitalize()}"])]
    alphabet = "".join(letters for name, letters in classes.items() if inputs[name])
    characters = required + [secrets.choice(alphabet) for _ in range(inputs["length"] - len(required))]
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)


def _password(inputs: Properties) -> Properties:
    result = _text(inputs)
    return {"result": result, "bcryptHash": bcrypt.hashpw(result.encode()[:BCRYPT_BYTES], bcrypt.gensalt(10)).decode()}


def _bytes(inputs: Properties) -> Properties:
    value = secrets.token_bytes(inputs["length"])
    return {"base64": base64.b64encode(value).decode(), "hex": value.hex()}


def _identifier(inputs: Properties) -> Properties:
    value = secrets.token_bytes(inputs["byteLength"])
    prefix = inputs.get("prefix") or ""
    url = base64.urlsafe_b64encode(value).decode().rstrip("=")
    forms = {"b64Url": url, "b64Std": base64.b64encode(value).decode(), "hex": value.hex(), "dec": str(int.from_bytes(value))}
    return {"identifier": url} | {name: prefix + form for name, form in forms.items()}


_TEXT_OPTIONS = {name: type(default) for name, default in _TEXT_DEFAULTS.items()} | {
    "number": bool,
    "overrideSpecial": str,
    "keepers": dict,
}
KINDS = {
    "random:index/randomPassword:RandomPassword": Kind(
        required={"length": int}, optional=_TEXT_OPTIONS, outputs=("result", "bcryptHash"), make=_password
    ),
    "random:index/randomString:RandomString": Kind(
        required={"length": int}, optional=_TEXT_OPTIONS, outputs=("result",), make=lambda i: {"result": _text(i)}, id="result"
    ),
    "random:index/randomBytes:RandomBytes": Kind(
        required={"length": int}, optional={"keepers": dict}, outputs=("base64", "hex"), make=_bytes
    ),
    "random:index/randomId:RandomId": Kind(
        required={"byteLength": int},
        optional={"prefix": str, "keepers": dict},
        outputs=("b64Url", "b64Std", "hex", "dec"),
        make=_identifier,
        id="identifier",
    ),
    "random:index/randomUuid:RandomUuid": Kind(
        required={}, optional={"keepers": dict}, outputs=("result",), make=lambda _: {"result": str(uuid.uuid4())}, id="result"
    ),
}


class RandomProvider(Provider):
    """Passwords, bytes, identifiers."""

    package = "random"
    config_keys = frozenset()

    def _kind(self, type: str) -> Kind:
        if type not in KINDS:
            raise self.unsupported(type)
        return KINDS[type]

    def check(self, resource: Resource, olds: Properties, news: Properties) -> Properties:
        """Types, and lengths that can be met."""
        kind = self._kind(resource.type)
        failures = {name: "is required" for name in kind.required if news.get(name) is None}
        for name, value in news.items():
            expected = (kind.required | kind.optional).get(name)
            if expected is None:
                failures[name] = f"is not an input of {resource.type}"
            elif value is not UNKNOWN and value is not None and type(value) is not expected:
                failures[name] = f"must be of type {expected.__name__}, got {value!r}"
        if failures:
            raise CheckError(failures)
        inputs = dict(news)
        if "numeric" in kind.optional:
            if inputs.get("numeric") is None and inputs.get("number") is not None:
                inputs["numeric"] = inputs["number"]
            inputs = _TEXT_DEFAULTS | {name: value for name, value in inputs.items() if value is not None}
        if is_known(inputs):
            _check_lengths(inputs)
        return inputs

    def diff(self, resource: Resource, state: Properties, olds: Properties, news: Properties) -> Diff:
        """Every change draws a new value."""
        return diff_by_keys(olds, news, {"*"})

    def create(self, resource: Resource, inputs: Properties) -> tuple[str, Properties]:
        """Draw the value."""
        kind = self._kind(resource.type)
        if resource.preview:
            return "", inputs | dict.fromkeys(kind.outputs, UNKNOWN)
        made = kind.make(inputs)
        return made.get(kind.id, "none"), inputs | {name: made[name] for name in kind.outputs}

    def read(self, resource: Resource, inputs: Properties, state: Properties) -> tuple[Properties, Properties] | None:
        """The state is the only place where the value is."""
        if not state:
            raise ProviderError(f"{resource.type} cannot be imported here: its value exists only in a state")
        return inputs, state

    def delete(self, resource: Resource, inputs: Properties, state: Properties) -> None:
        """Nothing outside the state to remove."""


def _check_lengths(inputs: Properties) -> None:
    name = "byteLength" if "byteLength" in inputs else "length"
    least = sum(value for key, value in inputs.items() if key.startswith("min"))
    if name in inputs and inputs[name] < max(1, least):
        raise CheckError({name: f"must be at least {max(1, least)}, got {inputs[name]}"})
    if "numeric" in inputs and not any(inputs[key] for key in ("lower", "numeric", "special", "upper")):
        raise CheckError({"special": "one of lower, numeric, special and upper must be true"})
