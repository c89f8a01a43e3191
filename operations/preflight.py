"""`python -m operations.preflight --stack dev`: ask AWS whether the account has what a stack will need; exit 1 on a shortfall."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import yaml

from components import preflight, settings_rules
from components.settings import Settings
from operations import stack_file
from operations.stack_file import StackFileError

PROJECT = Path(__file__).parent.parent


def check(stack: str, project: Path = PROJECT) -> preflight.Report:
    """Ask AWS about a stack of this project, with the credentials of the shell or those that its file names.

    Raises:
        StackFileError: there is no such stack, or its settings are wrong.
    """
    parsed, problems = stack_file.parsed_file(project, stack)
    problems += [problem for problem in settings_rules.check(parsed) if not problem.only_warns]
    if problems:
        raise StackFileError("settings to correct first:\n" + "\n".join(f"  - {problem}" for problem in problems))
    config = (yaml.safe_load(stack_file.file_of(project, stack).read_text()) or {}).get("config") or {}
    roles = [role["roleArn"] for role in config.get("aws:assumeRoles") or [] if role.get("roleArn")]
    return preflight.ask(Settings(**parsed), config.get("aws:profile"), roles)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m operations.preflight", description=__doc__)
    parser.add_argument("--stack", required=True)
    given = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        report = check(given.stack)
    except StackFileError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{report.text()}\n  asked in {time.monotonic() - began:.1f} s")
    return 1 if report.shortfalls else 0


if __name__ == "__main__":
    sys.exit(main())
