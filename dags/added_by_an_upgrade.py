"""The classic first DAG: bash commands, a fan-out of three and a task that skips itself. Each command runs in a pod of its own."""

from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

with DAG(
    dag_id="added_by_an_upgrade",
    schedule=None,
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=30)},
    dagrun_timeout=timedelta(hours=1),
    tags=["example", "spot"],
    doc_md=__doc__,
):
    run_this_last = EmptyOperator(task_id="run_this_last")
    run_after_loop = BashOperator(task_id="run_after_loop", bash_command="echo https://airflow.apache.org/")
    also_run_this = BashOperator(task_id="also_run_this", bash_command='echo "ti_key={{ task_instance_key_str }}"')
    # 99 is the exit code that means "skipped"; what comes after it is skipped as well
    this_will_skip = BashOperator(task_id="this_will_skip", bash_command='echo "hello world"; exit 99')

    for number in range(3):
        runme = BashOperator(task_id=f"runme_{number}", bash_command='echo "{{ task_instance_key_str }}" && sleep 1')
        runme >> run_after_loop
    [run_after_loop, also_run_this, this_will_skip] >> run_this_last
