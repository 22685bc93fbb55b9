"""The page about soundness: from the proofs of techniques, what finds which mistake at what share of draws."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from groundup.core.declared import say
from groundup.core.technique import Technique
from groundup.grader.authoring.proof import owed, state
from groundup.grader.judging.plan import EXAMPLES
from groundup.grader.judging.proof import shares_of
from groundup.grader.judging.properties import Properties

__all__ = ["page"]

HEAD = """# Soundness

This page is made by `make docs` from the proofs that `learn author check` writes (`proof.toml` beside each technique).
Each mistake is a misconception that `misconceptions.toml` names, applied to the reference solution. A *draw* is one
random case of a property; a grading makes {draws} draws of each property. The share tells in how many of them a
property finds the mistake: at a share of 20 %, one grading in 265 misses it, and other properties look too.

"""


def page(techniques: Iterable[Technique]) -> str:
    """Return the page in Markdown."""
    chosen = list(techniques)
    return HEAD.format(draws=EXAMPLES) + "\n".join("\n".join(_of(t)) + "\n" for t in chosen)


def _of(technique: Technique) -> Iterator[str]:
    now, shares = state(technique), shares_of(technique)
    yield f"## {say(technique.title)} (`{technique.id}`)"
    yield ""
    if not now.recorded:
        yield "It has no proof yet."
        return
    proved: Mapping[str, int] = now.recorded.get("proved", {})
    names = Properties(technique).names
    found = {m: sorted(by.items(), key=lambda pair: -pair[1]) for m, by in shares.items()}
    thorough = "checked thoroughly (200 seeds, all mutants)" if now.is_proved_thoroughly else "checked with a sample"
    yield (
        f"{len(names)} properties, {len(shares)} mistakes, {proved.get('mutants', 0)} mutants "
        f"({proved.get('equivalent', 0)} of those tried make no difference); {thorough}."
    )
    if debts := owed(technique):
        yield f"Owed: {'; '.join(f'{rule} ({why})' for rule, why in debts.items())}."
    yield ""
    yield "| mistake | found by | at most of its draws | properties that find it |"
    yield "|---|---|---|---|"
    for mistake, by in found.items():
        best, share = by[0] if by else ("only in a process of its own", 0.0)
        yield f"| {mistake} | {best} | {f'{share:.0%}' if by else ''} | {len(by)} |"
    yield ""
    yield "| property | mistakes that it finds | of these, no other property finds |"
    yield "|---|---|---|"
    for name in names:
        its = [m for m, by in shares.items() if name in by]
        alone = [m for m in its if len(shares[m]) == 1]
        yield f"| {name} | {len(its)} | {', '.join(alone)} |"
