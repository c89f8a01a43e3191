"""How RDS differs from a plain PostgreSQL: what a parameter group becomes, who may connect, how a password is kept. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from embedded.cloud import CloudError

ADMINISTRATOR = "rdsadmin"
"""Superuser, as on RDS: the master user is none."""
RDS_PARAMETERS: dict[str, dict[str, str]] = {
    "rds.force_ssl": {},  # decides pg_hba.conf
    "rds.logical_replication": {"wal_level": "logical"},
    "rds.log_retention_period": {},
    "rds.rds_superuser_reserved_connections": {},
    "rds.adaptive_autovacuum": {},
}
"""Parameters that only RDS knows, and what they set in PostgreSQL when they are on."""


def scram_verifier(password: str, salt: bytes | None = None, iterations: int = 4096) -> str:
    """What PostgreSQL stores of a password. Made here, so that no clear password can reach the server's log."""
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${iterations}:{salt_text}${stored_text}:{server_text}"


def server_settings(parameters: dict[str, str]) -> dict[str, str]:
    """PostgreSQL's own settings for a parameter group; what only RDS knows is translated, an unknown name of that kind is refused."""
    settings: dict[str, str] = {}
    for name, value in parameters.items():
        if "{" in value:
            raise CloudError(f"database parameter {name}={value}: the embedded cloud computes no formulas; give a number")
        if not name.startswith("rds."):
            settings[name] = value
        elif name not in RDS_PARAMETERS:
            raise CloudError(f"database parameter {name} is not known to the embedded cloud (known: {', '.join(RDS_PARAMETERS)})")
        elif value in ("1", "on", "true"):
            settings |= RDS_PARAMETERS[name]
    return settings


def host_rules(parameters: dict[str, str]) -> str:
    """Text of pg_hba.conf: TLS unless the group says otherwise, as RDS since version 15, and no administrator from outside."""
    kind = "host" if parameters.get("rds.force_ssl", "1") in ("0", "off", "false") else "hostssl"
    rows = (
        f"local all {ADMINISTRATOR} peer map=administrator",
        f"host all {ADMINISTRATOR} all reject",
        f"{kind} all all all scram-sha-256",
    )
    return "\n".join(rows) + "\n"
