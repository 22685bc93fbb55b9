"""``learn author matrix`` and ``learn author mutate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from groundup.cli.context import TechniqueName, WholeNumber, json_option, print_json, technique_named, techniques_named
from groundup.core.errors import EXIT_BROKEN

if TYPE_CHECKING:
    from groundup.core.technique import Technique
    from groundup.grader.authoring.mutants import Mutation

__all__ = ["matrix", "mutate"]


@click.command("mutate", short_help="Change the solution in small ways: does a property detect each change?")
@click.argument("techniques", type=TechniqueName(), nargs=-1)
@click.option("--sample", metavar="N", type=WholeNumber(1, 10_000), help="Try N of them, drawn with the seed.")
@click.option("--seed", metavar="N", type=WholeNumber(0, 2**62), default=0, show_default=True, help="Draw these cases.")
@json_option
def mutate(techniques: tuple[str, ...], sample: int | None, seed: int, as_json: bool) -> None:
    """Make small changes to the solutions of TECHNIQUES, or of all, one at a time, and grade each of them.

    A change that passes is shown as a diff. Either a property is missing, or the change makes no difference to what the
    exercise asks for: then record it as an [[equivalent]] in misconceptions.toml, with the reason. Exit code 3 if a
    change passes without such a record.
    """
    from groundup.grader.process.fork_server import ForkServer

    found = {}
    with ForkServer() as server:
        chosen = techniques_named(techniques)
        from groundup.grader.authoring.check import Check
        from groundup.grader.authoring.crew import Crew
        from groundup.grader.authoring.soundness.mutation import tried
        from groundup.grader.judging.cores import usable
        from groundup.grader.judging.judge import Judge

        with Crew(server, usable()) as crew:
            for technique in chosen:
                check = Check(Judge(server), technique, first_seed=seed, crew=crew)
                with check.at_work():
                    found[technique.id] = result = tried(check, sample)
                if not as_json:
                    _show(technique, result)
    if as_json:
        print_json(
            {
                name: {
                    "mutants": r.total, "dead": r.dead, "equivalent": r.equivalent, "stale": r.stale,
                    "alive": [{"line": m.line, "what": m.what} for m in r.alive],
                }
                for name, r in found.items()
            }
        )  # fmt: skip
    raise SystemExit(0 if all(r.sound for r in found.values()) else EXIT_BROKEN)


@click.command("matrix", short_help="Print which property detects which mistake.")
@click.argument("technique", type=TechniqueName())
@click.option("--mutants", is_flag=True, help="The mutants instead of the misconceptions.")
@click.option("--seed", metavar="N", type=WholeNumber(0, 2**62), default=0, show_default=True, help="Draw these cases.")
@json_option
def matrix(technique: str, mutants: bool, seed: int, as_json: bool) -> None:
    """Print in what percentage of its draws each property detects each misconception of TECHNIQUE.

    An exclamation mark means that a property about one thing only, such as dtypes, detects a mistake about another. Of
    mutants, only whether a property detects them is known: they run in processes of their own.
    """
    from groundup.grader.process.fork_server import ForkServer

    chosen = technique_named(technique)
    with ForkServer() as server:
        from groundup.grader.authoring.check import Check
        from groundup.grader.authoring.crew import Crew
        from groundup.grader.authoring.proof import beside_the_claim
        from groundup.grader.authoring.soundness.mistakes import shares, shares_of_mutants
        from groundup.grader.judging.cores import usable
        from groundup.grader.judging.judge import Judge
        from groundup.grader.judging.properties import Properties

        names = Properties(chosen).names
        with Crew(server, usable()) as crew:
            check = Check(Judge(server), chosen, first_seed=seed, crew=crew)
            with check.at_work():
                found = shares_of_mutants(check) if mutants else shares(check)
        beside = {} if mutants else beside_the_claim(chosen, {mistake: set(by) for mistake, by in found.items()})
    if as_json:
        print_json({"properties": names, "shares": found, "beside_the_claim": beside})
        return
    for number, name in enumerate(names, start=1):
        click.echo(f"{number:>3}  {name}")
    places = max(map(len, found), default=0)
    click.echo("\n" + " " * places + "".join(f"{n:>5}" for n in range(1, len(names) + 1)))
    for mistake, by in found.items():
        cells = ((f"{by[n]:.0%}" if n in by else ".") + ("!" if mistake in beside.get(n, ()) else "") for n in names)
        click.echo(f"{mistake:<{places}}" + "".join(f"{cell:>5}" for cell in cells))
    if beside:
        click.echo("\n! the property speaks of one thing alone, and this mistake is about another")


def _show(technique: Technique, result: Mutation) -> None:
    mark = click.style("✓", fg="green") if result.sound else click.style("✗", fg="red")
    aside = f", {result.equivalent} set aside" if result.equivalent else ""
    alive = f", {len(result.alive)} alive" if result.alive else ""
    rate = result.dead / max(result.total - result.equivalent, 1)
    click.echo(f"{mark} {technique.id}: {result.total} mutants, {result.dead} dead{aside}{alive} ({rate:.1%})")
    solution = technique.files.solution.read_text(encoding="utf-8")
    for mutant in result.alive:
        click.echo(f"\n  line {mutant.line}: {mutant.what}")
        for line in mutant.diff(solution).splitlines():
            click.echo("  " + click.style(line, fg="red" if line.startswith("-") else "green"))
    for new in result.stale:
        click.echo(f"  [[equivalent]] {new!r} is no mutant (any more): drop it.")
