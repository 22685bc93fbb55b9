"""``learn status``, and ``learn`` alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from groundup.cli.context import (
    find_workspace,
    json_option,
    lang_option,
    language,
    open_state,
    print_json,
    registry,
    shown,
)
from groundup.cli.main import called
from groundup.cli.show import standing
from groundup.core.technique import say

if TYPE_CHECKING:
    from groundup.grader.state import Standing
    from groundup.grader.workspace import Workspace


@click.command("status", short_help="Show where you stand.")
@json_option
@lang_option
def command(as_json: bool = False, lang: str | None = None) -> None:
    """Show what you have started and passed, day by day, and what comes next."""
    workspace = find_workspace()
    if workspace is None:
        if as_json:
            print_json({"workspace": None, "techniques": []})
            return
        click.echo("Groundup: learn LLM systems by building every mechanism yourself.\n")
        click.echo(f"You have no workspace here yet. {called()} start day-4 makes one and puts the first stubs there.")
        click.echo(f"{called()} list shows the fourteen days; {called()} --help shows the commands.")
        return
    with open_state(workspace) as state:
        standings = state.last_scores()
    if as_json:
        print_json(_as_data(workspace, standings))
        return
    _show(workspace, standings, language(lang))


def _show(workspace: Workspace, standings: dict[str, Standing], lang: str) -> None:
    started = [t for t in registry().techniques.values() if workspace.attempt_path(t).exists()]
    passed = [t for t in registry().techniques.values() if t.id in standings and standings[t.id].ever_passed]
    roadmap = registry().roadmap(workspace.settings.roadmap)
    click.echo(f"{shown(workspace.folder)}  {len(passed)} of {len(registry().techniques)} techniques passed\n")
    for day in roadmap.days:
        written = [i for i in day.techniques if i in registry().techniques]
        done = [i for i in written if i in standings and standings[i].ever_passed]
        mark = click.style("✓", fg="green") if written and len(done) == len(day.techniques) else " "
        suffix = "" if written or not day.techniques else "  (not written yet)"
        click.echo(f"  {mark} {day.name:<8}{say(day.title, lang)}{suffix}")
        for identity in written:
            technique = registry().techniques[identity]
            row = standings.get(identity)
            word = standing(registry(), identity, row.score if row else None, identity in done, technique in started)
            detail = f", {row.attempts} graded" if row else ""
            click.echo(f"              {identity:<28} {word}{detail}".rstrip())
    outside = [t for t in started if not any(t.id in d.techniques for d in roadmap.days)]
    for technique in outside:
        row = standings.get(technique.id)
        word = standing(registry(), technique.id, row.score if row else None, technique in passed, True)
        click.echo(f"    {'elective':<8}{technique.id:<32} {word}")
    unfinished = next((t for t in registry().with_prerequisites(started) if t not in passed), None)
    ahead = next(
        (d for d in roadmap.days if any(i in registry().techniques and i not in standings for i in d.techniques)), None
    )
    if unfinished:
        click.echo(f"\nNext: {called()} grade {unfinished.name}")
    elif ahead:
        click.echo(f"\nNext: {called()} start {ahead.name}")
    else:
        click.echo("\nEverything that is written is passed.")


def _as_data(workspace: Workspace, standings: dict[str, Standing]) -> dict[str, object]:
    return {
        "workspace": str(workspace.folder),
        "techniques": [
            {
                "id": t.id,
                "started": workspace.attempt_path(t).exists(),
                "passed": bool(row and row.ever_passed),
                "passed_version": row.passed_version if row else None,
                "version": t.version,
                "score": row.score if row else None,
                "outcome": row.outcome if row else None,
                "graded": row.attempts if row else 0,
            }
            for t in registry().techniques.values()
            for row in [standings.get(t.id)]
        ],
    }
