"""``learn author``: its subcommands are in ``author_check.py`` and its neighbours."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from groundup.cli.author_check import check
from groundup.cli.author_matrix import matrix, mutate
from groundup.cli.author_review import review
from groundup.cli.author_soundness import soundness
from groundup.cli.context import TechniqueName, registry, shown, techniques_named
from groundup.cli.layout import show_next, wrapped
from groundup.cli.parameters import PathTo
from groundup.core.errors import UsageProblem

LEFT_TO_DO = (
    "A technique that comes with Groundup needs more than this. In Chinese: technique.zh.toml is translated; in "
    "lesson.zh.md each passage that is marked {mark!r} is still English; the claims, the misconceptions and the quiz "
    "need a zh beside every en. The quiz needs ten questions or more, and quiz_answers.py a function for each that is "
    "computed. {name} also needs, in the same folder, an examples.toml with numbers that were worked out without the "
    "solution, and a reviewed.toml by somebody who did not write the texts."
)


@click.group("author", short_help="Check and generate the files of techniques.")
def command() -> None:
    """Tools for those who write techniques."""


for _subcommand in (check, matrix, mutate, review, soundness):
    command.add_command(_subcommand)


@command.command("new", short_help="Begin a technique of your own.")
@click.argument("name", metavar="TECHNIQUE")
@click.option(
    "--interface",
    metavar="INTERFACE",
    default="function",
    show_default=True,
    help="The interface of the class; an unknown one lists all.",
)
@click.option("--batch", metavar="BATCH", help="What the learning rule takes; an unknown one lists all.")
@click.option(
    "--into", metavar="DIRECTORY", type=PathTo(file_okay=False), help="Folder to make. Default: groundup-TECHNIQUE."
)
@click.option("--builtin", metavar="TRACK", help="Put it into this clone of Groundup, on that track.")
def new(name: str, interface: str, batch: str | None, into: Path | None, builtin: str | None) -> None:
    """Create TECHNIQUE as a distribution of its own: complete, and keeping every rule from the start.

    \b
    learn author new my-technique                         a function
    learn author new my-technique --interface Optimizer   a class
    learn author new my-technique --builtin training      in this clone

    A learning rule, an RLAlgorithm, takes one kind of batch:

    \b
    learn author new my-technique --interface RLAlgorithm --batch PreferenceBatch

    It begins as a small example, for you to change file by file. Nothing is overwritten.
    """
    from groundup.grader.authoring.scaffold.chinese import TO_TRANSLATE
    from groundup.grader.authoring.scaffold.write import new_technique, write_builtin, write_distribution

    if builtin and into:
        raise UsageProblem("--into is for a distribution of its own, --builtin for this clone: give one of them.")
    begun = new_technique(name, interface, registry(), builtin, batch=batch)
    if builtin:
        for path in write_builtin(begun):
            click.echo(shown(path))
        click.echo("\n" + wrapped(LEFT_TO_DO.format(mark=TO_TRANSLATE, name=begun.name)))
        show_next((f"author check {name}", "what is left to do, rule by rule"))
        return
    folder = into or Path(f"groundup-{name}")
    files = write_distribution(begun, folder)
    click.echo(f"Wrote {shown(folder)}/: {len(files)} files, the technique {begun.id}.\n")
    click.echo("Install it, so that changes are seen at once:")
    click.echo(f"  {shown(Path(sys.executable))} -m pip install --editable {shown(folder)}")
    show_next((f"author check {name}", "prove it sound"), (f"start {name}", "see it as a learner does"))


@command.command("stubs", short_help="Generate exercises from solutions.")
@click.argument("techniques", type=TechniqueName(), nargs=-1)
def stubs(techniques: tuple[str, ...]) -> None:
    """Generate the exercises of TECHNIQUES, or of all of them, from their solutions."""
    from groundup.grader.authoring.stubs import write_stub

    for technique in techniques_named(techniques):
        changed = write_stub(technique)
        click.echo(f"{shown(technique.files.exercise)}: {'written' if changed else 'as it was'}")
