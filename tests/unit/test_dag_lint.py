"""What the lint says about DAG files, each as small as shows it. That a task which passes survives a lost node is shown by the e2e tier."""

from __future__ import annotations

import ast
from pathlib import Path
from textwrap import dedent, indent

import pytest

from operations import dag_lint, dag_rules, dag_tasks
from operations.dag_lint import lint, lint_source
from operations.dag_rules import RULES, Options
from tests.conftest import PROJECT

NO_RETRIES = Options(default_retries=0)
LIMITED = "dagrun_timeout=timedelta(hours=1)"


def said(source: str, options: Options | None = None) -> list[tuple[str, str, int]]:
    """Rule, task and line of each finding."""
    return [(one.rule, one.where, one.line) for one in lint_source(dedent(source).encode(), "d.py", options)[1]]


def in_dag(*lines: str, dag: str = LIMITED) -> str:
    return f"with DAG('d', {dag}):\n" + indent("\n".join(lines), "    ")


def in_task(body: str, decorator: str = "@task") -> str:
    return f"@dag({LIMITED})\ndef d():\n    {decorator}\n    def t():\n{indent(dedent(body), '        ')}\n    t()\n"


def bash(command: str, more: str = "") -> str:
    return in_dag(f"BashOperator(task_id='t', bash_command={command!r}{more})")


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (in_dag("BashOperator(task_id='t', retries=0)"), 2),
        (in_dag("BashOperator(task_id='t',\n  retries=None)"), 3),
        (in_dag("BashOperator(task_id='t')", dag=f"{LIMITED}, default_args={{'retries': 0}}"), 1),
        ("base = {'retries': 0}\n" + in_dag("XSensor(task_id='t')", dag=f"{LIMITED}, default_args={{**base, 'owner': 'me'}}"), 1),
        ("base = dict(retries=0)\n" + in_dag("XSensor(task_id='t')", dag=f"{LIMITED}, default_args=base | {{'owner': 'me'}}"), 1),
        ("NONE = 0\n" + in_dag("BashOperator(task_id='t', retries=NONE)"), 3),
        (f"dag = DAG(dag_id='d', {LIMITED})\nBashOperator(task_id='t', dag=dag, retries=0)", 2),
        (in_dag("with TaskGroup('g', default_args={'retries': 0}):", "    BashOperator(task_id='t')"), 2),
        (in_dag("BashOperator.partial(task_id='t', retries=0).expand(bash_command=['a'])"), 2),
        (in_task("pass", "@task(retries=0)"), 3),
        (in_task("pass", "@task.branch(retries=0)"), 3),
        (f"@task(retries=0)\ndef t(): pass\n@dag({LIMITED})\ndef d():\n    t()", 1),
        (f"@dag({LIMITED})\ndef d():\n    @task\n    def t(): pass\n    t.override(retries=0)()", 5),
        (f"from airflow.sdk import task as work\n@dag({LIMITED})\ndef d():\n    @work(retries=0)\n    def t(): pass\n    t()", 4),
    ],
)
def test_retries_of_zero_are_found_wherever_they_are_written(source: str, line: int) -> None:
    assert said(source) == [("no-retries", "d.t", line)]


@pytest.mark.parametrize(
    "source",
    [
        in_dag("BashOperator(task_id='t', retries=2)", dag=f"{LIMITED}, default_args={{'retries': 0}}"),
        in_dag("BashOperator(task_id='t', retries=tries())"),
        in_dag("EmptyOperator(task_id='t', retries=0)"),
        in_dag("left >> right"),
    ],
)
def test_a_task_that_is_tried_again_or_has_no_pod_is_fine(source: str) -> None:
    assert said(source) == []


def test_missing_retries_count_only_if_the_stack_gives_none() -> None:
    source = in_dag("BashOperator(task_id='t')")
    assert said(source) == [], "the stack retries every task by default"
    assert said(source, NO_RETRIES) == [("no-retries", "d.t", 2)]
    assert said(in_dag("BashOperator(task_id='t', **imported)"), NO_RETRIES) == [], "imported settings may have retries"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (in_dag("BashOperator(task_id='t')", dag="schedule=None"), [("no-time-limit", "d.t", 2)]),
        (in_dag("BashOperator(task_id='t', execution_timeout=None)", dag="schedule=None"), [("no-time-limit", "d.t", 2)]),
        (in_dag("BashOperator(task_id='t', execution_timeout=timedelta(minutes=60))", dag="schedule=None"), []),
        (in_dag("BashOperator(task_id='t')", dag="default_args={'execution_timeout': timedelta(hours=1)}"), []),
        (in_dag("BashOperator(task_id='t')", dag="default_args=imported"), []),
        ("@task\ndef t(): pass\n@dag()\ndef d():\n    t()", [("no-time-limit", "d.t", 2)]),
        ("@task\ndef t(): pass", []),
        (in_dag("BashOperator(task_id='t', execution_timeout=timedelta(minutes=61))"), [("long-work", "d.t", 2)]),
        (in_dag("XSensor(task_id='t', deferrable=True, execution_timeout=timedelta(1))"), []),
        (in_dag("XSensor(task_id='t', mode='reschedule', execution_timeout=timedelta(1))"), []),
        (in_task("time.sleep(3601)"), [("long-work", "d.t", 4)]),
        (in_task("for _ in range(100):\n    time.sleep(60)"), [("long-work", "d.t", 4)]),
        (in_task("for _ in range(99999999999999999999):\n    time.sleep(1)"), [("long-work", "d.t", 4)]),
        (in_task("for piece in checkpoint.remaining():\n    time.sleep(9999)"), []),
        (in_task("while True:\n    time.sleep(1)"), [("long-work", "d.t", 5)]),
        (in_task("wait()") + "def wait():\n    sleep(4000)\n    wait()\n", [("long-work", "d.t", 7)]),
        (in_dag("PythonOperator(task_id='t', python_callable=f)") + "\ndef f(): time.sleep(4000)\n", [("long-work", "d.t", 3)]),
        (bash("sleep 2h"), [("long-work", "d.t", 2)]),
        (bash("while true; do check; sleep 5; done"), [("long-work", "d.t", 2)]),
        (bash("sleep 30"), []),
    ],
)
def test_work_without_an_end_or_longer_than_the_limit_is_found(source: str, found: list[tuple[str, str, int]]) -> None:
    assert said(source) == found


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("open(path, 'a')", "append"),
        ("open(path, mode='ab')", "append"),
        ("Path(path).open('a+')", "append"),
        ("import gzip\ngzip.open(path, 'at')", "append"),
        ("frame.to_csv(path, mode='a')", "append"),
        ("open('/tmp/a', 'a')", None),
        ("open('a')", None),
        ("open(path, 'w')", None),
        ("open('/opt/airflow/logs/a', 'w')", "shared-write"),
        ("FOLDER = Path('/opt/airflow/logs')\n(FOLDER / name).write_text('')", "shared-write"),
        ("where = os.path.join('/opt/airflow/logs', name)\nframe.to_parquet(where)", "shared-write"),
        ("Path(f'/opt/airflow/logs/{name}').open('w')", "shared-write"),
        ("shutil.copy(source, '/opt/airflow/logs/a')", "shared-write"),
        ("open('/opt/airflow/logs/a.new', 'w')\nos.replace('/opt/airflow/logs/a.new', '/opt/airflow/logs/a')", None),
        ("open('/opt/airflow/logs/a', 'w').write(text.replace('a', 'b'))", "shared-write"),
        ("open('/opt/airflow/logs/a')", None),
    ],
)
def test_writes_that_a_second_try_would_repeat_or_a_kill_would_halve_are_found(body: str, rule: str | None) -> None:
    assert [one[0] for one in said(in_task(body))] == ([rule] if rule else [])


@pytest.mark.parametrize(
    ("command", "rule"),
    [
        ("date >> /opt/airflow/logs/a", "append"),
        ("date >>a 2>&1", "append"),
        ('date >> "$OUT"', "append"),
        ("date | tee -a out", "append"),
        ("date 2>> /dev/null", None),
        ("date >> /tmp/a", None),
        ("echo 'a >> b'", None),
        ('echo "a >> b"', None),
        ("echo $((8 >> 2))", None),
        ("echo {{ 8 >> 2 }}", None),
        ("date # >> a", None),
        ("date > /opt/airflow/logs/a", "shared-write"),
        ("date > /opt/airflow/logs/.a && mv /opt/airflow/logs/.a /opt/airflow/logs/a", None),
        ("date > /tmp/a", None),
    ],
)
def test_redirections_of_a_command_are_judged_as_bash_reads_them(command: str, rule: str | None) -> None:
    expected = [rule] if rule else []
    assert [one[0] for one in said(bash(command))] == expected
    assert [one[0] for one in said(in_task(f"return {command!r}", "@task.bash"))] == expected


@pytest.mark.parametrize(
    ("more", "count"),
    [
        ("", 1),
        (", deferrable=True", 0),
        (", deferrable=True, reattach_on_restart=False", 1),
        (", deferrable=True, node_selector={'lifecycle': 'Ec2Spot'}", 1),
        (", deferrable=chosen()", 0),
        (", **imported", 0),
    ],
)
def test_a_pod_launched_from_a_pod_is_found_unless_both_survive(more: str, count: int) -> None:
    assert said(in_dag(f"KubernetesPodOperator(task_id='t'{more})")) == [("pod-operator", "d.t", 2)] * count


@pytest.mark.parametrize(
    ("comment", "rules"),
    [
        ("# spot: ok(no-retries) sends a mail, which must not go twice", []),
        ("# noqa: E501 # spot: ok(no-retries, append) a mail", ["suppression"]),
        ("# spot: ok(no-retries)", ["no-retries", "suppression"]),
        ("# spot: ok(append) other rule", ["no-retries", "suppression"]),
        ("# spot: ok(retries) no such rule", ["no-retries", "suppression"]),
        ("# spot: ok", ["no-retries", "suppression"]),
        ("# spot instances are ok", ["no-retries"]),
    ],
)
def test_a_comment_allows_one_rule_on_one_line_for_a_reason(comment: str, rules: list[str]) -> None:
    assert sorted(one[0] for one in said(in_dag(f"BashOperator(task_id='t', retries=0)  {comment}"))) == rules


def test_a_comment_inside_text_allows_nothing() -> None:
    assert [one[0] for one in said(in_dag("XOperator(task_id='t', retries=0, doc='# spot: ok(no-retries) x')"))] == ["no-retries"]


@pytest.mark.parametrize(
    "source", [b"def d(:\n", b"a = '\n", b"\0", b"\xff\xfe", b"x = (1\n", b"# coding: nothing\n", b"  a\n b\n", b"a\n" + b"(" * 5000]
)
def test_a_file_that_is_not_python_is_one_finding(source: bytes) -> None:
    tasks, findings = lint_source(source, "d.py")
    assert (tasks, [one.rule for one in findings]) == (0, ["syntax"])


@pytest.mark.parametrize(
    "source",
    [
        "",
        "a = a + 1",
        "x = y\ny = x\nopen(x, 'a')",
        "with DAG(): pass",
        "@dag\ndef d(): d()",
        "a = 1 / 0",
        "lambda: BashOperator",
        "class A(BashOperator): pass",
    ],
)
def test_odd_files_are_read_without_trouble(source: str) -> None:
    assert said(source) == []


def test_each_task_of_shared_default_args_is_named() -> None:
    source = in_dag(
        "for n in range(2):", "    AOperator(task_id=f'a_{n}')", "BOperator(task_id='b')", dag=f"{LIMITED}, default_args={{'retries': 0}}"
    )
    assert [where for _, where, _ in said(source)] == ["d.a_*", "d.b"]


def test_the_projects_own_dags_are_ready_for_spot() -> None:
    report = lint(PROJECT / "dags")
    assert [str(one) for one in report.findings] == []
    assert report.tasks >= 9, "tasks are found, so that no finding means something"
    assert lint(PROJECT / "dags", NO_RETRIES).findings == [], "they bring their own retries"


def test_the_command_names_file_line_task_rule_and_way_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.py").write_text(in_dag("BashOperator(task_id='t', retries=0)"))
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "two.py").write_text("def")
    assert dag_lint.main([str(tmp_path)]) == 1
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{tmp_path}/one.py:2: d.t: [no-retries] retries is 0 in the task")
    assert "remove it" in first
    assert last == "1 findings"


def test_options_reach_the_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.py").write_text(bash("sleep 90; date > /data/a"))
    assert dag_lint.main([str(tmp_path)]) == 0
    given = ["--default-retries", "0", "--longest-minutes", "1", "--shared-folder", "/data"]
    assert dag_lint.main([str(tmp_path / "one.py"), *given]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "3 findings"


def test_nothing_to_read_is_an_error_and_not_a_clean_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dag_lint.main([str(tmp_path / "absent")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    assert dag_lint.main([str(tmp_path)]) == 2
    assert "holds no Python file" in capsys.readouterr().err


def test_every_rule_is_explained() -> None:
    page = (PROJECT / "docs" / "dag-lint.md").read_text()
    assert [rule for rule in RULES if f"| `{rule}` |" not in page] == []


def test_the_lint_imports_no_airflow() -> None:
    trees = [ast.parse(Path(module.__file__).read_text()) for module in (dag_lint, dag_rules, dag_tasks)]
    modules = [node.module or "" for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in modules if name.startswith(("airflow", "pulumi"))]
