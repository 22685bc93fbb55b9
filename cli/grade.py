"""``learn grade``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundup.cli.context import (
    TechniqueName,
    WholeNumber,
    attempt_in,
    find_workspace,
    json_option,
    lang_option,
    language,
    open_state,
    print_json,
    registry,
    shown,
    technique_named,
)
from groundup.core.errors import (
    EXIT_BROKEN,
    EXIT_FELL_SHORT,
    EXIT_HELD,
    GroundupError,
    NoWorkspace,
    UsageProblem,
)

if TYPE_CHECKING:
    from groundup.core.technique import Technique
    from groundup.grader.judge import Judge
    from groundup.grader.state import State
    from groundup.grader.verdict import Verdict
    from groundup.grader.workspace import Workspace


@click.command("grade", short_help="Grade your attempt, with evidence.")
@click.argument("technique", type=TechniqueName(), required=False)
@click.option(
    "--attempt",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Grade FILE; needs no workspace, records nothing.",
)
@click.option("--all", "everything", is_flag=True, help="Grade every technique that you have started.")
@click.option(
    "--seed", metavar="N", type=WholeNumber(0, 2**63 - 1), help="Draw the cases of an earlier grading again."
)
@click.option("--thorough", is_flag=True, help="Draw 200 examples for each property instead of 25.")
@json_option
@lang_option
def command(
    technique: str | None,
    file: Path | None,
    everything: bool,
    seed: int | None,
    thorough: bool,
    as_json: bool,
    lang: str | None,
) -> None:
    """Run the properties of TECHNIQUE against your attempt and say what holds.

    \b
    Each property is a claim about every right implementation. It is tried on
    cases drawn anew each time; one that fails is shown on the smallest case
    that shows it. Your code runs in a process of its own, where the reference
    does not go.

    \b
    learn grade ppo                       your attempt in the workspace
    learn grade ppo --attempt my_ppo.py   any file, without a workspace
    learn grade --all                     all that you have started
    learn grade ppo --seed 42             the same cases again

    \b
    Exit codes  0  all held
                1  the attempt fell short
                2  the command was not understood
                3  a plugin or this machine is broken
    """
    if technique and everything:
        raise UsageProblem("Name a technique, or give --all, not both.")
    if everything and file:
        raise UsageProblem("--attempt goes with one technique, not with --all.")
    if not technique and not everything:
        raise UsageProblem("Name a technique, as in 'learn grade ppo', or give --all.")
    from groundup.grader.fork_server import ForkServer

    with ForkServer() as server:  # starts while the judge's own imports go on here
        workspace = None if file else find_workspace()
        techniques = _techniques(technique, file, workspace)
        from groundup.grader.judge import Judge

        judge = Judge(server, language(lang))
        with contextlib.ExitStack() as stack:
            state = stack.enter_context(open_state(workspace)) if workspace else None
            graded = _Grading(judge, workspace, state, file, seed, thorough, quiet=as_json, alone=not everything)
            verdicts, code = graded.all(techniques)
    if as_json:
        shown_as = [v.model_dump(mode="json") for v in verdicts]
        print_json(shown_as if everything else shown_as[0])
    raise SystemExit(code)


def _techniques(name: str | None, file: Path | None, workspace: Workspace | None) -> list[Technique]:
    technique = technique_named(name) if name else None
    if technique and file:
        return [technique]
    if workspace is None:
        makes = f"'learn start {technique.name if technique else 'day-4'}' makes one"
        raise NoWorkspace(f"There is no workspace here. {makes}" + ("; or give --attempt FILE." if technique else "."))
    if technique:
        return [technique]
    started = [t for t in registry().techniques.values() if workspace.attempt_path(t).is_file()]
    if not started:
        raise UsageProblem("You have started nothing yet: 'learn start day-4' puts the first stubs there.")
    return registry().with_prerequisites(started)
