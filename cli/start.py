"""``learn start``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from groundup.cli.context import (
    TechniqueName,
    effort_of,
    exercise_text,
    find_workspace,
    json_option,
    lang_option,
    language,
    open_state,
    print_json,
    registry,
    roadmap_of,
    say,
    shown,
    stop_at_a_broken_one,
    why_absent,
)
from groundup.cli.layout import line_width, show_next, table, width, wrapped
from groundup.cli.words import languages, ntr, spoken_language, told, tr
from groundup.core.messages import Message, every

if TYPE_CHECKING:
    from groundup.core.technique import Day, Technique
    from groundup.grader.learner.workspace import Workspace

DEFAULT = "workspace"


@click.command("start", short_help="Put a day's or a technique's stubs into your workspace.")
@click.argument("name", metavar="DAY|TECHNIQUE", type=TechniqueName(days=True))
@lang_option
@json_option
def command(name: str, lang: str | None, as_json: bool) -> None:
    """Put the stubs of a day or of one technique into your workspace.

    With a day come the techniques that its own directly build on, unless you have passed them. A file that is there
    already is left as it is. Without a workspace here, one is made in ./workspace.

    \b
    learn start day-7
    learn start ppo
    """
    from groundup.grader.learner.workspace import Workspace

    there_before = find_workspace()
    day, wanted = _asked_for(name, there_before)
    workspace = there_before or (Workspace.create(Path(DEFAULT), _spoken(), told) if wanted else None)
    put = _put(workspace, wanted, along=day is not None) if workspace else []
    absent = [i for i in (day.techniques if day else ()) if i not in registry().techniques]
    if as_json:
        print_json(_as_data(workspace, day, put, absent))
    else:
        if workspace and not there_before:
            made = tr("Made a workspace in {folder}/: open that folder in your editor.", folder=shown(workspace.folder))
            click.echo(wrapped(made) + "\n")
        _tell(workspace, day, put, absent, language(lang))
    stop_at_a_broken_one(absent)


def _spoken() -> str:
    lang = spoken_language()
    return lang if lang in languages() else "en"


def _as_data(
    workspace: Workspace | None, day: Day | None, put: Sequence[tuple[Technique, bool, bool]], absent: Sequence[str]
) -> dict[str, object]:
    there = [
        {"technique": t.id, "path": str(workspace.attempt_path(t)), "new": new, "passed": passed}
        for t, new, passed in put
        if workspace
    ]
    folder = str(workspace.folder) if workspace else None
    return {"workspace": folder, "day": day.name if day else None, "attempts": there, "absent": list(absent)}


def _tell(
    workspace: Workspace | None,
    day: Day | None,
    put: Sequence[tuple[Technique, bool, bool]],
    absent: Sequence[str],
    lang: str,
) -> None:
    """Print which stubs were put where, what is not written yet, and what comes next."""
    if day:
        click.echo(click.style(day.name, bold=True) + f"  {say(day.title, lang)}\n")
    _show(workspace, put, absent)
    if day and absent:
        _tell_what_is_there(day)
    if day and (elective := [registry().techniques[i].name for i in day.elective if i in registry().techniques]):
        text = tr("Elective: {names}. 'learn start {first}' puts it there.", names=every(elective), first=elective[0])
        click.echo("\n" + wrapped(text, first="  "))
    if day is None:
        for technique, _, passed in put:
            _tell_what_it_builds_on(technique, passed, workspace)
    if put:
        first = next((t for t, new, passed in put if not passed), put[-1][0])
        assert workspace is not None
        path, count = shown(workspace.attempt_path(first)), len(first.holes)
        purpose = ntr(
            "what holds; fill the hole in {path} first",
            "what holds; fill the {count} holes in {path} first",
            count,
            path=path,
        )
        show_next((f"read {first.name}", tr("the lesson")), (f"grade {first.name}", purpose))
    elif workspace and day and not day.techniques:
        click.echo("  " + tr("This day brings no new technique."))
        show_next(("grade --all", tr("everything that you have started")), ("status", tr("where you stand")))
    else:
        ahead = _next_day_with_any(day, workspace) if day else None
        further = [(f"start {ahead.name}", say(ahead.title, lang))] if ahead else []
        show_next(*further, ("list", tr("what there is")))


def _tell_what_it_builds_on(technique: Technique, passed: bool, workspace: Workspace | None) -> None:
    """Say what comes before a technique that was asked for by name, if the learner has not passed it."""
    assert workspace is not None
    known = registry().techniques
    with open_state(workspace) as state:
        standings = state.last_scores()
    before = [
        known[i].name for i in technique.requires if i in known and not (i in standings and standings[i].ever_passed)
    ]
    if before and not passed:
        text = tr("It builds on {names}: 'learn start {first}' begins there.", names=every(before), first=before[0])
        click.echo("\n" + wrapped(text, first="  "))


def _tell_what_is_there(day: Day) -> None:
    """Say which techniques of an incomplete day can be started, and which are not written yet."""
    there = [i for i in day.techniques if i in registry().techniques]
    lacking = [i for i in day.techniques if i not in there and not registry().problem_of(i)]
    if not lacking:
        return
    names, missing = (tr(", ").join(i.partition("/")[2] for i in ids) for ids in (there, lacking))
    complete = tr("This day is not complete. There so far: {names}.", names=names)
    told = complete if there else tr("Nothing of this day can be begun yet.")
    click.echo("\n" + wrapped(told + tr(" Not written yet: {names}.", names=missing), first="  "))


def _next_day_with_any(day: Day, workspace: Workspace | None) -> Day | None:
    """Return the next day that has a written technique, or else the first such day."""
    days = [d for d in roadmap_of(workspace).days if any(i in registry().techniques for i in d.techniques)]
    return next((d for d in days if d.number > day.number), days[0] if days else None)


def _asked_for(name: str, workspace: Workspace | None) -> tuple[Day | None, list[Technique]]:
    """Return the day if ``name`` is one, and its written techniques but electives; else None and the one technique."""
    from groundup.core.errors import UnknownName, UsageProblem

    roadmap = roadmap_of(workspace)
    if name.startswith("day-") and name[4:].isdecimal():
        day = registry().day(name, roadmap.id)
        written = registry().techniques
        return day, [written[i] for i in day.techniques if i in written and i not in day.elective]
    try:
        return None, [registry().technique(name)]
    except UnknownName:
        days = {str(d.number): d.name for d in roadmap.days}
        if name in days:
            raise UsageProblem(
                "No day or technique {name!r}. Did you mean {day!r}?", name=name, day=days[name]
            ) from None
        known = [*days.values(), *registry().techniques]
        raise UnknownName(
            Message("day or technique"), name, known, Message("'learn list' shows what there is.")
        ) from None


def _put(workspace: Workspace, wanted: Sequence[Technique], *, along: bool) -> list[tuple[Technique, bool, bool]]:
    """Write the stubs; with ``along``, before them those of what they directly build on, unless that is passed.

    Return each technique, whether its file is new, and whether it is passed.
    """
    done, needed = [], {t.id for t in wanted} | {identity for t in wanted if along for identity in t.requires}
    with open_state(workspace) as state:
        standings = state.last_scores()
        for technique in registry().with_prerequisites(wanted):
            passed = technique.id in standings and standings[technique.id].ever_passed
            if technique.id not in needed or (passed and technique not in wanted):
                continue
            new = workspace.put_exercise(technique, exercise_text(technique))
            if new:
                state.note(technique.id, "started")
            done.append((technique, new, passed))
    return done


def _show(workspace: Workspace | None, put: Sequence[tuple[Technique, bool, bool]], absent: Sequence[str]) -> None:
    where = [""] if put else []  # the column of paths
    rows = [[identity, *where, why_absent(identity)] for identity in absent]
    for technique, new, passed in put:
        assert workspace is not None
        what = tr("new") if new else tr("passed already") if passed else tr("there already, left as it is")
        builders = [t.name for t, _, _ in put if technique.id in t.requires]
        if new and builders:
            names = every(builders)
            what = ntr("new; {names} builds on it", "new; {names} build on it", len(builders), names=names)
        if effort := effort_of(technique):
            what += tr("; ") + effort
        rows.append([technique.id, shown(workspace.attempt_path(technique)), what])
    columns = [max(map(width, column)) for column in zip(*(row[:-1] for row in rows), strict=True)]
    if sum(columns) + 2 * len(columns) > line_width():
        for identity, *rest in rows:
            click.echo(f"  {identity}")
            for text in filter(None, rest):
                click.echo(wrapped(text, first=" " * 6))
        return
    for line in table(rows):
        click.echo(line)
