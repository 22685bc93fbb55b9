"""The cases that a technique's properties draw with one seed, to be run again with any edited solution.

Drawing takes most of the time of a property. Run again, the same cases show at which share of them a mistake is found.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

from groundup.core.technique import Technique
from groundup.core.tensors import tensors_in
from groundup.core.testing.compare import Tolerance, forgiving_changes, watching_tolerances
from groundup.core.testing.modules import current_module
from groundup.core.testing.ranks import as_impl
from groundup.grader.judging.inputs import INPUTS
from groundup.grader.judging.judge import Judge
from groundup.grader.judging.likeness import traces_apart
from groundup.grader.judging.local import traced
from groundup.grader.judging.plan import EXAMPLES, Plan
from groundup.grader.judging.properties import load_reference
from groundup.grader.judging.property_run import isolated_pytest
from groundup.grader.judging.recorder import FAILURES, Case
from groundup.grader.judging.recorder import Draws as OneCasesDraws
from groundup.grader.judging.verdict import PropertyResult

__all__ = ["Draws", "cases_of"]

FEW = 12  # cases kept of a property of ranks, which takes longer
SAME, COARSE = 1e-11, 1e-4  # relative distance of two answers that differ by rounding alone: float64, and coarser


def cases_of(technique: Technique) -> int:
    """Return how many cases are kept of each property."""
    return FEW if technique.distributed else EXAMPLES


class Draws:
    """``cases`` by property."""

    def __init__(self, technique: Technique, judge: Judge, seed: int) -> None:
        """Draw them: run every property on the solution. Raises PluginProblem."""
        self.technique, self.seed = technique, seed
        self.reference = as_impl(technique, load_reference(technique))
        plan = Plan(seed, judge.lang, independent=True, cases_kept=cases_of(technique))
        self.cases: Mapping[str, list[Case]]
        results, self.cases = judge.drawn(technique, plan)
        self.wrong: list[PropertyResult] = [r for r in results if r.status != "held"]
        """The properties that do not hold for the solution itself."""

    def found(self, implementation: Any) -> dict[str, float]:
        """Return the properties that find an implementation wrong, each with the share of its cases in which it does.

        A call that changes its inputs is found by the property that every technique has.
        """
        shares: dict[str, float] = {}
        changing = 0
        impl = traced(as_impl(self.technique, implementation), lambda name, answer: None, guarded=True)
        with isolated_pytest(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, cases in self.cases.items():
                failed = 0
                for case in cases:
                    changes: list[Exception] = []
                    failed += self._fails(case, impl, changes)
                    changing += bool(changes)
                if failed:
                    shares[name] = failed / len(cases)
        if changing:
            shares[INPUTS] = changing / sum(map(len, self.cases.values()))
        return shares

    def finds(self, implementation: Any, property: str) -> bool:
        """Whether a property finds an implementation wrong in one of its cases."""
        impl = traced(as_impl(self.technique, implementation), lambda name, answer: None, guarded=True)
        with isolated_pytest(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return any(self._fails(case, impl, []) for case in self.cases[property])

    def like_the_reference(self, implementation: Any) -> bool:
        """Whether the implementation answers like the reference in every case."""
        properties = current_module(self.technique.files.properties_module, self.technique.files.properties)
        canonical = getattr(properties, "canonical", lambda trace: trace)
        edited, sent = as_impl(self.technique, implementation), self.technique.distributed
        with isolated_pytest():
            for cases in self.cases.values():
                for case in cases:
                    one, other = (canonical(case.trace(i, i, sent=sent)) for i in (self.reference, edited))
                    if traces_apart(one, other, COARSE) > SAME:
                        return False
        return True

    def tolerances(self) -> dict[str, tuple[float, float]]:
        """Return, by property, the largest absolute tolerance that it compares with, and the largest number drawn."""
        found: dict[str, tuple[float, float]] = {}
        impl = traced(self.reference, lambda name, answer: None, guarded=True)
        with isolated_pytest():
            for name, cases in self.cases.items():
                seen: list[Tolerance] = []
                sizes = [1.0]
                for case in cases:
                    drawn = [v.drawn if isinstance(v, OneCasesDraws) else v for v in case.arguments.values()]
                    floats = [x for x in tensors_in(drawn) if x.is_floating_point() and x.numel()]
                    sizes += [float(x.abs().max()) for x in floats]
                    sizes += [abs(n) for n in drawn if isinstance(n, float) and math.isfinite(n)]
                    with watching_tolerances(seen.append):
                        self._fails(case, impl, [])
                found[name] = max((t.atol for t in seen), default=0.0), max(sizes)
        return found

    @staticmethod
    def _fails(case: Case, impl: Any, changes: list[Exception]) -> bool:
        try:
            with forgiving_changes(changes.append):
                case.run(impl)
        except (*FAILURES, SystemExit):
            return True
        return False
