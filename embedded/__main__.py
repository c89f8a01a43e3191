"""`python -m embedded COMMAND`: the stack on this machine. The Makefile has the same commands by shorter names."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pulumi import automation as auto
from urllib3.util.retry import Retry

from components import cost_report, live_prices
from components.cost_prices import dated_prices
from components.planned_values import readable_plan
from embedded import cloud as clouds
from embedded import plan as plans
from embedded import toolchain
from embedded.cloud import DATABASE_PORT, PROJECT, Cloud, CloudError
from embedded.engine import Progress, engine_environment, given_settings, open_stack
from embedded.machine import Stopwatch, memory_bytes, require
from embedded.plan import StackPlan
from embedded.processes import running, stop
from embedded.toolchain import ToolError
from operations import cost_questions, stack_file
from operations.airflow_api import patient_session
from operations.cost_questions import PricedStack
from operations.stack_file import StackFileError
from policies.check import render

DEFAULT_STACK = "local"


def _services(cloud: Cloud) -> None:
    from embedded.aws_api import start_aws_api
    from embedded.providers import start_providers

    start_aws_api(cloud)
    start_providers(cloud)


def _current() -> Cloud:
    cloud = clouds.load()
    if cloud is None:
        raise CloudError("the embedded cloud does not run in this clone; start it with 'make up'")
    return cloud


def _aws_runs(cloud: Cloud) -> bool:
    return any(process.name == "aws-api" for process in running(cloud))


def _started() -> Cloud:
    """The cloud of this clone with its services running, new if there is none."""
    cloud = clouds.load()
    if cloud and not _aws_runs(cloud):
        raise CloudError(
            "the embedded cloud was stopped without 'make down' (a crash, a reboot) and its AWS records, which live in memory, are gone; "
            "clean up with 'make down', then start again with 'make up'"
        )
    cloud = cloud or clouds.create()
    _services(cloud)
    return cloud


def _prepare(watch: Stopwatch) -> None:
    from embedded import database, image_base

    with watch.stage("programs (built once, then cached)"):
        toolchain.debian_tools()
        toolchain.go_tools()
        database.ensure_program()
    with watch.stage("Airflow base image (made once, then cached)"):
        image_base.ensure_base_image()


def _outputs(stack: auto.Stack) -> dict[str, Any]:
    return {key: output.value for key, output in stack.outputs().items()}


def ask(url: str) -> None:
    """Ask until something answers. A connection may lead through a node that does not forward it yet, and then nothing comes back."""
    with patient_session(Retry(total=11, backoff_factor=0.1, backoff_max=2)) as session:
        session.get(url, timeout=15).raise_for_status()


def up(arguments: argparse.Namespace) -> int:
    """Prepare what is missing, start the cloud, deploy the stack unless its plan is too dear or misplaced, say how to use it."""
    require()
    watch = Stopwatch()
    _prepare(watch)
    with watch.stage("embedded cloud"):
        cloud = _started()
        stack = open_stack(cloud, arguments.stack, settings=given_settings(arguments.config))
    with watch.stage("plan, its price and its placement"):
        review = plans.preview(cloud, stack, Progress(preview=True, quiet=True)).review()
    if not review.deployable:
        raise CloudError(f"the plan was not deployed, and nothing was changed:\n{review.verdict()}")
    print(cost_report.table(review.costs) + "\n", flush=True)
    progress = Progress()
    with watch.stage(f"deploy stack '{arguments.stack}'"):
        stack.up(on_event=progress, suppress_progress=True)
    outputs = _outputs(stack)
    with watch.stage("web UI answers"):
        ask(outputs["web_ui_url"] + "/api/v2/version")
    changed = {name: number for name, number in sorted(progress.counts.items()) if name != "same"}
    print("\nresources: " + (", ".join(f"{number} {name}" for name, number in changed.items()) or "nothing changed"))
    print(review.verdict())
    print(watch.table())
    for urn, seconds in progress.seconds.items():
        if urn.endswith("Deployment::airflow-api-server") and seconds > 1:
            print(f"  web UI healthy {seconds:.0f} s after its Deployment was applied")
    print(f"  memory of the embedded cloud: {memory_bytes(cloud) / 2**30:.1f} GiB\n")
    print(f"web UI     {outputs['web_ui_url']}")
    print(f"user       {outputs['admin_user']}      password: make password")
    print(f"cost tags  {json.dumps(outputs['cost_tags'])}")
    print("next       make run-example · make nodes · make status · make down")
    return 0


@contextmanager
def _plan(arguments: argparse.Namespace, progress: Progress, *, graph: bool = False) -> Iterator[StackPlan]:
    """Plan a stack on this clone's cloud, or on one that exists for just as long; needs no root and no running cloud."""
    cloud = clouds.load()
    temporary = cloud is None or not _aws_runs(cloud)
    if temporary:
        toolchain.go_tools("pulumi")
        cloud = clouds.create(clouds.state_folder().with_name(f"{clouds.state_folder().name}-preview"))
    assert cloud is not None
    try:
        _services(cloud)
        stack = open_stack(cloud, arguments.stack, settings=given_settings(arguments.config))
        yield plans.preview(cloud, stack, progress, graph=graph)
    finally:
        if temporary:
            _stop_everything(cloud)


def preview(arguments: argparse.Namespace) -> int:
    """Show the plan, where its pods can land and what it costs; exit 1 if a pod has no right place or the budget is exceeded."""
    progress = Progress(preview=True)
    with _plan(arguments, progress) as plan:
        print("plan: " + ", ".join(f"{number} {name}" for name, number in sorted(progress.counts.items())) + "\n")
        review = plan.review()
        print(review.text())
    return 0 if review.deployable else 1


def _priced(arguments: argparse.Namespace, stack: str) -> PricedStack:
    region = stack_file.region(PROJECT, stack) or live_prices.PRICE_LIST_REGION
    asked = live_prices.LivePrices(region) if arguments.live else None  # before the shell's AWS gives way to the cloud's
    with _plan(argparse.Namespace(**vars(arguments) | {"stack": stack}), Progress(preview=True, quiet=True)) as plan:
        resources, prices = readable_plan(plan.resources), dated_prices(plan.settings.region)
    prices, problems = asked.over(prices, resources) if asked else (prices, ())
    for problem in problems:
        print(f"price: {problem}")
    return PricedStack(name=stack, plan=resources, prices=prices)


def cost(arguments: argparse.Namespace) -> int:
    """Show what the stack would cost, without deploying it; the last line has the totals."""
    first, *others = [_priced(arguments, name) for name in (arguments.stack, arguments.compare) if name]
    hours = arguments.hours if arguments.mwaa else None
    try:
        print(cost_questions.answer(first, second=others[0] if others else None, workers=arguments.workers, mwaa_hours=hours))
    except ValueError as error:
        raise CloudError(str(error)) from None
    return 0


def cost_docs(arguments: argparse.Namespace) -> int:
    """Rewrite the figures of docs/alternatives.md from the plans of the stacks that it compares."""
    file = PROJECT / cost_questions.DOCUMENT
    stacks = [_priced(argparse.Namespace(**vars(arguments), live=False), name) for name in cost_questions.DOCUMENTED]
    file.write_text(cost_questions.rewritten(file.read_text(), stacks))
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Write one HTML page about the stack: cost, placement, what it is built from, the last drill."""
    from embedded import report as reports
    from operations import deployment

    def running() -> deployment.Deployment:
        cloud = clouds.load()
        if arguments.deployed:
            return deployment.find(arguments.stack)
        if cloud is None or not _aws_runs(cloud):
            raise deployment.OperationError("the embedded cloud does not run; deploy the stack with 'make up' first")
        return deployment.from_outputs(arguments.stack, _outputs(open_stack(cloud, arguments.stack)))

    output = reports.writable(arguments.output)
    drill = reports.last_drill(arguments.drill or clouds.state_folder() / "drill.json", arguments.stack)
    nodes = reports.pods_by_node(running)  # before the plan, which puts the embedded cloud's settings into the environment
    with _plan(arguments, Progress(preview=True, quiet=True), graph=True) as plan:
        reports.write(output, plan, drill, nodes)
    print(f"{output}: open it in a browser; it is complete in itself and loads nothing")
    return 0


def policy(arguments: argparse.Namespace) -> int:
    """Check every policy against the plan; exit 1 on any finding, whose number is in the last line."""
    with _plan(arguments, Progress(preview=True, quiet=True)) as plan:
        report = plan.policy_report()
        print(render(report))
    return 1 if report.findings else 0


def refresh(arguments: argparse.Namespace) -> int:
    """Compare the stack with what exists; exit 1 on drift."""
    cloud = _current()
    progress = Progress()
    result = open_stack(cloud, arguments.stack).refresh(on_event=progress, suppress_progress=True)
    drift = {name: number for name, number in (result.summary.resource_changes or {}).items() if name != "same"}
    print("drift: " + (", ".join(f"{number} {name}" for name, number in drift.items()) or "none"))
    return 1 if drift else 0


def _leftovers(cloud: Cloud) -> dict[str, list[str]]:
    with urllib.request.urlopen(f"{cloud.aws_endpoint}/embedded/inventory", timeout=60) as answer:
        left: dict[str, list[str]] = json.load(answer)
    kubernetes = cloud.home / "kubernetes-leftovers.json"  # written as the cluster was deleted: afterwards there is no API to ask
    if kubernetes.exists():
        left |= json.loads(kubernetes.read_text())
    return {kind: names for kind, names in left.items() if names}


def _stop_everything(cloud: Cloud) -> None:
    from embedded.teardown import power_off

    power_off(cloud)
    for process in running(cloud):
        stop(cloud, process.name)
    shutil.rmtree(cloud.home)


def down(arguments: argparse.Namespace) -> int:
    """Destroy the stack, prove that nothing is left, stop every process and remove the state."""
    cloud = clouds.load()
    if cloud is None:
        print("nothing runs here")
        return 0
    require(nodes=not cloud.simulated)
    left: dict[str, list[str]] = {}
    if _aws_runs(cloud):
        _services(cloud)
        print(f"== destroy stack '{arguments.stack}'", flush=True)
        stack = open_stack(cloud, arguments.stack)
        stack.destroy(on_event=Progress(), suppress_progress=True)
        stack.workspace.remove_stack(arguments.stack)
        left = _leftovers(cloud)
        for kind, names in left.items():
            print(f"  LEFT     {kind}: {', '.join(names)}")
        print(f"AWS API and Kubernetes API: {'nothing left' if not left else 'something is left, see above'}")
    else:
        print("the cloud's AWS does not run (a crash or a reboot): removing what it left on this machine")
    _stop_everything(cloud)
    print("every process of the embedded cloud is stopped; its state folder is removed")
    return 1 if left else 0


def discard(_: argparse.Namespace) -> int:
    """Switch the cloud off as it is, without destroying the stack in order: for when `down` cannot."""
    cloud = clouds.load()
    if cloud is None:
        print("nothing runs here")
        return 0
    require(nodes=not cloud.simulated)
    _stop_everything(cloud)
    print("every process of the embedded cloud is stopped; its state folder is removed; nothing was proved")
    return 0


def status(_: argparse.Namespace) -> int:
    """What runs, where, and how much memory it takes."""
    cloud = clouds.load()
    if cloud is None:
        print("the embedded cloud does not run in this clone; start it with 'make up'")
        return 0
    print(f"state {cloud.home}   AWS {cloud.aws_endpoint}   Kubernetes {cloud.kubernetes_endpoint}")
    for process in running(cloud):
        print(f"  {process.pid:8} {process.name}")
    if not _aws_runs(cloud):
        print("  AWS does not run: a crash or a reboot; clean up with 'make down'")
    print(f"memory {memory_bytes(cloud) / 2**30:.1f} GiB")
    return 0


def environment(arguments: argparse.Namespace) -> int:
    """Shell commands that make kubectl, aws, psql and pulumi talk to this cloud."""
    cloud = _current()
    outputs = _outputs(open_stack(cloud, arguments.stack))
    variables = engine_environment(cloud) | {"AIRFLOW_ON_EKS_WORKSPACE": str(cloud.path("pulumi", "workspace"))}
    if outputs.get("kubeconfig"):
        kubeconfig = cloud.home / "kubeconfig.json"
        kubeconfig.write_text(json.dumps(outputs["kubeconfig"]) if isinstance(outputs["kubeconfig"], dict) else outputs["kubeconfig"])
        kubeconfig.chmod(0o600)
        variables["KUBECONFIG"] = str(kubeconfig)
    tools = {str(path.parent) for path in toolchain.go_tools("kubernetes").values()}
    variables["PATH"] = ":".join([*sorted(tools), variables["PATH"]])
    database = cloud.home / "database.env.json"
    if database.exists():
        variables |= json.loads(database.read_text()) | {"PGHOSTADDR": cloud.gateway, "PGPORT": str(DATABASE_PORT)}
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def password(arguments: argparse.Namespace) -> int:
    """Print the web UI's password, and nothing else."""
    print(_outputs(open_stack(_current(), arguments.stack)).get("admin_password", ""))
    return 0


COMMANDS = {
    "up": up,
    "preview": preview,
    "cost": cost,
    "report": report,
    "cost-docs": cost_docs,
    "policy": policy,
    "refresh": refresh,
    "down": down,
    "discard": discard,
    "status": status,
    "env": environment,
    "password": password,
}


def main() -> int:
    """Run one command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m embedded", description=__doc__)
    parser.add_argument("--stack", default=DEFAULT_STACK)
    parser.add_argument("--config", action="append", default=[], metavar="SECTION.KEY=VALUE", help="a setting, for this run only")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function in COMMANDS.items():
        command = commands.add_parser(name, help=(function.__doc__ or "").splitlines()[0])
        command.set_defaults(function=function)
        if function is report:
            command.add_argument("--output", type=Path, default=Path("report.html"))
            command.add_argument("--drill", type=Path, help="record of a drill; by default the one in the cloud's state folder")
            command.add_argument("--deployed", action="store_true", help="show the pods of the stack that your own pulumi has deployed")
    asked = commands.choices["cost"]
    asked.add_argument("--compare", metavar="STACK", help="a second stack to set beside it")
    asked.add_argument("--workers", type=int, help="plan with that many Spot workers")
    asked.add_argument("--live", action="store_true", help="ask AWS for present prices, with the credentials of this shell")
    asked.add_argument("--mwaa", action="store_true", help="compare with Amazon MWAA, and where the two break even")
    asked.add_argument("--hours", type=int, default=24, help="how many hours a day workers run, there and here (24)")
    arguments = parser.parse_args()
    try:
        return int(arguments.function(arguments))
    except (CloudError, ToolError, StackFileError) as error:
        print(f"error: {error}", file=sys.stderr)
    except auto.CommandError as error:
        print(f"error: the Pulumi engine stopped; its last lines:\n{_last_lines(str(error))}", file=sys.stderr)
        if arguments.command == "down":
            print("try 'make down' again, or give the whole cloud up with 'make discard'", file=sys.stderr)
    return 1


def _last_lines(text: str, lines: int = 30) -> str:
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    sys.exit(main())
