"""What AWS switches on and off when somebody asks its API rather than Pulumi: a node group's machines, a stopped database."""

from __future__ import annotations

import functools
import threading

from embedded import database, processes
from embedded.aws_records import Params, Record
from embedded.cloud import Cloud


def fit_group(cloud: Cloud, cluster: str, record: Record) -> None:
    """Give a node group the machines that its Auto Scaling group lists, in the background; until then it is UPDATING."""
    if processes.find(cloud, "k8s-apiserver") is None:  # records alone, as in tests of the API
        return
    record["status"] = "UPDATING"
    threading.Thread(target=_fit, args=(cloud, cluster, record), daemon=True).start()


def _fit(cloud: Cloud, cluster: str, record: Record) -> None:
    from embedded.providers.aws import client
    from embedded.providers.aws_hardware import Hardware
    from embedded.providers.aws_resources import TABLE
    from embedded.providers.aws_table import Context

    group = {"clusterName": cluster, "nodeGroupName": record["nodegroupName"]}
    try:
        Hardware(cloud).fit_nodes(Context(cloud, functools.partial(client, cloud), TABLE["aws:eks/nodeGroup:NodeGroup"], group))
        record["health"] = {"issues": []}
        record["status"] = "ACTIVE"
    except Exception as problem:
        print(f"node group {record['nodegroupName']}: {type(problem).__name__}: {problem}", flush=True)
        record["health"] = {"issues": [{"code": "NodeCreationFailure", "message": str(problem), "resourceIds": []}]}
        record["status"] = "DEGRADED"


def after_stop(cloud: Cloud, params: Params) -> None:
    """A stopped database answers nobody and keeps its data."""
    database.stop_database(cloud, params["DBInstanceIdentifier"])


def after_start(cloud: Cloud, params: Params) -> None:
    """It comes back with the data and the configuration that it had."""
    if cloud.path("database").joinpath(params["DBInstanceIdentifier"]).exists():
        database.restart_database(cloud, params["DBInstanceIdentifier"])
