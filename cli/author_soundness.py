"""``learn author soundness``."""

from __future__ import annotations

import click

from groundup.cli.context import TechniqueName, techniques_named

__all__ = ["soundness"]


@click.command("soundness", short_help="Print, from the proofs, what finds which mistake.")
@click.argument("techniques", type=TechniqueName(), nargs=-1)
def soundness(techniques: tuple[str, ...]) -> None:
    """Print a page about TECHNIQUES, or all: properties and mistakes, and what finds which at what share of draws.

    It is made from the recorded proofs; 'make docs' writes docs/soundness.md with it.
    """
    from groundup.grader.authoring.report import page

    click.echo(page(techniques_named(techniques)), nl=False)
