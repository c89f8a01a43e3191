"""An image in ECR by its digest: whether it is there, and a tag that keeps it from being expired with old builds."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from components.airflow_image import PROMOTED_PREFIX
from components.preflight_aws import session
from components.preflight_plan import ECR_IMAGE

MANIFESTS = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
]
"""Kinds of manifests that ECR is to return as they are: another kind would have another digest."""


class EcrImage:
    """One image, asked for with the credentials of a profile or of the shell."""

    def __init__(self, image: str, profile: str | None = None) -> None:
        self._found = ECR_IMAGE.fullmatch(image)
        self._profile = profile
        self._manifest: dict[str, Any] | None = None

    def missing(self) -> str | None:
        """Why the image cannot move; None when it is there, or is in no ECR registry.

        A question that AWS does not answer is a reason too: an image that nobody has seen is not promoted.
        """
        if self._found is None:
            return None
        where = f"repository {self._found['repository']} of account {self._found['account']}"
        try:
            answer = self._ecr.batch_get_image(
                registryId=self._found["account"],
                repositoryName=self._found["repository"],
                imageIds=[{"imageDigest": self._found["digest"]}],
                acceptedMediaTypes=MANIFESTS,
            )
        except (ClientError, BotoCoreError) as error:
            return f"cannot see the image in {where}: {error}; log in to that account (AWS_PROFILE)"
        self._manifest = next(iter(answer["images"]), None)
        return None if self._manifest else f"{where} has no image {self._found['digest'][:19]}... any more: deploy the source again"

    def keep(self, target: str) -> str | None:
        """Tag the image as promoted, which the repository's lifecycle policy respects; why that failed, or None."""
        if self._found is None or self._manifest is None:
            return None
        tag = f"{PROMOTED_PREFIX}{target}-{self._found['digest'][7:19]}"
        kind = self._manifest.get("imageManifestMediaType")
        try:
            self._ecr.put_image(
                registryId=self._found["account"],
                repositoryName=self._found["repository"],
                imageManifest=self._manifest["imageManifest"],
                imageTag=tag,
                **({"imageManifestMediaType": kind} if kind else {}),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ImageAlreadyExistsException":  # promoted before
                return None
            return f"the image got no tag {tag}, so it is expired with old builds one day: {error}"
        return None

    @property
    def _ecr(self) -> Any:
        assert self._found is not None
        return session(self._profile, region=self._found["region"]).client("ecr", region_name=self._found["region"])
