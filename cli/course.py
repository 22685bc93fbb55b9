"""The learner's view of the course: how much is passed, and what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from groundup.cli.context import first_day, open_state, shown
from groundup.cli.layout import line_width, next_lines, show_next, wrapped
from groundup.cli.words import tr

if TYPE_CHECKING:
    from groundup.cli.way import Step, Way
    from groundup.core.technique import Technique
    from groundup.grader.learner.workspace import Workspace

__all__ = ["head", "show_way", "show_what_follows", "show_without_workspace", "way_lines", "what_follows"]

BAR = 60  # places at most
FULL, EMPTY = "█", "░"


def head(workspace: Workspace, way: Way) -> list[str]:
    """Return the lines that say how many of the written techniques are passed."""
    passed, written = len(way.passed), len(way.techniques)
    folder = shown(workspace.folder)
    count = tr("{folder}: {count} of {total} techniques passed", folder=folder, count=passed, total=written)
    places = min(BAR, line_width() - 2)
    full = places * passed // max(written, 1)
    return [wrapped(count), click.style(FULL * full, fg="green") + click.style(EMPTY * (places - full), dim=True)]


def show_way(steps: Sequence[Step], *further: tuple[str, str]) -> None:
    """Print the next steps, then the ``further`` commands, each with its purpose."""
    click.echo("\n".join(way_lines(steps, *further)))


def way_lines(steps: Sequence[Step], *further: tuple[str, str]) -> list[str]:
    """Return the lines of ``show_way``."""
    if not steps:
        return ["", tr("You have passed every technique written so far.")]
    lines = [(step.command, step.purpose) for step in steps]
    if steps[0].does == "work" and (technique := steps[0].technique):
        lines[0] = (f"read {technique.name}", tr("the lesson"))
        lines.insert(1, (f"grade {technique.name}", tr("what holds of your attempt")))
    return next_lines(*lines, *further)


def show_what_follows(workspace: Workspace, technique: Technique) -> None:
    """Print what comes after the lab or the quiz of a passed technique; nothing if it is not passed."""
    for line in what_follows(workspace, technique):
        click.echo(line)


def what_follows(workspace: Workspace, technique: Technique) -> list[str]:
    """Return the lines of ``show_what_follows``."""
    from groundup.cli.way import Way

    with open_state(workspace) as state:
        way = Way.of(workspace, state)
    return way_lines(way.after(technique.id)) if technique.id in way.passed else []


def show_without_workspace() -> None:
    """Print how to begin."""
    click.echo(wrapped(tr("Groundup: learn LLM systems by building every mechanism yourself.")))
    click.echo(tr("You have no workspace here yet."))
    show_next(
        (f"start {first_day()}", tr("make one, with the first stubs")),
        ("list", tr("the days of the roadmap")),
        ("--help", tr("the commands")),
    )
