"""``learn dispute``."""

from __future__ import annotations

from pathlib import Path

import click

from groundup.cli.context import (
    TechniqueName,
    WholeNumber,
    demand_containment,
    find_workspace,
    json_option,
    lang_option,
    language,
    print_json,
    shown,
    technique_named,
)
from groundup.cli.failing import failing
from groundup.cli.parameters import PathTo
from groundup.cli.words import tr
from groundup.core.errors import EXIT_FELL_SHORT, EXIT_HELD, UsageProblem


@click.command("dispute", short_help="Bundle a case that you think was judged wrong, for others to check.")
@click.argument("technique", type=TechniqueName(), required=False)
@click.argument("property", required=False)
@click.option("--out", metavar="FILE", type=PathTo(dir_okay=False), help="Where to write it.")
@click.option(
    "--check",
    "other",
    metavar="FILE",
    type=PathTo(exists=True, dir_okay=False),
    help="Judge the case of a dispute on this machine.",
)
@click.option(
    "--attempt",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Run FILE instead; needs --seed, no workspace.",
)
@click.option("--seed", metavar="N", type=WholeNumber(0, 2**63 - 1), help="The seed of the grading to go back to.")
@json_option
@lang_option
def command(
    technique: str | None,
    property: str | None,
    out: Path | None,
    other: Path | None,
    file: Path | None,
    seed: int | None,
    as_json: bool,
    lang: str | None,
) -> None:
    """Write to one file the case on which your attempt at TECHNIQUE failed, with all that is needed to judge it again.

    It holds your code, the inputs, the answers of your code and of the reference, and the versions of everything.
    Whoever has Groundup can check it, without trusting you or this machine.

    \b
    learn dispute ppo                           the first property that failed
    learn dispute --check ppo-dispute-1.json    what this machine says of it
    """
    if other is not None and (technique or out or file):
        raise UsageProblem("--check goes alone: the file says what it is about.")
    if other is not None:
        _check(other, language(lang), as_json)
    if technique is None:
        raise UsageProblem("Name a technique, as in 'learn dispute ppo', or give --check FILE.")
    found = technique_named(technique)
    again = failing(found, property, file, seed, language(lang))
    if again.replayed.result.status == "held":
        raise UsageProblem(
            "That case holds now. 'learn grade {name}' says whether there is another one.", name=found.name
        )
    from groundup.grader.learner.dispute import dispute

    told = dispute(found, again.source, again.seed, again.thorough, again.replayed)
    path = _write(told.model_dump_json(indent=2) + "\n", out, found.name)
    if as_json:
        print_json({"file": str(path)})
        return
    click.echo(tr("Wrote {path}. Others check it with 'learn dispute --check {path}'.", path=shown(path)))


def _write(text: str, out: Path | None, name: str) -> Path:
    """Write to ``out``, or to a new file name; nothing is overwritten."""
    paths = [out] if out else [Path(f"{name}-dispute-{number}.json") for number in range(1, 1000)]
    for path in paths:
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
            return path
        except FileExistsError:
            continue
    raise UsageProblem("{path} is there already: name another file with --out.", path=shown(paths[-1]))


def _check(path: Path, lang: str, as_json: bool) -> None:
    from groundup.grader.process.fork_server import ForkServer

    demand_containment(find_workspace())
    with ForkServer() as server:
        from groundup.cli.show import show_property
        from groundup.grader.judging.judge import Judge
        from groundup.grader.learner.dispute import check, read

        told = read(path)
        finding = check(Judge(server, lang), technique_named(told.technique), told)
    if as_json:
        print_json(finding.model_dump(mode="json"))
    else:
        click.echo(click.style(told.technique, bold=True))
        show_property(finding.result)
        yes, no = tr("Reproduced: this machine judges the case in the same way."), tr("Not reproduced on this machine.")
        click.echo("\n  " + (yes if finding.reproduced else no))
        for name, (theirs, ours) in finding.differences.items():
            click.echo("  " + tr("{name}: {theirs} there, {ours} here", name=name, theirs=theirs, ours=ours))
    raise SystemExit(EXIT_HELD if finding.reproduced else EXIT_FELL_SHORT)
