"""What the stack's own processes see of the database (row B3). Runs before the file whose last test takes the stack down."""

from __future__ import annotations

import json

from operations.deployment import Deployment
from tests.e2e.conftest import run_python

SESSIONS = """
import asyncio, json
import sqlalchemy
from airflow.configuration import conf
from sqlalchemy.ext.asyncio import create_async_engine

OWN = sqlalchemy.text("select ssl, version from pg_stat_ssl where pid = pg_backend_pid()")
ALL = sqlalchemy.text(
    "select count(*), count(*) filter (where not ssl) from pg_stat_ssl join pg_stat_activity using (pid) where usename = user"
)
found = {}
uri = conf.get("database", "sql_alchemy_conn")
with sqlalchemy.create_engine(uri).connect() as connection:
    found["psycopg2"] = list(connection.execute(OWN).one())
    found["all"] = list(connection.execute(ALL).one())


async def asyncpg():
    async with create_async_engine(conf.get("database", "sql_alchemy_conn_async")).connect() as connection:
        found["asyncpg"] = list((await connection.execute(OWN)).one())


asyncio.run(asyncpg())
changes = {
    "clear": ("sslmode=verify-full", "sslmode=disable"),
    "strangers": ("/opt/airflow/database-ca.pem", "/etc/ssl/certs/ca-certificates.crt"),
}
for name, change in changes.items():
    assert change[0] in uri
    try:
        sqlalchemy.create_engine(uri.replace(*change)).connect()
        found[name] = "connected"
    except sqlalchemy.exc.OperationalError as error:
        found[name] = str(error.orig).strip()
print(json.dumps(found))
"""
"""Run where Airflow runs, with the connections that Airflow itself uses."""


def test_every_session_with_the_database_is_encrypted_and_verified_by_both_drivers(deployment: Deployment) -> None:
    answer = run_python(deployment, "scheduler", SESSIONS)
    found = json.loads(next(line for line in reversed(answer.splitlines()) if line.startswith("{")).replace("'", '"'))
    assert found["psycopg2"][0], found
    assert found["asyncpg"][0], found
    assert {found["psycopg2"][1], found["asyncpg"][1]} <= {"TLSv1.2", "TLSv1.3"}
    sessions, in_clear = found["all"]
    assert sessions >= 3, "scheduler, API server and the asker at least"
    assert in_clear == 0
    assert "no pg_hba.conf entry" in found["clear"] or "SSL" in found["clear"], "rds.force_ssl refuses a session in clear"
    assert "certificate verify failed" in found["strangers"], "and a client refuses a certificate of another authority"
