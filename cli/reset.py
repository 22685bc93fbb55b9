"""``learn reset``."""

from __future__ import annotations

import click

from groundup.cli.context import (
    TechniqueName,
    attempt_in,
    exercise_text,
    json_option,
    lang_option,
    open_state,
    print_json,
    shown,
    technique_named,
    workspace_for,
)
from groundup.cli.words import tr


@click.command("reset", short_help="Begin a technique anew; the old attempt is kept.")
@click.argument("technique", type=TechniqueName())
@lang_option
@json_option
def command(technique: str, lang: str | None, as_json: bool) -> None:
    """Put the stub of TECHNIQUE back. Your attempt is kept beside it under a number: ppo.1.py, ppo.2.py ..."""
    found = technique_named(technique)
    workspace = workspace_for(found)
    attempt, stub = attempt_in(workspace, found), exercise_text(found)
    is_stub = attempt.read_bytes() == stub.encode()
    kept = None if is_stub else workspace.reset(found, stub)
    if not is_stub:
        with open_state(workspace) as state:
            state.note(found.id, "reset", kept.name if kept else "")
    if as_json:
        print_json({"technique": found.id, "path": str(attempt), "kept": str(kept) if kept else None})
        return
    if is_stub:
        click.echo(tr("{path} is the stub already.", path=shown(attempt)))
        return
    click.echo(tr("{path} is the stub again.", path=shown(attempt)))
    if kept:
        click.echo(tr("Your attempt is kept as {path}.", path=shown(kept)))
