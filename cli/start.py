"""``learn start``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from groundup.cli.context import (
    TechniqueName,
    exercise_text,
    find_workspace,
    lang_option,
    language,
    open_state,
    registry,
    roadmap_of,
    say,
    shown,
)
from groundup.cli.layout import show_next, table

if TYPE_CHECKING:
    from groundup.core.technique import Day, Technique
    from groundup.grader.workspace import Workspace

DEFAULT = "workspace"


@click.command("start", short_help="Put a day's or a technique's stubs into your workspace.")
@click.argument("name", metavar="DAY|TECHNIQUE", type=TechniqueName(days=True))
@lang_option
def command(name: str, lang: str | None) -> None:
    """Put the stubs of a day or of one technique into your workspace.

    \b
    Techniques that it builds on and that you have not passed come along.
    A file that is there already is left as it is.
    Without a workspace here, one is made in ./workspace.

    \b
    learn start day-7
    learn start ppo
    """
    from groundup.grader.workspace import Workspace

    workspace = find_workspace()
    day, wanted = _asked_for(name, workspace)
    if workspace is None and wanted:
        workspace = Workspace.create(Path(DEFAULT))
        click.echo(f"Made a workspace in {shown(workspace.folder)}/: open that folder in your editor.\n")
    if day:
        click.echo(click.style(day.name, bold=True) + f"  {say(day.title, language(lang))}\n")
    put = _put(workspace, wanted) if workspace else []
    unwritten = [i for i in (day.techniques if day else ()) if i not in registry().techniques]
    _show(workspace, put, unwritten)
    if put:
        first = next((t for t, new, passed in put if not passed), put[-1][0])
        assert workspace is not None
        path, count = shown(workspace.attempt_path(first)), len(first.holes)
        holes = f"fill the {count} holes in {path} first" if count > 1 else f"fill the hole in {path} first"
        show_next((f"read {first.name}", "the lesson"), (f"grade {first.name}", f"what holds; {holes}"))
    elif workspace and day and not day.techniques:
        click.echo("  This day brings no new technique.")
        show_next(("grade --all", "everything that you have started"), ("status", "where you stand"))
    else:
        show_next(("list", "what there is"))


def _asked_for(name: str, workspace: Workspace | None) -> tuple[Day | None, list[Technique]]:
    """Return the day of that name, if it is one, and the techniques that are asked for and written."""
    from groundup.core.errors import UnknownName, UsageProblem

    roadmap = roadmap_of(workspace)
    if name.startswith("day-") and name[4:].isdecimal():
        day = registry().day(name, roadmap.id)
        return day, [registry().techniques[i] for i in day.techniques if i in registry().techniques]
    try:
        return None, [registry().technique(name)]
    except UnknownName:
        days = {str(d.number): d.name for d in roadmap.days}
        if name in days:
            raise UsageProblem(f"No day or technique {name!r}. Did you mean {days[name]!r}?") from None
        known = [*days.values(), *registry().techniques]
        raise UnknownName("day or technique", name, known, "'learn list' shows what there is.") from None


def _put(workspace: Workspace, wanted: Sequence[Technique]) -> list[tuple[Technique, bool, bool]]:
    """Put the stubs, prerequisites first. Returns each technique, whether its file is new, and whether it is passed."""
    done = []
    with open_state(workspace) as state:
        standings = state.last_scores()
        for technique in registry().with_prerequisites(wanted):
            passed = technique.id in standings and standings[technique.id].ever_passed
            if passed and technique not in wanted:
                continue
            new = workspace.put_exercise(technique, exercise_text(technique))
            if new:
                state.note(technique.id, "started")
            done.append((technique, new, passed))
    return done


def _show(workspace: Workspace | None, put: Sequence[tuple[Technique, bool, bool]], unwritten: Sequence[str]) -> None:
    where = [""] if put else []  # the column of paths
    rows = [[identity, *where, click.style("not written yet", dim=True)] for identity in unwritten]
    for technique, new, passed in put:
        assert workspace is not None
        what = "new" if new else "passed already" if passed else "there already, left as it is"
        builders = [t.name for t, _, _ in put if technique.id in t.requires]
        if new and builders:
            what += f"; {' and '.join(builders)} {'builds' if len(builders) == 1 else 'build'} on it"
        rows.append([technique.id, shown(workspace.attempt_path(technique)), what])
    for line in table(rows):
        click.echo(line)
