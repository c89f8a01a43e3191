"""The Airflow image: built here and pushed to a repository of our own, or named by a digest that was built elsewhere.

Owns the ECR repository and the build, or nothing at all when a digest is given: then the image stays with the stack that built it.
Without it no pod of Airflow can start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_docker_build as docker_build

from components.airflow_image_context import content_tag
from components.cost_tags import component_tags

PROJECT = Path(__file__).parent.parent
DOCKERFILE = "docker/Dockerfile"
UNTAGGED_DAYS = 7
KEPT_IMAGES = 30
"""Old images a rollback or a promotion may still want."""
PROMOTED_PREFIX = "promoted-"
"""Begins the tag of an image that another stack was promoted to (`make promote`): it outlives newer builds."""
KEPT_PROMOTIONS = 500


@dataclass(frozen=True, kw_only=True)
class AirflowImageArgs:
    """What to build and where to keep it."""

    kms_key_arn: pulumi.Input[str] | None = None
    """Key for the images; None: the one that ECR itself keeps."""

    repository: str
    base: str
    """Image that the Dockerfile starts from."""
    digest: str | None
    """`repository-uri@sha256:...` built elsewhere; with it nothing is built and no repository is made."""
    platform: str
    tags: Mapping[str, str]


class AirflowImage(pulumi.ComponentResource):
    """One image, known by its digest."""

    uri: pulumi.Output[str]
    """`repository@sha256:...`, what pods run."""

    def __init__(self, name: str, args: AirflowImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-on-eks:index:AirflowImage", name, None, opts)
        self.uri = pulumi.Output.from_input(args.digest) if args.digest else self._built(name, args)
        self.register_outputs({"uri": self.uri})

    def _built(self, name: str, args: AirflowImageArgs) -> pulumi.Output[str]:
        child = pulumi.ResourceOptions(parent=self)
        encryption = {"encryption_type": "AES256"} if args.kms_key_arn is None else {"encryption_type": "KMS", "kms_key": args.kms_key_arn}
        repository = aws.ecr.Repository(
            f"{name}-repository",
            name=args.repository,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[encryption],
            force_delete=True,  # read from the state at destroy time: it must be there from the first day
            tags=component_tags(args.tags, "registry"),
            opts=child,
        )
        aws.ecr.LifecyclePolicy(f"{name}-lifecycle", repository=repository.name, policy=json.dumps(_lifecycle()), opts=child)
        login = aws.ecr.get_authorization_token_output(registry_id=repository.registry_id, opts=pulumi.InvokeOutputOptions(parent=self))
        arguments = {"BASE_IMAGE": args.base}
        tag = content_tag(PROJECT, {**arguments, "platform": args.platform})
        image = docker_build.Image(
            f"{name}-image",
            # relative to where Pulumi runs, the project: an absolute path would differ, and rebuild, on every machine
            context={"location": "."},
            dockerfile={"location": DOCKERFILE},
            build_args=arguments,
            platforms=[args.platform],
            tags=[pulumi.Output.concat(repository.repository_url, ":", tag)],
            push=True,
            build_on_preview=False,  # a preview says what would change; it needs no builder and takes no minutes
            registries=[{"address": repository.repository_url, "username": login.user_name, "password": login.password}],
            opts=child,
        )
        return pulumi.Output.concat(repository.repository_url, "@", image.digest)


def _lifecycle() -> dict[str, Any]:
    def rule(priority: int, description: str, selection: dict[str, Any]) -> dict[str, Any]:
        return {"rulePriority": priority, "description": description, "selection": selection, "action": {"type": "expire"}}

    untagged = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": UNTAGGED_DAYS}
    # an image that a rule's tags match is not expired by a later rule (ECR user guide, lifecycle policy evaluation)
    promoted = {
        "tagStatus": "tagged",
        "tagPrefixList": [PROMOTED_PREFIX],
        "countType": "imageCountMoreThan",
        "countNumber": KEPT_PROMOTIONS,
    }
    most = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES}
    return {"rules": [rule(1, "run by other stacks", promoted), rule(2, "leftovers of builds", untagged), rule(3, "old images", most)]}
