"""Rule: once a hole and all earlier holes are filled, its properties detect its mistakes and hold for the solution."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from groundup.core.testing.marks import marks_of
from groundup.core.testing.modules import module_from_source
from groundup.core.testing.ranks import as_impl
from groundup.grader.authoring.soundness.places import Found, built_in, place
from groundup.grader.judging.edits import Edit, load_edits
from groundup.grader.judging.exercise import HoleText, holes, with_hole
from groundup.grader.judging.local import LocalAttempt
from groundup.grader.judging.partial import as_far_as_it_goes
from groundup.grader.judging.plan import Plan
from groundup.grader.judging.proof import shows_from
from groundup.grader.judging.properties import Properties
from groundup.grader.judging.property_run import PropertyRun
from groundup.grader.judging.subject import Subject
from groundup.grader.judging.verdict import PropertyResult

if TYPE_CHECKING:
    from groundup.grader.authoring.examined import Examined

__all__ = ["check"]


def check(of: Examined) -> Found:
    """Find holes without properties, properties that need later holes, and mistakes that show too late."""
    technique, marked = of.technique, holes(of.solution_text, str(of.technique.files.solution))
    if len(marked) == 1:
        return "one hole", []
    if not any(hole.placeholder for hole in marked) and not built_in(technique):
        return "no placeholders: nothing is judged before all holes are filled", []
    found = _Holes(of)
    problems = list(found.that_decide_nothing())
    seeds = of.seeds if of.thorough else of.seeds[:1]
    for told in of.team.do("holes", _falls_short, list(itertools.product(range(1, len(marked)), seeds))):
        problems += [problem for problem in told if problem not in problems]
    problems += [told for told in of.team.do("holes", _misses, [h.number for h in marked]) if told]
    mistakes = [edit.id for edit in load_edits(technique) if edit.kind == "misconception"]
    late = [found for found in of.team.do("holes", _shows_late, mistakes) if found is not None]
    problems += [told for told in late if told]
    return f"{len(marked)} holes; {sum(found == '' for found in late)} mistakes show as declared", problems


def _falls_short(of: Examined, item: tuple[int, int]) -> list[str]:
    return _Holes(of).that_fall_short(*item)


def _misses(of: Examined, number: int) -> str:
    return _Holes(of).that_misses(number)


def _shows_late(of: Examined, mistake: str) -> str | None:
    return _Holes(of).shows_late(next(e for e in load_edits(of.technique) if e.id == mistake))


class _Holes:
    def __init__(self, of: Examined) -> None:
        self.of, self.technique, self.solution, self.judge = of, of.technique, of.solution_text, of.judge
        self.files = of.technique.files
        self.holes = holes(self.solution, str(self.files.solution))
        self.marks = {name: marks_of(test).hole for name, test in Properties(of.technique).functions.items()}

    def that_decide_nothing(self) -> list[str]:
        """Holes before the last that no property is marked for."""
        return [
            f"{self._at(hole)}: no property is marked @hole({hole.number}): which one needs this hole and no later one?"
            for hole in self.holes[:-1]
            if hole.number not in self.marks.values()
        ]

    def that_fall_short(self, number: int, seed: int) -> list[str]:
        """Properties that fail for the solution when the holes that their marks require are filled."""
        problems = []
        for result in self._results(self._filled_to(number), seed):
            mark = self.marks.get(f"test_{result.id}")
            if mark is not None and mark <= number and result.status != "held":
                problems.append(
                    f"{place(self.files.properties, f'test_{result.id}(')}: with holes 1 to {number} of the "
                    f"solution, {result.id} ends as {result.status!r}: it needs a later hole, or draw other cases"
                )
        return problems

    def that_misses(self, number: int) -> str:
        """A hole whose placeholder none of its properties detects while all other holes are filled; else empty."""
        hole = self.holes[number - 1]
        if hole.placeholder is None:
            return ""
        source = with_hole(self.solution, number, hole.placeholder, str(self.files.solution))
        own = [name for name in self.marks if (self.marks[name] or hole.total) == number]
        implementation, seed = self.of.implementation(source), self.of.seeds[0]
        if any(self.of.finds(implementation, name.removeprefix("test_"), seed) for name in own):
            return ""
        return f"{self._at(hole)}: its placeholder passes every property of its own: mark or add one"

    def shows_late(self, edit: Edit) -> str | None:
        """A misconception that no property detects while later holes are empty: what is wrong; empty if as declared.

        None if it changes the last hole, or code outside of holes.
        """
        edited = self.of.edited(edit.id)
        changed, declared = self._changed(edited), shows_from(self.technique).get(edit.id)
        if changed in (None, len(self.holes)):
            return None
        shows = next((k for k in range(changed, len(self.holes)) if self._finds(edited, k)), len(self.holes))
        return "" if shows == (declared or changed) else self._shows_elsewhere(edit, changed, shows, declared)

    def _shows_elsewhere(self, edit: Edit, changed: int, shows: int, declared: int | None) -> str:
        at = place(self.files.misconceptions, f'"{edit.id}"')
        if shows == changed:
            return f"{at}: {edit.id} shows at its own hole: drop it from [shows_from] of proof.toml"
        said = "" if declared is None else f" and not {declared}"
        return (
            f"{at}: {edit.id}, a mistake of hole {changed}, shows only with hole {shows}{said}: add a property, or say "
            f"{edit.id} = {shows} in [shows_from] of proof.toml"
        )

    def _changed(self, edited: str) -> int | None:
        """Return the first hole that an edit changes, None if it changes code outside of holes."""
        before, after = self.solution.splitlines(), edited.splitlines()
        pairs = zip(self.holes, holes(edited, str(self.files.solution)), strict=True)
        return next((a.number for a, b in pairs if before[a.first : a.last] != after[b.first : b.last]), None)

    def _finds(self, edited: str, filled: int) -> bool:
        source = emptied_after(edited, filled, self.holes)
        return any(r.status == "failed" for r in self._results(source, self.of.seeds[0], stop=True))

    def _filled_to(self, number: int) -> str:
        return emptied_after(self.solution, number, self.holes)

    def _results(self, source: str, seed: int, *, stop: bool = False) -> list[PropertyResult]:
        """Return the results of trusted ``source`` with empty holes, in this process; ``stop`` at the first failure."""
        attempt = as_far_as_it_goes(self.technique, source)
        module = module_from_source("partly", attempt.source, f"<{self.technique.file} with empty holes>")
        local = LocalAttempt(as_impl(self.technique, getattr(module, self.technique.implements)))
        plan = Plan(
            seed,
            independent=True,
            first=self.of.sharpest if stop else (),
            stop_at_first_failure=stop,
            reach=attempt.reach,
            waits_for=attempt.waits_for,
        )
        return PropertyRun(Properties(self.technique), Subject(local.impl, local), attempt.reference, plan).run()

    def _at(self, hole: HoleText) -> str:
        return place(self.files.solution, f"# HOLE {hole.number}/")


def emptied_after(solution: str, number: int, marked: Sequence[HoleText]) -> str:
    """Return ``solution`` with the holes after hole ``number`` as in the stub."""
    for hole in marked[number:]:
        solution = with_hole(solution, hole.number, hole.raises)
    return solution
