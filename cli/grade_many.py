"""``learn grade-many``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from groundup.cli.context import (
    TechniqueName,
    WholeNumber,
    json_option,
    lang_option,
    language,
    print_json,
    technique_named,
)
from groundup.cli.layout import table, wrapped
from groundup.cli.show import tell_undiagnosed
from groundup.cli.words import ntr, told, tr
from groundup.core.errors import EXIT_BROKEN, EXIT_HELD, UsageProblem

if TYPE_CHECKING:
    from groundup.core.messages import Message
    from groundup.core.technique import Technique
    from groundup.grader.batch.moves import Moves
    from groundup.grader.batch.run import Class, Engine, Outcome, Wishes
    from groundup.grader.batch.submissions import Submissions

OUTCOMES = ("passed", "fell_short", "not_started", "died", "not_gradable", "nothing_to_grade")
MOVES_SHOWN = 20


@click.command("grade-many", short_help="Grade a class of submissions.")
@click.argument("submissions", required=False, type=click.Path(path_type=Path))
@click.option("--technique", metavar="TECHNIQUE", type=TechniqueName(), help="The technique to grade.")
@click.option(
    "--out",
    metavar="DIRECTORY",
    type=click.Path(path_type=Path),
    default="results",
    help="Where results are kept. Default: results.",
)
@click.option(
    "--jobs", metavar="N", type=WholeNumber(1, 1024), help="How many to grade at once. Default: one for each core."
)
@click.option("--only", metavar="NAME", multiple=True, help="Grade this submission alone; may be given several times.")
@click.option("--seed", metavar="N", type=WholeNumber(0, 2**63 - 1), help="Draw the cases of an earlier grading again.")
@click.option(
    "--seed-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Derive the seed from the secret in FILE.",
)
@click.option(
    "--points",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Points of each property: a file with a table [points].",
)
@click.option("--thorough", is_flag=True, help="Draw 200 examples for each property instead of 25.")
@click.option("--regrade", is_flag=True, help="Grade all again; show whose result changed, and why.")
@click.option("--check", is_flag=True, help="Check technique, points and seed, and grade nothing.")
@click.option("--database", metavar="URL", help="Record every verdict in that database, too.")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", help="Where to grade. Default: local.")
@click.option(
    "--require-containment",
    "level",
    metavar="LEVEL",
    default="strong",
    help="Refuse weaker isolation: strong (the default), namespaces, landlock, process.",
)
@json_option
@lang_option
def command(
    submissions: Path | None,
    technique: str | None,
    out: Path,
    jobs: int | None,
    only: tuple[str, ...],
    seed: int | None,
    seed_file: Path | None,
    points: Path | None,
    thorough: bool,
    regrade: bool,
    check: bool,
    database: str | None,
    engine: str,
    level: str,
    as_json: bool,
    lang: str | None,
) -> None:
    """Grade every submission in the folder SUBMISSIONS, which holds one folder for each learner.

    A learner's attempt is the file named after the technique, ppo.py or alignment/ppo.py, anywhere in their folder; if
    there is none, it is the only Python file there. All are graded with the same cases. Results are kept: after an
    interruption, the same command continues.

    \b
    learn grade-many class/ --technique ppo              into results/
    learn grade-many class/ --technique ppo --regrade    all again: what changed
    learn grade-many class/ --technique ppo --only anna  that one alone
    learn grade-many --technique ppo --points points.toml --check

    The results: every verdict as a line of results.jsonl, a table in results.csv, the class at a glance in
    summary.html, what each learner may see in gradescope/, what you may want to see of each in logs/.

    \b
    Exit codes  0  every submission has its row, whatever its score
                2  the command was not understood
                3  some could not be graded, or this machine is broken
    """
    if not technique:
        raise UsageProblem("Name the technique to grade, as in 'learn grade-many class/ --technique ppo'.")
    if seed is not None and seed_file:
        raise UsageProblem("--seed and --seed-file both give the seed: choose one.")
    from groundup.grader.batch.grading import properties
    from groundup.grader.batch.journal import Journal
    from groundup.grader.batch.run import Class
    from groundup.grader.learner.templates import Texts

    chosen, spoken = technique_named(technique), language(lang)
    found = None if check else _found(submissions, chosen, out, level)
    wanted = properties(chosen, spoken)
    wishes = _wishes(chosen, [p.id for p in wanted], seed, seed_file, points, thorough, spoken, regrade, only)
    if found is None:
        total = sum(wishes.points.get(p.id, p.points) for p in wanted)
        click.echo(tr("{id}: {count} properties, {points:g} points.", id=chosen.id, count=len(wanted), points=total))
        return
    runs_on = _engine(engine, jobs, spoken, out)
    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(Journal(out))
        rows_go_to = None
        if database:
            from groundup.grader.batch.database import Database

            rows_go_to = stack.enter_context(Database(database, _say))
        whole = Class(found, journal, wanted, wishes, Texts("class", spoken, told), rows_go_to)
        whole.mend()
        with _progress(whole, chosen) as graded:
            whole.grade(runs_on, graded)
        for problem in sorted(whole.undiagnosed):
            tell_undiagnosed(problem)
        outcome = whole.collect()
    if as_json:
        moves = {"moved": None} if outcome.moves is None else outcome.moves.as_json()
        where = {"technique": chosen.id, "results": str(out), "round": outcome.number}
        print_json(where | outcome.summary.as_json() | {"changed": [told(c) for c in outcome.changed]} | moves)
    else:
        _show(outcome, chosen, out)
    raise SystemExit(EXIT_BROKEN if outcome.summary.outcomes["not_gradable"] else EXIT_HELD)


def _engine(name: str, jobs: int | None, lang: str, out: Path) -> Engine:
    if name == "ray":
        from groundup.grader.batch.on_ray import Ray

        return Ray(jobs, lang, out / "ray.log")
    from groundup.grader.batch.local import Local
    from groundup.grader.judging import cores

    return Local(jobs or cores.usable(), lang)


def _wishes(
    technique: Technique,
    properties: list[str],
    seed: int | None,
    seed_file: Path | None,
    points: Path | None,
    thorough: bool,
    lang: str,
    regrade: bool,
    only: tuple[str, ...],
) -> Wishes:
    from groundup.grader.batch import seeds
    from groundup.grader.batch.points import read_points
    from groundup.grader.batch.run import Wishes

    secret = None if seed is not None else seeds.secret(seed_file)
    if secret is not None:
        seed = seeds.derived(secret, technique)
    came_from = "secret" if secret is not None else "drawn" if seed is None else "given"
    counts = read_points(points, properties) if points else {}
    return Wishes(seed, came_from, thorough, counts, lang, regrade, only)


def _found(folder: Path | None, technique: Technique, out: Path, level: str) -> Submissions:
    """Return the submissions. Raises UsageProblem, EnvironmentProblem if they cannot be graded as asked."""
    from groundup.grader.batch.submissions import Submissions
    from groundup.grader.process import sandbox

    if folder is None:
        raise UsageProblem("Name the folder of submissions, as in 'learn grade-many class/ --technique ppo'.")
    sandbox.demand(level)
    found = Submissions(folder, technique)
    _stand_apart(folder, out)
    return found


def _stand_apart(submissions: Path, out: Path) -> None:
    """Raise UsageProblem if the results' folder is inside the submissions, where it would be taken for one."""
    if out.resolve().is_relative_to(submissions.resolve()):
        raise UsageProblem(
            "{out} lies inside {submissions}: name a folder beside it with --out.", out=out, submissions=submissions
        )


def _say(message: str) -> None:
    click.echo(f"learn: {told(message)}", err=True)


def _few(names: list[str]) -> str:
    return tr(", ").join(names[:3]) + (" ..." if len(names) > 3 else "")


@contextlib.contextmanager
def _progress(whole: Class, technique: Technique) -> Iterator[Callable[[object], None]]:
    """Show progress and the remaining time on stderr if that is a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    done = len(whole.wanted) - len(whole.waiting)
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        if not bar.console.is_terminal:
            bar.disable = True
        task = bar.add_task(technique.id, total=len(whole.waiting))
        if done and whole.waiting:
            kept = tr("{count} are graded already; {left} are left.", count=done, left=len(whole.waiting))
            bar.console.print(f"learn: {kept}", markup=False, highlight=False)
        yield lambda _row: bar.advance(task)


def _show(outcome: Outcome, technique: Technique, out: Path) -> None:
    summary = outcome.summary
    count = sum(summary.outcomes.values())
    click.echo(click.style(technique.id, bold=True) + "  " + ntr("1 submission", "{count} submissions", count))
    names = {
        "passed": tr("passed"),
        "fell_short": tr("fell short"),
        "not_started": tr("not started"),
        "died": tr("died"),
        "not_gradable": tr("not gradable: not their fault; the same command tries them again"),
        "nothing_to_grade": tr("nothing to grade: summary.html says why"),
    }
    rows = [(str(summary.outcomes[name]), names[name]) for name in OUTCOMES if summary.outcomes[name]]
    click.echo("\n".join(table(rows)))
    if summary.left_out:
        click.echo(
            "  " + tr("left out, because they are in no learner's folder: {names}", names=_few(summary.left_out))
        )
    if noted := [line.name for line in summary.by_hand if line.outcome not in ("not_gradable", "nothing_to_grade")]:
        click.echo("  " + tr("something skipped or cut short: {names}; summary.html says what", names=_few(noted)))
    if summary.mean is not None and summary.median is not None:
        click.echo("  " + tr("mean score {mean:.0%}, median {median:.0%}", mean=summary.mean, median=summary.median))
    if outcome.moves is not None:
        _show_moves(outcome.moves, outcome.changed)
    click.echo(
        "\n" + tr("Written to {folder}: summary.html, results.csv, results.jsonl, gradescope/, logs/.", folder=out)
    )


def _show_moves(moves: Moves, changed: list[Message]) -> None:
    click.echo()
    if changed:
        click.echo(tr("Changed since the previous round: {what}.", what=changed))
    if properties := moves.properties():
        click.echo(tr("Properties, which by themselves move nobody: {what}.", what=properties))
    if not moves.each:
        click.echo(tr("No result has changed since the previous round."))
        return
    click.echo(tr("Results that changed since the previous round: {count}", count=len(moves.each)))
    for move in moves.each[:MOVES_SHOWN]:
        changes = [f"{c.property} {c.was} → {c.now}" for c in move.changes]
        if move.file_changed:
            changes.insert(0, tr("another file"))
        head = f"  {move.name}  {move.score_before:.0%} → {move.score:.0%}  "
        click.echo(wrapped(tr(", ").join(changes), first=head, rest="      "))
    if len(moves.each) > MOVES_SHOWN:
        click.echo("  " + tr("and {count} more: moved.csv has all", count=len(moves.each) - MOVES_SHOWN))
