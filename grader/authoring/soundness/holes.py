"""Rule: once a hole and all earlier holes are filled, its properties detect its mistakes and hold for the solution."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from groundup.core.technique import Technique
from groundup.core.testing.marks import marks_of
from groundup.core.testing.modules import module_from_source
from groundup.core.testing.ranks import as_impl
from groundup.grader.authoring.soundness.places import Found, built_in, place
from groundup.grader.judging.edits import Edit, load_edits
from groundup.grader.judging.exercise import HoleText, holes, with_hole
from groundup.grader.judging.judge import Judge
from groundup.grader.judging.local import LocalAttempt
from groundup.grader.judging.partial import as_far_as_it_goes
from groundup.grader.judging.plan import Plan
from groundup.grader.judging.proof import shows_from
from groundup.grader.judging.properties import Properties
from groundup.grader.judging.property_run import PropertyRun
from groundup.grader.judging.subject import Subject
from groundup.grader.judging.verdict import PropertyResult

__all__ = ["check"]


def check(technique: Technique, solution: str, judge: Judge, seeds: Sequence[int]) -> Found:
    """Find holes without properties, properties that need later holes, and mistakes that show too late."""
    found = _Holes(technique, solution, judge, seeds)
    if len(found.holes) == 1:
        return "one hole", []
    if not any(hole.placeholder for hole in found.holes) and not built_in(technique):
        return "no placeholders: nothing is judged before all holes are filled", []
    problems = [*found.that_decide_nothing(), *found.that_fall_short(), *found.that_miss_their_hole()]
    late, count = found.that_show_late()
    return f"{len(found.holes)} holes; {count} mistakes show at their own", [*problems, *late]


class _Holes:
    def __init__(self, technique: Technique, solution: str, judge: Judge, seeds: Sequence[int]) -> None:
        self.technique, self.solution, self.judge, self.seeds = technique, solution, judge, seeds
        self.files = technique.files
        self.holes = holes(solution, str(self.files.solution))
        self.marks = {name: marks_of(test).hole for name, test in Properties(technique).functions.items()}

    def that_decide_nothing(self) -> list[str]:
        """Holes before the last that no property is marked for."""
        return [
            f"{self._at(hole)}: no property is marked @hole({hole.number}): which one needs this hole and no later one?"
            for hole in self.holes[:-1]
            if hole.number not in self.marks.values()
        ]

    def that_fall_short(self) -> list[str]:
        """Properties that fail for the solution when the holes that their marks require are filled."""
        problems = {}
        for hole, seed in itertools.product(self.holes[:-1], self.seeds):
            for result in self._results(self._filled_to(hole.number), seed):
                mark = self.marks.get(f"test_{result.id}")
                if mark is not None and mark <= hole.number and result.status != "held":
                    problems[result.id] = (
                        f"{place(self.files.properties, f'test_{result.id}(')}: with holes 1 to {hole.number} of the "
                        f"solution, {result.id} ends as {result.status!r}: it needs a later hole, or draw other cases"
                    )
        return list(problems.values())

    def that_miss_their_hole(self) -> list[str]:
        """Holes whose placeholder none of their properties detects while all other holes are filled."""
        problems = []
        for hole in self.holes:
            if hole.placeholder is None:
                continue
            source = with_hole(self.solution, hole.number, hole.placeholder, str(self.files.solution))
            failed = {f"test_{name}" for name in self.judge.killers(self.technique, source, seed=self.seeds[0])}
            if not any((self.marks.get(name) or hole.total) == hole.number for name in failed):
                problems.append(f"{self._at(hole)}: its placeholder passes every property of its own: mark or add one")
        return problems

    def that_show_late(self) -> tuple[list[str], int]:
        """Misconceptions that no property detects while later holes are empty; and the number of detected ones."""
        problems, count, declared = [], 0, shows_from(self.technique)
        for edit in load_edits(self.technique):
            edited = edit.apply(self.solution, str(self.files.solution))
            changed = self._changed(edited)
            if edit.kind == "convention" or changed in (None, len(self.holes)):
                continue
            shows = next((k for k in range(changed, len(self.holes)) if self._finds(edited, k)), len(self.holes))
            count += shows == changed
            if shows != declared.get(edit.id, changed):
                problems.append(self._shows_elsewhere(edit, changed, shows, declared.get(edit.id)))
        return problems, count

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
        return any(r.status == "failed" for r in self._results(source, self.seeds[0], stop=True))

    def _filled_to(self, number: int) -> str:
        return emptied_after(self.solution, number, self.holes)

    def _results(self, source: str, seed: int, *, stop: bool = False) -> list[PropertyResult]:
        """Return the results of trusted ``source`` with empty holes, in this process; ``stop`` at the first failure."""
        attempt = as_far_as_it_goes(self.technique, source)
        module = module_from_source("partly", attempt.source, f"<{self.technique.file} with empty holes>")
        local = LocalAttempt(as_impl(self.technique, getattr(module, self.technique.implements)))
        plan = Plan(
            seed, independent=True, stop_at_first_failure=stop, reach=attempt.reach, waits_for=attempt.waits_for
        )
        return PropertyRun(Properties(self.technique), Subject(local.impl, local), attempt.reference, plan).run()

    def _at(self, hole: HoleText) -> str:
        return place(self.files.solution, f"# HOLE {hole.number}/")


def emptied_after(solution: str, number: int, marked: Sequence[HoleText]) -> str:
    """Return ``solution`` with the holes after hole ``number`` as in the stub."""
    for hole in marked[number:]:
        solution = with_hole(solution, hole.number, hole.raises)
    return solution
