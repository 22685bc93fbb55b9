"""Names the mistake: the known edit of the solution that behaves as the attempt does.

The failing property is run on its smallest case and on others, once with the attempt and once with each edited
solution, and the traces of answers and gradients are compared. An edit is named only if it matches the attempt in every
case, clearly differs from the reference in at least one, and is the only such edit. If no single edit matches every
case, a pair of edits that matches every case together is reported as a possible explanation, provided that the pair is
the only one. Two edits that cannot be distinguished while later holes are empty are reported as possible, too.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any

import torch

from groundup.core.errors import AttemptDied, EditProblem, PluginProblem
from groundup.core.technique import Technique
from groundup.core.testing.modules import current_module, module_from_source
from groundup.core.testing.ranks import as_impl
from groundup.grader.judging.edits import Edit, load_edits
from groundup.grader.judging.exercise import emptied
from groundup.grader.judging.likeness import Leaf, agreement, leaves, traces_apart
from groundup.grader.judging.recorder import Case, Trace

DIAGNOSIS_SECONDS = 20.0  # of CPU time, for the attempt and for all edited solutions
PAIRED_WITH = 4  # further failing properties; in them one mistake of a pair may show alone
MOST_ALIKE = 2  # mistakes reported although they are indistinguishable while holes are empty
PAIRS_TRIED = 24  # the most likely pairs
CASES_FOR_PAIRS = 2  # per property, to estimate how likely a pair is
UNSPECIFIC = frozenset({"AttributeError", "IndexError", "RuntimeError", "TypeError"})  # no contract asks for these
ANCHORS = 3  # up to this many edits are paired with every other edit; more are paired only with each other


class DiagnosisStopped(Exception):
    """The diagnosis ran out of time before every known mistake was tried."""


@dataclass(frozen=True)
class View:
    """How two traces are compared: the relative distances below which they are the same and above which they differ."""

    same: float
    clearly: float
    sent: bool = False
    """Whether the transfers between ranks are compared too."""
    coarse: float = 0.0
    """Tensors of lower precision than float64 at a distance below this are the same."""


ANSWERS = View(1e-4, 1e-2)  # rounding errors stay below the first, other formulas exceed the second
ROUNDING = View(1e-11, 1e-9, coarse=1e-4)  # float64 answers that were rounded to less on the way
SENT = View(1e-4, 1e-2, sent=True)  # the answers are right, the transfers are not


def diagnose(
    technique: Technique,
    failure: Case,
    others: Sequence[Case],
    further: Callable[[], Sequence[Case]] = tuple,
    failures: Sequence[Callable[[], Sequence[Case]]] = (),
    *,
    empty: frozenset[int] = frozenset(),
) -> tuple[Edit, ...]:
    """Return the one edit whose behaviour the attempt reproduces, or the only two that together do so, or nothing.

    ``others`` are cases of the failing property. ``further`` returns cases of other properties: they distinguish edits
    that match on ``others``, and rule out an edit that does not match there. Each of ``failures`` returns cases of one
    further failing property, in which the second of two mistakes may show. The ``empty`` holes contain placeholders in
    the attempt and get them in every edited solution. Raises PluginProblem for an edit that cannot be loaded,
    DiagnosisStopped once the attempt or the edits have used ``DIAGNOSIS_SECONDS`` of CPU time.
    """
    comparison = _Comparison(technique, failure.impl, empty)
    cases = [failure, *others]
    further, failures = functools.cache(further), [functools.cache(draw) for draw in failures]
    singly = [(edit,) for edit in load_edits(technique) if edit.hole not in empty]
    try:
        for view in (ANSWERS, ROUNDING, *([SENT] if technique.distributed else [])):
            on_these = comparison.matching(singly, cases, view)
            everywhere = comparison.matching(on_these, further(), view, apart=len(on_these) > 1) if on_these else []
            if not everywhere and view is not ROUNDING:
                drawn = [draw() for draw in failures[:PAIRED_WITH]]
                alone = [on_these, *(comparison.matching(singly, theirs, view) for theirs in drawn)]
                some = [candidate for candidate in singly if any(candidate in found for found in alone)]
                seen = [*cases, *itertools.chain(*drawn), *further()]
                everywhere = comparison.matching(some, seen, view)
                two = () if everywhere else comparison.pair(some, singly, seen, view)
                if not (two or everywhere or technique.distributed):  # with ranks this takes too long
                    two = comparison.likeliest_pair(singly, [cases, *drawn], further())
                if two:
                    return two
            if everywhere:
                tell_apart = technique.distributed and view is not SENT
                found = comparison.by_what_is_sent(everywhere, singly, [*cases, *further()], tell_apart=tell_apart)
                both = empty and len(everywhere) <= MOST_ALIKE  # filling a later hole may distinguish them
                return found or (tuple(edit for (edit,) in everywhere) if both else ())
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
        """Cached traces of the attempt and the reference, which every edit is compared with."""

    def matching(
        self, candidates: Sequence[tuple[Edit, ...]], cases: Sequence[Case], view: View, *, apart: bool = True
    ) -> list[tuple[Edit, ...]]:
        """Return the edits that match the attempt in every case and, if ``apart``, differ from the reference in one."""
        if not candidates or (apart and all(self.alike((), case, view) for case in cases)):
            return []
        found = []
        for candidate in candidates:
            edited = self.edited(candidate)
            wrong: list[Trace] = []
            for case in cases:
                wrong.append(self.trace(case, edited, view))
                if traces_apart(wrong[-1], self.trace(case, self.attempt, view), view.coarse) > view.same:
                    break
            else:
                right = (self.trace(case, self.reference, view) for case in cases)
                pairs = zip(wrong, right, strict=True)
                if not apart or any(traces_apart(w, r, view.coarse) > view.clearly for w, r in pairs):
                    found.append(candidate)
        return found

    def by_what_is_sent(
        self,
        some: Sequence[tuple[Edit, ...]],
        singly: Sequence[tuple[Edit, ...]],
        cases: Sequence[Case],
        *,
        tell_apart: bool,
    ) -> tuple[Edit, ...]:
        """Return the one edit, or the one pair, whose transfers also match the attempt's.

        ``some`` are the edits whose answers match. If there is only one, it is returned even if its transfers differ,
        or with a second edit if the two together match the attempt's transfers.
        """
        if not tell_apart:
            return some[0] if len(some) == 1 else ()
        try:
            exactly = self.matching(some, cases, SENT, apart=False)
            if len(exactly) == 1:
                return exactly[0]
            two = self.pair(some, singly, cases, SENT) if len(some) == 1 else ()
        except (AttemptDied, DiagnosisStopped):
            two = ()
        return two or (some[0] if len(some) == 1 else ())

    def pair(
        self, some: Sequence[tuple[Edit, ...]], singly: Sequence[tuple[Edit, ...]], cases: Sequence[Case], view: View
    ) -> tuple[Edit, ...]:
        """Return the only pair of edits, one in ``some``, that together match every case; neither does alone."""
        pairs: dict[frozenset[str], tuple[Edit, ...]] = {}
        for one in some:
            where = next((case for case in cases if not self.alike(one, case, view)), None)
            pairs |= {
                frozenset(edit.id for edit in two): two
                for other in (singly if len(some) <= ANCHORS else some)
                if where and other != one and (two := self.both(one, other)) and self.alike(two, where, view)
            }
        found = self.matching(list(pairs.values()), cases, view, apart=False)
        return found[0] if len(found) == 1 else ()

    def likeliest_pair(
        self, singly: Sequence[tuple[Edit, ...]], shown: Sequence[Sequence[Case]], further: Sequence[Case]
    ) -> tuple[Edit, ...]:
        """Return the only one of the most likely pairs of edits that matches every case.

        It is for pairs in which neither edit matches a property alone. ``shown`` are lists of cases, one per failing
        property.
        """
        few = [case for cases in shown for case in cases[:CASES_FOR_PAIRS]]
        pairs = [two for one, other in self._likeliest(singly, few) if (two := self.both(one, other))]
        found = self.matching(pairs, [*itertools.chain(*shown), *further], ANSWERS)
        return found[0] if len(found) == 1 else ()

    def _likeliest(
        self, singly: Sequence[tuple[Edit, ...]], cases: Sequence[Case]
    ) -> list[tuple[tuple[Edit, ...], tuple[Edit, ...]]]:
        """Return the pairs that explain most numbers of the attempt's traces, best first.

        A number that only one of the two edits changes should have that edit's value; one that neither changes should
        have the reference's. A number that both change counts half, since its value is unknown until both are applied.
        """
        if not singly or not cases:
            return []
        as_right, as_attempt, right = [], [], []
        for case in cases:
            implementations = [self.attempt, self.reference, *map(self.edited, singly)]
            attempt, reference, *edited = (
                {path: Leaf.of(value) for path, value in leaves(self.trace(case, implementation, ANSWERS))}
                for implementation in implementations
            )
            right.append(agreement(attempt, reference, attempt, ANSWERS.same))
            as_right.append(torch.stack([agreement(trace, reference, attempt, ANSWERS.same) for trace in edited]))
            as_attempt.append(torch.stack([agreement(trace, attempt, attempt, ANSWERS.same) for trace in edited]))
        silent, explains = torch.cat(as_right, 1), torch.cat(as_attempt, 1) & ~torch.cat(as_right, 1)
        neither = (silent & torch.cat(right)).double() @ silent.double().T
        by_one = explains.double() @ silent.double().T
        score = neither + by_one + by_one.T + 0.5 * (~silent).double() @ (~silent).double().T
        pairs = sorted(itertools.combinations(range(len(singly)), 2), key=lambda pair: -score[pair].item())
        return [(singly[one], singly[other]) for one, other in pairs[:PAIRS_TRIED]]

    def both(self, one: tuple[Edit, ...], other: tuple[Edit, ...]) -> tuple[Edit, ...]:
        """Return two edits in an order in which both can be applied; nothing if they change the same place."""
        for two in ((*one, *other), (*other, *one)):
            with contextlib.suppress(EditProblem):
                self.edited(two)
                return two
        return ()

    def alike(self, edits: tuple[Edit, ...], case: Case, view: View) -> bool:
        """Whether the solution with ``edits`` (or unedited, if there are none) has the attempt's trace."""
        edited, attempt = self.trace(case, self.edited(edits), view), self.trace(case, self.attempt, view)
        return traces_apart(edited, attempt, view.coarse) <= view.same

    def trace(self, case: Case, implementation: Any, view: View) -> Trace:
        """Return a case's trace in the technique's canonical form. Raises DiagnosisStopped when time has run out."""
        if time.process_time() > self.until:
            raise DiagnosisStopped
        key = (id(case), id(implementation), view.sent)
        if key in self.traced:
            return self.traced[key]
        trace = self.canonical(case.trace(implementation, self.reference, sent=view.sent))
        if implementation is not self.reference:
            trace = _errors_as_asked(trace, self.trace(case, self.reference, view))
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
                if not edits:
                    raise PluginProblem(
                        "The solution of {id} cannot be loaded: {why}", id=self.technique.id, why=error
                    ) from error
                raise PluginProblem(
                    "{kind} {name!r} of {id} cannot be loaded: {why}",
                    kind=edits[-1].kind,
                    name=key[-1],
                    id=self.technique.id,
                    why=error,
                ) from error
            self.loaded[key] = as_impl(self.technique, getattr(module, self.technique.implements))
        return self.loaded[key]


def _errors_as_asked(trace: Trace, right: Trace) -> Trace:
    """Return ``trace`` with the reference's error wherever that one is unspecific and the trace has some such error.

    It does not count in which way an argument of a wrong type fails.
    """
    either = itertools.zip_longest(trace, right[: len(trace)])
    return [
        asked if _fails(asked, UNSPECIFIC) and _fails(seen, {*UNSPECIFIC, "ValueError"}) else seen
        for seen, asked in either
    ]


def _fails(entry: tuple[str, Any] | None, errors: Set[str]) -> bool:
    return entry is not None and type(entry[1]) is str and entry[1] in errors
