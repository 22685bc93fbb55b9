"""``learn read``."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from groundup.cli.context import (
    TechniqueName,
    effort_of,
    find_workspace,
    json_option,
    lang_option,
    language,
    open_state,
    print_json,
    registry,
    registry_in,
    roadmap_of,
    say,
    shown,
    technique_named,
)
from groundup.cli.layout import line_width
from groundup.cli.names import called
from groundup.cli.parameters import PathTo
from groundup.cli.words import ntr, speak, spoken_language, told, tr
from groundup.core.errors import EnvironmentProblem, UsageProblem

if TYPE_CHECKING:
    from groundup.core.technique import Technique
    from groundup.grader.lessons.markdown import Lesson

RAW = re.compile(r"(^|\s)(-[a-zA-Z]*[rR]|--raw-control-chars)", re.IGNORECASE)  # options of less that show colours


@click.command("read", short_help="Read a lesson.")
@click.argument("technique", type=TechniqueName(), required=False)
@click.option(
    "--open", "opens", is_flag=True, help="Show it as a page in the browser, with typeset formulas and figures."
)
@click.option(
    "--out", metavar="FILE", type=PathTo(), help="Write that page to FILE; with --all, the book to this folder."
)
@click.option("--all", "everything", is_flag=True, help="Every lesson in both languages, as a book of pages.")
@lang_option
@json_option
def command(
    technique: str | None, opens: bool, out: Path | None, everything: bool, lang: str | None, as_json: bool
) -> None:
    """Read the lesson of TECHNIQUE in the terminal; piped, it comes as Markdown.

    A page is one file that needs no network and no script: it can be printed, sent and kept. It also shows the picture
    of your latest 'learn run'. Nothing is overwritten but what 'learn read' wrote and nobody has changed since.
    """
    if everything:
        _book(technique, out, opens=opens, as_json=as_json)
        return
    if technique is None:
        raise UsageProblem("Which lesson? 'learn read {name}', for example; 'learn list' shows all.", name="gae")
    if as_json and (opens or out):
        raise UsageProblem("--json prints the lesson: leave out --open and --out.")
    from groundup.grader.lessons.markdown import read_lesson

    found = technique_named(technique)
    lesson = read_lesson(found, language(lang))
    if opens or out:
        _page(lesson, out, opens=opens)
        return
    if as_json:
        effort = {"level": found.level, "minutes": found.minutes, "requires": list(found.requires)}
        print_json({"technique": found.id, **effort, "path": str(lesson.path), "markdown": lesson.text})
        return
    if not sys.stdout.isatty():
        click.echo(lesson.text, nl=False)
        return
    from groundup.grader.lessons.terminal import rendered

    on_a_page = f"{called()} read {found.name} --open"
    how = tr("To see it: {command}", command=on_a_page)
    text = with_head(lesson.text, found)
    text = rendered(text, line_width(), figure=(tr("Figure."), how), where=str(lesson.path))
    if text.count("\n") < shutil.get_terminal_size().lines:
        click.echo(text, nl=False)
    else:
        page(text)


def page(text: str) -> None:
    """Show coloured text in a pager. ``less`` is set to show colours unless the user's options for it leave them out.

    click sets this only while ``color`` is unset, and ``learn watch`` sets it.
    """
    options = os.environ.setdefault("LESS", "-R")
    click.echo_via_pager(text, color=RAW.search(options) is not None)


def with_head(text: str, technique: Technique) -> str:
    """Return a lesson with level, minutes and prerequisites under its title."""
    known = registry().techniques
    names = tr(", ").join(known[i].name for i in technique.requires if i in known)
    builds = tr("builds on {names}", names=names) if names else ""
    head = tr("; ").join(filter(None, [effort_of(technique), builds]))
    title, end, rest = text.partition("\n")
    return f"{title}{end}\n*{head}*\n{rest}" if head and title.startswith("# ") else text


def _page(lesson: Lesson, out: Path | None, *, opens: bool) -> None:
    """Write the lesson as a page, and open it."""
    from groundup.grader.learner.written import check_place, write_whole
    from groundup.grader.lessons.page import BY, LabPicture, Link
    from groundup.grader.lessons.page import page as made

    technique, known = lesson.technique, registry().techniques
    path = (out or _cached(f"{technique.id.replace('/', '-')}.{lesson.lang}.html")).resolve()
    check_place(path, BY)
    workspace = find_workspace()
    lab = None
    if workspace is not None:
        with open_state(workspace) as state:
            record = next(iter(state.labs(technique.id)), None)
        lab = LabPicture(record.picture, record.at) if record else None
    builds = [Link(say(known[i].title, lesson.lang)) for i in technique.requires if i in known]
    text = made(lesson, builds, told=told, lab=lab)
    with _writing(path):
        write_whole(path, text.encode(), over=True)
    if opens and _opened(path):
        click.echo(tr("Opened {file} in the browser.", file=shown(path)))
    elif opens:
        click.echo(tr("There is no browser to open here. The page is {file}.", file=shown(path)))
    else:
        click.echo(tr("Wrote {file}.", file=shown(path)))


def _book(technique: str | None, out: Path | None, *, opens: bool, as_json: bool) -> None:
    """Write every lesson in both languages."""
    if technique or as_json:
        raise UsageProblem("--all takes all lessons: leave out {name}.", name=technique or "--json")
    if out is None:
        raise UsageProblem("Where to? 'learn read --all --out site' writes the book into the folder site.")
    from groundup.grader.lessons.book import LANGUAGES, book, write_book

    roadmap = roadmap_of(find_workspace()).id
    pages = book({lang: registry_in(lang) for lang in LANGUAGES}, roadmap, _speaking)
    write_book(out, pages)
    start = out / "index.html"
    count = len(pages)
    click.echo(ntr("Wrote {file}: 1 page.", "Wrote {file}: {count} pages.", count, file=shown(start)))
    if opens and not _opened(start.resolve()):
        click.echo(tr("There is no browser to open here. The page is {file}.", file=shown(start)))


@contextlib.contextmanager
def _speaking(lang: str) -> Iterator[Callable[[str], str]]:
    """Speak another language for a while."""
    before = spoken_language()
    speak(lang)
    try:
        yield told
    finally:
        speak(before)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    from groundup.core.errors import reason_of, remedy
    from groundup.core.messages import Message

    try:
        yield
    except OSError as error:
        todo = remedy(error, Message("Name a file in a folder that you can write to."))
        raise EnvironmentProblem(
            "Cannot write {path}: {why}. {todo}", path=error.filename or path, why=reason_of(error), todo=todo
        ) from error


def _cached(name: str) -> Path:
    """Return the path of a page in the user's cache folder."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        base = Path()
    folder = base / "groundup" / "lessons"
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def _opened(path: Path) -> bool:
    """Show a page in the browser; return False if there is none with a window."""
    import webbrowser

    windows = sys.platform in ("win32", "darwin") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")))
    try:
        return windows and webbrowser.open(path.as_uri())
    except webbrowser.Error:
        return False
