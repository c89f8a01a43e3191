"""Airflow on EKS: its own programs on On-Demand nodes, every task in a pod of its own on Spot nodes.

network ── cluster ─┬─ ng-on-demand   scheduler, API server, DAG processor, triggerer ── web UI
                    ├─ ng-spot1, ...  one pod a task (if wanted ng-overflow: On-Demand, for when Spot has no room)
                    └─ PostgreSQL (RDS) · DAGs and logs (EFS) · image (ECR) · autoscaler
"""

import pulumi
import pulumi_kubernetes as k8s

from components import permissions_boundary, preflight, stack_placement
from components.airflow_database import AirflowDatabase, AirflowDatabaseArgs
from components.airflow_image import AirflowImage, AirflowImageArgs
from components.airflow_release import AirflowRelease, AirflowReleaseArgs
from components.cluster import Cluster, ClusterArgs
from components.cluster_autoscaler import ClusterAutoscaler, ClusterAutoscalerArgs
from components.cost_budget import watched_cost
from components.cost_tags import cost_tags
from components.efs_storage import EfsStorage, EfsStorageArgs
from components.encryption_key import EncryptionKey, EncryptionKeyArgs
from components.network import Network, NetworkArgs
from components.settings import Settings
from components.spot_drill import SpotDrill, SpotDrillArgs
from components.worker_node_groups import worker_node_groups

settings = Settings.load(pulumi.Config())
preflight.first_step(settings)
tags = cost_tags(settings)
cost, placement = watched_cost(settings, tags), stack_placement.StackPlacement(settings.workers.fallback)  # of all that follows
placed: dict = {"region": settings.region, "tags": tags}
permissions_boundary.bound_every_role(settings.iam.permissions_boundary_arn)
key = EncryptionKey("airflow", EncryptionKeyArgs(**vars(settings.encryption), **placed))
stored: dict = {"kms_key_arn": key.arn, "tags": tags}
network = Network("airflow", NetworkArgs(**vars(settings.network), **stored, region=settings.region))
cluster = Cluster("airflow", ClusterArgs(**stored, network=network.ids, cluster=settings.cluster, core=settings.core))
workers = worker_node_groups(settings.workers, cluster.node_wiring, cluster.efs_driver_version, tags)
data: dict = {"vpc_id": network.ids.vpc_id, "subnet_ids": network.ids.private, "client_security_group_id": cluster.node_security_group_id}
k8s_provider = k8s.Provider("kubernetes", kubeconfig=cluster.kubeconfig, enable_config_map_mutable=True, enable_secret_mutable=True)
on_cluster = pulumi.ResourceOptions(providers=[k8s_provider])
on_nodes = pulumi.ResourceOptions(providers=[k8s_provider], depends_on=[cluster, *workers.components])  # pods come last and go first
image = AirflowImage("airflow", AirflowImageArgs(**vars(settings.image), **stored))
database = AirflowDatabase("metadata", AirflowDatabaseArgs(**vars(settings.database), **data, **stored))
storage = EfsStorage("shared", EfsStorageArgs(**vars(settings.storage), **data, **stored), on_cluster)
ClusterAutoscaler("autoscaler", ClusterAutoscalerArgs(**vars(settings.autoscaler), **workers.scaling, **placed), on_nodes)
SpotDrill("drill", SpotDrillArgs(**vars(settings.drill), database_identifier=settings.database.identifier, **placed))
wired: dict = {"image": image.uri, "database": database.connection, "volumes": storage.volumes, "deployment": settings.cluster.name}
shared: dict = {**settings.web.arguments, "worker_fallback": settings.workers.fallback, **stored}
airflow = AirflowRelease("airflow", AirflowReleaseArgs(**vars(settings.airflow), **wired, **shared), on_nodes)
pulumi.export("web_ui_url", airflow.web_ui_url)
pulumi.export("admin_user", airflow.admin_user)
pulumi.export("admin_password", airflow.admin_password)
pulumi.export("namespace", airflow.namespace)
pulumi.export("image", image.uri)
pulumi.export("versions", {"airflow": settings.airflow.version, "kubernetes": settings.cluster.kubernetes_version})
pulumi.export("hibernation", settings.sleeper)
pulumi.export("kubeconfig", cluster.kubeconfig)
pulumi.export("cost_tags", tags)
pulumi.export("cost_per_day", cost.per_day)
pulumi.export("cost_table", cost.table)
pulumi.export("placement", placement.table)
