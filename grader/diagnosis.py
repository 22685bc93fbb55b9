"""Names the mistake: which known edit of the solution behaves as the attempt does.

The failing property is run on its smallest case and on others, once with the attempt and once with each edited
solution, and the traces of answers and gradients are compared. An edit is named only when it matches all of them,
differs from the reference clearly in at least one, and is the only one that does.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from groundup.core.errors import AttemptDied, PluginProblem
from groundup.core.plain import field_names, is_plain
from groundup.core.technique import Technique
from groundup.core.testing.compare import watching_gradients
from groundup.core.testing.modules import current_module, module_from_source
from groundup.core.testing.ranks import as_impl
from groundup.grader.edits import Edit, load_edits
from groundup.grader.local import traced

SAME, CLEARLY = 1e-4, 1e-2  # relative: rounding stays below the first, another formula goes beyond the second

FAILURES = (Exception, pytest.fail.Exception)  # what a property may fail with; pytest's own is no Exception


@dataclass
class Case:
    """One example of one property, to be run again with any implementation."""

    run: Callable[[Any], None]
    """Runs the property on this case with a given ``impl``. Raises what the property raises."""
    impl: Any
    """What it was first run with."""
    arguments: dict[str, Any]
    """What was drawn, by name."""
    error: BaseException | None = None
    printed: str = ""
    steps: bool = False
    """Whether it is a run of a state machine."""

    def trace(self, implementation: Any, like: Any) -> list[Any]:
        """Return the answers and gradients that the property saw, up to where it failed; where is not compared."""
        trace: list[Any] = []
        with watching_gradients(trace.append), warnings.catch_warnings(), contextlib.suppress(*FAILURES):
            warnings.simplefilter("ignore")  # an edit's: they tell the learner nothing
            self.run(traced(implementation, trace.append, like))
        return trace


def diagnose(
    technique: Technique, failure: Case, others: Sequence[Case], further: Sequence[Case] = ()
) -> tuple[Edit, ...]:
    """Return the one edit whose behaviour the attempt reproduces, or nothing.

    ``others`` are cases of the failing property; ``further``, cases of other properties, tell apart several edits that
    match on those, and refuse one that does not match here. Raises PluginProblem for an edit that cannot be loaded.
    """
    comparison = _Comparison(technique, failure.impl)
    try:
        matching = comparison.matching(load_edits(technique), [failure, *others])
        if len(matching) > 1:
            matching = comparison.matching(matching, further)
        elif matching:  # a property that looks at one thing alone may confuse it with what no edit does
            matching = comparison.matching(matching, further, apart=False)
    except AttemptDied:
        return ()
    return tuple(matching) if len(matching) == 1 else ()


class _Comparison:
    """Compares one attempt with edited solutions, case by case."""

    def __init__(self, technique: Technique, attempt: Any) -> None:
        files = technique.files
        self.technique, self.attempt = technique, attempt
        self.solution = files.solution.read_text(encoding="utf-8")
        solution = getattr(current_module(files.solution_module, files.solution), technique.implements)
        self.reference = as_impl(technique, solution)

    def matching(self, edits: Sequence[Edit], cases: Sequence[Case], *, apart: bool = True) -> list[Edit]:
        """Return the edits that answer as the attempt in every case; ``apart``: and not as the reference in some."""
        attempt = [case.trace(self.attempt, self.reference) for case in cases]
        right = [case.trace(self.reference, self.reference) for case in cases]
        found: list[Edit] = []
        for edit in edits:
            edited = self.edited(edit)
            wrong: list[list[Any]] = []
            for case, theirs in zip(cases, attempt, strict=True):
                wrong.append(case.trace(edited, self.reference))
                if distance(wrong[-1], theirs) > SAME:
                    break
            else:
                if not apart or any(distance(w, r) > CLEARLY for w, r in zip(wrong, right, strict=True)):
                    found.append(edit)
        return found

    def edited(self, edit: Edit) -> Any:
        """Return the solution's class or function with ``edit`` made. Raises PluginProblem."""
        source = edit.apply(self.solution, str(self.technique.files.solution))
        try:
            module = module_from_source("edited", source, f"<{edit.id}>")
        except Exception as error:
            problem = f"{edit.kind} {edit.id!r} of {self.technique.id} cannot be loaded: {error}"
            raise PluginProblem(problem) from error
        return as_impl(self.technique, getattr(module, self.technique.implements))


def distance(one: Any, other: Any) -> float:
    """Return how far two plain values are apart, relative to their size; infinity where their form differs."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        same = one.requires_grad == other.requires_grad
        return _tensor_distance(one.detach(), other.detach()) if same else math.inf
    if type(one) in (int, float) and type(other) in (int, float):
        return _tensor_distance(torch.tensor(float(one)), torch.tensor(float(other)))
    if type(one) is not type(other):
        return math.inf
    if type(one) in (list, tuple):
        pairs = list(zip(one, other, strict=False))
        # One trace may go on where the other's property has already failed: what both saw is compared.
        return max((distance(a, b) for a, b in pairs), default=0.0 if len(one) == len(other) else math.inf)
    if type(one) is dict:
        if one.keys() != other.keys():
            return math.inf
        return max((distance(v, other[k]) for k, v in one.items()), default=0.0)
    if is_plain(type(one)):
        return max((distance(getattr(one, f), getattr(other, f)) for f in field_names(type(one))), default=0.0)
    return 0.0 if one is other or one == other else math.inf


def _tensor_distance(one: Tensor, other: Tensor) -> float:
    if one.shape != other.shape or one.dtype != other.dtype:
        return math.inf
    if one.numel() == 0:
        return 0.0
    if one.is_complex():
        one, other = torch.view_as_real(one), torch.view_as_real(other)
    a, b = one.to(torch.float64), other.to(torch.float64)
    if not torch.equal(a.isfinite(), b.isfinite()):
        return math.inf
    finite = a.isfinite()
    if not torch.equal(a[~finite].nan_to_num(nan=0.5), b[~finite].nan_to_num(nan=0.5)):
        return math.inf
    if not finite.any():
        return 0.0
    size = max(float(a[finite].abs().max()), float(b[finite].abs().max()), 1e-12)
    return float((a[finite] - b[finite]).abs().max()) / size
