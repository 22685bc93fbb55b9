"""``learn author``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from groundup.cli.context import TechniqueName, json_option, print_json, registry, shown
from groundup.core.errors import EXIT_BROKEN

if TYPE_CHECKING:
    from groundup.core.technique import Technique


@click.group("author", short_help="Check and generate the files of techniques.")
def command() -> None:
    """Tools for those who write techniques."""


@command.command("check")
@click.argument("techniques", type=TechniqueName(), nargs=-1)
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Seeds for each rule.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The first of them.")
@json_option
def check(techniques: tuple[str, ...], seeds: int, seed: int, as_json: bool) -> None:
    """Prove TECHNIQUES sound, or all of them: one line for each rule.

    \b
    manifest        every hole has its hints; the lesson is there
    exercise        the checked-in exercise is what the solution generates
    stub            the stub ends 'not started'
    solution        the solution passes with every seed
    misconceptions  every misconception is found out with every seed
    cheats          zeros, flipped signs, other dtypes, changed inputs ... are found out
    properties      every property finds something out
    """
    from groundup.grader.fork_server import ForkServer

    with ForkServer() as server:
        chosen = _chosen(techniques)
        from groundup.grader.author import Check
        from groundup.grader.judge import Judge

        rows, sound = [], True
        for technique in chosen:
            for finding in Check(Judge(server), technique, seeds=seeds, first_seed=seed).findings():
                sound = sound and not finding.problems
                rows.append(vars(finding))
                if not as_json:
                    mark = click.style("✗", fg="red") if finding.problems else click.style("✓", fg="green")
                    click.echo(f"{mark} {finding.technique:<28} {finding.rule:<16} {finding.detail}".rstrip())
                    for problem in finding.problems:
                        click.echo(f"    {problem}")
    if as_json:
        print_json({"sound": sound, "findings": rows})
    raise SystemExit(0 if sound else EXIT_BROKEN)


@command.command("stubs")
@click.argument("techniques", type=TechniqueName(), nargs=-1)
def stubs(techniques: tuple[str, ...]) -> None:
    """Generate the exercises of TECHNIQUES, or of all, from their solutions."""
    from groundup.grader.author import write_stub

    for technique in _chosen(techniques):
        changed = write_stub(technique)
        click.echo(f"{shown(technique.files.exercise)}  {'written' if changed else 'as it was'}")


def _chosen(names: tuple[str, ...]) -> list[Technique]:
    known = registry()
    return [known.technique(n) for n in names] if names else list(known.techniques.values())
