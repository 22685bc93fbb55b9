"""``learn reset``."""

from __future__ import annotations

import click

from groundup.cli.context import TechniqueName, find_workspace, open_state, registry, shown
from groundup.core.errors import NoWorkspace


@click.command("reset", short_help="Begin a technique anew; the old attempt is kept.")
@click.argument("technique", type=TechniqueName())
def command(technique: str) -> None:
    """Put the stub of TECHNIQUE back. Your attempt is kept beside it under a number: ppo.1.py, ppo.2.py ..."""
    found = registry().technique(technique)
    workspace = find_workspace()
    if workspace is None:
        raise NoWorkspace(f"There is no workspace here. 'learn start {found.name}' makes one.")
    kept = workspace.reset(found, found.files.exercise.read_text(encoding="utf-8"))
    with open_state(workspace) as state:
        state.note(found.id, "reset", kept.name if kept else "")
    click.echo(f"{shown(workspace.attempt_path(found))} is the stub again.")
    if kept:
        click.echo(f"Your attempt is kept as {shown(kept)}.")
