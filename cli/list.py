"""``learn list``."""

from __future__ import annotations

from collections import defaultdict

import click

from groundup.cli.context import find_workspace, json_option, lang_option, language, open_state, print_json, registry
from groundup.cli.main import called
from groundup.cli.show import standing
from groundup.core.technique import Technique, say


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
    standings = _standings()
    for roadmap in registry().roadmaps.values():
        click.echo(click.style(roadmap.id, bold=True) + f"  {say(roadmap.title, lang)}\n")
        for day in roadmap.days:
            click.echo(f"  {day.name:<8}{say(day.title, lang)}")
            for identity in day.techniques:
                word = standings.get(identity) or standing(registry(), identity, None, False, False)
                click.echo(f"          {identity:<38} {word}".rstrip())
        click.echo()
    click.echo(click.style("tracks", bold=True) + "\n")
    for track, techniques in tracks.items():
        click.echo(f"  {track}")
        for technique in techniques:
            click.echo(f"          {technique.name:<22} {say(technique.summary, lang)}")
    click.echo(f"\n{called()} start day-4 begins a day; {called()} start ppo begins one technique.")


def _standings() -> dict[str, str]:
    workspace = find_workspace()
    if workspace is None:
        return {}
    with open_state(workspace) as state:
        scores = state.last_scores()
    found: dict[str, str] = {}
    for technique in registry().techniques.values():
        score = scores.get(technique.id)
        started = workspace.attempt_path(technique).exists()
        found[technique.id] = standing(
            registry(), technique.id, score.score if score else None, bool(score and score.ever_passed), started
        )
    return found


def _as_data(tracks: dict[str, list[Technique]], lang: str) -> dict[str, object]:
    written = registry().techniques
    return {
        "roadmaps": [
            {
                "id": roadmap.id,
                "title": say(roadmap.title, lang),
                "days": [
                    {
                        "name": day.name,
                        "title": say(day.title, lang),
                        "techniques": [{"id": i, "written": i in written} for i in day.techniques],
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
