"""``learn solution``."""

from __future__ import annotations

import click

from groundup.cli.context import (
    TechniqueName,
    json_option,
    lang_option,
    open_state,
    print_json,
    technique_named,
    tell_problems,
    workspace_for,
)
from groundup.core.errors import UsageProblem


@click.command("solution", short_help="Show the reference solution.")
@click.argument("technique", type=TechniqueName())
@click.option("--give-up", is_flag=True, help="Show it before you have passed; this is recorded.")
@lang_option
@json_option
def command(technique: str, give_up: bool, lang: str | None, as_json: bool) -> None:
    """Print the reference solution of TECHNIQUE, once you have passed it or give up."""
    found = technique_named(technique)
    with open_state(workspace_for(found)) as state:
        passed = state.ever_passed(found.id)
        tell_problems(state)
        if not passed and not give_up:
            raise UsageProblem(
                "You have not passed {id} yet. 'learn hint {name}' helps; "
                "'learn solution {name} --give-up' shows it all the same, and is recorded.",
                id=found.id,
                name=found.name,
            )
        state.note(found.id, "solution_shown" if passed else "gave_up")
    source = found.files.solution.read_text(encoding="utf-8")
    if as_json:
        print_json({"technique": found.id, "gave_up": not passed, "source": source})
    else:
        click.echo(source, nl=False)
