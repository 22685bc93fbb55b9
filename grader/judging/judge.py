"""The judge: runs a technique's properties on an attempt and gives the verdict.

The judge is trusted; the attempt runs in another process.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from groundup.core.errors import AttemptDied, AttemptRaised, PluginProblem, UsageProblem
from groundup.core.technique import Technique, say
from groundup.core.testing.hypothesis_internals import KeptCases
from groundup.core.testing.literals import literal
from groundup.core.testing.modules import module_from_source
from groundup.core.testing.ranks import as_impl
from groundup.grader.judging.ahead import Ahead, Found, MayBegin
from groundup.grader.judging.cores import on_one_core, some_cores
from groundup.grader.judging.diagnosis import DiagnosisStopped
from groundup.grader.judging.exercise import hole_states
from groundup.grader.judging.local import LocalAttempt
from groundup.grader.judging.memory import within_memory
from groundup.grader.judging.partial import Subjects, as_far_as_it_goes, as_it_is
from groundup.grader.judging.plan import (
    EXAMPLES,
    THOROUGH_EXAMPLES,
    THOROUGH_SECONDS,
    TOTAL_SECONDS,
    Plan,
    derive_seed,
)
from groundup.grader.judging.properties import Properties, load_reference
from groundup.grader.judging.property_run import PropertyRun, Tell
from groundup.grader.judging.recorder import Case
from groundup.grader.judging.scoring import cannot_be_loaded, environment, outcome_of, score_of
from groundup.grader.judging.subject import Subject
from groundup.grader.judging.verdict import Attempt, Diagnosis, PropertyResult, Verdict
from groundup.grader.process.code_runner import JailedRunner
from groundup.grader.process.fork_server import ForkServer
from groundup.grader.process.group import start
from groundup.grader.process.proxy import proxy

__all__ = ["Grading", "Judge", "Replayed"]


@dataclass(frozen=True)
class Grading:
    """A verdict with the graded source and the failing cases, stored as hypothesis choices.

    ``undiagnosed`` is the problem in the technique's known mistakes because of which the verdict has no diagnosis.
    """

    verdict: Verdict
    source: str
    cases: dict[bytes, set[bytes]]
    undiagnosed: PluginProblem | None = None


@dataclass(frozen=True)
class Replayed:
    """The result of one property and its failing case, with the answers of the attempt and of the reference."""

    result: PropertyResult
    case: Case | None
    answers: str
    right: str
    cases: dict[bytes, set[bytes]]


class Judge:
    """Grades attempts one after another, each in a fresh process forked from the same server."""

    def __init__(self, server: ForkServer, lang: str = "en", *, copies: int = 0) -> None:
        """Grade with the help of ``copies`` copies of this judge, each on a core of its own."""
        self.server, self.lang, self.copies = server, lang, copies
        torch.set_num_threads(1)  # as in attempts: threads gain nothing here, and stall on a busy machine

    def grade(
        self,
        technique: Technique,
        source: str,
        path: str,
        *,
        seed: int | None = None,
        thorough: bool = False,
        cases: dict[bytes, set[bytes]] | None = None,
        tell: Tell | None = None,
    ) -> Grading:
        """Grade ``source``; ``path`` is its path in the verdict.

        ``cases`` are failing cases kept from earlier gradings; they are tried first. ``tell`` receives each result as
        soon as it is known. Raises PluginProblem for broken files of the technique, EnvironmentProblem if no process
        can be started. Broken known mistakes do not prevent a verdict.
        """
        began = time.monotonic()
        grading = _Grading(self, technique, source, path, seed=seed, thorough=thorough, cases=cases)
        with within_memory():
            results, diagnosis, undiagnosed = grading.run(tell)
        passed = grading.is_whole and all(r.status == "held" for r in results)
        verdict = Verdict(
            technique=technique.id,
            version=technique.version,
            contract=technique.contract,
            passed=passed,
            outcome=outcome_of(technique, source, results, grading.problem, is_whole=grading.is_whole),
            score=score_of(results),
            seed=grading.plan.seed,
            examples=grading.plan.examples,
            seconds=round(time.monotonic() - began, 3),
            containment=self.server.containment,
            attempt=Attempt(path=path, sha256=hashlib.sha256(source.encode()).hexdigest()),
            holes=hole_states(technique, source, passed=passed),
            properties=tuple(results),
            says_most=grading.says_most,
            diagnosis=diagnosis,
            diagnosis_stopped=grading.diagnosis_stopped,
            problem=grading.problem,
            environment=environment(),
        )
        return Grading(verdict, source, grading.kept.kept(), undiagnosed)

    def replay(
        self,
        technique: Technique,
        source: str,
        path: str,
        *,
        property: str,
        seed: int,
        thorough: bool = False,
        cases: dict[bytes, set[bytes]] | None = None,
    ) -> Replayed:
        """Run one property again on its kept failing case or, if none is kept, on the cases drawn from ``seed``.

        Raises UnknownName for a property that does not exist, UsageProblem for a file that cannot be loaded.
        """
        properties, attempt = Properties(technique), as_far_as_it_goes(technique, source)
        plan = replace(
            Plan(seed, self.lang, THOROUGH_EXAMPLES if thorough else EXAMPLES, only=property),
            reach=attempt.reach, waits_for=attempt.waits_for,
        )  # fmt: skip
        kept = KeptCases(cases)
        with contextlib.ExitStack() as stack:
            try:
                subject = stack.enter_context(self.started(technique, attempt, path, seed=seed, thorough=thorough))
            except (AttemptRaised, AttemptDied) as error:
                raise UsageProblem(cannot_be_loaded(error)) from error
            run = PropertyRun(properties, subject, attempt.reference, plan, kept=kept)
            result = next(r for r in run.run() if r.id == property)
            case, right = run.failure, run.reference_impl
            traces = [case.trace(impl, right) if case else [] for impl in (subject.impl, right)]
        answered, expected = (literal([answer for _, answer in trace]) for trace in traces)
        return Replayed(result, case, answered, expected, kept.kept())

    def still_failing(
        self, technique: Technique, source: str, path: str, cases: dict[bytes, set[bytes]], *, seed: int
    ) -> PropertyResult | None:
        """Run only ``cases``, kept from an earlier grading; return the first property that fails on one of them.

        It takes milliseconds. It uses a process of its own, so the grading that follows is not affected.
        """
        properties, attempt = Properties(technique), as_far_as_it_goes(technique, source)
        plan = Plan(
            seed, self.lang, independent=True, kept_cases_only=True, stop_at_first_failure=True, reach=attempt.reach
        )
        try:
            with self.started(technique, attempt, path, seed=seed) as subject:
                run = PropertyRun(properties, subject, attempt.reference, plan, kept=KeptCases(cases))
                run.run()
        except (AttemptRaised, AttemptDied):
            return None
        return next((r for r in run.results.values() if r.status in ("failed", "died")), None)

    def results(self, technique: Technique, source: str, plan: Plan) -> list[PropertyResult]:
        """Run the properties on ``source`` in a new process. Raises AttemptRaised or AttemptDied on loading."""
        properties, attempt = Properties(technique), as_it_is(technique, source)
        with self.started(technique, attempt, "apart.py", seed=plan.seed) as subject:
            return PropertyRun(properties, subject, attempt.reference, plan).run()

    def results_here(
        self, technique: Technique, implementation: Any, plan: Plan, tell: Tell | None = None
    ) -> list[PropertyResult]:
        """Run the properties on a trusted class or function in this process: an order of magnitude faster."""
        local = LocalAttempt(as_impl(technique, implementation))
        subject = Subject(local.impl, local, JailedRunner(self.server))
        return PropertyRun(Properties(technique), subject, load_reference(technique), plan, tell=tell).run()

    def drawn(self, technique: Technique, plan: Plan) -> tuple[list[PropertyResult], dict[str, list[Case]]]:
        """Run the properties on the solution here; return the results, and the first cases of each property."""
        reference = load_reference(technique)
        local = LocalAttempt(as_impl(technique, reference))
        run = PropertyRun(Properties(technique), Subject(local.impl, local, JailedRunner(self.server)), reference, plan)
        results = run.run()
        return results, {name.removeprefix("test_"): cases for name, cases in run.drawn.items()}

    def killers(self, technique: Technique, source: str, *, seed: int) -> set[str]:
        """Return the properties that fail on trusted ``source``, each run independently in this process."""
        module = module_from_source("edited", source, f"<edited {technique.file}>")
        plan = Plan(seed, self.lang, independent=True)
        results = self.results_here(technique, getattr(module, technique.implements), plan)
        return {r.id for r in results if r.status == "failed"}

    def rehearse(self, technique: Technique, tell: Tell | None = None) -> None:
        """Run every property on the solution once, to load and cache what the first grading needs."""
        plan = Plan(0, self.lang, examples=1, independent=True)
        self.results_here(technique, load_reference(technique), plan, tell)

    @contextlib.contextmanager
    def started(
        self, technique: Technique, attempt: Subjects, path: str, *, seed: int, thorough: bool = False
    ) -> Iterator[Subject]:
        """Run an attempt in a process inside the block. Raises AttemptRaised if loading it raises, or AttemptDied."""
        total = THOROUGH_SECONDS if thorough else TOTAL_SECONDS
        process = start(
            self.server,
            technique,
            attempt.source,
            Path(path).name,
            seed=derive_seed(seed, "attempt"),
            total_seconds=total,
        )
        with contextlib.closing(process):
            yield Subject(proxy(process, technique.implements, attempt.reference), process, JailedRunner(self.server))


class _Grading:
    """One grading in progress: the attempt's process, the copies of the judge, and the run of the properties."""

    def __init__(
        self,
        judge: Judge,
        technique: Technique,
        source: str,
        path: str,
        *,
        seed: int | None,
        thorough: bool,
        cases: dict[bytes, set[bytes]] | None,
    ) -> None:
        self.judge, self.technique, self.path, self.thorough = judge, technique, path, thorough
        seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
        self.properties, self.attempt = Properties(technique), as_far_as_it_goes(technique, source)
        self.source = source
        examples = THOROUGH_EXAMPLES if thorough else EXAMPLES
        self.plan = Plan(seed, judge.lang, examples, reach=self.attempt.reach, waits_for=self.attempt.waits_for)
        self.kept = KeptCases(cases)
        self.problem: str | None = None
        self.says_most: str | None = None
        self.diagnosis_stopped = False
        self.is_whole = not self.attempt.empty
        """Whether the attempt was judged without placeholders; with placeholders it never passes."""

    def run(self, tell: Tell | None) -> tuple[list[PropertyResult], tuple[Diagnosis, ...], PluginProblem | None]:
        """Return the results, the known mistakes that explain them, and the problem in the known mistakes, if any."""
        names = list(self.properties.functions)
        cores = some_cores(min(self.judge.copies + 1, len(names)))
        here = cores[0] if cores and not self.technique.distributed else None  # ranks run in parallel, on all cores
        self.judge.server.get_ready_for(self.technique.imports)
        with Ahead(cores[1:], names, self._run_ahead) as ahead, on_one_core(here), contextlib.ExitStack() as stack:
            try:
                subject = stack.enter_context(self._started(self.attempt))
            except (AttemptRaised, AttemptDied) as error:
                self.problem = cannot_be_loaded(error)
                return self.properties.not_loaded(error, self.plan.lang), (), None
            run = PropertyRun(
                self.properties, subject, self.attempt.reference, self.plan, kept=self.kept, tell=tell, ahead=ahead,
                empty=self.attempt.empty,
            )  # fmt: skip
            results = run.run()
            self.says_most = run.says_most and run.says_most.removeprefix("test_")
            if self.attempt.empty and all(r.status in ("held", "not_started") for r in results):
                results = self._without_placeholders() or results
            return results, *self._diagnosis(run)

    def _without_placeholders(self) -> list[PropertyResult] | None:
        """Return the results of the attempt without placeholders if all hold: no empty hole is then ever reached."""
        plan = replace(self.plan, reach=None, waits_for=None, stop_unless_held=True)
        attempt = as_it_is(self.technique, self.source)
        with self._started(attempt) as subject:
            results = PropertyRun(self.properties, subject, attempt.reference, plan).run()
        self.is_whole = all(r.status == "held" for r in results)
        return results if self.is_whole else None

    def _started(self, attempt: Subjects) -> contextlib.AbstractContextManager[Subject]:
        return self.judge.started(self.technique, attempt, self.path, seed=self.plan.seed, thorough=self.thorough)

    def _run_ahead(self, may_begin: MayBegin, found: Callable[[str, Found], None]) -> None:
        """In a copy of the judge: run the properties that ``may_begin`` allows, and report each."""
        kept = self.kept

        def tell(kind: str, result: PropertyResult) -> None:
            if kind == "result":
                name = self.properties.function_named(result.id)
                found(name, Found(result, kept.of(self.properties.key(name)), name in run.changed_in))

        plan = replace(self.plan, independent=True, ahead=True)
        self.judge.server.never_replace()
        with self._started(self.attempt) as subject:
            run = PropertyRun(
                self.properties, subject, self.attempt.reference, plan, kept=kept, tell=tell, may_begin=may_begin
            )
            run.run()

    def _diagnosis(self, run: PropertyRun) -> tuple[tuple[Diagnosis, ...], PluginProblem | None]:
        try:
            edits = run.diagnosis()
        except PluginProblem as broken:
            return (), broken
        except DiagnosisStopped:
            self.diagnosis_stopped = True
            return (), None
        perhaps = len(edits) > 1
        return tuple(
            Diagnosis(id=e.id, kind=e.kind, says=say(e.says, self.plan.lang), perhaps=perhaps) for e in edits
        ), None
