"""``learn author``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from groundup.cli.context import TechniqueName, WholeNumber, json_option, print_json, registry, shown, technique_named
from groundup.cli.layout import padded, width, wrapped
from groundup.cli.main import spoken
from groundup.core.errors import EXIT_BROKEN

if TYPE_CHECKING:
    from groundup.core.technique import Technique
    from groundup.grader.author import Finding


@click.group("author", short_help="Check and generate the files of techniques.")
def command() -> None:
    """Tools for those who write techniques."""


@command.command("check", short_help="Prove techniques sound.")
@click.argument("techniques", type=TechniqueName(), nargs=-1)
@click.option(
    "--seeds", metavar="N", type=WholeNumber(1, 10_000), default=3, show_default=True, help="How many seeds to try."
)
@click.option(
    "--seed", metavar="N", type=WholeNumber(0, 2**62), default=0, show_default=True, help="The first of them."
)
@json_option
def check(techniques: tuple[str, ...], seeds: int, seed: int, as_json: bool) -> None:
    """Prove TECHNIQUES sound, or all of them: one line for each rule. Exit code 3 when one is broken.

    \b
    manifest        every hole has its hints; the lesson is there
    exercise        the exercise on disk is what the solution generates
    stub            the stub ends 'not started'
    solution        the solution passes with every seed
    misconceptions  every misconception is found out with every seed
    cheats          zeros, flipped signs, changed inputs ... are found out
    properties      every property finds something out
    """
    from groundup.grader.fork_server import ForkServer

    with ForkServer() as server:
        chosen = _chosen(techniques)
        from groundup.grader.author import Check
        from groundup.grader.judge import Judge

        findings = []
        places = max(map(width, (t.id for t in chosen)), default=0)
        for technique in chosen:
            for finding in Check(Judge(server), technique, seeds=seeds, first_seed=seed).findings():
                findings.append(finding)
                if not as_json:
                    _show(finding, places)
    sound = not any(f.problems for f in findings)
    if as_json:
        print_json({"sound": sound, "findings": [vars(f) for f in findings]})
    raise SystemExit(0 if sound else EXIT_BROKEN)


@command.command("stubs", short_help="Generate exercises from solutions.")
@click.argument("techniques", type=TechniqueName(), nargs=-1)
def stubs(techniques: tuple[str, ...]) -> None:
    """Generate the exercises of TECHNIQUES, or of all of them, from their solutions."""
    from groundup.grader.author import write_stub

    for technique in _chosen(techniques):
        changed = write_stub(technique)
        click.echo(f"{shown(technique.files.exercise)}: {'written' if changed else 'as it was'}")


def _chosen(names: tuple[str, ...]) -> list[Technique]:
    return [technique_named(n) for n in dict.fromkeys(names)] if names else list(registry().techniques.values())


def _show(finding: Finding, places: int) -> None:
    mark = click.style("✗", fg="red") if finding.problems else click.style("✓", fg="green")
    click.echo(f"{mark} {padded(finding.technique, places)}  {finding.rule:<14}  {finding.detail}".rstrip())
    for problem in finding.problems:
        click.echo(wrapped(spoken(problem), first="    "))
