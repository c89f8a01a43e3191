"""The resource types the embedded AWS provider has, as one table; an input that is not in it is refused.

Parameter names are AWS's; "?" means the input's own name in AWS's spelling. What replaces a resource follows the real provider (7.x).
"""

from __future__ import annotations

from embedded.providers.aws_billing import BILLING
from embedded.providers.aws_cluster import CLUSTER
from embedded.providers.aws_dns import DNS
from embedded.providers.aws_drill import DRILL
from embedded.providers.aws_identity import IAM, KEYS_AND_LOGS
from embedded.providers.aws_network import LAUNCH_TEMPLATE, NETWORK
from embedded.providers.aws_s3 import S3
from embedded.providers.aws_security_groups import SECURITY_GROUPS
from embedded.providers.aws_storage import ECR, EFS, RDS
from embedded.providers.aws_table import Kind

TABLE: dict[str, Kind] = {
    **NETWORK,
    **SECURITY_GROUPS,
    "aws:ec2/launchTemplate:LaunchTemplate": LAUNCH_TEMPLATE,
    **IAM,
    **KEYS_AND_LOGS,
    **CLUSTER,
    **RDS,
    **EFS,
    **ECR,
    **BILLING,
    **DRILL,
    **DNS,
    **S3,
}
