"""A verdict as a learner reads it in the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import click

from groundup.cli.main import called
from groundup.core.registry import Registry
from groundup.core.technique import Technique, say
from groundup.grader.verdict import PropertyResult, Verdict

MARKS = {
    "held": ("✓", "green"),
    "failed": ("✗", "red"),
    "died": ("✗", "red"),
    "not_started": ("·", "yellow"),
    "not_reached": ("·", "bright_black"),
    "not_gradable": ("?", "magenta"),
}
WORDS = {"not_started": "not started", "not_reached": "not reached", "not_gradable": "not gradable"}
CONTAINMENT = {"process": "a process of its own, with limits; not jailed"}
WIDTH = 110


def show_verdict(verdict: Verdict, technique: Technique, lang: str) -> None:
    """Print the verdict: what was graded, what holds, the smallest case that fails, its name, the next step."""
    click.echo(click.style(technique.id, bold=True) + f"  {say(technique.title, lang)}")
    click.echo(f"{verdict.attempt.path}  sha256 {verdict.attempt.sha256}")
    click.echo()
    if verdict.problem:
        click.secho(f"  {verdict.problem}", fg="red")
    elif verdict.outcome == "not_started":
        click.echo("  Not started: every hole is still empty.")
    else:
        _show_properties(verdict.properties)
    for found in verdict.diagnosis:
        click.echo()
        kind = "This is what" if found.kind == "misconception" else "A convention that others use:"
        click.echo(f"  {kind} {click.style(found.id, bold=True)}{' does.' if found.kind == 'misconception' else '.'}")
        click.echo(textwrap.fill(found.says, WIDTH, initial_indent="    ", subsequent_indent="    "))
    click.echo()
    empty = [h for h in verdict.holes if not h.filled]
    if empty and verdict.outcome != "not_started":
        click.echo("  Holes still empty: " + "; ".join(f"{h.number} ({h.title})" for h in empty))
    click.echo("  " + _summary(verdict))
    for line in _next_steps(verdict, technique):
        click.echo("  " + line)


def _show_properties(properties: tuple[PropertyResult, ...]) -> None:
    detailed = False
    for result in properties:
        mark, colour = MARKS[result.status]
        word = WORDS.get(result.status)
        click.echo(f"  {click.style(mark, fg=colour)} {result.claim}" + (f"  ({word})" if word else ""))
        if result.status in ("failed", "died", "not_gradable") and not detailed:
            detailed = result.status != "not_gradable"  # one smallest case is enough to work on
            for line in _details(result):
                click.echo("      " + line)


def _details(result: PropertyResult) -> Iterator[str]:
    if result.message:
        yield result.message
    for name, value in (result.counterexample or {}).items():
        yield from _wrapped(f"{name} = ", value)
    if result.expected is not None:
        yield from _wrapped("expected  ", result.expected)
        yield from _wrapped("got       ", result.got or "")
    if result.where:
        for number, line in enumerate(result.where.splitlines()):
            yield ("at        " if number == 0 else "          ") + line
    if result.printed:
        yield "it printed on this case:"
        yield from ("  " + line for line in result.printed.splitlines()[:20])


def _wrapped(label: str, value: str) -> list[str]:
    return textwrap.wrap(
        label + value, WIDTH, subsequent_indent=" " * min(len(label), 10), break_long_words=False,
        break_on_hyphens=False, drop_whitespace=True,
    )  # fmt: skip


def _summary(verdict: Verdict) -> str:
    total = len(verdict.properties)
    head = {
        "passed": click.style(f"Passed: all {total} properties hold.", fg="green", bold=True),
        "fell_short": click.style(f"{verdict.held} of {total} properties hold.", fg="yellow", bold=True),
        "not_started": click.style("Nothing to grade yet.", bold=True),
        "died": click.style(f"The attempt died; {verdict.held} of {total} properties had held.", fg="red", bold=True),
        "not_gradable": click.style("Not gradable: this is not your fault.", fg="magenta", bold=True),
    }[verdict.outcome]
    containment = CONTAINMENT.get(verdict.containment, verdict.containment)
    return f"{head}  score {verdict.score:.0%}, seed {verdict.seed}, {verdict.seconds:.2f} s, in {containment}"


def _next_steps(verdict: Verdict, technique: Technique) -> Iterator[str]:
    if verdict.outcome == "passed":
        yield f"Next: {called()} status, or compare with {called()} solution {technique.name}"
        return
    if verdict.outcome == "not_gradable":
        yield f"Next: {called()} doctor"
        return
    hole = first_hole(verdict)
    yield f"Next: {called()} hint {technique.name}{f' {hole}' if hole else ''}, or {called()} read {technique.name}"


def first_hole(verdict: Verdict) -> int | None:
    """Return the hole to look at: the first empty one, else the one that the first failing property is tied to."""
    empty = next((h.number for h in verdict.holes if not h.filled), None)
    return empty or next((p.hole for p in verdict.properties if p.status in ("failed", "died") and p.hole), None)


def standing(registry: Registry, name: str, score: float | None, passed: bool, started: bool) -> str:
    """Return a technique's standing in a word or two."""
    if name not in registry.techniques:
        return click.style("not written yet", fg="bright_black")
    if passed:
        return click.style("passed", fg="green")
    if score is not None:
        return click.style(f"{score:.0%}", fg="yellow")
    return "started" if started else ""
