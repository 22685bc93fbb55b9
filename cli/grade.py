"""``learn grade``."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from groundup.cli import warm
from groundup.cli.context import (
    TechniqueName,
    WholeNumber,
    attempt_in,
    broken_attempts,
    demand_containment,
    find_workspace,
    first_day,
    json_option,
    lang_option,
    language,
    open_state,
    print_json,
    registry,
    saved_last,
    shown,
    technique_named,
)
from groundup.cli.layout import width, wrapped
from groundup.cli.names import spoken
from groundup.cli.words import told, tr
from groundup.core.errors import (
    EXIT_BROKEN,
    EXIT_FELL_SHORT,
    EXIT_HELD,
    GroundupError,
    NoWorkspace,
    UsageProblem,
)

if TYPE_CHECKING:
    from groundup.cli.way import Step
    from groundup.core.technique import Technique
    from groundup.grader.judging.judge import Judge
    from groundup.grader.judging.property_run import Tell
    from groundup.grader.judging.verdict import PropertyResult, Verdict
    from groundup.grader.learner.records import Standing
    from groundup.grader.learner.state import State
    from groundup.grader.learner.workspace import Workspace


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
@click.option("--seed", metavar="N", type=WholeNumber(0, 2**63 - 1), help="Draw the cases of an earlier grading again.")
@click.option(
    "--require-containment", "level", metavar="LEVEL", help="Refuse weaker isolation: strong, namespaces, landlock."
)
@click.option("--events", is_flag=True, hidden=True, help="For 'learn watch': a line of JSON for all that happens.")
@click.option("--all-cases", is_flag=True, help="Show the cases of up to two further properties that fail.")
@click.option("--thorough", is_flag=True, help="Draw 200 examples for each property instead of 25.")
@json_option
@lang_option
def command(
    technique: str | None,
    file: Path | None,
    everything: bool,
    seed: int | None,
    level: str | None,
    thorough: bool,
    all_cases: bool,
    events: bool,
    as_json: bool,
    lang: str | None,
) -> None:
    """Run the properties of TECHNIQUE against your attempt and say what holds.

    Each property is a claim that every correct implementation satisfies. It is tested on new random cases each time; a
    property that fails is shown with its smallest failing case. Your code runs in a process of its own, without the
    reference, in the strongest isolation that this machine offers: 'learn doctor' shows which.

    \b
    learn grade                           the attempt that you saved last
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
    if file and not technique:
        raise UsageProblem("Name the technique too, as in 'learn grade ppo --attempt {file}'.", file=file)
    from groundup.grader.process.fork_server import running_server

    demand_containment(None, level)
    verdicts, codes = [], [EXIT_HELD]
    with running_server() as server, contextlib.ExitStack() as stack:  # starts in parallel with the imports here
        workspace = None if file else find_workspace()
        demand_containment(workspace)
        techniques = _techniques(technique, file, workspace)
        if not (technique or everything):
            attempts = {t.id: workspace.attempt_path(t) for t in techniques}  # type: ignore[union-attr]
            techniques = [registry().techniques[saved_last(attempts)]]
        if everything and workspace:
            codes += [problem.exit_code for problem in broken_attempts(workspace)]
        state = stack.enter_context(open_state(workspace)) if workspace else None
        from groundup.grader.judging.cores import cores_for_copies
        from groundup.grader.judging.judge import Judge

        judge = Judge(server, language(lang), copies=cores_for_copies())
        for number, chosen in enumerate(techniques):
            try:
                path = file or attempt_in(workspace, chosen)  # type: ignore[arg-type]
                before = state.last_scores().get(chosen.id) if state else None
                verdict = _graded(judge, state, chosen, path, seed, thorough, _tell if events else None)
            except GroundupError as problem:
                if not everything:
                    raise
                warm.no_way_back()
                click.echo(f"learn: {chosen.id}: {spoken(told(problem.message))}", err=True)
                codes.append(problem.exit_code)
                continue
            verdicts.append(verdict)
            codes.append(_exit_code(verdict))
            if events:
                _print_event("verdict", verdict)
            elif not as_json:
                steps = [] if everything else _after_a_pass(verdict, workspace, state)
                _show(
                    verdict, chosen, judge.lang, before, first=number == 0, file=file, alone=not everything,
                    all_cases=all_cases, after_a_pass=steps,
                )  # fmt: skip
    if as_json:
        data = [v.model_dump(mode="json") for v in verdicts]
        print_json(data if everything else data[0])
    raise SystemExit(max(codes))


def _techniques(name: str | None, file: Path | None, workspace: Workspace | None) -> list[Technique]:
    """Return the techniques to grade; with --all, prerequisites come first."""
    technique = technique_named(name) if name else None
    if technique and (file or workspace):
        return [technique]
    if workspace is None:
        if technique is None:
            raise NoWorkspace("There is no workspace here. 'learn start {name}' makes one.", name=first_day())
        raise NoWorkspace(
            "There is no workspace here. 'learn start {name}' makes one; or give --attempt FILE.", name=technique.name
        )
    started = [t for t in registry().techniques.values() if workspace.attempt_path(t).is_file()]
    if not started:
        for problem in broken_attempts(workspace):
            raise problem
        raise UsageProblem(
            "You have started nothing yet: 'learn start {day}' puts the first stubs there.", day=first_day()
        )
    return [t for t in registry().with_prerequisites(started) if t in started]


def _graded(
    judge: Judge,
    state: State | None,
    technique: Technique,
    path: Path,
    seed: int | None,
    thorough: bool,
    tell: Tell | None,
) -> Verdict:
    """Grade one attempt; record the verdict before it is shown or passed to plugins."""
    from groundup.grader.process.text import read_attempt

    name = shown(path)
    source = read_attempt(Path(name))
    with _saying(tr("grading {id} ...", id=technique.id)):
        cases = state.cases(technique.id) if state else None  # with --seed, too, kept cases come first
        if tell and cases and not judge.copies:  # copies would try the kept cases first themselves
            still = judge.still_failing(technique, source, name, cases, seed=seed or 0)
            if still is not None:
                tell("failing", still)
        grading = judge.grade(technique, source, name, seed=seed, thorough=thorough, cases=cases, tell=tell)
        warm.has_graded(technique.id)
        warm.no_way_back()
        if state:
            state.record(grading.verdict, grading.source, grading.cases)
    if grading.undiagnosed:
        from groundup.cli.show import tell_undiagnosed

        tell_undiagnosed(str(grading.undiagnosed))
    _tell_observers(grading.verdict)
    return grading.verdict


def _show(
    verdict: Verdict, technique: Technique, lang: str, before: Standing | None, *,
    first: bool, file: Path | None, alone: bool, all_cases: bool, after_a_pass: Sequence[Step],
) -> None:  # fmt: skip
    from groundup.cli.show import changes_since, show_next_steps, show_verdict

    if not first:
        click.echo()
    show_verdict(verdict, technique, lang, all_cases=all_cases)
    if before and (changes := changes_since(technique, before.version, lang)):
        click.echo("\n" + wrapped(tr("The verdict before this one was {changes}", changes=changes), first="  "))
    if alone:
        show_next_steps(verdict, technique, str(file) if file else None, after_a_pass)


def _after_a_pass(verdict: Verdict, workspace: Workspace | None, state: State | None) -> list[Step]:
    if not (verdict.passed and workspace and state):
        return []
    from groundup.cli.way import Way

    return Way.of(workspace, state).after(verdict.technique)


def _tell(kind: str, result: PropertyResult) -> None:
    warm.no_way_back()
    _print_event(kind, result)


def _print_event(kind: str, what: Verdict | PropertyResult) -> None:
    line = json.dumps({"event": kind, "data": what.model_dump(mode="json", round_trip=True)})
    click.echo(line)


def _tell_observers(verdict: Verdict) -> None:
    _, problems = registry().ask("verdict_given", lambda _: None, verdict=verdict.model_dump(mode="json"))
    for problem in problems:
        click.echo(f"learn: {told(problem.message)}", err=True)


@contextlib.contextmanager
def _saying(what: str) -> Iterator[None]:
    """Show ``what`` on the terminal while the block runs."""
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        yield
        return
    click.echo(what, nl=False, err=True)
    try:
        yield
    finally:
        click.echo("\r" + " " * width(what) + "\r", nl=False, err=True)


def _exit_code(verdict: Verdict) -> int:
    if verdict.outcome == "not_gradable":
        return EXIT_BROKEN
    return EXIT_HELD if verdict.passed else EXIT_FELL_SHORT
