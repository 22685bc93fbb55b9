"""``learn next``, and ``learn`` alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from groundup.cli.context import find_workspace, json_option, lang_option, language, open_state, print_json, shown
from groundup.cli.course import head, show_way, show_without_workspace
from groundup.cli.layout import show_next, wrapped
from groundup.cli.names import called
from groundup.cli.words import tr

if TYPE_CHECKING:
    from groundup.cli.way import Step, Way
    from groundup.grader.learner.workspace import Workspace


@click.command("next", short_help="Do the next step: a lab, a quiz, new stubs, the brief.")
@json_option
@lang_option
@click.pass_context
def command(ctx: click.Context, as_json: bool, lang: str | None) -> None:
    """Do the next step, and say first which it is.

    After a pass it runs the lab, then begins the quiz, then puts the stubs of the next technique into your workspace;
    at the end of a day it writes the brief. If the next step is to fill a hole, it says which one.

    With --json it says what comes next and does nothing.
    """
    lang, workspace = language(lang), find_workspace()
    if workspace is None:
        if as_json:
            print_json({"workspace": None, "steps": []})
        else:
            show_without_workspace()
        return
    way = _way(workspace)
    steps = way.steps()
    if as_json:
        print_json({"workspace": str(workspace.folder), "steps": [_as_data(step) for step in steps]})
    elif not steps:
        show_way(steps)
    elif steps[0].does == "work":
        _show_work(steps[0], workspace)
    else:
        _do(ctx, steps[0], lang)


def overview(lang: str | None) -> None:
    """Print how much of the course is passed, and what comes next."""
    language(lang)
    workspace = find_workspace()
    if workspace is None:
        show_without_workspace()
        return
    way = _way(workspace)
    steps = way.steps()
    click.echo("\n".join(head(workspace, way)))
    does = [("next", tr("does the first of these") if len(steps) > 1 else tr("does this"))]
    show_way(steps, *([] if not steps or steps[0].does == "work" else does), ("status", tr("where you stand")))


def _way(workspace: Workspace) -> Way:
    from groundup.cli.way import Way

    with open_state(workspace) as state:
        return Way.of(workspace, state)


def _do(ctx: click.Context, step: Step, lang: str) -> None:
    """Announce the step, then do it."""
    click.echo(wrapped(step.purpose, first=click.style(f"{called()} {step.command}", bold=True) + "  ") + "\n")
    above = ctx.find_root()
    name, *arguments = step.command.split()
    assert isinstance(above.command, click.Group)
    found = above.command.get_command(above, name)
    assert found is not None
    with found.make_context(name, [*arguments, "--lang", lang], parent=above) as context:
        found.invoke(context)


def _show_work(step: Step, workspace: Workspace) -> None:
    """Show which hole the learner fills next."""
    from groundup.grader.judging.exercise import hole_states

    assert step.technique is not None
    technique, path = step.technique, workspace.attempt_path(step.technique)
    holes = hole_states(technique, path.read_text(encoding="utf-8", errors="replace"), passed=False)
    empty = next((hole for hole in holes if not hole.filled), None)
    bold, at = click.style(technique.id, bold=True), shown(path)
    if empty:
        number, title = empty.number, empty.title
        told = tr(
            "{technique}: fill hole {hole} in {path}: {title}.", technique=bold, hole=number, path=at, title=title
        )
    else:
        told = tr("{technique}: every hole is filled in {path}; it has not passed yet.", technique=bold, path=at)
    click.echo(wrapped(told))
    name = technique.name
    hint = f"hint {name} {empty.number}" if empty else f"hint {name}"
    show_next(
        (f"read {name}", tr("the lesson")),
        (f"grade {name}", tr("what holds of your attempt")),
        (hint, tr("a hint")),
    )


def _as_data(step: Step) -> dict[str, object]:
    technique = step.technique.id if step.technique else None
    return {"does": step.does, "technique": technique, "command": f"learn {step.command}", "purpose": step.purpose}
