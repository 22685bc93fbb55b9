"""``learn run``."""

from __future__ import annotations

import contextlib
import itertools
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from groundup.cli.context import (
    TechniqueName,
    WholeNumber,
    demand_containment,
    find_workspace,
    json_option,
    lang_option,
    language,
    open_state,
    print_json,
    registry,
    say,
    shown,
    stop_at_a_broken_one,
)
from groundup.cli.course import show_what_follows
from groundup.cli.layout import line_starts, line_width, padded, width, wrapped
from groundup.cli.parameters import PathTo
from groundup.cli.words import told, tr
from groundup.core.errors import EXIT_FELL_SHORT, UsageProblem

if TYPE_CHECKING:
    from groundup.core.lab import Lab
    from groundup.core.technique import Technique
    from groundup.grader.learner.lab import LabRun, Points, Watcher
    from groundup.grader.learner.workspace import Workspace

REFRESH_SECONDS = 0.2
LINE_SECONDS = 5.0  # between progress lines off a terminal
WIDEST_HEAD = 16
FILLER = "\u2060"
# A colour for each series; whose it is shows in the marks that a curve is drawn with.
COLOURS = ("blue", "red", "green", "magenta", "cyan", "gray", "blue+", "red+", "green+", "magenta+")
MARKERS = {"yours": "braille", "reference": "dot", "foil": "x"}
SIGNS = {"yours": "⠒", "reference": "•", "foil": "x"}
LONG = 120  # seconds; from here on, an estimate is in minutes


@click.command("run", short_help="Run a technique's lab with your own code.")
@click.argument("technique", type=TechniqueName(), required=False)
@click.option("--reference", is_flag=True, help="Run it with the reference alone.")
@click.option("--all", "everything", is_flag=True, help="Run every lab.")
@click.option("--quick", is_flag=True, help="Stop after a few seconds: does it run at all?")
@click.option(
    "--seed", metavar="N", type=WholeNumber(0, 2**31 - 1), default=0, show_default=True, help="What chance starts from."
)
@click.option("--out", metavar="DIRECTORY", type=PathTo(file_okay=False), help="Folder for the picture.")
@json_option
@lang_option
def command(
    technique: str | None,
    reference: bool,
    everything: bool,
    quick: bool,
    seed: int,
    out: Path | None,
    as_json: bool,
    lang: str | None,
) -> None:
    """Run the lab of TECHNIQUE: a closed loop with your own implementation, the reference and a foil beside it.

    \b
    learn run ppo               yours, the reference and the foil
    learn run ppo --reference   the reference and the foil
    learn run --all --quick     every lab, a few seconds each

    The lab measures what the technique is known for, shows the published figure beside it, and says whether it
    reached its mark. The foil is a variant without the mechanism: it shows what the mechanism is for, and misses the
    mark. A quick run judges no mark. The picture lands in your workspace.
    """
    if everything == (technique is not None):
        raise UsageProblem("Name a technique, as in 'learn run ppo', or give --all.")
    from groundup.grader.learner.lab import has_lab

    workspace = find_workspace()
    if technique:
        chosen = [registry().technique(technique)]
        if not has_lab(chosen[0]):
            there = ", ".join(_with_labs())
            raise UsageProblem("{id} has no lab. These do: {names}.", id=chosen[0].id, names=there)
        if not reference and (workspace is None or not workspace.attempt_path(chosen[0]).is_file()):
            raise UsageProblem(
                "You have no attempt at {id} here. 'learn start {name}' puts its stub there; "
                "'learn run {name} --reference' runs the lab with the reference.",
                id=chosen[0].id,
                name=chosen[0].name,
            )
    else:
        chosen = [registry().technique(name) for name in _with_labs()]
    ran = [_run(t, workspace, reference, quick, seed, out, language(lang), as_json) for t in chosen]
    if as_json:
        print_json([run.model_dump(mode="json") for runs in ran for run in runs])
    elif language(lang) == "zh":
        _tell_of_the_font()
    if workspace and technique and not as_json:
        show_what_follows(workspace, chosen[0])
    judged = [run.outcome.mark for runs in ran for run in runs[:1]]  # the learner's run, without one the reference's
    missed = [mark for mark in judged if mark and not mark.reached and not quick]
    if everything:
        stop_at_a_broken_one(registry().broken)
    raise SystemExit(EXIT_FELL_SHORT if missed else 0)


def _with_labs() -> list[str]:
    from groundup.grader.learner.lab import has_lab

    return [t.name for t in registry().techniques.values() if has_lab(t)]


def _run(
    technique: Technique,
    workspace: Workspace | None,
    reference: bool,
    quick: bool,
    seed: int,
    out: Path | None,
    lang: str,
    as_json: bool,
) -> list[LabRun]:
    from groundup.grader.learner.lab import foil_source, load_lab, run_foil, run_lab
    from groundup.grader.learner.picture import picture
    from groundup.grader.process.fork_server import ForkServer

    demand_containment(workspace)
    with ForkServer() as server:
        lab, _ = load_lab(technique)
        sources, foil = {} if reference else _attempts(workspace, lab), foil_source(technique, registry())
        contestants = [*(["yours"] if sources else []), "reference", *(["foil"] if foil else [])]
        if not as_json:
            click.echo(click.style(say(lab.title, lang), bold=True))
            for identity in lab.uses if sources else ():
                lack = tr("the reference: you have no attempt at it")
                whose = tr("your attempt") if identity in sources else lack
                click.echo(f"  {identity:<28} {whose}")
            if lab.seconds and not quick:
                click.echo(wrapped(_estimate(lab.seconds, len(contestants)), first="  "))
        runs: list[LabRun] = []
        for who in contestants:
            with _screen(lab, who, contestants, runs, lang, quiet=as_json) as watch:
                if who == "foil":
                    assert foil is not None
                    runs.append(run_foil(technique, registry(), server, foil, seed=seed, quick=quick, watch=watch))
                else:
                    used = sources if who == "yours" else {}
                    runs.append(run_lab(technique, registry(), server, used, seed=seed, quick=quick, watch=watch))
    drawn = picture(lab, runs, lang, told)
    folder = out or (workspace.folder / "runs" if workspace else Path("runs"))
    path = _write(folder, technique.name, drawn)
    if workspace:
        with open_state(workspace) as state:
            state.record_lab(technique.id, [run.model_dump(mode="json") for run in runs], drawn)
    if not as_json:
        _report(lab, runs, path, lang, quick)
    return runs


def _estimate(seconds: float, count: int) -> str:
    """Return about how long ``count`` runs take, one after the other."""
    total, each = _about(count * seconds), _about(seconds)
    if count == 1:
        return tr("about {total}", total=total)
    if count == 2:
        return tr("about {total}: two runs of about {each}", total=total, each=each)
    return tr("about {total}: three runs of about {each}", total=total, each=each)


def _about(seconds: float) -> str:
    if seconds < LONG:
        return tr("{seconds:.0f} s", seconds=max(seconds, 1.0))
    return tr("{minutes:.0f} min", minutes=seconds / 60)


def _attempts(workspace: Workspace | None, lab: Lab) -> dict[str, str]:
    from groundup.grader.process.text import read_attempt

    if workspace is None:
        return {}
    paths = {i: workspace.attempt_path(registry().technique(i)) for i in lab.uses}
    return {i: read_attempt(path) for i, path in paths.items() if path.is_file()}


def _write(folder: Path, name: str, data: bytes) -> Path:
    """Write the picture to a new file name."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, 10_000):
        path = folder / f"{name}-{number}.png"
        with contextlib.suppress(FileExistsError), path.open("xb") as file:
            file.write(data)
            return path
    raise UsageProblem("{folder} holds 9999 pictures of {name}: move some away.", folder=folder, name=name)


@contextlib.contextmanager
def _screen(
    lab: Lab, who: str, contestants: list[str], before: list[LabRun], lang: str, *, quiet: bool
) -> Iterator[Watcher]:
    """Show a progress bar and the growing curve on a terminal; otherwise a line on stderr every few seconds."""
    if quiet:
        yield lambda done, points: None
        return
    if not sys.stdout.isatty():
        yield _lines(_named(lab, who, lang))
        return
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    console = Console()
    bar = Progress(
        TextColumn(padded(_named(lab, who, lang), max(width(_named(lab, each, lang)) for each in contestants))),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    task = bar.add_task(who, total=1.0)
    key = Text(_key(lab, [*(run.contestant for run in before), who], lang))
    drawn = 0.0
    with Live(bar, console=console, auto_refresh=False) as live:

        def watch(done: float, points: Points) -> None:
            nonlocal drawn
            if time.monotonic() - drawn < REFRESH_SECONDS and done < 1.0:
                return
            drawn = time.monotonic()
            bar.update(task, completed=done)
            plot = Text.from_ansi(_plot(lab, who, before, points, min(console.width, 90), lang))
            live.update(Group(plot, key, bar), refresh=True)

        yield watch


def _lines(name: str) -> Watcher:
    """Return a callback that prints progress and the remaining time every few seconds."""
    began = latest = time.monotonic()

    def watch(done: float, points: Points) -> None:
        nonlocal latest
        now = time.monotonic()
        if now - latest >= LINE_SECONDS and 0 < done < 1:
            latest = now
            left = (now - began) * (1 - done) / done
            text = tr("{name}: {done:.0%}, about {seconds:.0f} s left", name=name, done=done, seconds=left)
            click.echo(f"  {text}", err=True)

    return watch


def _plot(lab: Lab, who: str, before: list[LabRun], points: Points, places: int, lang: str) -> str:
    import plotext

    from groundup.grader.learner.picture import curves

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(places, 16)
    plotext.xlabel(_spread(say(lab.x, lang)))
    plotext.title(_spread(say(lab.y, lang)))
    if lab.logarithmic:
        plotext.yscale("log")
    made = [*((run.contestant, run.points) for run in before), (who, points)]
    drawn = [curve for curve in curves(lab, made, lang) if curve.points]
    first = {curve.series: number for number, curve in reversed([*enumerate(drawn)])}
    for number, curve in enumerate(drawn):
        label = _spread(curve.name) if len(first) > 1 and first[curve.series] == number else None
        plotext.plot(
            [x for x, _ in curve.points], [y for _, y in curve.points],
            label=label, marker=MARKERS[curve.contestant], color=COLOURS[curve.series % len(COLOURS)],
        )  # fmt: skip
    return str(plotext.build()).replace(FILLER, "")


def _key(lab: Lab, contestants: list[str], lang: str) -> str:
    """Return a line that says with which marks each contestant's curves are drawn."""
    return "  " + "   ".join(f"{SIGNS[who] * 3} {_named(lab, who, lang)}" for who in contestants)


def _spread(text: str) -> str:
    """Return ``text`` padded so that its length equals its width in columns: plotext counts characters."""
    return "".join(c + FILLER * (width(c) - 1) for c in text)


def _report(lab: Lab, runs: list[LabRun], path: Path, lang: str, quick: bool) -> None:
    click.echo()
    _figures(runs, [_named(lab, run.contestant, lang) for run in runs], lang)
    for run in runs:
        if run.stopped or (run.outcome.mark and not quick):
            click.echo("\n" + wrapped(_result(run, _named(lab, run.contestant, lang), lang), first="  "))
    if quick:
        lack = tr("A quick run: mark not judged. It shows that the loop runs, not what it reaches.")
        click.echo("\n" + wrapped(lack, first="  "))
    click.echo("\n  " + tr("Picture: {path}", path=shown(path)))


def _figures(runs: list[LabRun], names: list[str], lang: str) -> None:
    """Print what was measured, a column for each run; beneath one another on a terminal that is too narrow."""
    figures = runs[0].outcome.figures
    heads = [_lines_of(name, WIDEST_HEAD) for name in names]
    cells = [[_value(run, number) for number in range(len(figures))] for run in runs]
    columns = [max(map(width, head + column)) + 2 for head, column in zip(heads, cells, strict=True)]
    room = line_width() - 2 - sum(columns) - max((2 + width(f.unit) for f in figures), default=0)
    room = min(room, 48)
    beside = room >= 30
    if beside and figures:
        tallest = max(map(len, heads))
        for row in zip(*([""] * (tallest - len(head)) + head for head in heads), strict=True):
            click.echo((" " * (room + 2) + "".join(map(_right, row, columns))).rstrip())
    for number, figure in enumerate(figures):
        values = [column[number] for column in cells]
        name = say(figure.name, lang)
        if beside and width(name) <= room:
            click.echo(f"  {padded(name, room)}{''.join(map(_right, values, columns))}  {figure.unit}".rstrip())
        else:
            click.echo(wrapped(name, first="  "))
            whose = [f"{who} {value}" for who, value in zip(names, values, strict=True)]
            click.echo(wrapped(tr(", ").join(whose) + f" {figure.unit}".rstrip(), first="      "))
        for text in figure.beside(lang):
            click.echo(wrapped(told(text), first="      "))


def _result(run: LabRun, name: str, lang: str) -> str:
    """Return whether a run reached its mark. A foil is to miss it: that is no error, and neither is the opposite."""
    if run.stopped:
        return tr("{contestant}: it did not get to its end: {why}", contestant=name, why=run.stopped)
    assert run.outcome.mark is not None
    reached, says = run.outcome.mark.reached, say(run.outcome.mark.says, lang)
    if run.contestant == "foil":
        if reached:
            return tr("{contestant}: with this seed, it reached the mark too: {says}", contestant=name, says=says)
        return tr("{contestant}: ✗ missed, as it should: {says}", contestant=name, says=says)
    mark = click.style("✓ " + tr("reached"), fg="green") if reached else click.style("✗ " + tr("missed"), fg="red")
    return tr("{contestant}: {mark}", contestant=name, mark=mark) + f"  {says}"


def _value(run: LabRun, number: int) -> str:
    figures = run.outcome.figures
    return _number(figures[number].value) if number < len(figures) else "–"


def _lines_of(text: str, places: int) -> list[str]:
    """Return ``text`` in lines of at most ``places`` columns, where its words allow that."""
    starts = [0, *line_starts(text, places), len(text)]
    return [text[start:end].strip(" ") for start, end in itertools.pairwise(starts)]


def _right(text: str, places: int) -> str:
    return " " * (places - width(text)) + text


def _tell_of_the_font() -> None:
    from groundup.grader.learner.picture import chinese_font

    if chinese_font() is None:
        lack = tr(
            "The labels in pictures are English, as this machine has no font with Chinese: install one "
            "(on Debian fonts-wqy-zenhei or fonts-noto-cjk)."
        )
        click.echo("\n" + wrapped(lack, first="  "))


def _named(lab: Lab, who: str, lang: str) -> str:
    from groundup.grader.learner.picture import contestant

    return contestant(lab, who, lang, told)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"
