"""``learn author``."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from groundup.cli.context import TechniqueName, WholeNumber, json_option, print_json, registry, shown, technique_named
from groundup.cli.layout import padded, show_next, width, wrapped
from groundup.cli.names import spoken
from groundup.cli.parameters import PathTo
from groundup.core.errors import EXIT_BROKEN, UsageProblem

if TYPE_CHECKING:
    from groundup.core.technique import Technique
    from groundup.grader.authoring.author import Finding
    from groundup.grader.authoring.mutants import Mutation

LEFT_TO_DO = (
    "{id} is in English. What comes with Groundup is in Chinese too: lesson.zh.md, and zh beside every en of the "
    "manifest, the claims, the misconceptions, the quiz and the lab. tests/quizzes/test_quizzes.py works each computed "
    "answer out in another way, and wants those of {name}; tests/solutions/ wants a test of the lesson's example."
)


@click.group("author", short_help="Check and generate the files of techniques.")
def command() -> None:
    """Tools for those who write techniques."""


@command.command("check", short_help="Check that techniques keep every rule.")
@click.argument("techniques", type=TechniqueName(), nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Check every technique that is installed.")
@click.option("--rule", "rules", metavar="RULE", multiple=True, help="Try this rule alone; may be given several times.")
@click.option(
    "--seeds", metavar="N", type=WholeNumber(1, 10_000), default=3, show_default=True, help="How many seeds to try."
)
@click.option(
    "--seed", metavar="N", type=WholeNumber(0, 2**62), default=0, show_default=True, help="The first of them."
)
@json_option
def check(
    techniques: tuple[str, ...], everything: bool, rules: tuple[str, ...], seeds: int, seed: int, as_json: bool
) -> None:
    """Check that TECHNIQUES, or all of them, keep every rule: one line for each. Exit code 3 if a rule is broken.

    \b
    manifest        every hole has hints, every source names a place; nothing is missing
    imports         no solution of others, and no torch at import of the manifest
    interface       the class fulfils its interface; every tensor has a shape
    exercise        the exercise on disk is what the solution generates
    stub            the stub ends 'not started'
    solution        the solution passes with every seed
    hints           the stub, filled with the code of the last hints, passes
    holes           each hole is judged when it and those before it are filled
    budget          it is graded in less than 3 seconds
    misconceptions  every misconception is detected with every seed
    cheats          zeros, flipped signs, changed inputs ... are detected
    properties      every property detects some mistake
    lesson          it has its parts, its code runs, its links lead somewhere
    quiz            it can be read; computed answers are right for 200 draws
    languages       texts that exist in two languages say the same
    lab             its quick mode runs in less than 20 seconds
    """
    from groundup.grader.process.fork_server import ForkServer

    if everything and techniques:
        raise UsageProblem("Name techniques, or give --all: not both {name!r} and --all.", name=techniques[0])
    with ForkServer() as server:
        chosen = _chosen(techniques)
        from groundup.grader.authoring.author import Check
        from groundup.grader.judging.judge import Judge

        findings = []
        places = max(map(width, (t.id for t in chosen)), default=0)
        for technique in chosen:
            tried = Check(Judge(server), technique, seeds=seeds, first_seed=seed, rules=rules, registry=registry())
            for finding in tried.findings():
                findings.append(finding)
                if not as_json:
                    _show(finding, places)
    sound = not any(f.problems for f in findings) and bool(techniques or not registry().problems)
    if as_json:
        print_json({"sound": sound, "findings": [vars(f) for f in findings]})
    raise SystemExit(0 if sound else EXIT_BROKEN)


@command.command("new", short_help="Begin a technique of your own.")
@click.argument("name", metavar="TECHNIQUE")
@click.option(
    "--interface",
    metavar="INTERFACE",
    default="function",
    show_default=True,
    help="The interface of the class; an unknown one lists all.",
)
@click.option(
    "--into", metavar="DIRECTORY", type=PathTo(file_okay=False), help="Folder to make. Default: groundup-TECHNIQUE."
)
@click.option("--builtin", metavar="TRACK", help="Put it into this clone of Groundup, on that track.")
def new(name: str, interface: str, into: Path | None, builtin: str | None) -> None:
    """Create TECHNIQUE as a distribution of its own: complete, and keeping every rule from the start.

    \b
    learn author new my-technique                         a function
    learn author new my-technique --interface Optimizer   a class
    learn author new my-technique --builtin training      in this clone

    It begins as a small example, for you to change file by file. Nothing is overwritten.
    """
    from groundup.grader.authoring.scaffold.write import new_technique, write_builtin, write_distribution

    if builtin and into:
        raise UsageProblem("--into is for a distribution of its own, --builtin for this clone: give one of them.")
    begun = new_technique(name, interface, registry(), builtin)
    if builtin:
        for path in write_builtin(begun):
            click.echo(shown(path))
        click.echo("\n" + wrapped(LEFT_TO_DO.format(id=begun.id, name=begun.name)))
        show_next((f"author check {name}", "prove it sound; until it is translated, all but 'languages'"))
        return
    folder = into or Path(f"groundup-{name}")
    files = write_distribution(begun, folder)
    click.echo(f"Wrote {shown(folder)}/: {len(files)} files, the technique {begun.id}.\n")
    click.echo("Install it, so that changes are seen at once:")
    click.echo(f"  {shown(Path(sys.executable))} -m pip install --editable {shown(folder)}")
    show_next((f"author check {name}", "prove it sound"), (f"start {name}", "see it as a learner does"))


@command.command("mutate", short_help="Change the solution in small ways: does a property detect each change?")
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

    with ForkServer() as server:
        chosen = _chosen(techniques)
        from groundup.grader.authoring.author import Check
        from groundup.grader.authoring.mutants import mutation
        from groundup.grader.judging.judge import Judge

        found = {}
        for technique in chosen:
            passes = functools.partial(Check(Judge(server), technique).holds, seed=seed, apart=True)
            found[technique.id] = result = mutation(technique, passes, sample=sample, seed=seed)
            if not as_json:
                _show_mutation(technique, result)
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


@command.command("matrix", short_help="Print which property detects which mistake.")
@click.argument("technique", type=TechniqueName())
@click.option("--mutants", is_flag=True, help="The mutants too.")
@click.option("--seed", metavar="N", type=WholeNumber(0, 2**62), default=0, show_default=True, help="Draw these cases.")
@click.option("--write", is_flag=True, help="Record it in proof.toml, from which verdicts choose the property to show.")
@json_option
def matrix(technique: str, mutants: bool, seed: int, write: bool, as_json: bool) -> None:
    """Print a table of the properties and misconceptions of TECHNIQUE: which property alone detects which mistake.

    An exclamation mark means that a property about one thing only, such as dtypes, detects a mistake about another.
    """
    if write and mutants:
        raise UsageProblem("--write records misconceptions, not mutants: leave out one of the two.")
    from groundup.grader.process.fork_server import ForkServer

    chosen = technique_named(technique)
    with ForkServer() as server:
        from groundup.grader.authoring.author import Check
        from groundup.grader.judging.judge import Judge
        from groundup.grader.judging.properties import Properties

        judge = Judge(server)
        names = Properties(chosen).names
        killers = Check(judge, chosen, first_seed=seed).matrix(mutants=mutants)
    from groundup.grader.authoring.proof import beside_the_claim, write_matrix

    beside = beside_the_claim(chosen, killers)
    if write:
        path = write_matrix(chosen, names, killers)
        click.echo(f"{shown(path)}: written", err=True)
    if as_json:
        found = {mistake: sorted(by) for mistake, by in killers.items()}
        print_json({"properties": names, "killers": found, "beside_the_claim": beside})
        return
    for number, name in enumerate(names, start=1):
        click.echo(f"{number:>3}  {name}")
    places = max(map(len, killers), default=0)
    click.echo("\n" + " " * places + "".join(f"{n:>4}" for n in range(1, len(names) + 1)))
    for mistake, by in killers.items():
        cells = ("!" if mistake in beside.get(name, ()) else "x" if name in by else "." for name in names)
        click.echo(f"{mistake:<{places}}" + "".join(f"{cell:>4}" for cell in cells))
    if beside:
        click.echo("\n! the property speaks of one thing alone, and this mistake is about another")


@command.command("stubs", short_help="Generate exercises from solutions.")
@click.argument("techniques", type=TechniqueName(), nargs=-1)
def stubs(techniques: tuple[str, ...]) -> None:
    """Generate the exercises of TECHNIQUES, or of all of them, from their solutions."""
    from groundup.grader.authoring.author import write_stub

    for technique in _chosen(techniques):
        changed = write_stub(technique)
        click.echo(f"{shown(technique.files.exercise)}: {'written' if changed else 'as it was'}")


def _chosen(names: tuple[str, ...]) -> list[Technique]:
    return [technique_named(n) for n in dict.fromkeys(names)] if names else list(registry().techniques.values())


def _show_mutation(technique: Technique, result: Mutation) -> None:
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


def _show(finding: Finding, places: int) -> None:
    mark = click.style("✗", fg="red") if finding.problems else click.style("✓", fg="green")
    click.echo(f"{mark} {padded(finding.technique, places)}  {finding.rule:<14}  {finding.detail}".rstrip())
    for problem in finding.problems:
        click.echo(wrapped(spoken(problem), first="    "))
