"""``learn brief``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from groundup.cli.context import (
    find_workspace,
    first_day,
    json_option,
    lang_option,
    language,
    open_state,
    registry,
    roadmap_of,
    shown,
)
from groundup.cli.layout import show_next
from groundup.cli.names import spoken
from groundup.cli.words import ntr, told, tr
from groundup.core.errors import NoWorkspace, UsageProblem
from groundup.core.messages import Message

if TYPE_CHECKING:
    from groundup.grader.learner.brief import Brief
    from groundup.grader.learner.brief_page import Format
    from groundup.grader.learner.workspace import Workspace

NOTHING = Message("Nothing is proved yet: a brief quotes gradings, labs and quizzes, and there are none here.")


@click.command("brief", short_help="Export what you have proved, with its evidence.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "html"]),
    help="Markdown or HTML. Default: by the suffix of --out, else md.",
)
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Write it to FILE instead of printing it.")
@json_option
@lang_option
def command(form: Format | None, out: Path | None, as_json: bool, lang: str | None) -> None:
    """Export a technical summary of what you have proved, for a portfolio or an instructor.

    For each technique: your best verdict with its claims, digest, seed and environment, every score, hints and
    giving up, your code, the lab's plot and the quizzes. It quotes what is recorded: grade first.

    \b
    learn brief                     Markdown, here
    learn brief --out brief.html    one file, to be read or printed
    learn brief --out brief.md      with your files and plots in brief.files/

    A file that 'learn brief' wrote is replaced if it has not been changed since; any other file is kept.
    """
    if as_json and (form or out):
        raise UsageProblem("--json prints the data of the brief: leave out --format and --out.")
    form = _form(form, out)
    from groundup.grader.learner.gather import gather

    workspace = find_workspace()
    if workspace is None:
        raise NoWorkspace("There is no workspace here. 'learn start {name}' makes one.", name=first_day())
    lang = language(lang)
    with open_state(workspace) as state:
        brief, problems = gather(state, registry(), roadmap_of(workspace), lang, workspace.settings.learner, told)
    for problem in problems:
        click.echo(f"learn: {spoken(told(problem.message))}", err=True)
    if as_json:
        _print(_as_json(brief))
    elif brief.proofs and out:
        _write(brief, form, out)
        _note(brief, workspace)
    elif brief.proofs:
        from groundup.grader.learner.brief_page import page

        _print(page(brief, form, told=told))
        _note(brief, workspace)
    elif out:
        step = _first_steps(workspace)[0][0]
        raise UsageProblem("{why} {file} was not written. Next: 'learn {step}'.", why=NOTHING, file=out, step=step)
    else:
        click.echo(told(NOTHING))
        show_next(*_first_steps(workspace))


def _form(form: Format | None, out: Path | None) -> Format:
    """Return the format given by --format, or else by the file's suffix."""
    from groundup.grader.learner.brief_page import SUFFIXES

    if out is None:
        return form or "md"
    named = SUFFIXES.get(out.suffix.lower())
    if form and named and form != named:
        raise UsageProblem(
            "{file} is the name of a {named} file, and --format says {form}: leave out one of the two.",
            file=out,
            named=named,
            form=form,
        )
    if not (form or named):
        raise UsageProblem("{file} does not end in .md or .html: name one that does, or give --format.", file=out)
    return form or named or "md"


def _write(brief: Brief, form: Format, out: Path) -> None:
    from groundup.grader.learner.brief_page import beside, page, write_page

    folder = f"{out.stem}.files"
    files = beside(brief) if form == "md" else {}
    text = page(brief, form, folder, told)
    write_page(out, text, folder, files)
    count, size = len(brief.proofs), _size(len(text.encode()))
    line = ntr(
        "Wrote {file}: 1 technique, {size}",
        "Wrote {file}: {count} techniques, {size}",
        count,
        file=shown(out),
        size=size,
    )
    if files:
        line += tr("; its attempts and plots are in {folder}/", folder=shown(out.parent / folder))
    click.echo(line + tr("."))


def _note(brief: Brief, workspace: Workspace) -> None:
    """Record which passes a written brief covers; a brief that misses one is suggested as a next step."""
    with open_state(workspace) as state:
        there = state.noted("in_brief")
        for proof in brief.proofs:
            if proof.verdict and proof.verdict.passed and proof.technique not in there:
                state.note(proof.technique, "in_brief")


def _size(count: int) -> str:
    return f"{count / 1024:.0f} KiB" if count >= 1024 else tr("{count} bytes", count=count)


def _as_json(brief: Brief) -> str:
    import json

    return json.dumps(brief.model_dump(mode="json"), ensure_ascii=False, indent=2) + "\n"


def _print(text: str) -> None:
    """Print the same bytes whatever the terminal's encoding is."""
    click.echo(text.encode("utf-8", "replace"), nl=False)


def _first_steps(workspace: Workspace) -> list[tuple[str, str]]:
    """Return the first command to type: grade a started technique, or else start the first day."""
    techniques = registry().techniques
    started = [t for t in techniques.values() if workspace.attempt_path(t).is_file()]
    first = next((t for t in registry().with_prerequisites(started) if t in started), None)
    if first:
        return [(f"read {first.name}", tr("the lesson")), (f"grade {first.name}", tr("what holds of your attempt"))]
    days = [d.name for d in roadmap_of(workspace).days if any(i in techniques for i in d.techniques)]
    return [(f"start {days[0]}", tr("the first stubs"))] if days else [("list", "")]
