"""What the cluster policy refuses."""

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG("no_retries", schedule=None):
    BashOperator(task_id="fragile", bash_command="true", retries=0)
