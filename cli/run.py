"""``learn run``."""

from __future__ import annotations

import contextlib
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
from groundup.cli.layout import line_width, padded, width, wrapped
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
COLUMN = 14
FILLER = "\u2060"


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
    """Run the lab of TECHNIQUE: a closed loop with your own implementation, the reference beside it.

    \b
    learn run ppo               yours and the reference
    learn run ppo --reference   the reference alone
    learn run --all --quick     every lab, a few seconds each

    The lab measures what the technique is known for, shows the published figure beside it, and says whether it
    reached its mark. The picture lands in your workspace.
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
    runs = [r for t in chosen for r in _run(t, workspace, reference, quick, seed, out, language(lang), as_json)]
    if as_json:
        print_json([r.model_dump(mode="json") for r in runs])
    elif language(lang) == "zh":
        _tell_of_the_font()
    if workspace and technique and not as_json:
        show_what_follows(workspace, chosen[0])
    missed = [r for r in runs if r.outcome.mark and not r.outcome.mark.reached and not quick]
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
    from groundup.grader.learner.lab import load_lab, run_lab
    from groundup.grader.learner.picture import picture
    from groundup.grader.process.fork_server import ForkServer

    demand_containment(workspace)
    with ForkServer() as server:
        lab, _ = load_lab(technique)
        sources = {} if reference else _attempts(workspace, lab)
        if not as_json:
            click.echo(click.style(say(lab.title, lang), bold=True))
            for identity in lab.uses if sources else ():
                lack = tr("the reference: you have no attempt at it")
                whose = tr("your attempt") if identity in sources else lack
                click.echo(f"  {identity:<28} {whose}")
        runs: list[LabRun] = []
        for contestant in ("yours", "reference") if sources else ("reference",):
            with _screen(lab, contestant, runs, lang, quiet=as_json) as watch:
                used = sources if contestant == "yours" else {}
                runs.append(run_lab(technique, registry(), server, used, seed=seed, quick=quick, watch=watch))
    drawn = picture(lab, runs, lang, told)
    folder = out or (workspace.folder / "runs" if workspace else Path("runs"))
    path = _write(folder, technique.name, drawn)
    if workspace:
        with open_state(workspace) as state:
            state.record_lab(technique.id, [run.model_dump(mode="json") for run in runs], drawn)
    if not as_json:
        _report(technique, runs, path, lang, quick)
    return runs


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
def _screen(lab: Lab, contestant: str, before: list[LabRun], lang: str, *, quiet: bool) -> Iterator[Watcher]:
    """Show a progress bar and the growing curve on a terminal; otherwise a line on stderr every few seconds."""
    if quiet:
        yield lambda done, points: None
        return
    if not sys.stdout.isatty():
        yield _lines(_named(contestant))
        return
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    console = Console()
    bar = Progress(
        TextColumn(padded(_named(contestant), 10)),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    task = bar.add_task(contestant, total=1.0)
    drawn = 0.0
    with Live(bar, console=console, auto_refresh=False) as live:

        def watch(done: float, points: Points) -> None:
            nonlocal drawn
            if time.monotonic() - drawn < REFRESH_SECONDS and done < 1.0:
                return
            drawn = time.monotonic()
            bar.update(task, completed=done)
            plot = Text.from_ansi(_plot(lab, contestant, before, points, min(console.width, 90), lang))
            live.update(Group(plot, bar), refresh=True)

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


def _plot(lab: Lab, contestant: str, before: list[LabRun], points: Points, places: int, lang: str) -> str:
    import plotext

    from groundup.grader.learner.picture import curves

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(places, 16)
    plotext.xlabel(_spread(say(lab.x, lang)))
    plotext.title(_spread(say(lab.y, lang)))
    if lab.logarithmic:
        plotext.yscale("log")
    earlier, now = [(run.contestant, run.points) for run in before], [(contestant, points)]
    for made, marker in ((earlier, "dot"), (now, "braille")):
        for _, label, pairs in curves(lab, made, lang, told):
            plotext.plot([x for x, _ in pairs], [y for _, y in pairs], label=_spread(label), marker=marker)
    return str(plotext.build()).replace(FILLER, "")


def _spread(text: str) -> str:
    """Return ``text`` padded so that its length equals its width in columns: plotext counts characters."""
    return "".join(c + FILLER * (width(c) - 1) for c in text)


def _report(technique: Technique, runs: list[LabRun], path: Path, lang: str, quick: bool) -> None:
    click.echo()
    figures = [[run.outcome.figures[n] for run in runs] for n in range(len(runs[0].outcome.figures))]
    room = line_width() - 2 - COLUMN * len(runs) - max((2 + width(f.unit) for f, *_ in figures), default=0)
    room = min(room, 48)
    beside = room >= 30
    if beside:
        click.echo(" " * (room + 2) + "".join(_right(_named(run.contestant)) for run in runs))
    for values in figures:
        name = say(values[0].name, lang)
        if beside and width(name) <= room:
            columns = "".join(_right(_number(value.value)) for value in values)
            click.echo(f"  {padded(name, room)}{columns}  {values[0].unit}".rstrip())
        else:
            click.echo(wrapped(name, first="  "))
            whose = [f"{_named(r.contestant)} {_number(v.value)}" for r, v in zip(runs, values, strict=True)]
            click.echo(wrapped(tr(", ").join(whose) + f" {values[0].unit}".rstrip(), first="      "))
        for text in values[0].beside(lang):
            click.echo(wrapped(told(text), first="      "))
    for run in runs:
        if run.outcome.mark and not quick:
            reached, missed = "✓ " + tr("reached"), "✗ " + tr("missed")
            reached_it = run.outcome.mark.reached
            mark = click.style(reached, fg="green") if reached_it else click.style(missed, fg="red")
            head = tr("{contestant}: {mark}", contestant=_named(run.contestant), mark=mark)
            click.echo("\n" + wrapped(f"{head}  {say(run.outcome.mark.says, lang)}", first="  "))
    if quick:
        click.echo("\n" + wrapped(tr("A quick run: it shows that the loop runs, not what it reaches."), first="  "))
    click.echo("\n  " + tr("Picture: {path}", path=shown(path)))


def _right(text: str) -> str:
    return " " * (COLUMN - width(text)) + text


def _tell_of_the_font() -> None:
    from groundup.grader.learner.picture import chinese_font

    if chinese_font() is None:
        lack = tr(
            "The labels in pictures are English, as this machine has no font with Chinese: install one "
            "(on Debian fonts-wqy-zenhei or fonts-noto-cjk)."
        )
        click.echo("\n" + wrapped(lack, first="  "))


def _named(contestant: str) -> str:
    from groundup.grader.learner.picture import WHOSE

    return told(WHOSE[contestant])


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"
