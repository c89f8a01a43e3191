"""Rules for Airflow: its database, its image and itself. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from components import database_connections
from components.settings_parser import Problem, camel
from components.settings_rule import between, matches, registered, retention

if TYPE_CHECKING:
    from components import settings as kinds

POSTGRES_VERSIONS = ("16", "17", "18")
STORAGE_GIB = range(20, 65537)
"""gp3 (RDS API reference, CreateDBInstance AllocatedStorage)."""
ECR_NAME = r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*"
SPOT_NOTICE_ROOM = 110
"""AWS takes the node 120 seconds after the notice, and the kubelet needs some of them."""
AIRFLOW_SIGNALS = {"3.3": "forwards SIGTERM to the task; a Python task works on until its grace period ends"}
"""Minor version of Airflow to how its workers take a reclaim; docs/interruptions.md has the consequences."""
CPU = r"\d+m|\d+(\.\d+)?"
MEMORY = r"\d+(Ki|Mi|Gi|K|M|G)?"
SHORTEST_RETENTION_DAYS = 7


@registered
def database_is_legal(database: kinds.DatabaseSettings) -> Iterator[Problem]:
    """What RDS would refuse after the rest of the stack is half built."""
    pattern, rule = r"(?=.{1,63}$)[a-z](-?[a-z0-9])*", "1 to 63 lower-case letters, digits and single -, beginning with a letter"
    yield from matches("database.identifier", database.identifier, pattern, rule)
    major = database.engine_version.partition(".")[0]
    if major not in POSTGRES_VERSIONS:
        rule = f"supported are PostgreSQL {', '.join(POSTGRES_VERSIONS)}"
        yield Problem(setting="database.engineVersion", value=database.engine_version, rule=rule)
    yield from matches("database.instanceClass", database.instance_class, r"db\.[a-z0-9]+\.[a-z0-9]+", "is no RDS class (db.t4g.small)")
    size, most = database.allocated_storage_gib, database.max_allocated_storage_gib
    yield from between("database.allocatedStorageGib", size, STORAGE_GIB[0], STORAGE_GIB[-1])
    if most < size * 1.1 or most > STORAGE_GIB[-1]:
        rule = f"max {most} for {size} allocated: RDS wants at least a tenth more, and at most {STORAGE_GIB[-1]}"
        yield Problem(setting="database.maxAllocatedStorageGib", rule=rule)
    yield from between("database.backupRetentionDays", database.backup_retention_days, 0, 35)
    yield from retention("database.logRetentionDays", database.log_retention_days)


@registered
def database_takes_every_connection(database: kinds.DatabaseSettings, airflow: kinds.AirflowSettings) -> Iterator[Problem]:
    """More tasks open no more connections, but more replicas do."""
    most, allowed = database_connections.most(vars(airflow.replicas)), database_connections.allowed(database.instance_class)
    if allowed is not None and most > allowed:
        rule = f"takes {allowed} connections, and Airflow with these airflow.replicas may open {most}"
        way_out = "take a larger class (docs/decisions/0007-no-pgbouncer.md)"
        yield Problem(setting="database.instanceClass", value=database.instance_class, rule=rule, way_out=way_out, only_warns=True)


@registered
def log_archive_keeps_its_promise(airflow: kinds.AirflowSettings, environment: str) -> Iterator[Problem]:
    """An archive outlives the file system's own clean-up, and in production the stack."""
    log_archive = airflow.log_archive
    if log_archive.retention_days:
        yield from between("airflow.logArchive.retentionDays", log_archive.retention_days, 30, 3650, "0 keeps everything")
    if log_archive.enabled and log_archive.delete_with_stack and environment == "prod":
        rule, way_out = "environment prod keeps its logs when it is destroyed", "set it to false"
        yield Problem(setting="airflow.logArchive.deleteWithStack", value=True, rule=rule, way_out=way_out)


@registered
def image_is_pinned(image: kinds.ImageSettings, airflow: kinds.AirflowSettings) -> Iterator[Problem]:
    """The image that runs is the one that was tested."""
    rule = "2 to 256 lower-case letters, digits and . _ - / (ECR repository names)"
    yield from matches("image.repository", image.repository, rf"(?=.{{2,256}}$){ECR_NAME}", rule)
    rule = "is no REPOSITORY-URI@sha256:<64 hex digits>"
    yield from matches("image.digest", image.digest, r"[^@\s]+@sha256:[0-9a-f]{64}", rule, "a tag can move: give the digest")
    tag = image.base.rpartition("/")[2].partition("@")[0].partition(":")[2]
    if not tag or tag.startswith("latest"):
        yield Problem(setting="image.base", value=image.base, rule="pin a tag: latest is another image tomorrow")
    elif image.digest is None and not tag.startswith(airflow.version):  # an image by digest is not built from any base
        rule = f"has another Airflow than airflow.version {airflow.version}"
        yield Problem(setting="image.base", value=image.base, rule=rule, way_out="change both together")


@registered
def airflow_is_sound(airflow: kinds.AirflowSettings) -> Iterator[Problem]:
    """Retries and grace that survive Spot."""
    yield from matches("airflow.version", airflow.version, r"3\.([3-9]|\d\d+)\.\d+", "supported is Airflow 3.3 or later, in full (3.3.2)")
    if re.fullmatch(r"3\.\d+\.\d+", airflow.version) and (minor := airflow.version.rpartition(".")[0]) not in AIRFLOW_SIGNALS:
        rule = f"how workers of Airflow {minor} take SIGTERM was not tested with this stack, only {', '.join(AIRFLOW_SIGNALS)}"
        way_out = "run 'make e2e' with that image first (docs/interruptions.md)"
        yield Problem(setting="airflow.version", value=airflow.version, rule=rule, way_out=way_out, only_warns=True)
    yield from matches("airflow.adminUser", airflow.admin_user, r"[A-Za-z0-9_.@-]{1,64}", "1 to 64 letters, digits and _ . @ -")
    yield from matches("airflow.adminEmail", airflow.admin_email, r"[^@\s]+@[^@\s]+", "is no mail address")
    yield from between("airflow.taskRetries", airflow.task_retries, 1, 100, "a reclaimed Spot node fails the try it was running")
    yield from between("airflow.taskRetryDelaySeconds", airflow.task_retry_delay_seconds, 0, 86400)
    yield from between("airflow.taskTimeoutMinutes", airflow.task_timeout_minutes, 1, 10080, "what runs longer is better cut into pieces")
    yield from between("airflow.interruptionRetries", airflow.interruption_retries, 0, 100)
    grace = airflow.worker_grace_period_seconds
    yield from between("airflow.workerGracePeriodSeconds", grace, 1, SPOT_NOTICE_ROOM, "AWS takes a Spot node 120 s after its notice")
    yield from between("airflow.workerPodsCreationBatchSize", airflow.worker_pods_creation_batch_size, 1, 1024)
    yield from matches("airflow.workerCpu", airflow.worker_cpu, CPU, "is no CPU quantity such as 250m or 1")
    yield from matches("airflow.workerMemory", airflow.worker_memory, MEMORY, "is no memory quantity such as 1Gi")
    for name in ("api_server", "scheduler", "dag_processor", "triggerer"):
        yield from between(f"airflow.replicas.{camel(name)}", getattr(airflow.replicas, name), 1, 20)


@registered
def fernet_key_can_be_read(airflow: kinds.AirflowSettings) -> Iterator[Problem]:
    """What the newest key encrypts must be readable."""
    key = airflow.fernet_key
    yield from between("airflow.fernetKey.generation", key.generation, 1, 1000)
    way_out = "first raise airflow.fernetKey.generation and deploy, then this"
    yield from between("airflow.fernetKey.oldestAccepted", key.oldest_accepted, 1, max(key.generation, 1), way_out)


@registered
def metrics_image_is_pinned(airflow: kinds.AirflowSettings, environment: str) -> Iterator[Problem]:
    """The exporter that runs is the one that was chosen."""
    image = airflow.metrics.image
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if digest:
        yield from matches("airflow.metrics.image", digest, r"sha256:[0-9a-f]{64}", "is no digest (sha256: and 64 hex digits)")
    elif tag in ("", "latest"):
        yield Problem(setting="airflow.metrics.image", value=image, rule="pin a tag or a digest: latest is another image tomorrow")
    elif airflow.metrics.enabled and environment == "prod":
        rule, way_out = "environment prod needs a digest: a tag can move", f"docker buildx imagetools inspect {image} shows it"
        yield Problem(setting="airflow.metrics.image", value=image, rule=rule, way_out=way_out)


@registered
def cleanup_keeps_what_is_in_use(airflow: kinds.AirflowSettings) -> Iterator[Problem]:
    """A week at least: long runs, and people who look on Monday what broke on Friday."""
    for name in ("database_retention_days", "log_retention_days"):
        days = getattr(airflow.cleanup, name)
        if days:
            yield from between(f"airflow.cleanup.{camel(name)}", days, SHORTEST_RETENTION_DAYS, 3650, "0 keeps everything")
