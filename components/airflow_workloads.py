"""How the objects of a release are made: where they go, its jobs, its programs. What is in them stands in `airflow_objects`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_kubernetes as k8s

from components import airflow_objects as objects
from components import git_dags_plan, pod_security

if TYPE_CHECKING:
    from components.airflow_release import AirflowReleaseArgs
    from components.git_dags import GitDags

JOB_TIMEOUT = "20m"
RELEASE = "airflow"
"""Value of the label `release`, which Airflow's tools filter by."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the objects of a release go."""

    name: str
    """Begins their logical names."""
    namespace: pulumi.Output[str]
    opts: pulumi.ResourceOptions
    """Their parent."""

    def metadata(self, name: pulumi.Input[str], **more: Any) -> dict[str, Any]:
        """Of an object in the namespace."""
        return {"name": name, "namespace": self.namespace, **more}


def job(place: Place, name: str, spec: dict[str, Any], facts: list[Any], after: Iterable[pulumi.Resource]) -> k8s.batch.v1.Job:
    """A task that is done once for each specification and each set of `facts`."""
    # a Job cannot be changed: what it does is in its name, so another image or configuration is another Job
    return k8s.batch.v1.Job(
        f"{place.name}-{name}",
        metadata=place.metadata(pulumi.Output.concat(f"airflow-{name}-", _digest([spec, *facts]).apply(lambda text: text[:8]))),
        spec=spec,
        opts=pulumi.ResourceOptions.merge(
            place.opts,
            pulumi.ResourceOptions(depends_on=list(after), custom_timeouts=pulumi.CustomTimeouts(create=JOB_TIMEOUT, update=JOB_TIMEOUT)),
        ),
    )


def program(
    place: Place,
    args: AirflowReleaseArgs,
    component: objects.CoreComponent,
    *,
    worker_image: Mapping[str, Any],
    config: Mapping[str, Any],
    secrets: Mapping[str, Any],
    git: Sequence[GitDags],
    after: Iterable[pulumi.Resource],
) -> k8s.apps.v1.Deployment:
    """One of Airflow's programs, with the bound on how many of its pods may be away."""
    # a changed key or setting restarts whoever reads it, and nobody else
    checksums = {
        "checksum/config": _digest(config),
        "checksum/secrets": _digest({key: secrets[key] for key in component.secrets.values()}),
    }
    if component.name in git_dags_plan.SERVERS:
        checksums |= {f"checksum/{git_dags_plan.BUNDLE}": _digest(one.connections) for one in git}
    deployment = k8s.apps.v1.Deployment(
        f"{place.name}-{component.name}",
        metadata=place.metadata(f"airflow-{component.name}", labels=pod_security.labels(RELEASE, component.name)),
        spec=objects.deployment(
            component,
            release=RELEASE,
            version=args.version,
            image=args.image,
            worker_image=worker_image,
            replicas=getattr(args.replicas, component.name.replace("-", "_")),
            checksums=checksums,
            extra=git_dags_plan.pod_extra(args.git_dags, component.name),
        ),
        opts=pulumi.ResourceOptions.merge(place.opts, pulumi.ResourceOptions(depends_on=list(after))),
    )
    k8s.policy.v1.PodDisruptionBudget(
        f"{place.name}-{component.name}-budget",
        metadata=place.metadata(f"airflow-{component.name}"),
        spec=objects.disruption_budget(component.name, release=RELEASE),
        opts=place.opts,
    )
    return deployment


def _digest(values: Any) -> pulumi.Output[str]:
    def digest(known: Any) -> str:
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()

    # a hash of long random values tells nothing about them, and as a secret it would hide the whole pod from the diff
    return pulumi.Output.unsecret(pulumi.Output.from_input(values).apply(digest))
