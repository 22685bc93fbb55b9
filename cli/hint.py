"""``learn hint``."""

from __future__ import annotations

import hashlib
import sys
import textwrap
from typing import TYPE_CHECKING

import click

from groundup.cli.context import (
    TechniqueName,
    WholeNumber,
    attempt_in,
    json_option,
    lang_option,
    language,
    open_state,
    print_json,
    say,
    technique_named,
    workspace_for,
)
from groundup.cli.layout import show_next, wrapped
from groundup.cli.names import spoken
from groundup.cli.words import tr
from groundup.core.errors import UsageProblem
from groundup.core.messages import plural

if TYPE_CHECKING:
    from groundup.core.technique import Technique
    from groundup.grader.judging.verdict import HoleState
    from groundup.grader.learner.state import State


@click.command("hint", short_help="Get the next hint for a hole.")
@click.argument("technique", type=TechniqueName())
@click.argument("hole", type=WholeNumber(0, 999), required=False)
@lang_option
@json_option
def command(technique: str, hole: int | None, lang: str | None, as_json: bool) -> None:
    """Get the next hint for HOLE of TECHNIQUE: each one says more, and the last gives nearly the whole line.

    Without HOLE, the hint is for the hole that your last grading points to, or, if you have changed the file since, for
    the first empty one. The hints that you take are recorded: 'learn status' and your brief say how many.
    """
    from groundup.grader.judging.exercise import hole_states

    found = technique_named(technique)
    workspace = workspace_for(found)
    count = len(found.holes)
    if hole is not None and not 1 <= hole <= count:
        raise UsageProblem(
            plural(
                "{id} has one hole, number 1; there is no hole {hole}.",
                "{id} has {count} holes, numbered 1 to {count}; there is no hole {hole}.",
                count,
                id=found.id,
                hole=hole,
            )
        )
    attempt = attempt_in(workspace, found).read_text(encoding="utf-8", errors="replace")
    holes = hole_states(found, attempt, passed=False)
    with open_state(workspace) as state:
        hole = hole or _hole_to_look_at(found, attempt, holes, state)
        if not as_json and not state.noted("hint"):
            _tell_that_it_is_recorded()
        given = {e.detail for e in state.events(found.id) if e.kind == "hint"}
        hints = found.holes[hole - 1].hints
        number = next((n for n in range(1, len(hints) + 1) if f"{hole}.{n}" not in given), len(hints))
        state.note(found.id, "hint", f"{hole}.{number}")
    texts = [say(hint, language(lang)) for hint in hints[:number]]
    more = len(hints) - number
    code = None if more else found.holes[hole - 1].code
    if as_json:
        what = {"technique": found.id, "hole": hole, "title": holes[hole - 1].title}
        print_json({**what, "hints": texts, "of": len(hints), "code": code})
        return
    bold = click.style(found.id, bold=True)
    click.echo(tr("{technique}, hole {number}: {title}", technique=bold, number=hole, title=holes[hole - 1].title))
    for text in texts:
        click.echo("\n" + wrapped(text, first="  "))
    if code:
        click.echo("\n" + textwrap.indent(code.rstrip("\n"), "      "))
    count_of_hints = tr("Hint {number} of {total}.", number=number, total=len(hints))
    click.echo(f"\n{count_of_hints}" + ("" if more else tr(" There are no more for this hole.")))
    further = [(f"hint {found.name} {hole}", tr("one step further"))] if more else []
    show_next(*further, (f"read {found.name}", tr("the lesson")), (f"grade {found.name}", tr("what holds")))


def _tell_that_it_is_recorded() -> None:
    """Say before a learner's first hint that hints are recorded; on a terminal, ask whether to go on."""
    text = tr("Hints are recorded: 'learn status' and your brief say how many you took. This notice is shown once.")
    click.echo(wrapped(spoken(text)) + "\n")
    if sys.stdin.isatty() and sys.stdout.isatty():
        click.confirm(tr("Take the first one?"), default=True, abort=True)
        click.echo()


def _hole_to_look_at(technique: Technique, attempt: str, holes: tuple[HoleState, ...], state: State) -> int:
    """Return the hole that the latest verdict points to if the file is unchanged since; else the first empty hole."""
    from groundup.cli.show import first_hole

    empty = next((h.number for h in holes if not h.filled), None)
    latest = state.latest(technique.id)
    pointed = latest and first_hole(latest)
    is_on_this = latest is not None and latest.attempt.sha256 == hashlib.sha256(attempt.encode()).hexdigest()
    return (pointed if is_on_this else None) or empty or pointed or 1
