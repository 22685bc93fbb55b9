"""``learn start``."""

from __future__ import annotations

from pathlib import Path

import click

from groundup.cli.context import TechniqueName, find_workspace, lang_option, language, open_state, registry, shown
from groundup.cli.main import called
from groundup.core.technique import Technique, say
from groundup.grader.workspace import Workspace

DEFAULT = "workspace"


@click.command("start", short_help="Put a day's or a technique's stubs into your workspace.")
@click.argument("name", metavar="DAY|TECHNIQUE", type=TechniqueName(days=True))
@lang_option
def command(name: str, lang: str | None) -> None:
    """Put the stubs of a day or of one technique into your workspace.

    \b
    Techniques that it builds on and that you have not passed come along. A file that is there
    already is left as it is. Without a workspace here, one is made in ./workspace.

    \b
    learn start day-7
    learn start ppo
    """
    workspace = find_workspace()
    wanted, unwritten, title = _asked_for(name, workspace.settings.roadmap if workspace else "fourteen-days")
    if workspace is None:
        workspace = Workspace.create(Path(DEFAULT))
        click.echo(f"Made a workspace in {shown(workspace.folder)}/: open that folder in your editor.\n")
    lang = language(lang)
    if title:
        click.echo(click.style(f"{name}  {say(title, lang)}", bold=True) + "\n")
    for identity in unwritten:
        click.echo(f"  {identity:<28} not written yet")
    put = _put(workspace, wanted)
    if not put:
        click.echo("  This day brings no new technique." if not unwritten else "  None of it is written yet.")
        click.echo(f"\nNext: {called()} status")
        return
    first = next((t for t, passed in put if not passed), put[-1][0])
    click.echo("\nNext")
    click.echo(f"  {called() + ' read ' + first.name:<28} the lesson")
    click.echo(f"  {'edit ' + shown(workspace.attempt_path(first)):<28} fill its {len(first.holes)} holes, marked HOLE")
    click.echo(f"  {called() + ' grade ' + first.name:<28} see what holds")


def _asked_for(name: str, roadmap: str) -> tuple[list[Technique], list[str], dict[str, str] | None]:
    if not name.startswith("day-"):
        return [registry().technique(name)], [], None
    day = registry().day(name, roadmap)
    written = [registry().techniques[i] for i in day.techniques if i in registry().techniques]
    return written, [i for i in day.techniques if i not in registry().techniques], day.title


def _put(workspace: Workspace, wanted: list[Technique]) -> list[tuple[Technique, bool]]:
    """Put the stubs, prerequisites first; say what was done to each. Returns techniques and whether they are passed."""
    done: list[tuple[Technique, bool]] = []
    with open_state(workspace) as state:
        standings = state.last_scores()
        for technique in registry().with_prerequisites(wanted):
            passed = technique.id in standings and standings[technique.id].ever_passed
            asked = technique in wanted
            if passed and not asked:
                continue
            stub = technique.files.exercise.read_text(encoding="utf-8")
            new = workspace.put_exercise(technique, stub)
            if new:
                state.note(technique.id, "started")
            what = "new" if new else "passed" if passed else "there already, left as it is"
            why = (
                ""
                if asked
                else f"  ({' and '.join(t.name for t in wanted if technique.id in t.requires)} builds on it)"
            )
            click.echo(f"  {technique.id:<28} {shown(workspace.attempt_path(technique)):<34} {what}{why}")
            done.append((technique, passed))
    return done
