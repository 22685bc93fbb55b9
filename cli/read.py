"""``learn read``."""

from __future__ import annotations

import sys

import click

from groundup.cli.context import TechniqueName, lang_option, language, technique_named
from groundup.core.errors import PluginProblem

WIDEST = 100


@click.command("read", short_help="Read a lesson.")
@click.argument("technique", type=TechniqueName())
@lang_option
def command(technique: str, lang: str | None) -> None:
    """Read the lesson of TECHNIQUE in the terminal; piped, it comes as the Markdown that it is."""
    found = technique_named(technique)
    lesson = found.files.lesson(language(lang))
    if not lesson.is_file():
        raise PluginProblem(f"{found.id} has no lesson: expected it at {lesson}")
    text = lesson.read_text(encoding="utf-8")
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console.width = min(console.width, WIDEST)
    with console.capture() as capture:
        console.print(Markdown(text, code_theme="ansi_dark"))
    click.echo_via_pager(capture.get())
