"""``learn author review``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from groundup.cli.context import TechniqueName, WholeNumber, registry, shown, technique_named
from groundup.cli.layout import passage, wrapped

if TYPE_CHECKING:
    from groundup.grader.authoring.review import Item

__all__ = ["review"]

KINDS = ("question", "numbers", "translation", "source")
ASKED = {
    "numbers": "Is each number right, from its source or worked out?",
    "translation": "Does the Chinese say what the English says?",
    "source": "Is the page there, and does it say what it is cited for?",
}


@click.command("review", short_help="Read, as a second reader, what no machine can check.")
@click.argument("technique", type=TechniqueName())
@click.option("--kind", metavar="KIND", type=click.Choice(KINDS), help="Only question, numbers, translation or source.")
@click.option("--most", metavar="N", type=WholeNumber(1, 10_000), help="Stop after N items.")
@click.option("--count", is_flag=True, help="Only say how many items are unread.")
def review(technique: str, kind: str | None, most: int | None, count: bool) -> None:
    """Show each unread item of TECHNIQUE with its answer hidden, ask for it, and compare.

    The items are the keys of questions, the numbers in the lesson's prose, the meanings of translations, and the
    sources. What was read is noted in reviewed.toml, without names; editing an item unreads it. Read what someone else
    wrote. Ctrl-C stops; what was read until then is kept.
    """
    from groundup.grader.authoring.review import mark_read, unread

    chosen = technique_named(technique)
    left = [item for item in unread(chosen, registry()) if kind in (None, item.kind)]
    if count or not left:
        told = ", ".join(f"{sum(i.kind == k for i in left)} {k}" for k in KINDS if any(i.kind == k for i in left))
        click.echo(f"{chosen.id}: {told or 'all is read'}")
        return
    read, doubtful = 0, []
    for number, item in enumerate(left[:most], start=1):
        click.echo(f"\n[{number} of {len(left[:most])}] {item.key}\n")
        if _reads(item):
            read += 1
            path = mark_read(chosen, registry(), [item])
        else:
            doubtful.append(item.key)
    click.echo()
    if read:
        click.echo(f"{read} read: {shown(path)}")
    for key in doubtful:
        click.echo(f"left unread, to be mended: {key}")


def _reads(item: Item) -> bool:
    """Show an item and ask about it; return whether the reader found it right."""
    from groundup.core.quiz.question import NotAnAnswer
    from groundup.grader.authoring.review import is_right

    click.echo(passage(item.shown, first="  ") if item.kind == "question" else wrapped(item.shown, first="  "))
    if item.kind == "source":
        return click.confirm(f"\n{ASKED[item.kind]}")
    if item.kind != "question":
        told = click.prompt(
            "\nThe hidden numbers, in order" if item.kind == "numbers" else "\nWhat it says, in a few words"
        )
        click.echo(f"  {told}\n")
        click.echo(wrapped(item.answer, first="  "))
        return click.confirm(f"\n{ASKED[item.kind]}")
    while True:
        try:
            right = is_right(item, click.prompt("\nYour answer"))
            break
        except NotAnAnswer as problem:
            click.echo(str(problem))
    answer = item.answer.rpartition("\n")[0]  # the last line is a digest of the whole question
    if right is None:
        click.echo(f"  The file says:\n{passage(answer, first='  ')}")
        return click.confirm("\nIs that right, and does each point belong into a good answer?")
    click.echo(
        ("  The file says the same.\n" if right else "  The file says otherwise:\n") + passage(answer, first="  ")
    )
    return right or click.confirm("\nIs the file right, and were you wrong?")
