"""Names the mistake: which known edit of the solution behaves as the attempt does.

The failing property is run on its smallest case and on others, once with the attempt and once with each edited
solution, and the traces of answers and gradients are compared. An edit is named only when it matches all of them,
differs from the reference clearly in at least one, and is the only one that does. Where none matches all, the only two
that do so together are told as what perhaps happened; so are two that behave alike while later holes are empty.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from groundup.core.errors import AttemptDied, EditProblem, PluginProblem
from groundup.core.plain import field_names, is_plain
from groundup.core.technique import Technique
from groundup.core.testing.modules import current_module, module_from_source
from groundup.core.testing.ranks import as_impl
from groundup.grader.judging.edits import Edit, load_edits
from groundup.grader.judging.exercise import emptied
from groundup.grader.judging.recorder import Case, Trace

DIAGNOSIS_SECONDS = 20.0  # of CPU time, for the attempt and for all edited solutions
PAIRED_WITH = 4  # further failing properties, in which the second mistake of a pair may show by itself
MOST_ALIKE = 2  # mistakes that cannot be told apart while holes are empty
PAIRS_TRIED = 24  # the likeliest ones
CASES_FOR_PAIRS = 2  # of each of these properties, from which it is told how likely a pair is


class DiagnosisStopped(Exception):
    """The time for it was up before every known mistake was tried."""


@dataclass(frozen=True)
class View:
    """What of two traces is compared, and when they count as the same, and as clearly apart: relative distances."""

    same: float
    clearly: float
    sent: bool = False
    """Whether what the ranks of a group sent counts too."""
    coarse: float = 0.0
    """Tensors of less than float64 that are closer than this are the same."""


ANSWERS = View(1e-4, 1e-2)  # rounding stays below the first, another formula goes beyond the second
ROUNDING = View(1e-11, 1e-9, coarse=1e-4)  # of answers in float64, for which something was rounded to less
SENT = View(1e-4, 1e-2, sent=True)  # the answers are right, what was sent for them is not


def diagnose(
    technique: Technique,
    failure: Case,
    others: Sequence[Case],
    further: Callable[[], Sequence[Case]] = tuple,
    failures: Sequence[Callable[[], Sequence[Case]]] = (),
    *,
    empty: frozenset[int] = frozenset(),
) -> tuple[Edit, ...]:
    """Return the one edit whose behaviour the attempt reproduces; or the only two that do so together; or nothing.

    ``others`` are cases of the failing property; those that ``further`` returns, of other properties, tell apart
    several edits that match on these, and refuse one that does not match there. ``failures`` draw cases of each further
    property that failed, in which one of two mistakes may show by itself. ``empty`` holes are at their placeholders in
    the attempt, and so they are in every edited solution. Raises PluginProblem for an edit that cannot be loaded,
    DiagnosisStopped once the attempt or the edits have used ``DIAGNOSIS_SECONDS`` of CPU time.
    """
    comparison = _Comparison(technique, failure.impl, empty)
    cases = [failure, *others]
    singly = [(edit,) for edit in load_edits(technique) if edit.hole not in empty]
    try:
        for view in (ANSWERS, ROUNDING, *([SENT] if technique.distributed else [])):
            on_these = comparison.matching(singly, cases, view)
            everywhere = comparison.matching(on_these, further(), view, apart=len(on_these) > 1) if on_these else []
            if len(everywhere) == 1:
                return everywhere[0]
            if everywhere:
                alike = [edit for (edit,) in everywhere]
                return tuple(alike) if empty and len(alike) <= MOST_ALIKE else ()  # a later hole may tell them apart
            if view is ANSWERS:
                shown = [cases, *(draw() for draw in failures[:PAIRED_WITH])]
                if pair := comparison.pair([edit for (edit,) in singly], shown, further()):
                    return pair
    except AttemptDied as death:
        if death.how == "timeout":
            raise DiagnosisStopped from death
    return ()


class _Comparison:
    """Compares one attempt with edited solutions, case by case."""

    def __init__(self, technique: Technique, attempt: Any, empty: frozenset[int]) -> None:
        files = technique.files
        self.technique, self.attempt, self.empty = technique, attempt, empty
        self.solution = files.solution.read_text(encoding="utf-8")
        self.loaded: dict[tuple[str, ...], Any] = {}
        self.reference = self.edited(())
        properties = current_module(files.properties_module, files.properties)
        self.canonical: Callable[[Trace], Trace] = getattr(properties, "canonical", lambda trace: trace)
        self.until = time.process_time() + DIAGNOSIS_SECONDS
        self.traced: dict[tuple[int, int, bool], Trace] = {}
        """Of the attempt and of the reference, which every edit is compared with."""

    def matching(
        self, candidates: Sequence[tuple[Edit, ...]], cases: Sequence[Case], view: View, *, apart: bool = True
    ) -> list[tuple[Edit, ...]]:
        """Return the edits that answer as the attempt in every case; ``apart``: and not as the reference in some."""
        if not candidates:
            return []
        attempt = [self.trace(case, self.attempt, view) for case in cases]
        right = [self.trace(case, self.reference, view) for case in cases]
        found = []
        for candidate in candidates:
            edited = self.edited(candidate)
            wrong: list[Trace] = []
            for case, theirs in zip(cases, attempt, strict=True):
                if time.process_time() > self.until:
                    raise DiagnosisStopped
                wrong.append(self.trace(case, edited, view))
                if distance(wrong[-1], theirs, view.coarse) > view.same:
                    break
            else:
                if not apart or any(
                    distance(w, r, view.coarse) > view.clearly for w, r in zip(wrong, right, strict=True)
                ):
                    found.append(candidate)
        return found

    def pair(self, edits: Sequence[Edit], shown: Sequence[Sequence[Case]], further: Sequence[Case]) -> tuple[Edit, ...]:
        """Return the only two edits that match together. ``shown`` are cases of each property in which one may show."""
        pairs = []
        for one, other in self._likeliest(edits, [case for cases in shown for case in cases[:CASES_FOR_PAIRS]]):
            with contextlib.suppress(EditProblem):  # two that change the same place
                self.edited((one, other))
                pairs.append((one, other))
        found = self.matching(pairs, [*itertools.chain(*shown), *further], ANSWERS)
        return found[0] if len(found) == 1 else ()

    def _likeliest(self, edits: Sequence[Edit], cases: Sequence[Case]) -> list[tuple[Edit, Edit]]:
        """Return the pairs that explain most numbers of the attempt's traces, best first.

        A number that one of the two changes should be as that one makes it, one that neither changes as it should be.
        What becomes of one that both change is not known before they are tried together.
        """
        as_right, as_attempt, right = [], [], []
        for case in cases:
            implementations = [self.attempt, self.reference, *(self.edited((edit,)) for edit in edits)]
            attempt, reference, *edited = (
                {path: _Leaf.of(value) for path, value in _leaves(self.trace(case, implementation, ANSWERS))}
                for implementation in implementations
            )
            right.append(_agreement(attempt, reference, attempt))
            as_right.append(torch.stack([_agreement(trace, reference, attempt) for trace in edited]))
            as_attempt.append(torch.stack([_agreement(trace, attempt, attempt) for trace in edited]))
        silent, explains = torch.cat(as_right, 1), torch.cat(as_attempt, 1) & ~torch.cat(as_right, 1)
        neither = (silent & torch.cat(right)).double() @ silent.double().T
        by_one = explains.double() @ silent.double().T
        score = neither + by_one + by_one.T + 0.5 * (~silent).double() @ (~silent).double().T
        pairs = list(itertools.combinations(range(len(edits)), 2))
        pairs.sort(key=lambda pair: -score[pair].item())
        return [(edits[one], edits[other]) for one, other in pairs[:PAIRS_TRIED]]

    def trace(self, case: Case, implementation: Any, view: View) -> Trace:
        """Return a case's trace in the technique's canonical form."""
        key = (id(case), id(implementation), view.sent)
        if key in self.traced:
            return self.traced[key]
        trace = self.canonical(case.trace(implementation, self.reference, sent=view.sent))
        if implementation is self.attempt or implementation is self.reference:
            self.traced[key] = trace
        return trace

    def edited(self, edits: tuple[Edit, ...]) -> Any:
        """Return the solution's class or function with ``edits`` made. Raises PluginProblem."""
        key = tuple(edit.id for edit in edits)
        if key not in self.loaded:
            source = self.solution
            for edit in edits:
                source = edit.apply(source, str(self.technique.files.solution))
            source = emptied(source, self.empty, str(self.technique.files.solution))
            try:
                module = module_from_source("edited", source, f"<{' and '.join(key)}>")
            except Exception as error:
                what = f"{edits[-1].kind} {key[-1]!r}" if edits else "the solution"
                problem = f"{what} of {self.technique.id} cannot be loaded: {error}"
                raise PluginProblem(problem) from error
            self.loaded[key] = as_impl(self.technique, getattr(module, self.technique.implements))
        return self.loaded[key]


def distance(one: Any, other: Any, coarse: float = 0.0) -> float:
    """Return how far two plain values are apart, relative to their size; infinity where their form differs.

    Tensors of less than float64 that are closer than ``coarse`` are not apart at all.
    """
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        same = one.requires_grad == other.requires_grad
        apart = _tensor_distance(one.detach(), other.detach()) if same else math.inf
        return 0.0 if apart < coarse and one.dtype != torch.float64 else apart
    if type(one) in (int, float) and type(other) in (int, float):
        return _tensor_distance(torch.tensor(float(one)), torch.tensor(float(other)))
    if type(one) is not type(other):
        return math.inf
    if type(one) in (list, tuple):
        pairs = list(zip(one, other, strict=False))
        # One trace may go on where the other's property has already failed: what both saw is compared.
        return max((distance(a, b, coarse) for a, b in pairs), default=0.0 if len(one) == len(other) else math.inf)
    if type(one) is dict:
        if one.keys() != other.keys():
            return math.inf
        return max((distance(v, other[k], coarse) for k, v in one.items()), default=0.0)
    if is_plain(type(one)):
        return max((distance(getattr(one, f), getattr(other, f), coarse) for f in field_names(type(one))), default=0.0)
    return 0.0 if one is other or one == other else math.inf


@dataclass(frozen=True)
class _Leaf:
    """A part of a trace: its numbers, and what it has to share with another for them to be compared one by one."""

    form: Any
    numbers: Tensor
    size: float

    @classmethod
    def of(cls, value: Any) -> _Leaf:
        if type(value) in (int, float):
            value = torch.tensor(float(value))
        if not isinstance(value, Tensor):
            return cls(value, torch.zeros(1), 0.0)
        numbers = value.detach().flatten().to(torch.float64).nan_to_num(nan=3e38, posinf=2e38, neginf=-2e38)
        known = numbers[numbers.abs() < 1e38]
        return cls((value.shape, value.dtype), numbers, float(known.abs().max()) if len(known) else 0.0)


_Leaves = dict[tuple[Any, ...], _Leaf]


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the parts of a plain value that have no parts, and where each is in it."""
    if type(value) in (list, tuple):
        parts: Any = enumerate(value)
    elif type(value) is dict:
        parts = value.items()
    elif is_plain(type(value)):
        parts = ((name, getattr(value, name)) for name in field_names(type(value)))
    else:
        yield path, value
        return
    for key, part in parts:
        yield from _leaves(part, (*path, key))


def _agreement(one: _Leaves, other: _Leaves, like: _Leaves) -> Tensor:
    """Return of each number in ``like`` whether it is the same in two traces; where one had ended before, it is."""
    end = min(max((path[0] for path in trace), default=-1) for trace in (one, other))
    found = [torch.empty(0, dtype=torch.bool)]
    for path, leaf in like.items():
        a, b = one.get(path), other.get(path)
        if a is None or b is None or a.form != b.form:
            found.append(torch.tensor([path[0] > end]).expand(len(leaf.numbers)))
            continue
        same = (a.numbers - b.numbers).abs() <= ANSWERS.same * max(a.size, b.size, 1e-12)
        found.append(same if len(same) == len(leaf.numbers) else same.all().expand(len(leaf.numbers)))
    return torch.cat(found)


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
