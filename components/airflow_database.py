"""Airflow's metadata database on RDS PostgreSQL.

Owns the instance with its parameter, subnet and security groups, its log groups and its generated password. The nodes' security group and
the subnets come from outside. Without it nothing of Airflow starts; losing its data loses connections, variables and all history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components import iam_policies
from components.airflow_config import DATABASE_TRUST_STORE
from components.cost_tags import component_tags
from components.store_access import for_nodes_only

PORT = 5432
DATABASE = "airflow"
USERNAME = "airflow"
LOG_EXPORTS = ("postgresql", "upgrade")
MONITORING_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
TLS = f"sslmode=verify-full&sslrootcert={DATABASE_TRUST_STORE}"
"""In libpq's words: encrypted, and only with the server of that name. `require` would take anybody's certificate."""
PARAMETERS = {
    "rds.force_ssl": "1",
    "log_min_duration_statement": "1000",  # milliseconds: a query this slow holds the scheduler's loop up
    "log_statement": "ddl",
}


@dataclass(frozen=True, kw_only=True)
class DatabaseConnection:
    """How user `airflow` reaches database `airflow` of a server that speaks TLS on port 5432."""

    host: pulumi.Input[str]
    """As the server's certificate names it."""
    password: pulumi.Input[str]

    @property
    def sync_uri(self) -> pulumi.Output[str]:
        """For psycopg2, which plain `postgresql://` no longer means since SQLAlchemy 2.1."""
        return self._uri("psycopg2", TLS)

    @property
    def async_uri(self) -> pulumi.Output[str]:
        """For asyncpg, which knows libpq's words in a `dsn` only: Airflow would else derive this one wrongly from the other."""
        return self._uri("asyncpg", f"dsn={quote(f'postgresql://?{TLS}', safe='')}")

    def _uri(self, driver: str, query: str) -> pulumi.Output[str]:
        account = pulumi.Output.secret(self.password).apply(lambda text: f"{USERNAME}:{quote(text, safe='')}")
        uri = pulumi.Output.concat(f"postgresql+{driver}://", account, "@", self.host, f":{PORT}/{DATABASE}?{query}")
        return pulumi.Output.secret(uri)


@dataclass(frozen=True, kw_only=True)
class AirflowDatabaseArgs:
    """What the database is and who reaches it."""

    vpc_id: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Private subnets in two zones or more."""
    client_security_group_id: pulumi.Input[str]
    """Group the nodes carry; nothing else reaches the database."""
    kms_key_arn: pulumi.Input[str] | None = None
    """Key for storage, insights and logs; None: the account's default keys."""

    identifier: str
    engine_version: str
    allow_major_version_upgrade: bool = False
    """Whether another major `engine_version` is meant: it cannot be undone, and the database is away for minutes."""
    instance_class: str
    allocated_storage_gib: int
    max_allocated_storage_gib: int
    backup_retention_days: int
    multi_az: bool
    deletion_protection: bool
    final_snapshot: bool
    log_retention_days: int
    tags: Mapping[str, str]


class AirflowDatabase(pulumi.ComponentResource):
    """RDS instance: private, encrypted, TLS only."""

    connection: DatabaseConnection
    """How Airflow connects."""
    security_group_id: pulumi.Output[str]
    """Group of the instance, for those who must prove what reaches it."""

    def __init__(self, name: str, args: AirflowDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-on-eks:index:AirflowDatabase", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = component_tags(args.tags, "database")

        subnets = aws.rds.SubnetGroup(
            f"{name}-subnets", description="Private subnets of Airflow's database", subnet_ids=args.subnet_ids, tags=tags, opts=child
        )
        group = for_nodes_only(
            name,
            vpc_id=args.vpc_id,
            client_security_group_id=args.client_security_group_id,
            port=PORT,
            store="Airflow's metadata database",
            protocol="PostgreSQL",
            tags=tags,
            opts=child,
        )
        parameters = aws.rds.ParameterGroup(
            f"{name}-parameters",
            description="TLS only, slow queries and schema changes logged",
            family=f"postgres{args.engine_version.partition('.')[0]}",
            parameters=[{"name": key, "value": value} for key, value in PARAMETERS.items()],
            tags=tags,
            opts=child,
        )
        # made before the instance: RDS would else create them itself, untagged, kept for ever and left behind
        logs = [
            aws.cloudwatch.LogGroup(
                f"{name}-{kind}-log",
                name=f"/aws/rds/instance/{args.identifier}/{kind}",
                retention_in_days=args.log_retention_days,
                kms_key_id=args.kms_key_arn,
                tags=tags,
                opts=child,
            )
            for kind in LOG_EXPORTS
        ]
        monitoring = aws.iam.Role(
            f"{name}-monitoring",
            description="RDS writes the operating system's figures of Airflow's database",
            assume_role_policy=iam_policies.trust("monitoring.rds.amazonaws.com"),
            tags=tags,
            opts=child,
        )
        attached = aws.iam.RolePolicyAttachment(f"{name}-monitoring-policy", role=monitoring.name, policy_arn=MONITORING_POLICY, opts=child)
        # letters and digits only: nothing that RDS refuses in a password or a URI would have to escape
        password = random.RandomPassword(f"{name}-password", length=40, special=False, opts=child)
        # stored, so that a stack made again under the same name does not collide with the snapshot of its predecessor
        suffix = random.RandomId(f"{name}-snapshot-suffix", byte_length=4, opts=child)

        instance = aws.rds.Instance(
            f"{name}-instance",
            identifier=args.identifier,
            engine="postgres",
            engine_version=args.engine_version,
            allow_major_version_upgrade=args.allow_major_version_upgrade,
            engine_lifecycle_support="open-source-rds-extended-support-disabled",
            instance_class=args.instance_class,
            allocated_storage=args.allocated_storage_gib,
            max_allocated_storage=args.max_allocated_storage_gib,
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=args.kms_key_arn,
            db_name=DATABASE,
            username=USERNAME,
            password=password.result,
            port=PORT,
            iam_database_authentication_enabled=True,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[group.id],
            parameter_group_name=parameters.name,
            publicly_accessible=False,
            multi_az=args.multi_az,
            ca_cert_identifier="rds-ca-rsa2048-g1",
            backup_retention_period=args.backup_retention_days,
            copy_tags_to_snapshot=True,
            skip_final_snapshot=not args.final_snapshot,
            final_snapshot_identifier=pulumi.Output.concat(args.identifier, "-final-", suffix.hex) if args.final_snapshot else None,
            deletion_protection=args.deletion_protection,
            auto_minor_version_upgrade=True,
            apply_immediately=True,  # an update that returned has been carried out, not queued for the maintenance window
            enabled_cloudwatch_logs_exports=list(LOG_EXPORTS),
            performance_insights_enabled=True,
            performance_insights_kms_key_id=args.kms_key_arn,
            performance_insights_retention_period=7,  # days; more costs extra
            monitoring_interval=60,
            monitoring_role_arn=monitoring.arn,
            tags=tags,
            # AWS's own protection speaks up when what needs the database is gone already, Pulumi's in the preview of a destroy
            opts=pulumi.ResourceOptions.merge(
                child, pulumi.ResourceOptions(depends_on=[*logs, attached], protect=args.deletion_protection)
            ),
        )

        self.connection = DatabaseConnection(host=instance.address, password=pulumi.Output.secret(password.result))
        self.security_group_id = group.id
        self.register_outputs({"connection": vars(self.connection), "security_group_id": self.security_group_id})
