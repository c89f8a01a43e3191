"""Database, file system, images and logs: what must never be read, lost or left behind."""

from __future__ import annotations

from typing import Any

from components.planned import UNKNOWN
from components.planned_values import is_known
from policies.rules import Subject, Verdict, every, policy, some

DATABASE = "aws:rds/instance:Instance"
PARAMETERS = "aws:rds/parameterGroup:ParameterGroup"
FILE_SYSTEM = "aws:efs/fileSystem:FileSystem"
ACCESS_POINT = "aws:efs/accessPoint:AccessPoint"
REPOSITORY = "aws:ecr/repository:Repository"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
AIRFLOW_USER, AIRFLOW_GROUP = 50000, 0
"""Of the official image."""
AUTHORITIES = ("rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1")
DAYS_OF_BACKUPS = 7
DAYS_OF_LOGS = 365

# fmt: off
# a table: one rule an entry, its texts where the eye expects them
policy("rds-encrypted", DATABASE, "CKV_AWS_16 AWS-0080",
       "the database or its snapshots can be read from the disk", "set storageEncrypted and a kmsKeyId of our own",
       lambda it: every(it.true("storageEncrypted"), it.given("kmsKeyId")))
policy("rds-private", DATABASE, "CKV_AWS_17 AWS-0180",
       "the database has a public address", "set publiclyAccessible to false", lambda it: it.false("publiclyAccessible"))
policy("rds-deletion-protection", DATABASE, "CKV_AWS_293 AWS-0177",
       "one command deletes the database", "set database.deletionProtection", lambda it: it.true("deletionProtection"))
policy("rds-final-snapshot", DATABASE, "CKV_AWS_293",
       "a destroy cannot be undone", "set database.finalSnapshot", lambda it: it.false("skipFinalSnapshot"))
policy("rds-iam-authentication", DATABASE, "CKV_AWS_161 AWS-0176",
       "only passwords open the database", "set iamDatabaseAuthenticationEnabled", lambda it: it.true("iamDatabaseAuthenticationEnabled"))
policy("rds-log-exports", DATABASE, "CKV_AWS_129",
       "the database's log is lost with it", "export postgresql and upgrade to CloudWatch",
       lambda it: it.covers("enabledCloudwatchLogsExports", "postgresql", "upgrade"))
policy("rds-backups", DATABASE, "CKV_AWS_133 AWS-0077",
       "backups are kept too short to notice a mistake", f"set database.backupRetentionDays to {DAYS_OF_BACKUPS} or more",
       lambda it: it.number("backupRetentionPeriod", DAYS_OF_BACKUPS))
policy("rds-multi-az", DATABASE, "CKV_AWS_157",
       "the loss of a zone stops Airflow", "set database.multiAz", lambda it: it.true("multiAz"))
policy("rds-enhanced-monitoring", DATABASE, "CKV_AWS_118",
       "nobody sees what the database's machine does", "set monitoringInterval and monitoringRoleArn",
       lambda it: every(it.number("monitoringInterval", 1), it.given("monitoringRoleArn")))
policy("rds-performance-insights", DATABASE, "CKV_AWS_353 CKV_AWS_354 AWS-0133 AWS-0078",
       "slow queries cannot be found, or are kept under a key that is not ours",
       "set performanceInsightsEnabled and performanceInsightsKmsKeyId",
       lambda it: every(it.true("performanceInsightsEnabled"), it.given("performanceInsightsKmsKeyId")))
policy("rds-minor-upgrades", DATABASE, "CKV_AWS_226",
       "security fixes wait for somebody to ask for them", "leave autoMinorVersionUpgrade true",
       lambda it: it.true("autoMinorVersionUpgrade", True))
policy("rds-modern-authority", DATABASE, "CKV_AWS_211",
       "the server's certificate comes from an authority that AWS retires", f"set caCertIdentifier to {AUTHORITIES[0]}",
       lambda it: it.has("caCertIdentifier", *AUTHORITIES))
policy("rds-tagged-snapshots", DATABASE, "CKV2_AWS_60",
       "nobody knows whose a snapshot is", "set copyTagsToSnapshot", lambda it: it.true("copyTagsToSnapshot"))
policy("rds-password-hidden", DATABASE, "",
       "the password stands readable in the state", "pass an Output that is a secret",
       lambda it: not isinstance(it.at("password"), str))
policy("rds-forces-tls", PARAMETERS, "CKV2_AWS_69",
       "the database takes connections in clear", "set parameter rds.force_ssl to 1", lambda it: _parameter(it, "rds.force_ssl", {"1"}))
policy("rds-own-parameters", DATABASE, "CKV2_AWS_69 CKV2_AWS_30",
       "AWS's default parameters force nothing and log nothing", "give a parameter group of our own",
       lambda it: it.given("parameterGroupName") and not str(it.at("parameterGroupName")).startswith("default."))
policy("rds-logs-statements", PARAMETERS, "CKV2_AWS_30",
       "neither schema changes nor slow queries are logged", "set log_statement and log_min_duration_statement",
       lambda it: every(_parameter(it, "log_statement", {"ddl", "mod", "all"}), _parameter(it, "log_min_duration_statement", None)))
policy("efs-encrypted", FILE_SYSTEM, "CKV_AWS_42 CKV_AWS_184 AWS-0037",
       "DAGs and logs are not encrypted with a key of ours", "set encrypted and kmsKeyId",
       lambda it: every(it.true("encrypted"), it.given("kmsKeyId")))
policy("efs-access-point-root", ACCESS_POINT, "CKV_AWS_329",
       "the access point shows the whole file system", "give rootDirectory a path below /",
       lambda it: it.at("rootDirectory.path", "/") != "/")
policy("efs-access-point-user", ACCESS_POINT, "CKV_AWS_330",
       "files are not kept to Airflow's user",
       f"set posixUser {AIRFLOW_USER}:{AIRFLOW_GROUP} and permissions 0750 or 0770",
       lambda it: every(it.number("posixUser.uid", AIRFLOW_USER, AIRFLOW_USER),
                        it.number("posixUser.gid", AIRFLOW_GROUP, AIRFLOW_GROUP, default=-1),
                        it.has("rootDirectory.creationInfo.permissions", "0750", "750", "0770", "770")))
policy("efs-policy-tls", FILE_SYSTEM, "",
       "the file system can be mounted without TLS", "add a file system policy (see efs-policy-allows for what it must say)",
       lambda it: any(other.resource and other.resource.type == "aws:efs/fileSystemPolicy:FileSystemPolicy" for other in it.children))
policy("pv-tls", "kubernetes:core/v1:PersistentVolume", "",
       "files cross the network in clear", "add mount option tls",
       lambda it: it.at("spec.csi.driver") != "efs.csi.aws.com" or it.covers("spec.mountOptions", "tls"))
policy("pv-access-point", "kubernetes:core/v1:PersistentVolume", "CKV_AWS_330",
       "the volume shows the whole file system as root", "use volumeHandle FILE-SYSTEM::ACCESS-POINT",
       lambda it: it.at("spec.csi.driver") != "efs.csi.aws.com" or _contains(it.at("spec.csi.volumeHandle"), "::"))
policy("pv-retained", "kubernetes:core/v1:PersistentVolume", "",
       "deleting a claim deletes logs and DAGs", "set persistentVolumeReclaimPolicy Retain",
       lambda it: it.has("spec.persistentVolumeReclaimPolicy", "Retain", default="Retain"))
policy("ecr-immutable", REPOSITORY, "CKV_AWS_51 AWS-0031",
       "a tag can be moved to another image", "set imageTagMutability IMMUTABLE",
       lambda it: it.has("imageTagMutability", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", default="MUTABLE"))
policy("ecr-scanned", REPOSITORY, "CKV_AWS_163 AWS-0030 CIS-5.1.1",
       "images are not searched for known holes", "set imageScanningConfiguration.scanOnPush",
       lambda it: it.true("imageScanningConfiguration.scanOnPush"))
policy("ecr-encrypted", REPOSITORY, "CKV_AWS_136 AWS-0033",
       "images are not encrypted with a key of ours", "give encryptionConfigurations with type KMS and our key",
       lambda it: every(it.has("encryptionConfigurations.0.encryptionType", "KMS", default="AES256"),
                        it.given("encryptionConfigurations.0.kmsKey")))
policy("logs-encrypted", LOG_GROUP, "CKV_AWS_158 AWS-0017",
       "the log is not encrypted with a key of ours", "set kmsKeyId", lambda it: it.given("kmsKeyId"))
policy("logs-retained", LOG_GROUP, "CKV_AWS_66",
       "the log is kept, and paid for, for ever", "set retentionInDays", lambda it: it.number("retentionInDays", 1))
policy("logs-retained-a-year", LOG_GROUP, "CKV_AWS_338",
       "an audit cannot look back a year", f"set logRetentionDays of network, cluster or database to {DAYS_OF_LOGS} or more",
       lambda it: some(it.number("retentionInDays", DAYS_OF_LOGS), it.at("retentionInDays", 0) == 0))
policy("secrets-manager-key", "aws:secretsmanager/secret:Secret", "CKV_AWS_149 AWS-0098",
       "the secret is not encrypted with a key of ours", "set kmsKeyId", lambda it: it.given("kmsKeyId"))
# fmt: on


def _contains(value: Any, part: str) -> Verdict:
    return part in str(value) if is_known(value) else UNKNOWN


def _parameter(it: Subject, name: str, allowed: set[str] | None) -> Verdict:
    found = [entry.get("value") for entry in it.items("parameters") if entry.get("name") == name]
    if not found:
        return UNKNOWN if not is_known(it.at("parameters")) else False
    return allowed is None or str(found[0]) in allowed
