"""``learn hint``."""

from __future__ import annotations

import textwrap

import click

from groundup.cli.context import TechniqueName, attempt_in, find_workspace, lang_option, language, open_state, registry
from groundup.cli.main import called
from groundup.core.errors import NoWorkspace, UsageProblem
from groundup.core.technique import say


@click.command("hint", short_help="Get the next hint for a hole.")
@click.argument("technique", type=TechniqueName())
@click.argument("hole", type=click.IntRange(min=1), required=False)
@lang_option
def command(technique: str, hole: int | None, lang: str | None) -> None:
    """Get the next hint for HOLE of TECHNIQUE: each call goes one step further, up to nearly the line.

    Without HOLE it is the first one that is still empty, or else the one that your last grading points to.
    """
    from groundup.cli.show import first_hole
    from groundup.grader.exercise import hole_states

    found = registry().technique(technique)
    workspace = find_workspace()
    if workspace is None:
        raise NoWorkspace(f"There is no workspace here. 'learn start {found.name}' makes one.")
    if hole is not None and hole > len(found.holes):
        raise UsageProblem(f"{found.id} has {len(found.holes)} holes; there is no hole {hole}.")
    attempt = attempt_in(workspace, found).read_text(encoding="utf-8", errors="replace")
    holes = hole_states(found, attempt, passed=False)
    with open_state(workspace) as state:
        if hole is None:
            hole = next((h.number for h in holes if not h.filled), None)
        if hole is None:
            latest = next(iter(state.verdicts(found.id)), None)
            hole = (first_hole(latest) if latest else None) or 1
        given = {e.detail for e in state.events(found.id) if e.kind == "hint"}
        hints = found.holes[hole - 1].hints
        number = next((n for n in range(1, len(hints) + 1) if f"{hole}.{n}" not in given), len(hints))
        state.note(found.id, "hint", f"{hole}.{number}")
    click.echo(f"{click.style(found.id, bold=True)}, hole {hole}: {holes[hole - 1].title}\n")
    for shown_before in hints[: number - 1]:
        click.echo(textwrap.fill(say(shown_before, language(lang)), 100, initial_indent="  ", subsequent_indent="  "))
        click.echo()
    click.echo(textwrap.fill(say(hints[number - 1], language(lang)), 100, initial_indent="  ", subsequent_indent="  "))
    more = len(hints) - number
    rest = (
        f"{more} more: {called()} hint {found.name} {hole}"
        if more
        else f"The last one. The lesson: {called()} read {found.name}"
    )
    click.echo(f"\nHint {number} of {len(hints)}. {rest}")
