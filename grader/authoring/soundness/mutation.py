"""Rule: small changes of the solution, made automatically, are found out or are declared equivalent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groundup.grader.authoring.mutants import Mutation, mutation
from groundup.grader.authoring.soundness.places import Found, place

if TYPE_CHECKING:
    from groundup.grader.authoring.examined import Examined

__all__ = ["check", "tried"]

SAMPLE = 16  # mutants; all of them with --thorough
SHOWN = 8  # of the mutants that are alive


def check(of: Examined) -> Found:
    """Find mutants that pass, and equivalents that are no mutants any more."""
    files = of.technique.files
    result = of.once("mutants", lambda: tried(of, None if of.thorough else SAMPLE))
    problems = []
    if result.alive:
        told = [f"line {m.line}, {m.what}: {_inline(m.diff(of.solution_text))}" for m in result.alive[:SHOWN]]
        more = f"; and {len(result.alive) - SHOWN} more" if len(result.alive) > SHOWN else ""
        problems.append(
            f"{files.solution}:{result.alive[0].line}: {len(result.alive)} of {result.total} changes pass every "
            f"property, with seed {of.seeds[0]}: {'; '.join(told)}{more}. Sharpen a property, or say why it is "
            "[[equivalent]]"
        )
    for new in result.stale:
        problems.append(f"{place(files.misconceptions, new)}: [[equivalent]] {new!r} is no mutant (any more): drop it")
    if not problems and not result.sound:
        problems.append(
            f"{files.misconceptions}: {result.equivalent} of {result.total} changes are set aside: too many"
        )
    return f"{result.total} of {result.every} mutants, {result.equivalent} equivalent", problems


def tried(of: Examined, sample: int | None) -> Mutation:
    """Try the mutants of the solution, or a sample of them, with the check's first seed."""
    return mutation(
        of.technique, lambda sources: of.team.do("mutants", passes, sources), sample=sample, seed=of.seeds[0]
    )


def passes(of: Examined, source: str) -> bool:
    """Whether every property holds for a source, in a process of its own."""
    return of.holds(source, of.seeds[0], apart=True)


def _inline(diff: str) -> str:
    return " ".join(f"{line[0]} {line[1:].strip()}" for line in diff.splitlines() if line)
