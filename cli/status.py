"""``learn status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from groundup.cli.context import find_workspace, json_option, lang_option, language, open_state, print_json, registry
from groundup.cli.course import head, show_without_workspace, way_lines
from groundup.cli.words import tr

if TYPE_CHECKING:
    from groundup.cli.standings import Standings
    from groundup.grader.learner.workspace import Workspace

MOST_LINES = 59


@click.command("status", short_help="Show where you stand.")
@click.option("--all", "everything", is_flag=True, help="Show every day that you have begun in full.")
@json_option
@lang_option
def command(everything: bool, as_json: bool, lang: str | None) -> None:
    """Show what you have started and passed, day by day, and what comes next.

    For each technique that you have begun, it shows verdicts, filled holes, hints, the best quiz and the lab. Gradings
    of files that could not be loaded and of unchanged stubs do not count.
    """
    lang, workspace = language(lang), find_workspace()
    if workspace is None:
        if as_json:
            print_json({"workspace": None, "techniques": []})
        else:
            show_without_workspace()
        return
    from groundup.cli.standings import Standings

    with open_state(workspace) as state:
        found = Standings.of(workspace, state, lang)
    if as_json:
        print_json(_as_data(workspace, found))
        return
    top = [*head(workspace, found.way), ""]
    steps = found.way.steps()
    below = way_lines(steps, *([("next", tr("does the first of these"))] if len(steps) > 1 else []))
    lines = found.lines(None if everything else MOST_LINES - len(top) - len(below))
    click.echo("\n".join([*top, *lines, *below]))


def _as_data(workspace: Workspace, found: Standings) -> dict[str, object]:
    return {
        "workspace": str(workspace.folder),
        "techniques": [found.as_data(i) for i in dict.fromkeys([*registry().techniques, *found.way.standings])],
    }
