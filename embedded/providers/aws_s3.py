"""Buckets and their settings in the embedded AWS provider."""

from __future__ import annotations

import re

from embedded.providers.aws_identity import as_text
from embedded.providers.aws_table import Call, Context, Input, Kind, Tags, Values, changeable, fixed, local, put_again

BUCKET = {"Bucket": "{id}"}


def bucket_name(name: str) -> str:
    """Buckets have names of lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9-]", "-", name.lower())


def create_bucket(context: Context) -> Values:
    """A bucket in the provider's region, and its tags."""
    elsewhere = context["region"] != "us-east-1"
    where = {"CreateBucketConfiguration": {"LocationConstraint": context["region"]}} if elsewhere else {}
    made = context.ask("s3", "CreateBucket", {"Bucket": context["bucket"]} | where)
    pairs = [{"Key": key, "Value": str(value)} for key, value in (context["tagsAll"] or {}).items()]
    context.ask("s3", "PutBucketTagging", {"Bucket": context["bucket"], "Tagging": {"TagSet": pairs}})
    return made


def delete_bucket(context: Context) -> None:
    """Empty it first if the program said so; else S3 refuses one that holds anything."""
    if context["forceDestroy"]:
        listed = context.ask("s3", "ListObjectVersions", {"Bucket": context.id})
        for item in [*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())]:
            context.ask("s3", "DeleteObject", {"Bucket": context.id, "Key": item["Key"], "VersionId": item["VersionId"]})
    context.ask("s3", "DeleteBucket", {"Bucket": context.id})


def part(put: str, get: str, delete: Call | None, *, record: str = "@", **inputs: Input) -> Kind:
    """A setting of a bucket that is a resource of its own: one call puts it, another takes it away."""
    return Kind(
        service="s3",
        create=Call(put),
        id="{bucket}",
        read=Call(get, BUCKET),
        record=record,
        update=put_again(put),
        delete=delete,
        inputs={"bucket": fixed("Bucket", read=None, required=True), **inputs},
    )


SUSPENDED = {"VersioningConfiguration": {"Status": "Suspended"}}
# S3 takes all tags of a bucket at once
TAGGING = Call("PutBucketTagging", BUCKET | {"Tagging": {"TagSet": "{all_tags}"}})
S3: dict[str, Kind] = {
    "aws:s3/bucket:Bucket": Kind(
        service="s3",
        create=create_bucket,
        id="{bucket}",
        read=Call("GetBucketLocation", BUCKET),
        more=((Call("GetBucketTagging", BUCKET), "TagSet", "Tags"),),
        delete=delete_bucket,
        name="bucket",
        name_form=bucket_name,
        inputs={"bucket": Input(on_change="replace"), "forceDestroy": local()},
        outputs={
            "arn": "=arn:aws:s3:::{id}",
            "bucketDomainName": "={id}.s3.amazonaws.com",
            "bucketRegionalDomainName": "={id}.s3.{region}.amazonaws.com",
        },
        tags=Tags(add=TAGGING, remove=TAGGING),
    ),
    "aws:s3/bucketVersioning:BucketVersioning": part(
        "PutBucketVersioning",
        "GetBucketVersioning",
        Call("PutBucketVersioning", BUCKET | SUSPENDED),
        versioningConfiguration=changeable("VersioningConfiguration", read="{status: Status}", required=True),
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": part(
        "PutBucketEncryption",
        "GetBucketEncryption",
        Call("DeleteBucketEncryption", BUCKET),
        record="ServerSideEncryptionConfiguration",
        rules=changeable("ServerSideEncryptionConfiguration.Rules", read="Rules", required=True),
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": part(
        "PutPublicAccessBlock",
        "GetPublicAccessBlock",
        Call("DeletePublicAccessBlock", BUCKET),
        record="PublicAccessBlockConfiguration",
        **{
            name: changeable(f"PublicAccessBlockConfiguration.{name[0].upper()}{name[1:]}", read=f"{name[0].upper()}{name[1:]}")
            for name in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        },
    ),
    "aws:s3/bucketPolicy:BucketPolicy": part(
        "PutBucketPolicy",
        "GetBucketPolicy",
        Call("DeleteBucketPolicy", BUCKET),
        policy=changeable("Policy", to_aws=as_text, to_pulumi=as_text, required=True),
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": part(
        "PutBucketLifecycleConfiguration",
        "GetBucketLifecycleConfiguration",
        Call("DeleteBucketLifecycle", BUCKET),
        rules=changeable("LifecycleConfiguration.Rules", read="Rules", required=True),
    ),
}
