"""What keeps a long-lived Airflow from filling up: CronJobs that remove lost worker pods, old rows of the database and old logs.

Owns the CronJobs and what they may do. None of them holds more than it needs: the one that deletes pods knows no secret, the one that
deletes logs has no network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import airflow_pods
from components.airflow_config import LOGS
from components.settings import CleanupSettings
from components.web_ui import PRIVATE_RANGES

PODS, DATABASE, FILES = "cleanup-pods", "cleanup-database", "cleanup-logs"
SCHEDULES = {PODS: "17 * * * *", DATABASE: "23 3 * * *", FILES: "41 3 * * *"}
"""UTC; off the full hour, at which DAGs start."""
DEADLINE_SECONDS = 3 * 3600
BATCH_ROWS = 10000
"""Rows deleted in one transaction: a first clean-up of millions must not lock the scheduler out."""

CLEAN_PODS = ["airflow", "kubernetes", "cleanup-pods", "--min-pending-minutes=30", "--min-completed-minutes=30"]
CLEAN_DATABASE = f"""\
set -eu
before=$(date --utc --date="$RETENTION_DAYS days ago" '+%Y-%m-%d %H:%M:%S+00:00')
echo "deleting what is older than $before"
# without an archive: its tables would grow in place of the others. A table that cannot be cleaned is a failure that somebody sees
exec airflow db clean --clean-before-timestamp "$before" --skip-archive --batch-size {BATCH_ROWS} --error-on-cleanup-failure --yes
"""
CLEAN_LOGS = f"""\
set -eu
find {LOGS} -xdev -type f -mtime "+$RETENTION_DAYS" -print -delete | wc -l | xargs echo "log files deleted:"
# a task that is about to write may just have made its folder: only those that were empty for a day go
find {LOGS} -xdev -mindepth 1 -depth -type d -empty -mtime +0 -delete
"""


@dataclass(frozen=True, kw_only=True)
class AirflowMaintenanceArgs:
    """What is removed, by which image."""

    namespace: pulumi.Input[str]
    release: str
    """Value of the label `release`."""
    image: pulumi.Input[str]
    """Airflow's image, by digest."""
    cleanup: CleanupSettings


class AirflowMaintenance(pulumi.ComponentResource):
    """One CronJob for each kind of clean-up that is switched on."""

    schedules: pulumi.Output[dict[str, str]]
    """CronJob to when it runs, as cron writes it, in UTC."""

    def __init__(self, name: str, args: AirflowMaintenanceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-on-eks:index:AirflowMaintenance", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        jobs = cron_jobs(args.cleanup, release=args.release, image=args.image)
        if PODS in jobs:
            self._may_delete_pods()
        for job, policy in EGRESS.items():
            if job in jobs:
                k8s.networking.v1.NetworkPolicy(
                    f"{name}-{job}-traffic", metadata=self._metadata(job), spec=_egress(job, policy), opts=self._child
                )
        for job, spec in jobs.items():
            k8s.batch.v1.CronJob(f"{name}-{job}", metadata=self._metadata(job), spec=spec, opts=self._child)
        self.schedules = pulumi.Output.from_input({airflow_pods.account(job): SCHEDULES[job] for job in jobs})
        self.register_outputs({"schedules": self.schedules})

    def _metadata(self, component: str) -> dict[str, Any]:
        return {"name": airflow_pods.account(component), "namespace": self._args.namespace}

    def _may_delete_pods(self) -> None:
        name, metadata = f"{self._name}-{PODS}", self._metadata(PODS)
        k8s.core.v1.ServiceAccount(f"{name}-account", metadata=metadata, automount_service_account_token=True, opts=self._child)
        rule = {"api_groups": [""], "resources": ["pods"], "verbs": ["list", "delete"]}
        k8s.rbac.v1.Role(f"{name}-role", metadata=metadata, rules=[rule], opts=self._child)
        k8s.rbac.v1.RoleBinding(
            f"{name}-binding",
            metadata=metadata,
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": airflow_pods.account(PODS)},
            subjects=[{"kind": "ServiceAccount", "name": airflow_pods.account(PODS), "namespace": self._args.namespace}],
            opts=self._child,
        )


EGRESS = {PODS: 443, DATABASE: 5432}
"""CronJob to the one port that it may call, at private addresses: the Kubernetes API, the database. All pods may resolve names."""


def cron_jobs(cleanup: CleanupSettings, *, release: str, image: Any) -> dict[str, dict[str, Any]]:
    """Component to the spec of its CronJob; only those that are switched on."""

    def spec(component: str, **job: Any) -> dict[str, Any]:
        template = airflow_pods.job(component, release, image, **{"secrets": {}, "environment": {}, **job})
        return {
            "schedule": SCHEDULES[component],
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 3600,  # the next night does what this one missed
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {"spec": {**template, "backoffLimit": 1, "activeDeadlineSeconds": DEADLINE_SECONDS}},
        }

    def days(number: int) -> dict[str, str]:
        return {"RETENTION_DAYS": str(number)}

    jobs: dict[str, dict[str, Any]] = {}
    if cleanup.pods:
        jobs[PODS] = spec(PODS, args=CLEAN_PODS, account_of=PODS, token=True)
    if cleanup.database_retention_days:
        environment = days(cleanup.database_retention_days)
        jobs[DATABASE] = spec(DATABASE, args=["bash", "-c", CLEAN_DATABASE], secrets=airflow_pods.DATABASE_KEYS, environment=environment)
    if cleanup.log_retention_days:
        environment = days(cleanup.log_retention_days)
        jobs[FILES] = spec(FILES, args=["bash", "-c", CLEAN_LOGS], environment=environment, volumes=[airflow_pods.LOGS_VOLUME])
    return jobs


def _egress(component: str, port: int) -> dict[str, Any]:
    return {
        "podSelector": {"matchLabels": {"component": component}},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"ipBlock": {"cidr": cidr}} for cidr in PRIVATE_RANGES], "ports": [{"protocol": "TCP", "port": port}]}],
    }
