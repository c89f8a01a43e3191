"""`python -m operations.promotion --from dev --to staging`: move what runs in one stack to the next.

Reads the source's outputs through Pulumi, refuses what must not move, writes image digest and versions into the target's stack file, shows
the preview of the target and asks. Without a yes, or when the preview fails, the file is put back exactly. It deploys nothing: what was
written is committed and deployed like every other change.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation as auto

from components.settings_parser import MISSING
from operations import stack_file
from operations.ecr_image import EcrImage
from operations.promotion_rules import ENVIRONMENTS, Deployed, Stack, changes, notes, refusals, target_problems
from operations.stack_file import StackFileError

PROJECT = Path(__file__).parent.parent
OpenStack = Callable[[str], auto.Stack]
Say = Callable[[str], None]


class PromotionError(RuntimeError):
    """The promotion was refused or given up; the target's file is as it was. The message lists every reason."""


def deployed(stack: auto.Stack) -> Deployed:
    """What a stack says that it runs; a stack that was never deployed runs nothing."""
    outputs = {name: output.value for name, output in stack.outputs().items()}
    versions = outputs.get("versions") or {}
    last = stack.info(show_secrets=False)
    environment = dict(last.environment) if last else {}
    return Deployed(
        image=outputs.get("image", ""),
        airflow=versions.get("airflow", ""),
        kubernetes=versions.get("kubernetes", ""),
        last_update=f"{last.kind} {last.result}" if last else "",
        commit=environment.get("git.head", ""),
        dirty=environment.get("git.dirty") == "true",
    )


def uncommitted(project: Path) -> list[str]:
    """Paths of a project's working tree with changes that are in no commit.

    Raises:
        PromotionError: it is no git repository, so nothing can be said about it.
    """
    command = ["git", "-C", str(project), "status", "--porcelain", "--", "."]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise PromotionError(f"cannot tell whether {project} has uncommitted changes: {answer.stderr.strip()}; promote from a git clone")
    return [line[3:] for line in answer.stdout.splitlines()]


def promote(
    source: str,
    target: str,
    *,
    open_stack: OpenStack,
    ask: Callable[[str], bool],
    project: Path = PROJECT,
    digest: str = "",
    say: Say = print,
) -> Path:
    """Move the source's release to the target's file, after the checks, a preview and a yes.

    Args:
        source: stack whose release moves.
        target: stack that gets it.
        open_stack: opens a stack of this project for the engine.
        ask: asks a person; True is a yes.
        project: folder of Pulumi.yaml and the stack files.
        digest: digest that is meant (`sha256:...`), to be sure; empty: whichever the source runs.
        say: prints a line.

    Returns:
        The changed file.

    Raises:
        PromotionError: refused, not wanted, or the preview failed.
        StackFileError: there is no such stack file, or it cannot be edited.
    """
    file = stack_file.file_of(project, target)
    before = file.read_text()
    sides = [_side(project, name, open_stack) for name in dict.fromkeys((source, target))]
    moved = changes(sides[0].deployed)
    found = refusals(sides[0], sides[-1], uncommitted=uncommitted(project), digest=digest, between=_between(project, sides[0], sides[-1]))
    after = stack_file.changed(before, {name: value for name, value in moved.items() if value})
    parsed, problems = stack_file.parsed_file(project, target, after)
    found += [str(problem) for problem in problems] + (target_problems(parsed) if sides[0].deployed.image else [])
    image = EcrImage(sides[0].deployed.image, _config(project, source).get("aws:profile"))
    found += [reason for reason in [image.missing()] if reason]
    if found:
        reasons = "\n".join(f"  - {reason}" for reason in found)
        raise PromotionError(f"{source} -> {target} refused for {len(found)} reason(s); {file.name} is as it was:\n{reasons}")
    say(f"{source} -> {target}")
    for name, value in moved.items():
        say(f"  {name:26} {value}")
    for note in notes(sides[0].deployed.image, region=parsed["region"], account=_account(parsed)):
        say(f"  note: {note}")
    if after == before:
        say(f"{file.name} already says so; deploy it with: pulumi up --stack {target}")
        return file
    with _put_back_unless_kept(file, before) as keep:
        file.write_text(after)
        say(f"\npreview of {target} with the changed {file.name}:")
        try:
            open_stack(target).preview(on_output=say, color="never")
        except auto.CommandError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise PromotionError("the preview failed; " + f"{file.name} is as it was:\n" + "\n".join(lines[-30:])) from error
        if not ask(f"Keep the change of {file.name}?"):
            raise PromotionError(f"not wanted; {file.name} is as it was")
        keep()
    if trouble := image.keep(target.rpartition("/")[2]):
        say(f"  note: {trouble}")
    say(f"{file.name} is changed; what comes next:")
    say(f"  git commit -m 'Promote {source} to {target}' {file.name}")
    say(f"  pulumi up --stack {target}")
    return file


def _side(project: Path, name: str, open_stack: OpenStack) -> Stack:
    parsed, problems = stack_file.parsed_file(project, name)
    if parsed["environment"] is MISSING:
        raise PromotionError("; ".join(map(str, problems)))
    try:
        return Stack(name=name, environment=parsed["environment"], deployed=deployed(open_stack(name)))
    except auto.StackNotFoundError as error:
        raise PromotionError(f"there is no stack '{name}' in the Pulumi backend you are logged in to: pulumi stack init {name}") from error


def _between(project: Path, source: Stack, target: Stack) -> list[str]:
    ranks = range(ENVIRONMENTS.index(source.environment) + 1, ENVIRONMENTS.index(target.environment))
    skipped = {ENVIRONMENTS[rank] for rank in ranks}
    found = []
    for file in sorted(project.glob("Pulumi.*.yaml")):
        config = _config(project, file.name.split(".")[1])
        if config.get(f"{stack_file.PROJECT_NAME}:environment") in skipped:
            found.append(file.name.split(".")[1])
    return found


def _config(project: Path, stack: str) -> dict[str, Any]:
    return (yaml.safe_load(stack_file.file_of(project, stack).read_text()) or {}).get("config") or {}


def _account(parsed: dict[str, Any]) -> str:
    return str(parsed.get("account") or "")


@contextmanager
def _put_back_unless_kept(file: Path, content: str) -> Iterator[Callable[[], None]]:
    kept: list[bool] = []
    try:
        yield lambda: kept.append(True)
    finally:  # also when somebody presses Ctrl-C
        if not kept:
            file.write_text(content)


def ask_person(question: str) -> bool:
    """Ask on standard input; anything but y or yes is a no.

    Raises:
        PromotionError: there is nobody to ask.
    """
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        raise PromotionError(
            "nobody to ask: there is no standard input; the file is as it was. Read the preview above, then go on with YES=1 (--yes)"
        ) from None


def local_stack(name: str) -> auto.Stack:
    """A stack of this folder in the Pulumi backend of the shell, opened without making it the selected one."""
    workspace = auto.LocalWorkspace(work_dir=str(PROJECT))
    selected = workspace.stack()
    stack = auto.select_stack(stack_name=name, work_dir=str(PROJECT))
    if selected and selected.name != name:
        workspace.select_stack(selected.name)
    return stack


def main(arguments: list[str] | None = None, open_stack: OpenStack = local_stack) -> int:
    """Run the command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m operations.promotion", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--from", dest="source", required=True, help="stack whose release moves")
    parser.add_argument("--to", dest="target", required=True, help="stack that gets it")
    parser.add_argument("--digest", default="", help="the digest that is meant to move; refused unless the source runs it")
    parser.add_argument("--yes", action="store_true", help="do not ask (for CI)")
    given = parser.parse_args(arguments)
    ask = (lambda question: True) if given.yes else ask_person
    try:
        promote(given.source, given.target, open_stack=open_stack, ask=ask, digest=given.digest)
    except (PromotionError, StackFileError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except auto.CommandError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        print("error: Pulumi stopped; its last lines:\n" + "\n".join(lines[-20:]), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
