"""``learn grade``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundup.cli.context import (
    TechniqueName,
    attempt_in,
    find_workspace,
    json_option,
    lang_option,
    language,
    open_state,
    print_json,
    registry,
    shown,
)
from groundup.core.errors import EXIT_BROKEN, EXIT_FELL_SHORT, EXIT_HELD, NoWorkspace, UsageProblem

if TYPE_CHECKING:
    from groundup.core.technique import Technique
    from groundup.grader.fork_server import ForkServer
    from groundup.grader.verdict import Verdict
    from groundup.grader.workspace import Workspace


@click.command("grade", short_help="Grade your attempt, with evidence.")
@click.argument("technique", type=TechniqueName(), required=False)
@click.option(
    "--attempt", "file", type=click.Path(path_type=Path), help="Grade FILE; needs no workspace, records none."
)
@click.option("--all", "everything", is_flag=True, help="Grade every technique that you have started.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Draw the cases of an earlier grading again.")
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
    Each property is a claim about every right implementation. It is tried on cases drawn
    anew each time; one that fails is shown on the smallest case that shows it. Your code
    runs in a process of its own; the reference does not go there.

    \b
    learn grade ppo                       your attempt in the workspace
    learn grade ppo --attempt my_ppo.py   any file, without a workspace
    learn grade --all                     all that you have started
    learn grade ppo --seed 42             the same cases again

    \b
    Exit codes: 0 all held, 1 fell short, 2 not understood, 3 plugin or machine broken.
    """
    if everything == (technique is not None):
        raise UsageProblem("Name a technique, as in 'learn grade ppo', or give --all.")
    if everything and file:
        raise UsageProblem("--attempt goes with one technique, not with --all.")
    from groundup.grader.fork_server import ForkServer

    with ForkServer() as server:  # starts while the judge's own imports go on here
        verdicts = list(_graded(server, technique, file, seed, thorough, language(lang), as_json))
    if as_json:
        shown_as = [v.model_dump(mode="json") for v in verdicts]
        print_json(shown_as if everything else shown_as[0])
    raise SystemExit(_exit_code(verdicts))


def _graded(
    server: ForkServer,
    name: str | None,
    file: Path | None,
    seed: int | None,
    thorough: bool,
    lang: str,
    as_json: bool,
) -> Iterator[Verdict]:
    workspace = None if file else find_workspace()
    if workspace is None and file is None:
        raise NoWorkspace(
            f"There is no workspace here. 'learn start {name or 'day-4'}' makes one; or give --attempt FILE."
        )
    techniques = [registry().technique(name)] if name else _started(workspace)
    from groundup.cli.show import show_verdict
    from groundup.grader.judge import Judge, read_attempt

    judge = Judge(server, lang)
    with ExitStack() as stack:
        state = stack.enter_context(open_state(workspace)) if workspace else None
        for number, technique in enumerate(techniques):
            path = file or attempt_in(workspace, technique)  # type: ignore[arg-type]
            cases = state.cases(technique.id) if state and seed is None else None
            grading = judge.grade(technique, read_attempt(path), shown(path), seed=seed, thorough=thorough, cases=cases)
            if state:
                state.record(grading.verdict, grading.source, grading.cases)
            _tell_observers(grading.verdict)
            if not as_json:
                click.echo("\n" if number else "", nl=False)
                show_verdict(grading.verdict, technique, lang)
            yield grading.verdict


def _started(workspace: Workspace | None) -> list[Technique]:
    assert workspace is not None
    started = [t for t in registry().techniques.values() if workspace.attempt_path(t).is_file()]
    if not started:
        raise UsageProblem("You have started nothing yet: 'learn start day-4' puts the first stubs there.")
    return started


def _tell_observers(verdict: Verdict) -> None:
    for plugin in registry().manager.get_plugins():
        observer: Any = getattr(plugin, "verdict_given", None)
        if hasattr(observer, "groundup_impl"):
            try:
                observer(verdict=verdict.model_dump(mode="json"))
            except Exception as error:
                name = registry().manager.get_name(plugin)
                click.echo(f"learn: plugin {name!r} failed on the verdict: {type(error).__name__}: {error}", err=True)


def _exit_code(verdicts: list[Verdict]) -> int:
    if any(v.outcome == "not_gradable" for v in verdicts):
        return EXIT_BROKEN
    return EXIT_HELD if all(v.passed for v in verdicts) else EXIT_FELL_SHORT
