"""Cluster policy of this stack: tasks are made fit for nodes that may be taken away, and those that cannot be are refused.

Airflow imports this module from its configuration folder in every process. A refusal is an import error of the DAG's file, which the web UI
shows. Refused is only what is bound to fail; `make lint-dags` also names what is merely unwise.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from airflow.exceptions import AirflowClusterPolicyViolation
from airflow_on_eks import ON_DEMAND_TEMPLATE
from airflow_on_eks.node_silence import LOST

__all__ = ["pod_mutation_hook", "task_policy"]

NOTICE_ROOM_SECONDS = 110
"""AWS takes a Spot node 120 seconds after its notice, and the kubelet needs some of them."""
FALLBACK_RETRIES = 2
"""Where Airflow runs without the stack's configuration, as in a DAG author's own tests."""
UNBOUNDED = ("BaseSensorOperator", "HITLOperator")
"""They wait for something, most of the time without a pod, and have a timeout of their own."""
LIFECYCLE = "lifecycle"
SPOT = "Ec2Spot"
CAPACITY_KEYS = (LIFECYCLE, "eks.amazonaws.com/capacityType", "eks.amazonaws.com/nodegroup", "karpenter.sh/capacity-type")
TOLERATIONS = ({"key": "spotInstance", "value": "true"}, {"key": "dedicated", "value": "airflow"})


def task_policy(task: Any) -> None:
    """Give a task what its author left open, or refuse it.

    Raises:
        AirflowClusterPolicyViolation: the task cannot survive, or would never find a node; every reason and the way out.
    """
    if getattr(task, "inherits_from_empty_operator", False):
        return  # the scheduler completes it: it never has a pod
    retries_by_default = int(os.environ.get("AIRFLOW__CORE__DEFAULT_TASK_RETRIES", "0"))
    if not task.retries and not retries_by_default:
        task.retries = FALLBACK_RETRIES
    if task.execution_timeout is None and not _waits(task):
        task.execution_timeout = timedelta(minutes=int(os.environ.get("AIRFLOW_ON_EKS_TASK_TIMEOUT_MINUTES", "360")))
    if problems := list(_problems(task)):
        reasons = "; ".join(problems)
        raise AirflowClusterPolicyViolation(f"task {task.task_id!r} of DAG {task.dag_id!r} cannot run on this stack: {reasons}")


def _waits(task: Any) -> bool:
    operator = getattr(task, "operator_class", None)  # a mapped task is no instance of its operator
    kinds = operator.__mro__ if isinstance(operator, type) else type(task).__mro__
    mapped = getattr(task, "partial_kwargs", {})
    return bool(getattr(task, "deferrable", mapped.get("deferrable"))) or any(kind.__name__ in UNBOUNDED for kind in kinds)


def _problems(task: Any) -> Iterator[str]:
    config = task.executor_config if isinstance(task.executor_config, dict) else {}
    pinned = config.get("pod_template_file") == ON_DEMAND_TEMPLATE
    spec = getattr(config.get("pod_override"), "spec", None)
    if not pinned and not task.retries:
        yield (
            "retries is 0, so the first Spot node that is taken away fails it. Remove retries=0 for the stack's default, give at least 1, "
            "or pin the task to On-Demand nodes: 'from airflow_on_eks import on_demand' and executor_config=on_demand()"
        )
    grace = getattr(spec, "termination_grace_period_seconds", None) or 0
    if not pinned and grace > NOTICE_ROOM_SECONDS:
        yield (
            f"terminationGracePeriodSeconds {grace} of its pod_override is longer than a Spot node lives after its notice; "
            f"give at most {NOTICE_ROOM_SECONDS}, or pin the task with executor_config=on_demand()"
        )
    chosen = {key: value for key, value in (getattr(spec, "node_selector", None) or {}).items() if key in CAPACITY_KEYS}
    if not pinned and chosen and chosen != {LIFECYCLE: SPOT}:
        yield (
            f"nodeSelector {chosen} of its pod_override contradicts every worker pod's affinity to Spot nodes: it would stay pending; "
            "for On-Demand use executor_config=on_demand() instead"
        )
    if pinned and (chosen or getattr(getattr(spec, "affinity", None), "node_affinity", None)):
        yield "the pod_override given to on_demand() chooses nodes as well; leave that to on_demand()"


def pod_mutation_hook(pod: Any) -> None:
    """Send a pod that names no capacity choice to Spot, and keep every pod off nodes that are lost.

    A `pod_override` with an affinity of its own has replaced the template's choice.
    """
    from kubernetes.client import models as k8s

    spec = pod.spec
    on_spot = None if _names_capacity(spec) else k8s.V1NodeSelectorRequirement(key=LIFECYCLE, operator="In", values=[SPOT])
    elsewhere = [k8s.V1NodeSelectorRequirement(key="metadata.name", operator="NotIn", values=[node]) for node in sorted(LOST)]
    if not on_spot and not elsewhere:
        return
    spec.affinity = spec.affinity or k8s.V1Affinity()
    spec.affinity.node_affinity = node = spec.affinity.node_affinity or k8s.V1NodeAffinity()
    required = node.required_during_scheduling_ignored_during_execution
    terms = (required.node_selector_terms if required else None) or [k8s.V1NodeSelectorTerm()]
    for term in terms:  # terms are alternatives: each must say it
        term.match_expressions = [*(term.match_expressions or []), on_spot] if on_spot else term.match_expressions
        term.match_fields = [*(term.match_fields or []), *elsewhere] or None
    node.required_during_scheduling_ignored_during_execution = k8s.V1NodeSelector(node_selector_terms=terms)
    if not on_spot:
        return
    known = {toleration.key for toleration in spec.tolerations or []}
    missing = [k8s.V1Toleration(operator="Equal", **toleration) for toleration in TOLERATIONS if toleration["key"] not in known]
    spec.tolerations = [*(spec.tolerations or []), *missing]


def _names_capacity(spec: Any) -> bool:
    node = getattr(spec.affinity, "node_affinity", None)
    required = getattr(node, "required_during_scheduling_ignored_during_execution", None)
    terms = getattr(required, "node_selector_terms", None) or []
    keys = [{expression.key for expression in term.match_expressions or []} for term in terms]
    return bool(set(CAPACITY_KEYS) & set(spec.node_selector or {})) or (bool(keys) and all(set(CAPACITY_KEYS) & found for found in keys))
