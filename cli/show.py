"""A verdict as a learner reads it in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from groundup.cli.context import say
from groundup.cli.layout import line_width, padded, show_next, width, wrapped
from groundup.cli.names import spoken
from groundup.cli.words import ntr, told, tr
from groundup.core.messages import GAP, lines_of
from groundup.grader.process.text import printable, quoted

if TYPE_CHECKING:
    from groundup.cli.way import Step
    from groundup.core.technique import Technique
    from groundup.grader.judging.verdict import PropertyResult, Verdict
    from groundup.grader.learner.records import Standing

MARKS = {"held": ("✓", "green"), "failed": ("✗", "red"), "died": ("✗", "red"), "not_gradable": ("?", "magenta")}
PRINTED_LINES, CASE_LINES = 20, 12
FURTHER = 2  # cases shown on request, beside that of the first failing property
THOROUGH = 200  # examples
LABEL = 10  # places


def show_verdict(verdict: Verdict, technique: Technique, lang: str, *, all_cases: bool = False) -> None:
    """Print the verdict: what was graded, what holds, the smallest failing case and the mistake's name.

    With ``all_cases``, the cases of up to two further failing properties are shown too.
    """
    click.echo(click.style(technique.id, bold=True) + f"  {say(technique.title, lang)}")
    click.echo(printable(verdict.attempt.path))
    click.echo(f"sha256 {verdict.attempt.sha256}\n")
    if verdict.problem:
        click.echo(click.style(wrapped(told(verdict.problem), first="  "), fg="red") + "\n")
    elif verdict.outcome != "not_started":
        _show_properties(verdict.properties, _in_detail(verdict, FURTHER if all_cases else 0))
    show_diagnosis(verdict)
    click.echo(wrapped(summary(verdict), first="  "))
    click.echo(wrapped(_circumstances(verdict), first="  "))


def show_diagnosis(verdict: Verdict) -> None:
    """Print the known mistake, if one was found. Two that explain it, together or each alone, are shown as a guess."""
    if any(found.perhaps for found in verdict.diagnosis):
        whole = all(hole.filled for hole in verdict.holes)
        click.echo("  " + (tr("Perhaps two things at once:") if whole else tr("Perhaps one of these, or both:")))
    for found in verdict.diagnosis:
        name = click.style(found.id, bold=True)
        mistake, other = (
            tr("This is what {name} does.", name=name),
            tr("A convention that others use: {name}.", name=name),
        )
        click.echo("  " + (mistake if found.kind == "misconception" else other))
        click.echo(wrapped(found.says, first="    ") + "\n")
    if verdict.diagnosis_stopped:
        text = tr("Not every known mistake was compared with this attempt: the time for it was up.")
        click.echo(wrapped(text, first="  ") + "\n")


def show_property(result: PropertyResult) -> None:
    """Print the result of one property, with all that the attempt printed on the case."""
    mark, colour = MARKS.get(result.status, ("·", "yellow"))
    click.echo(wrapped(told(result.claim), first=f"  {click.style(mark, fg=colour)} "))
    for line in _details(result, whole=True):
        click.echo("      " + line)


def show_next_steps(
    verdict: Verdict, technique: Technique, file: str | None, after_a_pass: Sequence[Step] = ()
) -> None:
    """Print what to type next. ``file`` was graded with ``--attempt``: it has no record, so commands need its name."""
    name, again = technique.name, f"--seed {verdict.seed}" + (" --thorough" if verdict.examples == THOROUGH else "")
    where = f"--attempt {quoted(file)} " if file else ""
    if verdict.outcome == "passed":
        if not file:
            further = [(step.command, step.purpose) for step in after_a_pass]
            stand = [] if further else [("status", tr("where you stand"))]
            show_next(*further, (f"solution {name}", tr("the reference, to compare with")), *stand)
        return
    if verdict.outcome == "not_gradable":
        show_next(
            ("doctor", tr("what this machine lacks")), (f"grade {name} {where}{again}", tr("the same cases again"))
        )
        return
    steps = []
    hole = first_hole(verdict)
    if not file:
        for_it = (f"hint {name} {hole}", tr("a hint for hole {hole}", hole=hole))
        steps.append(for_it if hole else (f"hint {name}", tr("a hint")))
    steps.append((f"read {name}", tr("the lesson")))
    if any(p.status in ("failed", "died") for p in verdict.properties) and not verdict.problem:
        alone = f"replay {name} {where}--seed {verdict.seed}" if file else f"replay {name}"
        steps.append((alone, tr("that case again, alone")))
        steps.append((f"grade {name} {where}{again}", tr("the same cases again")))
    show_next(*steps)


def _in_detail(verdict: Verdict, further: int) -> set[str]:
    """Return the properties shown in detail: the failing one that says most, ``further`` others, all that died."""
    failed = [p.id for p in verdict.properties if p.status == "failed"]
    failed.sort(key=lambda name: name != verdict.says_most)
    return {*failed[: 1 + further], *(p.id for p in verdict.properties if p.status in ("died", "not_gradable"))}


def _show_properties(properties: tuple[PropertyResult, ...], detailed: set[str]) -> None:
    for result in properties:
        if result.status not in MARKS:
            continue
        mark, colour = MARKS[result.status]
        click.echo(wrapped(told(result.claim), first=f"  {click.style(mark, fg=colour)} "))
        if result.id in detailed:
            for line in _details(result):
                click.echo("      " + line)
    died = any(p.status == "died" for p in properties)
    waits = {
        "not_started": (tr("not started"), tr("a hole is still empty there")),
        "not_reached": (
            tr("not reached"),
            tr("the attempt died before") if died else tr("something else has to hold first"),
        ),
    }
    for status, (name, why) in waits.items():
        if count := sum(p.status == status for p in properties):
            line = ntr("1 property {status}: {why}", "{count} properties {status}: {why}", count, status=name, why=why)
            click.echo(f"  · {line}")
    click.echo()


def _details(result: PropertyResult, *, whole: bool = False) -> Iterator[str]:
    if result.message:
        yield from _indented(told(result.message))
    case = {name: _value(name, value) for name, value in (result.counterexample or {}).items()}
    for lines, most in zip(case.values(), _shares([len(lines) for lines in case.values()]), strict=True):
        yield from lines if whole or most >= len(lines) else lines[: most - 1]
        if not whole and most < len(lines):
            yield "  " + _and_more(len(lines) - most + 1)
    if result.expected is not None:
        yield from _indented(told(result.expected), padded(tr("expected"), LABEL))
        yield from _indented(told(result.got or ""), padded(tr("got"), LABEL))
    for number, line in enumerate(lines_of(result.where or "")):
        yield from _indented(told(line), padded("" if number else tr("at"), LABEL))
    if result.printed:
        lines = result.printed.splitlines()
        yield tr("it printed on this case:")
        yield from (f"  {_cut(line)}" for line in lines[: None if whole else PRINTED_LINES])
        if len(lines) > PRINTED_LINES and not whole:
            yield "  " + _and_more(len(lines) - PRINTED_LINES)


def _and_more(count: int) -> str:
    return ntr("... and 1 more line", "... and {count} more lines", count)


def _value(name: str, value: str) -> list[str]:
    if "\n" in value:  # the steps of a state machine
        return [tr("{name}:", name=told(name)), *(f"  {line}" for line in value.splitlines())]
    return _indented(value, f"{name} = ")


def _shares(lengths: Sequence[int]) -> list[int]:
    """Return how many lines each part of a case gets, so that all fit in ``CASE_LINES``. Short parts are not cut."""
    shares, room = [0] * len(lengths), CASE_LINES
    for place, number in enumerate(sorted(range(len(lengths)), key=lambda n: lengths[n])):
        shares[number] = min(lengths[number], max(room // (len(lengths) - place), 2))
        room -= shares[number]
    return shares


def _indented(text: str, label: str = "") -> list[str]:
    rest = " " * min(width(label), LABEL)
    return wrapped(text, first=label, rest=rest, places=line_width() - 6).splitlines()


def _cut(line: str) -> str:
    longest = 2 * line_width()
    if len(line) <= longest:
        return line
    return line[:longest] + tr(" ... ({count} more characters)", count=len(line) - longest)


def summary(verdict: Verdict) -> str:
    """Return the verdict in a sentence."""
    held, total = verdict.held, len(verdict.properties)
    if verdict.problem is not None and verdict.outcome != "not_gradable":
        return click.style(tr("Not loaded, and so without a score."), fg="red", bold=True)
    words, colour = {
        "passed": (tr("Passed: all {total} properties hold.", total=total), "green"),
        "fell_short": (tr("{held} of {total} properties hold", held=held, total=total), "yellow"),
        "not_started": (tr("Not started: every hole is still empty."), None),
        "died": (tr("The attempt died; {held} of {total} properties had held", held=held, total=total), "red"),
        "not_gradable": (tr("Not gradable: not your fault; it does not count."), "magenta"),
    }[verdict.outcome]
    head = click.style(words, fg=colour, bold=True)
    if verdict.outcome in ("fell_short", "died"):
        head += tr(": score {score:.0%}.", score=verdict.score)
        head += holes_so_far(verdict)
    return head


def holes_so_far(verdict: Verdict) -> str:
    """Return sentences that name the last hole up to which all holds and the next hole to fill; or nothing."""
    holes, held = verdict.holes, how_many_hold(verdict)
    if verdict.problem or len(holes) == 1:
        return ""
    said = tr(" Hole {number} of {total} holds.", number=held, total=len(holes)) if held else ""
    empty = next((hole for hole in holes if not hole.filled), None)
    if empty is None or any(p.status in ("failed", "died") for p in verdict.properties):  # a failure is fixed first
        return said
    return said + tr(" Next: hole {number}, {title}.", number=empty.number, title=empty.title)


def how_many_hold(verdict: Verdict) -> int:
    """Return the last hole such that it and all before are filled and their judged properties hold; 0 if none."""
    filled = next((hole.number - 1 for hole in verdict.holes if not hole.filled), len(verdict.holes))
    judged = [(p.hole, p.status) for p in verdict.properties if p.hole is not None]
    short = min((hole for hole, status in judged if status != "held"), default=filled + 1)
    return min(filled, short - 1) if any(hole < short for hole, _ in judged) else 0


def _circumstances(verdict: Verdict) -> str:
    told_as = {
        "namespaces": tr("a jail with namespaces of its own"),
        "landlock": tr("a jail of Landlock and seccomp"),
        "process": tr("a process of its own, not jailed"),
    }
    containment = told_as.get(verdict.containment, verdict.containment)
    return tr(
        "Seed {seed}, {examples} examples each, {seconds:.1f} s, in {containment}.",
        seed=verdict.seed,
        examples=verdict.examples,
        seconds=verdict.seconds,
        containment=containment,
    )


def first_hole(verdict: Verdict) -> int | None:
    """Return the first hole that is empty or that a failing property is tied to."""
    empty = [h.number for h in verdict.holes if not h.filled]
    failing = [p.hole for p in verdict.properties if p.status in ("failed", "died") and p.hole]
    return min(empty + failing, default=None)


def standing(version: int, row: Standing | None, started: bool) -> str:
    """Return the learner's standing with a technique of that version, in a few words."""
    if row is None:
        return tr("started") if started else ""
    latest = f"{row.score:.0%}" + (tr(", died") if row.outcome == "died" else "")
    mark, colour = (tr("passed"), "green") if row.ever_passed else (latest, "yellow")
    mark = click.style(mark, fg=colour)
    if row.is_older(version):
        counts = row.passed_version or row.version
        mark = tr("{mark}, of the older version {version}", mark=mark, version=counts)
        if row.version < version:
            return tr("{mark}: grade it again", mark=mark)
    if not row.ever_passed or row.outcome == "passed":
        return mark
    return tr("{passed}; the latest {latest}", passed=mark, latest=latest)


def what_changed(technique: Technique, row: Standing | None, lang: str) -> str:
    """Return what changed since the version that the learner passed, or else last graded."""
    if row is None or not row.is_older(technique.version):
        return ""
    return changes_since(technique, row.passed_version or row.version, lang)


def changes_since(technique: Technique, version: int, lang: str) -> str:
    """Return what the manifest says has changed since ``version``."""
    changes = told(GAP).join(say(change.text, lang) for change in technique.changed_since(version))
    says = tr("graded against version {version}; what changed: {changes}", version=version, changes=changes)
    return says if changes else ""


def tell_undiagnosed(problem: str) -> None:
    """Say why verdicts name no known mistakes: the technique is broken, not the attempt."""
    text = tr("No known mistake can be looked for: {problem}", problem=problem)
    click.echo(f"learn: {spoken(text)}", err=True)
