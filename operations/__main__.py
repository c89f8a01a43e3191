"""`python -m operations COMMAND --stack NAME`: operate a deployed stack."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from operations import drill, hibernation, placement, run_costs
from operations.deployment import OperationError, find
from operations.drill_blows import KINDS
from operations.run_dag import run_dag


def main() -> int:
    """Run one command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m operations", description=__doc__)
    parser.add_argument("--stack", default="local")
    commands = parser.add_subparsers(dest="command", required=True)
    example = commands.add_parser("run-example", help="run a DAG and show where its worker pods ran")
    example.add_argument("--dag", default="example_bash_operator")
    commands.add_parser("nodes", help="nodes and pods by lifecycle")
    rehearsal = commands.add_parser("drill", help="take something away from a busy Airflow and prove that nothing was lost")
    rehearsal.add_argument("--kind", choices=KINDS, default="notice")
    rehearsal.add_argument("--notice-scale", type=float, default=1.0, help="shortens the notice, on an embedded cloud (1: two minutes)")
    rehearsal.add_argument("--confirm", default="", metavar="STACK", help="name of the stack, when it is production")
    rehearsal.add_argument("--output", type=Path, default=drill.default_output(), help="file for the record")
    rest = commands.add_parser("sleep", help="take away all nodes and stop the database; everything is kept")
    rest.add_argument("--force", action="store_true", help="stop running tasks; they are tried again when the stack is awake")
    commands.add_parser("wake", help="bring a sleeping stack back")
    costs = commands.add_parser("cost-runs", help="what the latest DAG runs cost")
    costs.add_argument("--runs", type=int, default=20, help="how many (20)")
    arguments = parser.parse_args()
    try:
        deployment = find(arguments.stack)
        if arguments.command == "nodes":
            print(placement.table(deployment))
            return 0
        if arguments.command == "drill":
            order = drill.Order(
                kind=arguments.kind, notice_scale=arguments.notice_scale, confirm=arguments.confirm, output=arguments.output
            )
            return 0 if drill.run(deployment, order).held else 1
        if arguments.command == "sleep":
            hibernation.sleep(hibernation.sleeper_of(deployment), force=arguments.force)
            return 0
        if arguments.command == "wake":
            hibernation.wake(hibernation.sleeper_of(deployment))
            return 0
        if arguments.command == "cost-runs":
            print(run_costs.report(deployment, arguments.runs))
            return 0
        return 0 if run_dag(deployment, arguments.dag) else 1
    except OperationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
