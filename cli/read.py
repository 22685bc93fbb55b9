"""``learn read``."""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import TYPE_CHECKING

import click

from groundup.cli.context import (
    TechniqueName,
    effort_of,
    json_option,
    lang_option,
    language,
    print_json,
    registry,
    technique_named,
)
from groundup.cli.layout import line_starts, line_width
from groundup.cli.words import tr
from groundup.core.errors import PluginProblem, reason_of

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from groundup.core.technique import Technique

UNJOINED = re.compile(r"(^```.*?^```$|^#[^\n]*\n)", re.MULTILINE | re.DOTALL)  # code and headings
RAW = re.compile(r"(^|\s)(-[a-zA-Z]*[rR]|--raw-control-chars)", re.IGNORECASE)  # options of less that show colours
WIDE, QUOTE = r"[\u3000-\u9fff\uff00-\uffef]", r"[\u2014\u2018\u2019\u201c\u201d\u2026]"
BETWEEN_WIDE = re.compile(rf"(?<={WIDE})\n(?={WIDE}|{QUOTE})|(?<={QUOTE})\n(?={WIDE})")


@click.command("read", short_help="Read a lesson.")
@click.argument("technique", type=TechniqueName())
@lang_option
@json_option
def command(technique: str, lang: str | None, as_json: bool) -> None:
    """Read the lesson of TECHNIQUE in the terminal; piped, it comes as the Markdown that it is."""
    found = technique_named(technique)
    lesson = found.files.lesson(language(lang))
    try:
        text = lesson.read_text(encoding="utf-8")
    except OSError as error:
        raise PluginProblem(
            "The lesson of {id} cannot be read: {path}: {why}.", id=found.id, path=lesson, why=reason_of(error)
        ) from error
    if as_json:
        effort = {"level": found.level, "minutes": found.minutes, "requires": list(found.requires)}
        print_json({"technique": found.id, **effort, "path": str(lesson), "markdown": text})
        return
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    shown = rendered(with_head(text, found))
    if shown.count("\n") < shutil.get_terminal_size().lines:
        click.echo(shown, nl=False)
    else:
        page(shown)


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


def rendered(text: str) -> str:
    """Return Markdown rendered for a terminal."""
    from rich.console import Console
    from rich.markdown import Markdown, Paragraph

    class Flowing(Paragraph):
        """A paragraph that also wraps between Chinese characters: rich breaks lines only at spaces."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            for line in self.text.divide(line_starts(self.text.plain, options.max_width)):
                line.rstrip()
                yield line

    class Lesson(Markdown):
        elements = Markdown.elements | {"paragraph_open": Flowing}

    console = Console(width=line_width(), force_terminal=True)
    with console.capture() as capture:
        console.print(Lesson(joined(text), code_theme="ansi_dark"))
    return re.sub(r" +$", "", capture.get(), flags=re.MULTILINE)


def joined(text: str) -> str:
    """Return Markdown without line ends inside Chinese sentences: they would be rendered as spaces."""
    parts = UNJOINED.split(text)
    return "".join(part if part.startswith(("```", "#")) else BETWEEN_WIDE.sub("", part) for part in parts)
