"""Three ways to say where a task runs."""

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
from airflow_on_eks import on_demand
from kubernetes.client import models as k8s

NO_NEIGHBOUR = k8s.V1PodAffinityTerm(
    topology_key="kubernetes.io/hostname", label_selector=k8s.V1LabelSelector(match_labels={"dag_id": "pinned_and_not"})
)
AFFINITY = k8s.V1Affinity(pod_anti_affinity=k8s.V1PodAntiAffinity(required_during_scheduling_ignored_during_execution=[NO_NEIGHBOUR]))
OWN_AFFINITY = k8s.V1Pod(spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base")], affinity=AFFINITY))

with DAG("pinned_and_not", schedule=None):
    BashOperator(task_id="pinned", bash_command="true", retries=0, executor_config=on_demand())
    BashOperator(task_id="usual", bash_command="true")
    BashOperator(task_id="own_affinity", bash_command="true", executor_config={"pod_override": OWN_AFFINITY})
