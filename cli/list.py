"""``learn list``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
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
    say,
    why_absent,
)
from groundup.cli.layout import padded, show_next, table, width
from groundup.cli.words import tr

if TYPE_CHECKING:
    from groundup.core.technique import Technique


@click.command("list", short_help="List days, tracks and techniques.")
@json_option
@lang_option
def command(as_json: bool, lang: str | None) -> None:
    """List the days of the roadmaps, and every technique by its track, with your standing."""
    lang = language(lang)
    tracks: defaultdict[str, list[Technique]] = defaultdict(list)
    for technique in sorted(registry().techniques.values(), key=lambda t: t.id):
        tracks[technique.track].append(technique)
    if as_json:
        print_json(_as_data(tracks, lang))
        return
    _show_roadmaps(_standings(), lang)
    _show_tracks(tracks, lang)
    show_next((f"start {first_day()}", tr("begin a day")), ("start ppo", tr("begin one technique")))


def _show_roadmaps(standings: Mapping[str, str], lang: str) -> None:
    for roadmap in registry().roadmaps.values():
        click.echo(click.style(roadmap.id, bold=True) + f"  {say(roadmap.title, lang)}\n")
        places = max(width(i) for d in roadmap.days for i in (*d.techniques, ""))
        for day in roadmap.days:
            click.echo(f"  {day.name:<8}{say(day.title, lang)}")
            for identity in day.techniques:
                word = standings.get(identity, "")
                if identity not in registry().techniques:
                    word = why_absent(identity)
                click.echo(f"      {padded(identity, places)}  {word}".rstrip())
        click.echo()


def _show_tracks(tracks: Mapping[str, list[Technique]], lang: str) -> None:
    click.echo(click.style(tr("tracks"), bold=True))
    for track, techniques in tracks.items():
        click.echo(f"\n  {track}")
        for line in table([(t.name, say(t.summary, lang)) for t in techniques], indent=" " * 6):
            click.echo(line)


def _standings() -> dict[str, str]:
    from groundup.cli.show import standing

    workspace = find_workspace()
    if workspace is None:
        return {}
    with open_state(workspace) as state:
        scores = state.last_scores()
    techniques = registry().techniques.values()
    return {t.id: standing(t, scores.get(t.id), workspace.attempt_path(t).exists()) for t in techniques}


def _as_data(tracks: Mapping[str, list[Technique]], lang: str) -> dict[str, object]:
    written = registry().techniques
    named = {i for roadmap in registry().roadmaps.values() for day in roadmap.days for i in day.techniques}
    broken = {i for i in named if registry().problem_of(i)}
    return {
        "roadmaps": [
            {
                "id": roadmap.id,
                "title": say(roadmap.title, lang),
                "days": [
                    {
                        "name": day.name,
                        "title": say(day.title, lang),
                        "techniques": [
                            {"id": i, "written": i in written or i in broken, "broken": i in broken}
                            for i in day.techniques
                        ],
                    }
                    for day in roadmap.days
                ],
            }
            for roadmap in registry().roadmaps.values()
        ],
        "tracks": {
            track: [
                {"id": t.id, "version": t.version, "title": say(t.title, lang), "summary": say(t.summary, lang)}
                for t in techniques
            ]
            for track, techniques in tracks.items()
        },
    }
