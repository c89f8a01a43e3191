"""`python -m operations COMMAND --stack NAME`: operate a deployed stack."""

from __future__ import annotations

import argparse
import sys

from operations import placement
from operations.deployment import OperationError, find
from operations.run_dag import run_dag


def main() -> int:
    """Run one command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m operations", description=__doc__)
    parser.add_argument("--stack", default="local")
    commands = parser.add_subparsers(dest="command", required=True)
    example = commands.add_parser("run-example", help="run a DAG and show where its worker pods ran")
    example.add_argument("--dag", default="example_bash_operator")
    commands.add_parser("nodes", help="nodes and pods by lifecycle")
    arguments = parser.parse_args()
    try:
        deployment = find(arguments.stack)
        if arguments.command == "nodes":
            print(placement.table(deployment))
            return 0
        return 0 if run_dag(deployment, arguments.dag) else 1
    except OperationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
