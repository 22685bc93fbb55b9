"""A verdict as a learner reads it in the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from groundup.cli.context import say
from groundup.cli.layout import line_width, show_next, wrapped

if TYPE_CHECKING:
    from groundup.core.technique import Technique
    from groundup.grader.state import Standing
    from groundup.grader.verdict import PropertyResult, Verdict

MARKS = {"held": ("✓", "green"), "failed": ("✗", "red"), "died": ("✗", "red"), "not_gradable": ("?", "magenta")}
DIAGNOSIS = {"misconception": "This is what {} does.", "convention": "A convention that others use: {}."}
CONTAINMENT = {"process": "a process of its own, not jailed"}
PRINTED_LINES = 20
THOROUGH = 200  # examples


def show_verdict(verdict: Verdict, technique: Technique, lang: str) -> None:
    """Print the verdict: what was graded, what holds, the smallest case that fails and the mistake's name."""
    click.echo(click.style(technique.id, bold=True) + f"  {say(technique.title, lang)}")
    click.echo(verdict.attempt.path)
    click.echo(f"sha256 {verdict.attempt.sha256}\n")
    if verdict.problem:
        click.echo(click.style(wrapped(verdict.problem, first="  "), fg="red") + "\n")
    elif verdict.outcome != "not_started":
        _show_properties(verdict.properties)
    for found in verdict.diagnosis:
        name = click.style(found.id, bold=True)
        click.echo("  " + DIAGNOSIS[found.kind].format(name))
        click.echo(wrapped(found.says, first="    ") + "\n")
    click.echo(wrapped(_summary(verdict), first="  "))
    click.echo(wrapped(_circumstances(verdict), first="  "))


def show_next_steps(verdict: Verdict, technique: Technique, file: str | None) -> None:
    """Print what to type next. ``file`` is what was graded with ``--attempt``: nothing of it is recorded."""
    name, again = technique.name, f"--seed {verdict.seed}" + (" --thorough" if verdict.examples == THOROUGH else "")
    where = f"--attempt {shlex.quote(file)} " if file else ""
    if verdict.outcome == "passed":
        if not file:
            show_next((f"solution {name}", "the reference, to compare with"), ("status", "what comes next"))
        return
    if verdict.outcome == "not_gradable":
        show_next(("doctor", "what this machine lacks"), (f"grade {name} {where}{again}", "the same cases again"))
        return
    steps = []
    hole = first_hole(verdict)
    if not file:
        steps.append((f"hint {name} {hole}", f"a hint for hole {hole}") if hole else (f"hint {name}", "a hint"))
    steps.append((f"read {name}", "the lesson"))
    if any(p.status in ("failed", "died") for p in verdict.properties) and not verdict.problem:
        steps.append((f"grade {name} {where}{again}", "the same cases again"))
    show_next(*steps)


def _show_properties(properties: tuple[PropertyResult, ...]) -> None:
    detailed = False
    for result in properties:
        if result.status not in MARKS:
            continue
        mark, colour = MARKS[result.status]
        click.echo(wrapped(result.claim, first=f"  {click.style(mark, fg=colour)} "))
        if result.status != "held" and not detailed:
            detailed = result.status != "not_gradable"  # one smallest case is enough to work on
            for line in _details(result):
                click.echo("      " + line)
    waits = {"not_started": "a hole is still empty there", "not_reached": "something else has to hold first"}
    if any(p.status == "died" for p in properties):
        waits["not_reached"] = "the attempt died before"
    for status, why in waits.items():
        if count := sum(p.status == status for p in properties):
            how_many = "1 property" if count == 1 else f"{count} properties"
            click.echo(f"  · {how_many} {status.replace('_', ' ')}: {why}")
    click.echo()


def _details(result: PropertyResult) -> Iterator[str]:
    if result.message:
        yield from _indented(result.message)
    for name, value in (result.counterexample or {}).items():
        if "\n" in value:  # the steps of a state machine
            yield f"{name}:"
            yield from (f"  {line}" for line in value.splitlines())
        else:
            yield from _indented(value, f"{name} = ")
    if result.expected is not None:
        yield from _indented(result.expected, "expected  ")
        yield from _indented(result.got or "", "got       ")
    for number, line in enumerate((result.where or "").splitlines()):
        yield from _indented(line, "at        " if number == 0 else "          ")
    if result.printed:
        lines = result.printed.splitlines()
        yield "it printed on this case:"
        yield from (f"  {_cut(line)}" for line in lines[:PRINTED_LINES])
        if len(lines) > PRINTED_LINES:
            yield f"  ... and {len(lines) - PRINTED_LINES} more lines"


def _indented(text: str, label: str = "") -> list[str]:
    rest = " " * min(len(label), 10)
    return wrapped(text, first=label, rest=rest, places=line_width() - 6).splitlines()


def _cut(line: str) -> str:
    longest = 2 * line_width()
    return line if len(line) <= longest else f"{line[:longest]} ... ({len(line) - longest} more characters)"


def _summary(verdict: Verdict) -> str:
    total = len(verdict.properties)
    head = {
        "passed": click.style(f"Passed: all {total} properties hold.", fg="green", bold=True),
        "fell_short": click.style(f"{verdict.held} of {total} properties hold", fg="yellow", bold=True),
        "not_started": click.style("Not started: every hole is still empty.", bold=True),
        "died": click.style(f"The attempt died; {verdict.held} of {total} properties had held", fg="red", bold=True),
        "not_gradable": click.style("Not gradable: not your fault; it does not count.", fg="magenta", bold=True),
    }[verdict.outcome]
    if verdict.outcome in ("fell_short", "died"):
        head += f": score {verdict.score:.0%}."
        if empty := [h for h in verdict.holes if not h.filled]:
            head += " Still empty: " + ", ".join(f"hole {h.number} ({h.title})" for h in empty) + "."
    return head


def _circumstances(verdict: Verdict) -> str:
    containment = CONTAINMENT.get(verdict.containment, verdict.containment)
    return f"Seed {verdict.seed}, {verdict.examples} examples each, {verdict.seconds:.1f} s, in {containment}."


def first_hole(verdict: Verdict) -> int | None:
    """Return the hole to look at: the first empty one, else the one that the first failing property is tied to."""
    empty = next((h.number for h in verdict.holes if not h.filled), None)
    return empty or next((p.hole for p in verdict.properties if p.status in ("failed", "died") and p.hole), None)


def standing(technique: Technique, row: Standing | None, started: bool) -> str:
    """Return how the learner stands with a technique, in a few words."""
    if row is None or (row.outcome == "not_started" and not row.ever_passed):
        return "started" if started else ""
    latest = f"{row.score:.0%}" + (", died" if row.outcome == "died" else "")
    if not row.ever_passed:
        return click.style(latest, fg="yellow")
    passed = click.style("passed", fg="green")
    if (row.passed_version or 0) < technique.version:
        return f"{passed}, but it has changed since: grade it again"
    return passed if row.outcome == "passed" else f"{passed}; the latest {latest}"
