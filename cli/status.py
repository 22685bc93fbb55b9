"""``learn status``, and ``learn`` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from groundup.cli.context import (
    find_workspace,
    first_day,
    json_option,
    lang_option,
    language,
    open_state,
    print_json,
    registry,
    roadmap_of,
    say,
    why_absent,
)
from groundup.cli.layout import padded, show_next, width, wrapped
from groundup.cli.words import tr

if TYPE_CHECKING:
    from groundup.core.technique import Day, Technique
    from groundup.grader.learner.records import Standing
    from groundup.grader.learner.workspace import Workspace


@click.command("status", short_help="Show where you stand.")
@json_option
@lang_option
def command(as_json: bool = False, lang: str | None = None) -> None:
    """Show what you have started and passed, day by day, and what comes next."""
    lang, workspace = language(lang), find_workspace()
    if workspace is None:
        if as_json:
            print_json({"workspace": None, "techniques": []})
            return
        click.echo(tr("Groundup: learn LLM systems by building every mechanism yourself."))
        click.echo(tr("You have no workspace here yet."))
        show_next(
            (f"start {first_day()}", tr("make one, with the first stubs")),
            ("list", tr("the days of the roadmap")),
            ("--help", tr("the commands")),
        )
        return
    with open_state(workspace) as state:
        standings = state.last_scores()
    if as_json:
        print_json(_as_data(workspace, standings, lang))
        return
    _show(workspace, standings, lang)


def _show(workspace: Workspace, standings: Mapping[str, Standing], lang: str) -> None:
    techniques = registry().techniques
    started = [t for t in techniques.values() if workspace.attempt_path(t).exists()]
    passed = [t for t in techniques.values() if t.id in standings and standings[t.id].ever_passed]
    roadmap = roadmap_of(workspace)
    outside = [t for t in started if not any(t.id in d.techniques for d in roadmap.days)]
    count, total = len(passed), len(techniques)
    head = tr("{folder}: {count} of {total} techniques passed", folder=workspace.folder, count=count, total=total)
    click.echo(f"{head}\n")
    places = max(map(width, techniques), default=0)
    for day in roadmap.days:
        written = [techniques[i] for i in day.techniques if i in techniques]
        done = written and len(written) == len(day.techniques) and all(t in passed for t in written)
        broken = [i for i in day.techniques if i not in techniques and registry().problem_of(i)]
        is_unwritten = day.techniques and not written and not broken
        unwritten = click.style("  " + tr("(not written yet)"), dim=True) if is_unwritten else ""
        click.echo(f"  {click.style('✓', fg='green') if done else ' '} {day.name:<8}{say(day.title, lang)}{unwritten}")
        for technique in written:
            _show_technique(technique, standings.get(technique.id), technique in started, places, lang)
        _show_absent(broken, standings, places)
    if outside:
        click.echo("    " + tr("beside the roadmap"))
        for technique in outside:
            _show_technique(technique, standings.get(technique.id), True, places, lang)
    in_a_day = {i for day in roadmap.days for i in day.techniques}
    gone = [i for i in standings if i not in techniques]
    if broken := [i for i in gone if registry().problem_of(i)]:
        _show_absent([i for i in broken if i not in in_a_day], standings, places)
    if gone := [i for i in gone if i not in broken]:
        click.echo("    " + tr("no plugin that is installed here declares these"))
        for identity in gone:
            _show_row(identity, standings[identity], _stand_alone(standings[identity]), places)
    _show_next(started, passed, roadmap.days)


def _show_technique(technique: Technique, row: Standing | None, started: bool, places: int, lang: str) -> None:
    from groundup.cli.show import standing, what_changed

    _show_row(technique.id, row, standing(technique.version, row, started), places)
    if changed := what_changed(technique, row, lang):
        click.echo(wrapped(changed, first=" " * 14))


def _show_absent(identities: Sequence[str], standings: Mapping[str, Standing], places: int) -> None:
    """Show the techniques whose plugins are broken, and how the learner stood with them."""
    for identity in identities:
        row, why = standings.get(identity), why_absent(identity)
        _show_row(identity, row, why if row is None else f"{_stand_alone(row)}; {why}", places)


def _show_row(identity: str, row: Standing | None, word: str, places: int) -> None:
    count = row.attempts if row else 0
    graded = tr(" (graded once)") if count == 1 else tr(" (graded {count} times)", count=count) if count else ""
    indent = " " * 12
    if not word + graded:
        click.echo(indent + identity)
        return
    click.echo(wrapped(word + graded, first=indent + padded(identity, places) + "  ", rest=indent + "  "))


def _stand_alone(row: Standing) -> str:
    """Return how the learner stood with a technique that is not here to be compared with."""
    if row.passed_version is not None:
        return tr("passed, version {version}", version=row.passed_version)
    return tr("{score:.0%}, version {version}", score=row.score, version=row.version)


def _show_next(started: list[Technique], passed: list[Technique], days: tuple[Day, ...]) -> None:
    techniques = registry().techniques
    unfinished = next((t for t in registry().with_prerequisites(started) if t in started and t not in passed), None)
    touched = [*started, *passed]
    ahead = next((d for d in days if any(i in techniques and techniques[i] not in touched for i in d.techniques)), None)
    if unfinished:
        name = unfinished.name
        show_next((f"read {name}", tr("the lesson")), (f"grade {name}", tr("what holds of your attempt")))
    elif ahead:
        show_next((f"start {ahead.name}", tr("the next stubs")))
    else:
        click.echo("\n" + tr("Everything that is written is passed."))


def _as_data(workspace: Workspace, standings: Mapping[str, Standing], lang: str) -> dict[str, object]:
    from groundup.cli.show import what_changed

    techniques = registry().techniques
    return {
        "workspace": str(workspace.folder),
        "techniques": [
            {
                "id": identity,
                "installed": t is not None,
                "broken": t is None and registry().problem_of(identity) is not None,
                "started": bool(t and workspace.attempt_path(t).exists()),
                "passed": bool(row and row.ever_passed),
                "passed_version": row.passed_version if row else None,
                "version": t.version if t else None,
                "older": bool(t and row and row.is_older(t.version)),
                "changed": what_changed(t, row, lang) if t else "",
                "score": row.score if row else None,
                "outcome": row.outcome if row else None,
                "graded": row.attempts if row else 0,
                "graded_version": row.version if row else None,
            }
            for identity in dict.fromkeys([*techniques, *standings])
            for t, row in [(techniques.get(identity), standings.get(identity))]
        ],
    }
