"""Which tasks of a folder of DAG files would not survive losing their Spot node. Pure: files are read, never imported or run.

    python -m operations.dag_lint dags

What it can and cannot see is told in docs/dag-lint.md.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from operations.dag_rules import RULES, Options, judge
from operations.dag_tasks import DagFile

SUPPRESSION = re.compile(r"#\s*spot:\s*ok\b\s*(?:\(([^)]*)\))?\s*(.*)")


@dataclass(frozen=True, order=True)
class Finding:
    """One reason why one task is not ready."""

    file: str
    line: int
    where: str
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.where + ': ' if self.where else ''}[{self.rule}] {self.text}"


@dataclass
class Report:
    """What a folder was found to hold."""

    files: int = 0
    tasks: int = 0
    findings: list[Finding] = field(default_factory=list)


def lint(folder: Path, options: Options | None = None) -> Report:
    """Every finding below a folder, or in one file; FileNotFoundError if there is nothing to read."""
    if not folder.exists():
        raise FileNotFoundError(f"there is no folder {folder}; name the one that holds the DAG files (make lint-dags DAGS=dags)")
    hidden = (".", "__pycache__")
    inside = (path for path in folder.rglob("*.py") if not any(part.startswith(hidden) for part in path.relative_to(folder).parts))
    files = [folder] if folder.is_file() else sorted(path for path in inside if path.is_file())
    if not files:
        raise FileNotFoundError(f"{folder} holds no Python file; name the folder that holds the DAG files (make lint-dags DAGS=dags)")
    report = Report(files=len(files))
    for path in files:
        tasks, findings = lint_source(path.read_bytes(), str(path), options)
        report.tasks += tasks
        report.findings += findings
    return report


def lint_source(source: bytes, name: str, options: Options | None = None) -> tuple[int, list[Finding]]:
    """Number of tasks in a file, and its findings in order."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a doubtful escape sequence is not this lint's subject
            tree = DagFile(ast.parse(source))
        comments = _suppressions(source)
    except (SyntaxError, ValueError, tokenize.TokenError) as error:
        line, reason = getattr(error, "lineno", None) or 1, getattr(error, "msg", str(error))
        return 0, [Finding(name, line, "", "syntax", f"not valid Python ({reason}), so none of its tasks was judged; correct it first.")]
    except RecursionError:
        return 0, [Finding(name, 1, "", "syntax", "nested too deeply to be read, so none of its tasks was judged; split the expression.")]
    judged = {
        Finding(name, line, task.name, rule, text) for task in tree.tasks for line, rule, text in judge(tree, task, options or Options())
    }
    kept = [one for one in judged if one.rule not in _allowed(comments, one.line)]
    used = {(one.line, one.rule) for one in judged}
    return len(tree.tasks), sorted(kept + [Finding(name, *rest) for rest in _useless(comments, used)])


def _suppressions(source: bytes) -> dict[int, tuple[tuple[str, ...], str]]:
    found = {}
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if token.type == tokenize.COMMENT and (match := SUPPRESSION.search(token.string)):
            found[token.start[0]] = (tuple(rule.strip() for rule in (match[1] or "").split(",")), match[2].strip())
    return found


def _allowed(comments: dict[int, tuple[tuple[str, ...], str]], line: int) -> tuple[str, ...]:
    rules, reason = comments.get(line, ((), ""))
    return rules if reason else ()


def _useless(comments: dict[int, tuple[tuple[str, ...], str]], used: set[tuple[int, str]]) -> Iterator[tuple[int, str, str, str]]:
    known = ", ".join(rule for rule in RULES if rule not in ("syntax", "suppression"))
    for line, (rules, reason) in comments.items():
        for rule in rules:
            if rule not in RULES:
                yield line, "", "suppression", f"there is no rule {rule!r}; write '# spot: ok(rule) reason' with one of {known}."
            elif not reason:
                yield line, "", "suppression", f"no reason is given for {rule}, so it allows nothing; add why it is safe after the bracket."
            elif (line, rule) not in used:
                yield (
                    line,
                    "",
                    "suppression",
                    f"{rule} finds nothing on this line; remove the comment, or move it to the line that is named.",
                )


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every task is ready, 1 if something was found, 2 if nothing could be read."""
    rules = "\n".join(f"  {rule:14} {meaning}" for rule, meaning in RULES.items())
    allow = "Allow one with a comment on the line that is named: # spot: ok(rule) reason"
    blind = "Not seen: computed values, imported code and settings, work in libraries or containers. See docs/dag-lint.md."
    parser = argparse.ArgumentParser(
        prog="python -m operations.dag_lint",
        description="Names each task that would not survive losing its Spot node.",
        epilog=f"rules:\n{rules}\n\n{allow}\n{blind}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="folder of DAG files, or one file")
    parser.add_argument("--default-retries", type=int, help="the stack's retries of a task that sets none (default: enough)")
    parser.add_argument("--longest-minutes", type=float, default=60, help="work that may be lost with a node (default: 60)")
    parser.add_argument("--shared-folder", action="append", help="folder that every worker sees (default: /opt/airflow/logs)")
    given = parser.parse_args(arguments)
    shared = tuple(given.shared_folder or Options.shared_folders)
    options = Options(default_retries=given.default_retries, longest_minutes=given.longest_minutes, shared_folders=shared)
    try:
        report = lint(given.folder, options)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for finding in report.findings:
        print(finding)
    print(f"{report.tasks} tasks in {report.files} files; values computed when a DAG runs and imported code are not seen")
    print(f"{len(report.findings)} findings")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
