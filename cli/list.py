"""``learn list``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from groundup.cli.context import (
    find_workspace,
    first_day,
    followed_roadmap,
    index,
    index_for_completion,
    json_option,
    lang_option,
    language,
    open_state,
    print_json,
)
from groundup.cli.layout import line_width, padded, show_next, table, width, wrapped
from groundup.cli.words import tr
from groundup.core.messages import Message

if TYPE_CHECKING:
    from groundup.cli.index import DayEntry, Index, RoadmapEntry, TechniqueEntry

INDENT = " " * 10  # under a day's title


class TrackName(click.ParamType):  # type: ignore[type-arg]
    """A track."""

    name = "track"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete the names of the installed tracks."""
        return [CompletionItem(t) for t in index_for_completion().tracks() if t.startswith(incomplete)]


@click.command("list", short_help="List days, tracks and techniques.")
@click.argument("track", type=TrackName(), required=False)
@click.option("--all", "everything", is_flag=True, help="Every day and every technique, with what it does.")
@json_option
@lang_option
def command(track: str | None, everything: bool, as_json: bool, lang: str | None) -> None:
    """List the days of the roadmap with their techniques, ready ones first, and the tracks, with your standing.

    With TRACK: the techniques of that track, and what each does.

    \b
    learn list
    learn list rl
    learn list --all
    """
    from groundup.core.errors import UnknownName, UsageProblem

    language(lang)
    if track is not None and everything:
        raise UsageProblem("TRACK names one track, --all shows them all: leave out one of the two.")
    found = index()
    if track is not None and track not in found.tracks():
        raise UnknownName(Message("track"), track, found.tracks(), Message("'learn list' shows what there is."))
    if as_json:
        print_json(_as_data(found, track))
        return
    standings = _standings(found)
    if track is not None:
        _show_track(track, found, standings)
    elif everything:
        for roadmap in found.roadmaps.values():
            _show_every_day(roadmap, found, standings)
        click.echo(click.style(tr("tracks"), bold=True))
        for name in found.tracks():
            click.echo()
            _show_track(name, found, standings)
    else:
        _show_overview(found, standings)


# The short form.


def _show_overview(found: Index, standings: Mapping[str, str]) -> None:
    followed = found.roadmaps.get(followed_roadmap())
    if followed:
        _show_days(followed, found, standings)
    if others := [r for r in found.roadmaps.values() if r is not followed]:
        click.echo(click.style(tr("other roadmaps") if followed else tr("roadmaps"), bold=True))
        for line in table([(r.id, r.title) for r in others]):
            click.echo(line)
        click.echo()
    click.echo(click.style(tr("tracks"), bold=True))
    tracks = found.tracks()
    names, counts = max(map(width, tracks), default=0), len(str(len(found.techniques)))
    for track, techniques in tracks.items():
        head = f"  {padded(track, names)}  {len(techniques):>{counts}}  "
        click.echo(head + _as_fits([t.name for t in techniques], line_width() - width(head)))
    steps = [(f"start {first_day()}", tr("begin a day"))]
    if tracks:
        steps.append((f"list {next(iter(tracks))}", tr("the techniques of a track")))
    show_next(*steps, ("list --all", tr("every day and every technique")))


def _show_days(roadmap: RoadmapEntry, found: Index, standings: Mapping[str, str]) -> None:
    click.echo(click.style(roadmap.id, bold=True) + f"  {roadmap.title}")
    several = Counter(t.name for t in found.techniques.values())
    names = {t.id: t.name if several[t.name] == 1 else t.id for t in found.techniques.values()}
    for heading, days in _by_readiness(roadmap.days, found):
        click.echo(f"\n  {heading}" if heading else "")
        for day in days:
            click.echo(f"  {day.name:<8}{day.title}")
            if heading is None and (line := _what_it_brings(day, found, names, standings)):
                click.echo(wrapped(line, first=INDENT))
    click.echo()


def _by_readiness(days: Sequence[DayEntry], found: Index) -> Iterator[tuple[str | None, list[DayEntry]]]:
    """Yield (heading, days): complete days and then partly written ones, both without a heading, then the others."""
    there = found.techniques.keys() | found.broken
    begun = [d for d in days if not d.techniques or there.intersection(d.techniques)]
    whole = [d for d in begun if d.techniques and there.issuperset(d.techniques)]
    if first := [*whole, *(d for d in begun if d not in whole)]:
        yield None, first
    if others := [d for d in days if d not in begun]:
        yield click.style(tr("not written yet"), dim=True), others


def _what_it_brings(day: DayEntry, found: Index, names: Mapping[str, str], standings: Mapping[str, str]) -> str:
    told = []
    for identity in day.techniques:
        word = click.style(tr("broken"), fg="red") if identity in found.broken else standings.get(identity, "")
        if identity in names or identity in found.broken:
            name = names.get(identity, _short(identity))
            told.append(tr("{name} ({standing})", name=name, standing=word) if word else name)
    there = [found.techniques[i] for i in day.techniques if i in found.techniques]
    written = tr("; ").join(filter(None, [tr(", ").join(told), _effort(there)]))
    absent = [_short(i) for i in day.techniques if i not in names and i not in found.broken]
    if not absent:
        return written
    return tr("{written}; not written yet: {names}", written=written, names=tr(", ").join(absent))


def _effort(techniques: Sequence[TechniqueEntry]) -> str:
    """Return the range of levels and the total minutes of these techniques, as far as their manifests give them."""
    levels, minutes = [t.level for t in techniques if t.level], sum(t.minutes or 0 for t in techniques)
    if not levels or not minutes:
        return ""
    low, high = min(levels), max(levels)
    if low == high:
        return tr("level {level} of 5, {minutes} minutes", level=low, minutes=minutes)
    return tr("level {low} to {high} of 5, {minutes} minutes", low=low, high=high, minutes=minutes)


def _short(identity: str) -> str:
    return identity.partition("/")[2]


def _as_fits(names: Sequence[str], places: int) -> str:
    """Return as many of the names as fit into one line."""
    text = ", ".join(names)
    shown = len(names)
    while width(text) > places and shown:
        shown -= 1
        text = ", ".join([*names[:shown], "…"])
    return text


# The full form.


def _show_every_day(roadmap: RoadmapEntry, found: Index, standings: Mapping[str, str]) -> None:
    click.echo(click.style(roadmap.id, bold=True) + f"  {roadmap.title}\n")
    places = max(width(i) for d in roadmap.days for i in (*d.techniques, ""))
    for day in roadmap.days:
        click.echo(f"  {day.name:<8}{day.title}")
        for identity in day.techniques:
            word = standings.get(identity, "")
            if identity in found.broken:
                word = click.style(tr("broken"), fg="red")
            elif identity not in found.techniques:
                word = click.style(tr("not written yet"), dim=True)
            click.echo(f"      {padded(identity, places)}  {word}".rstrip())
    click.echo()


def _show_track(track: str, found: Index, standings: Mapping[str, str]) -> None:
    click.echo(f"  {track}")
    techniques = found.tracks()[track]
    words = {t.id: standings.get(t.id, "") for t in techniques}
    rows = [(t.name, *([words[t.id]] if any(words.values()) else []), _described(t)) for t in techniques]
    for line in table(rows, indent=" " * 6):
        click.echo(line)


def _described(technique: TechniqueEntry) -> str:
    effort = _effort([technique])
    if not effort:
        return technique.summary
    return tr("{summary} ({effort})", summary=technique.summary, effort=effort)


def _standings(found: Index) -> dict[str, str]:
    workspace = find_workspace()
    if workspace is None:
        return {}
    from groundup.cli.show import standing
    from groundup.core.declared import file_of

    with open_state(workspace) as state:
        scores = state.last_scores()
    return {
        t.id: standing(t.version, scores.get(t.id), (workspace.folder / file_of(t.id)).exists())
        for t in found.techniques.values()
    }


def _as_data(found: Index, only: str | None) -> dict[str, object]:
    return {
        "roadmaps": [
            {
                "id": roadmap.id,
                "title": roadmap.title,
                "days": [
                    {"name": day.name, "title": day.title, "techniques": [_state_of(i, found) for i in day.techniques]}
                    for day in roadmap.days
                ],
            }
            for roadmap in found.roadmaps.values()
        ],
        "tracks": {
            track: [asdict(technique) for technique in techniques]
            for track, techniques in found.tracks().items()
            if only in (None, track)
        },
    }


def _state_of(identity: str, found: Index) -> dict[str, object]:
    broken = identity in found.broken
    return {"id": identity, "written": broken or identity in found.techniques, "broken": broken}
