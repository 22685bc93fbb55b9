"""``learn author check``."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from groundup.cli.context import TechniqueName, WholeNumber, json_option, print_json, registry, shown, techniques_named
from groundup.cli.layout import padded, width, wrapped
from groundup.cli.names import spoken
from groundup.core.errors import EXIT_BROKEN, UsageProblem

if TYPE_CHECKING:
    from groundup.grader.authoring.check import Check, Finding

__all__ = ["check"]


@click.command("check", short_help="Check that techniques keep every rule.")
@click.argument("techniques", type=TechniqueName(), nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Check every technique that is installed.")
@click.option("--rule", "rules", metavar="RULE", multiple=True, help="Try this rule alone; may be given several times.")
@click.option("--changed", is_flag=True, help="Try only what can be different since the proof was written.")
@click.option("--proof", is_flag=True, help="Only see whether the recorded proof still holds: about a second.")
@click.option("--thorough", is_flag=True, help="200 seeds, and all mutants.")
@click.option("--anew", is_flag=True, help="With --thorough or the lab in full: also where nothing changed since.")
@click.option(
    "--seeds", metavar="N", type=WholeNumber(1, 10_000), default=3, show_default=True, help="How many seeds to try."
)
@click.option(
    "--seed", metavar="N", type=WholeNumber(0, 2**62), default=0, show_default=True, help="The first of them."
)
@click.option("--cores", metavar="N", type=WholeNumber(1, 256), help="How many cores to use. Default: all.")
@json_option
def check(
    techniques: tuple[str, ...],
    everything: bool,
    rules: tuple[str, ...],
    changed: bool,
    proof: bool,
    thorough: bool,
    anew: bool,
    seeds: int,
    seed: int,
    cores: int | None,
    as_json: bool,
) -> None:
    """Check that TECHNIQUES, or all of them, keep every rule: one line for each. Exit code 3 if a rule is broken.

    \b
    manifest        every hole has hints, every source names a place; nothing is missing
    imports         no solution of others, and no torch at import of the manifest
    interface       the class fulfils its interface; every tensor has a shape
    exercise        the exercise on disk is what the solution generates
    leak            no statement of a hole stands anywhere else in the exercise
    stub            the stub ends 'not started'
    solution        the solution passes with every seed; no clock decides
    hints           the stub, filled with the code of the last hints, passes
    holes           each hole is judged when it and those before it are filled
    budget          it is graded in less than 3 seconds
    misconceptions  every misconception is detected with every seed
    mutants         small changes of the solution are detected
    conventions     conventions are refused or pass as they say; right ones pass
    cheats          zeros, flipped signs, changed inputs ... are detected
    properties      every property detects some mistake, and no tolerance is wide
    examples        the solution gives the numbers that were found independently
    lesson          it has its parts, its code runs, and both of its views are right
    quiz            it can be read, its answers are right, its form tells nothing
    sources         addresses and papers can exist, library files have a version
    languages       texts that exist in two languages say the same
    lab             its quick mode is short, and measures the learner's code
    lab-full        the reference reaches the mark, the foil misses it, at 5 seeds
    reviewed        a second reader has read what no machine can see

    A check of all rules that finds nothing writes proof.toml. The last but one takes minutes: it is tried where the lab
    or the solution changed. docs/authors/rules.md has an example of what each rule catches.
    """
    from groundup.grader.process.fork_server import ForkServer

    if everything and techniques:
        raise UsageProblem("Name techniques, or give --all: not both {name!r} and --all.", name=techniques[0])
    if proof and (rules or changed or thorough):
        raise UsageProblem("--proof tries no rule: leave out --rule, --changed and --thorough.")
    with ForkServer() as server:
        chosen = techniques_named(techniques)
        from groundup.grader.authoring.check import Check
        from groundup.grader.authoring.crew import Crew
        from groundup.grader.judging.cores import usable
        from groundup.grader.judging.judge import Judge

        findings: list[Finding] = []
        places = max(map(width, (t.id for t in chosen)), default=0)
        with Crew(server, 1 if proof else cores or usable()) as crew:
            for technique in chosen:
                tried = Check(
                    Judge(server), technique, seeds=seeds, first_seed=seed, rules=rules, registry=registry(),
                    thorough=thorough, changed=changed, anew=anew, crew=crew,
                )  # fmt: skip
                if thorough and not (anew or rules) and tried.state.is_proved_thoroughly:
                    if not as_json:
                        click.echo(
                            f"- {padded(technique.id, places)}  proved thoroughly as it is; --anew proves it again"
                        )
                    continue
                if not (tried.rules or proof):
                    if not as_json:
                        click.echo(f"- {padded(technique.id, places)}  nothing has changed since it was proved")
                    continue
                findings += _run(tried, places, proof=proof, as_json=as_json)
    sound = not any(f.problems for f in findings) and bool(techniques or not registry().problems)
    if as_json:
        print_json({"sound": sound, "findings": [vars(f) for f in findings]})
    raise SystemExit(0 if sound else EXIT_BROKEN)


def _run(check: Check, places: int, *, proof: bool, as_json: bool) -> list[Finding]:
    """Run one check and show its findings; write the proof if it is whole and finds nothing."""
    began = time.monotonic()
    live = _Live(not as_json and sys.stderr.isatty())
    findings = []
    for finding in [check.proof()] if proof else check.findings(live.progress):
        findings.append(finding)
        if not as_json:
            live.clear()
            _show(finding, places)
    live.clear()
    if proof:
        return findings
    cpu = sum(f.seconds for f in findings)
    if not as_json:
        click.echo(f"  {check.technique.id}: {time.monotonic() - began:.0f} s, {cpu:.0f} s of CPU time")
    if check.may_be_recorded and not any(f.problems for f in findings):
        path = check.record()
        if not as_json:
            click.echo(f"  {shown(path)}: written")
    elif check.may_be_recorded and not as_json:
        click.echo("  proof.toml is left as it was")
    elif check.changed and not as_json:
        click.echo(f"  proof.toml is left as it was: 'learn author check {check.technique.name}' writes it")
    return findings


class _Live:
    """A line on a terminal that says how far the check is."""

    def __init__(self, on: bool) -> None:
        self._on, self._shown = on, False

    def progress(self, done: int, known: int) -> None:
        """Show how many parts are done."""
        if self._on:
            click.echo(f"\r  {done} of {known} parts ", nl=False, err=True)
            self._shown = True

    def clear(self) -> None:
        """Remove the line."""
        if self._shown:
            click.echo("\r" + " " * 32 + "\r", nl=False, err=True)
            self._shown = False


def _show(finding: Finding, places: int) -> None:
    if finding.problems:
        mark = click.style("✗", fg="red")
    else:
        mark = click.style("–", fg="yellow") if finding.owed else click.style("✓", fg="green")
    seconds = f"{finding.seconds:.1f} s" if finding.seconds >= 0.05 else ""
    line = f"{mark} {padded(finding.technique, places)}  {finding.rule:<14}  {seconds:>8}  {finding.detail}"
    click.echo(line.rstrip())
    for problem in finding.problems:
        click.echo(wrapped(spoken(problem), first="    "))
