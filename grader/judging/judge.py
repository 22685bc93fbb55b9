"""The judge: runs a technique's properties on an attempt and says what holds. Trusted; the attempt runs elsewhere."""

from __future__ import annotations

import collections
import contextlib
import functools
import hashlib
import os
import platform
import random
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import hypothesis
import pytest
import torch
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.database import InMemoryExampleDatabase
from hypothesis.internal.conjecture import providers
from hypothesis.reporting import with_reporter
from hypothesis.strategies import DataObject

from groundup.core.errors import AttemptDied, AttemptRaised, PluginProblem, UnknownName, UsageProblem
from groundup.core.technique import Technique, say
from groundup.core.testing.compare import Mismatch
from groundup.core.testing.literals import literal
from groundup.core.testing.marks import Marks, marks_of
from groundup.core.testing.modules import module_from_source, properties_of, reference_of
from groundup.core.testing.pytest_plugin import properties_module
from groundup.core.testing.ranks import as_impl
from groundup.core.testing.stateful import ImplMachine, machine_test, run_again
from groundup.grader.judging.ahead import Ahead, Found, MayBegin
from groundup.grader.judging.cores import on_one_core, some_cores
from groundup.grader.judging.diagnosis import FAILURES, Case, diagnose
from groundup.grader.judging.edits import Edit
from groundup.grader.judging.exercise import hole_states
from groundup.grader.judging.local import LocalAttempt
from groundup.grader.judging.verdict import Attempt, Diagnosis, Outcome, PropertyResult, Status, Verdict
from groundup.grader.process.attempt import AttemptProcess
from groundup.grader.process.fork_server import ForkServer
from groundup.grader.process.group import AttemptGroup, start
from groundup.grader.process.proxy import proxy
from groundup.grader.process.text import LONGEST_SOURCE, printable

EXAMPLES, THOROUGH_EXAMPLES = 25, 200
STEPS = 20  # of one run of a state machine
TOTAL_SECONDS, THOROUGH_SECONDS = 60.0, 300.0
CASES_KEPT = 16  # of the failing property, to compare with known mistakes
FURTHER_CASES = 4  # of each property, where that leaves several
NOWHERE = "/dev/null/hypothesis"  # a folder that cannot be made: hypothesis goes on without, and a kill leaves none
INI = Path(__file__).with_name("judge.ini")
PLUGINS_OFF = [
    "cacheprovider",
    "capture",
    "debugging",
    "doctest",
    "faulthandler",
    "junitxml",
    "legacypath",
    "logging",
    "nose",
    "pastebin",
    "recwarn",
    "setuponly",
    "setupplan",
    "stepwise",
    "terminal",
    "terminalprogress",
    "threadexception",
    "tmpdir",
    "unittest",
    "unraisableexception",
    "warnings",
]


Tell = Callable[[Literal["failing", "result"], PropertyResult], None]
"""Hears of each property how it came out, and before that, while a smaller case is looked for, that it fails."""


@dataclass(frozen=True)
class Grading:
    """A verdict and what is kept beside it: the source that was graded, and the failing cases as choices.

    ``undiagnosed`` says what of the technique's known mistakes is broken, for which the verdict names none.
    """

    verdict: Verdict
    source: str
    cases: dict[bytes, set[bytes]]
    undiagnosed: PluginProblem | None = None


@dataclass(frozen=True)
class Replayed:
    """What became of one property, and the case it failed on. ``answers`` and ``right`` are what was seen there."""

    result: PropertyResult
    case: Case | None
    answers: str
    right: str
    cases: dict[bytes, set[bytes]]


class Judge:
    """Grades attempts one after another, each in a fresh process forked from the same server."""

    def __init__(self, server: ForkServer, lang: str = "en", *, copies: int = 0) -> None:
        """Grade with the help of so many ``copies`` of this judge, each on a core of its own."""
        self.server, self.lang, self.copies = server, lang, copies
        torch.set_num_threads(1)  # as in attempts: threads gain nothing here, and stall one another on a busy machine

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
        """Grade ``source``, which is called ``path`` in the verdict.

        ``cases`` are failing cases kept from earlier gradings; they are tried first. ``tell`` hears how it goes on.
        Raises PluginProblem when the technique's own files are broken, EnvironmentProblem when no process can be
        started. Known mistakes that are broken do not keep anyone from the verdict.
        """
        seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
        began = time.monotonic()
        reference = _reference(technique)
        run = PropertyRun(
            technique, None, reference, seed=seed, lang=self.lang,
            examples=THOROUGH_EXAMPLES if thorough else EXAMPLES, cases=cases,
        )  # fmt: skip

        def started() -> AttemptProcess | AttemptGroup:
            process = self._started(technique, source, path, seed, thorough=thorough)
            run.subject = Subject(proxy(process, technique.implements, reference), process)
            return process

        def ahead(may_begin: MayBegin, tell: Callable[[str, Found], None]) -> None:
            self.server.never_replace()
            with contextlib.closing(started()):
                run.run_ahead(may_begin, tell)

        problem: str | None = None
        found: tuple[Edit, ...] = ()
        undiagnosed: PluginProblem | None = None
        cores = some_cores(min(self.copies + 1, len(run.properties)))
        here = cores[0] if cores and not technique.distributed else None  # ranks, which work side by side, need all
        self.server.get_ready_for(technique.imports)
        with Ahead(cores[1:], list(run.properties), ahead) as run.ahead, on_one_core(here):
            try:
                process = started()
            except (AttemptRaised, AttemptDied) as error:
                problem = _cannot_be_loaded(error)
                run.loading = error
            else:
                with contextlib.closing(process):
                    run.tell = tell
                    run.run()
                    try:
                        with _clean_environment():
                            found = run.diagnosis()
                    except PluginProblem as broken:
                        undiagnosed = broken
        results = run.results_in_order()
        return Grading(
            Verdict(
                technique=technique.id,
                version=technique.version,
                contract=technique.contract,
                passed=all(r.status == "held" for r in results),
                outcome=_outcome(technique, source, results, problem),
                score=_score(results),
                seed=seed,
                examples=run.examples,
                seconds=round(time.monotonic() - began, 3),
                containment=self.server.containment,
                attempt=Attempt(path=path, sha256=hashlib.sha256(source.encode()).hexdigest()),
                holes=hole_states(technique, source, passed=all(r.status == "held" for r in results)),
                properties=tuple(results),
                diagnosis=tuple(
                    Diagnosis(id=e.id, kind=e.kind, says=say(e.says, self.lang), perhaps=len(found) > 1) for e in found
                ),
                problem=problem,
                environment=environment(),
            ),
            source,
            run.database.kept(),
            undiagnosed,
        )

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
        """Run one property again on the case that was kept of it; where none was, on the cases that ``seed`` draws.

        Raises UnknownName for a property that there is not, UsageProblem for a file that cannot be loaded.
        """
        reference = _reference(technique)
        try:
            process = self._started(technique, source, path, seed, thorough=thorough)
        except (AttemptRaised, AttemptDied) as error:
            raise UsageProblem(_cannot_be_loaded(error)) from error
        with contextlib.closing(process):
            run = PropertyRun(
                technique, Subject(proxy(process, technique.implements, reference), process), reference, seed=seed,
                lang=self.lang, examples=THOROUGH_EXAMPLES if thorough else EXAMPLES, cases=cases, only=property,
            )  # fmt: skip
            run.run()
            answers = run.failure.trace(run.failure.impl, run.the_reference) if run.failure else []
            right = run.failure.trace(run.the_reference, run.the_reference) if run.failure else []
        result = next(r for r in run.results_in_order() if r.id == property)
        answered, known = ([answer for _, answer in trace] for trace in (answers, right))
        return Replayed(result, run.failure, literal(answered), literal(known), run.database.kept())

    def still_failing(
        self, technique: Technique, source: str, path: str, cases: dict[bytes, set[bytes]], *, seed: int
    ) -> PropertyResult | None:
        """Return a property that fails on one of ``cases``, kept from an earlier grading; nothing else is tried.

        It takes milliseconds, in a process of its own: the grading that follows is not changed by it.
        """
        reference = _reference(technique)
        try:
            process = self._started(technique, source, path, seed)
        except (AttemptRaised, AttemptDied):
            return None
        with contextlib.closing(process):
            run = PropertyRun(
                technique, Subject(proxy(process, technique.implements, reference), process), reference, seed=seed,
                lang=self.lang, cases=cases,
            )  # fmt: skip
            run.for_author = run.kept_alone = True
            run.run()
        return next((r for r in run.results.values() if r.status in ("failed", "died")), None)

    def killers(self, technique: Technique, source: str, *, seed: int) -> set[str]:
        """Return the properties that find trusted ``source`` wrong, run in this process, each on its own.

        For authors: edits of a solution need no process of their own, and this is an order of magnitude faster.
        """
        module = module_from_source("edited", source, f"<edited {technique.file}>")
        run = self._run_here(technique, getattr(module, technique.implements), seed=seed)
        return {r.id for r in run.results_in_order() if r.status == "failed"}

    def rehearse(self, technique: Technique) -> None:
        """Run every property on the solution once: what a first grade has to load and to look up is then there."""
        self._run_here(technique, _reference(technique), seed=0, examples=1)

    def property_names(self, technique: Technique) -> list[str]:
        """Return the names of the technique's properties, in order."""
        run = PropertyRun(technique, None, None, seed=0, lang=self.lang)
        return [name.removeprefix("test_") for name in run.properties]

    def _run_here(
        self, technique: Technique, implementation: Any, *, seed: int, examples: int = EXAMPLES
    ) -> PropertyRun:
        """Run the properties on a trusted class or function in this process, each on its own."""
        local = LocalAttempt(as_impl(technique, implementation))
        run = PropertyRun(
            technique, Subject(local.impl, local), _reference(technique), seed=seed, lang=self.lang, examples=examples
        )
        run.for_author = True
        run.run()
        return run

    def _started(
        self, technique: Technique, source: str, path: str, seed: int, *, thorough: bool = False
    ) -> AttemptProcess | AttemptGroup:
        """Start what runs an attempt. Raises AttemptRaised when loading it raises, AttemptDied."""
        total = THOROUGH_SECONDS if thorough else TOTAL_SECONDS
        return start(self.server, technique, source, Path(path).name, seed=_mix(seed, "attempt"), total_seconds=total)


@dataclass(frozen=True)
class Subject:
    """What is judged: the ``impl`` that properties get, and who answers behind it."""

    impl: Any
    behind: AttemptProcess | AttemptGroup | LocalAttempt


class Cases(InMemoryExampleDatabase):
    """Hypothesis's failing choices of one technique. In memory while grading; the state keeps them with the verdict."""

    def __init__(self, kept: dict[bytes, set[bytes]] | None = None) -> None:
        super().__init__()
        for key, values in (kept or {}).items():
            for value in values:
                self.save(key, value)

    def kept(self) -> dict[bytes, set[bytes]]:
        """Return what a later grading should try first: the smallest failing case of each property."""
        return {key: set(values) for key, values in self.data.items() if values and not key.endswith(b".secondary")}


class PropertyRun:
    """One run of a technique's properties under pytest, as the plugin that pytest is given."""

    def __init__(
        self,
        technique: Technique,
        subject: Subject | None,
        reference: Any,
        *,
        seed: int,
        lang: str,
        examples: int = EXAMPLES,
        cases: dict[bytes, set[bytes]] | None = None,
        only: str | None = None,
    ) -> None:
        self.technique, self.subject = technique, subject
        self.the_reference = as_impl(technique, reference)
        self.seed, self.lang, self.examples = seed, lang, examples
        self.loading: AttemptRaised | AttemptDied | None = None
        """What kept the attempt from being loaded."""
        self.database = Cases(cases)
        self.for_author = False  # neither shrink nor presuppose: which properties fail is all that is asked
        self.kept_alone = False  # try the kept cases and no others, up to the first that fails
        self.tell: Tell | None = None
        self.results: dict[str, PropertyResult] = {}
        self.failure: Case | None = None
        self.others: list[Case] = []
        self.further: list[Callable[[], list[Case]]] = []
        """For each property, what returns some cases as they were drawn."""
        self.failures: list[Callable[[], list[Case]]] = []
        """For each property that failed after the first, what draws cases of it."""
        self.problems: list[str] = []
        self.interrupted = False
        self.stopped = False
        self.ahead: Ahead | None = None
        self.may_begin: MayBegin | None = None
        """In a copy of the judge: whether a property is still to be judged."""
        files = technique.files
        try:
            module = properties_of(technique)
        except (*FAILURES, pytest.skip.Exception) as error:
            raise PluginProblem(f"{files.properties} cannot be loaded: {type(error).__name__}: {error}") from error
        self.properties: dict[str, Callable[..., Any]] = {
            name: value for name, value in vars(module).items() if name.startswith("test_") and callable(value)
        }
        if not self.properties:
            raise PluginProblem(f"{files.properties} declares no property: functions named test_<claim>")
        self.only = only and f"test_{only}"
        if only and self.only not in self.properties:
            names = [name.removeprefix("test_") for name in self.properties]
            raise UnknownName(f"property of {technique.id}", only, names, f"It has {', '.join(names)}.")

    def run(self) -> None:
        """Run every property. Raises PluginProblem when they cannot be run at all."""
        files = self.technique.files
        arguments = [
            str(files.properties), "-c", str(INI), "--rootdir", str(files.folder), "--noconftest",
            "--import-mode=importlib", *(f"-pno:{name}" for name in PLUGINS_OFF),
        ]  # fmt: skip
        with _clean_environment(), warnings.catch_warnings(), with_reporter(lambda _: None):
            warnings.simplefilter("ignore")
            code = pytest.main(arguments, plugins=[self])
        if self.interrupted:
            raise KeyboardInterrupt
        if self.problems:
            raise PluginProblem(f"The properties of {self.technique.id} cannot be run: {self.problems[0]}")
        if self.kept_alone and code == pytest.ExitCode.NO_TESTS_COLLECTED:  # its properties have other names now
            return
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            raise PluginProblem(f"pytest could not run {files.properties}: exit code {int(code)}")

    def run_ahead(self, may_begin: MayBegin, tell: Callable[[str, Found], None]) -> None:
        """In a copy: run the properties that ``may_begin`` allows, and tell of each.

        Those with kept cases come first, since they may well fail, then those from the last one back.
        """

        def told(kind: str, result: PropertyResult) -> None:
            if kind == "result":
                name = f"test_{result.id}"
                tell(name, Found(result, self.database.data.get(self._key(name), set())))

        self.may_begin, self.tell, self.for_author = may_begin, told, True
        self.run()

    def results_in_order(self) -> list[PropertyResult]:
        """Return one result for each property that the file declares: one that was not reported did not hold."""
        return [self.results.get(name) or self._unreported(name) for name in self.properties]

    def diagnosis(self) -> tuple[Edit, ...]:
        """Return the known mistake that explains what failed, or two."""
        if self.failure is None:
            return ()
        return diagnose(self.technique, self.failure, self.others, self._further, self.failures)

    def _further(self) -> list[Case]:
        return [case for draw in self.further for case in draw()]

    def _unreported(self, name: str) -> PropertyResult:
        if self.loading is None:
            return self._result(name, "not_gradable", message="pytest did not run it")
        return self._result(name, "died" if isinstance(self.loading, AttemptDied) else "not_reached")

    # What pytest calls.

    def pytest_pycollect_makemodule(self, module_path: Path, parent: Any) -> pytest.Module:
        """Collect the properties under their canonical name."""
        return properties_module(self.technique, module_path, parent)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what kept properties from being collected."""
        if report.failed:
            self.problems.append(str(report.longrepr).strip().splitlines()[-1])

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note a test that would not be reported as a property, and run nothing then."""
        if odd := [item.nodeid for item in items if getattr(item, "originalname", None) not in self.properties]:
            self.problems.append(f"{odd[0]} is no function of the file named test_<claim>")
            items.clear()
        names = {item: item.originalname for item in items if isinstance(item, pytest.Function)}
        items[:] = [item for item, name in names.items() if self.only in (None, name)]
        if self.may_begin is not None:
            times = collections.Counter(names.values())
            items[:] = [item for item, name in reversed(names.items()) if times[name] == 1]
            items.sort(key=lambda item: not self._has_kept(item.originalname))  # type: ignore[attr-defined]
        if self.kept_alone:
            items[:] = [item for item, name in names.items() if self._has_kept(name)]

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
        """Note a failure of pytest itself, which then does not print it."""
        self.problems.append(excinfo.exconly())
        return True

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note Ctrl-C, which pytest keeps to itself, or what else ended it."""
        self.interrupted = excinfo.type is KeyboardInterrupt
        self.problems.append(excinfo.exconly())

    def pytest_runtest_makereport(self, item: pytest.Function, call: pytest.CallInfo[None]) -> None:
        """Note why a property was not run: a fixture that does not exist, a mark that skips it."""
        name = item.originalname
        if call.excinfo is not None and name not in self.results:
            error = call.excinfo.value
            message = f"{call.excinfo.typename}: {error}"[:500]
            if isinstance(error, pytest.FixtureLookupError):
                message = f"there is no fixture {error.argname!r}"
            self.results[name] = self._result(name, "not_gradable", message=message)

    @pytest.fixture
    def impl(self) -> Any:
        """What is judged."""
        assert self.subject is not None
        return self.subject.impl

    @pytest.fixture
    def reference(self) -> Any:
        """The solution's public class or function."""
        return self.the_reference

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool:
        """Run one property and note what became of it."""
        name = pyfuncitem.originalname
        if name in self.results and self.results[name].status != "held":
            return True  # a property with several parameters has failed with an earlier one
        if self.may_begin is not None and not self.may_begin(name):
            return True
        if self.tell is not None and self.ahead is not None:
            for failing in self.ahead.failures():
                self.tell("failing", failing)
        marks = marks_of(pyfuncitem.obj)
        unmet = [e for e in marks.after if e not in self.results or self.results[e].status != "held"]
        if self.stopped or (unmet and not (self.for_author or self.only)):
            self.results[name] = self._result(name, "not_reached")
            return True
        arguments = {n: pyfuncitem.funcargs[n] for n in pyfuncitem._fixtureinfo.argnames}
        found = self.ahead.found(name) if self.ahead is not None else None
        if found is not None and found.result.status in ("held", "died"):  # of any other, more is to be found out
            self._take(name, pyfuncitem.obj, arguments, found)
        else:
            self.results[name] = self._judge(name, pyfuncitem.obj, arguments)
            if found is not None and self.results[name].status == "held":  # the attempt answers now so, now so
                self.results[name] = found.result
        self.stopped |= self.kept_alone and self.results[name].status == "failed"
        if self.tell is not None:
            self.tell("result", self.results[name])
        return True

    # Judging one property.

    def _judge(self, name: str, test: Callable[..., Any], fixtures: dict[str, Any]) -> PropertyResult:
        assert self.subject is not None
        if fixtures.get("impl") is not self.subject.impl:
            return self._result(
                name, "not_gradable", message="the property was not given the attempt: no fixture 'impl'"
            )
        watch = Watch(self.subject, fixtures)
        watch.at_first_failure = functools.partial(self._tell_at_once, name)
        behind = self.subject.behind
        error: BaseException | None = None
        try:
            behind.reseed(_mix(self.seed, f"attempt:{name}"))
            asked = behind.requests
            with self._watched(name, test, watch) as watched:
                watched(**fixtures)
        except (KeyboardInterrupt, SystemExit, pytest.exit.Exception):
            raise
        except BaseException as raised:
            error = raised
        self.further.append(lambda: watch.others[:FURTHER_CASES])
        if behind.death is not None:  # asked of the process itself: a property may have caught what it raised
            self.stopped = True
            return self._result(
                name, "died", message=f"{behind.death.how}: {behind.death.detail}",
                counterexample={} if watch.last is None else _shown(watch.last.arguments),
                printed=behind.take_printed() or None,
            )  # fmt: skip
        if error is not None:
            return self._fell_short(name, test, error, watch)
        if behind.requests == asked:
            return self._result(name, "not_gradable", message="the property never called the attempt")
        return self._result(name, "held")

    def _take(self, name: str, test: Callable[..., Any], fixtures: dict[str, Any], found: Found) -> None:
        """Take over what a copy of this judge found."""
        before = Cases({self._key(name): self.database.data.get(self._key(name), set())})
        self.further.append(functools.cache(lambda: self._unshrunk(name, test, fixtures, before)))
        self.database.data[self._key(name)] = found.cases
        self.results[name] = found.result
        self.stopped |= found.result.status == "died"

    def _tell_at_once(self, name: str, error: BaseException) -> None:
        """Tell of a failing case before a smaller one is looked for."""
        if self.tell is not None and not (isinstance(error, AttemptRaised) and _is_of_the_stub(error)):
            self.tell("failing", self._result(name, "failed"))

    def _fell_short(self, name: str, test: Callable[..., Any], error: BaseException, watch: Watch) -> PropertyResult:
        if watch.failure is None:  # hypothesis itself, or pytest
            return self._result(name, "not_gradable", message=f"{type(error).__name__}: {error}"[:500])
        case, cause = watch.failure, watch.failure.error
        if isinstance(cause, AttemptRaised) and _is_of_the_stub(cause):
            return self._result(name, "not_started", message=cause.message)
        shown = _shown(case.arguments) or _steps(error)
        try:
            case.run(self.the_reference)
        except FAILURES as also:
            return self._result(
                name, "not_gradable", counterexample=shown,
                message=f"the reference fails this case as well: {type(also).__name__}: {also}"[:500],
            )  # fmt: skip
        if self.failure is not None:
            self.failures.append(lambda: [case, *self._unshrunk(name, test, watch.fixtures)])
        else:
            self.failure, self.others = case, [] if self.for_author else self._unshrunk(name, test, watch.fixtures)
        told: dict[str, Any] = {}
        if isinstance(cause, Mismatch):
            told = {"expected": cause.expected, "got": cause.got, "where": cause.where, "message": str(cause)}
        elif isinstance(cause, AttemptRaised) and cause.types == ("NotPlainError",):
            told = {"message": cause.message}
        elif isinstance(cause, AttemptRaised):
            told = {"message": f"it raised {cause}", "where": cause.lines or None}
        elif isinstance(cause, (AssertionError, pytest.fail.Exception)):
            told = {"message": str(cause) or None}
        else:
            told = {"message": f"the answer cannot be used: {type(cause).__name__}: {cause}"[:500]}
        if isinstance(error, hypothesis.errors.Flaky):
            told["message"] = f"the same case was answered in two ways, once wrong: {told['message'] or 'see above'}"
        return self._result(name, "failed", counterexample=shown, printed=case.printed or None, **told)

    def _unshrunk(
        self, name: str, test: Callable[..., Any], fixtures: dict[str, Any], held: Cases | None = None
    ) -> list[Case]:
        """Return cases as they are drawn: those that the property draws for the reference, which fails none of them.

        Where the property ``held``, for which those cases had been kept, they are the first that were drawn then.
        """
        local = LocalAttempt(self.the_reference)
        given = fixtures | {"impl": local.impl}
        watch = Watch(Subject(local.impl, local), given, most=None if held is None else FURTHER_CASES)
        watching = self._watched(name, test, watch, judging=held is not None, database=held)
        with contextlib.suppress(Exception, Enough), watching as watched:
            watched(**given)
        return watch.others

    @contextlib.contextmanager
    def _watched(
        self, name: str, test: Any, watch: Watch, *, judging: bool = True, database: Cases | None = None
    ) -> Iterator[Callable[..., Any]]:
        """Give the property the judge's settings, seed and cases, and have every example of it watched."""
        # One smallest case is enough to work on: what fails after it is told with the case that was drawn.
        shrinking = judging and not self.for_author and self.failure is None
        again = self.only is not None and self._has_kept(name)
        phases = [
            hypothesis.Phase.explicit,
            *([hypothesis.Phase.reuse] if judging else []),
            *([] if judging and (again or self.kept_alone) else [hypothesis.Phase.generate]),
            *([hypothesis.Phase.shrink] if shrinking else []),
        ]
        settings = hypothesis.settings(
            max_examples=self.examples if judging else CASES_KEPT, stateful_step_count=STEPS, deadline=None,
            database=(database or self.database) if judging else None,
            phases=phases, suppress_health_check=list(hypothesis.HealthCheck), report_multiple_bugs=False,
            print_blob=False,
        )  # fmt: skip
        machine = getattr(test, "groundup_machine", None)
        if machine is not None:
            run: Any = machine_test(machine, watch.impl, settings)
        elif hasattr(test, "hypothesis"):
            run = test
        else:
            yield watch.around(test)
            return
        # The three attributes are what hypothesis.seed() and settings() set; the functions allow each only once.
        run._hypothesis_internal_use_seed = _mix(self.seed, name)
        run._hypothesis_internal_database_key = self._key(name)
        run._hypothesis_internal_use_settings = settings
        handle, inner = run.hypothesis, run.hypothesis.inner_test
        handle.inner_test = watch.around(inner) if machine is None else watch.around_machine(inner, machine, settings)
        try:
            yield run if machine is None else lambda **_fixtures: run()
        finally:
            handle.inner_test = inner

    def _has_kept(self, name: str) -> bool:
        return bool(self.database.data.get(self._key(name)))

    def _key(self, name: str) -> bytes:
        """What the failing cases of a property are kept under."""
        return f"{self.technique.id}:{name}".encode()

    def _result(self, name: str, status: Status, **details: Any) -> PropertyResult:
        marks: Marks = marks_of(self.properties[name])
        clean = {k: printable(v) if isinstance(v, str) else v for k, v in details.items()}  # answers hold any text
        return PropertyResult(
            id=name.removeprefix("test_"), claim=say(marks.claim, self.lang), status=status,
            points=marks.points, hole=marks.hole, **clean,
        )  # fmt: skip


class Watch:
    """Sees every example of one property: the last one, the last that failed, and some that were not shrunk."""

    def __init__(self, subject: Subject, fixtures: dict[str, Any], *, most: int | None = None) -> None:
        """Watch; end it with Enough when there are ``most`` cases."""
        self.subject, self.fixtures, self.most = subject, fixtures, most
        self.impl = subject.impl
        self.last: Case | None = None
        self.failure: Case | None = None
        self.others: list[Case] = []
        self.at_first_failure: Callable[[BaseException], None] = lambda _: None

    def around(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        """Return the body of an ordinary property, watched."""

        @functools.wraps(inner)
        def watched(*args: Any, **kwargs: Any) -> None:
            kwargs = {k: Draws(v) if isinstance(v, DataObject) else v for k, v in kwargs.items()}
            drawn = {k: v for k, v in kwargs.items() if k not in self.fixtures}

            def again(impl: Any) -> None:
                with contextlib.suppress(NothingLeftToDraw):
                    inner(**{k: v.again() if isinstance(v, Draws) else v for k, v in kwargs.items()} | {"impl": impl})

            with self._watching(Case(again, self.impl, drawn)):
                inner(*args, **kwargs)

        return watched

    def around_machine(
        self, inner: Callable[..., Any], machine: type[ImplMachine], settings: hypothesis.settings
    ) -> Callable[..., Any]:
        """Return the body of a state machine's property, watched. It is run again from the choices it drew."""

        @functools.wraps(inner)
        def watched(data: Any) -> None:
            case = Case(lambda impl: None, self.impl, {}, steps=True)
            try:
                with self._watching(case):
                    inner(data)
            finally:
                choices = data.conjecture_data.choices
                case.run = lambda impl: run_again(machine, impl, choices, settings)

        return watched

    @contextlib.contextmanager
    def _watching(self, case: Case) -> Iterator[None]:
        if self.most == len(self.others):
            raise Enough
        self.last = case
        if self.failure is None and len(self.others) < CASES_KEPT:
            self.others.append(case)
        self.subject.behind.take_printed()
        try:
            yield
        except (hypothesis.errors.UnsatisfiedAssumption, hypothesis.errors.StopTest):
            raise
        except FAILURES as error:
            case.error, case.printed = error, self.subject.behind.take_printed()
            if self.failure is None:
                self.at_first_failure(error)
            self.failure = case
            raise


class Enough(BaseException):
    """There are as many cases as were wanted."""


class Draws:
    """Stands in for hypothesis's ``data``, whose draws end with the example: keeps them, to run the case again."""

    def __init__(self, data: DataObject | None, drawn: list[Any] | None = None) -> None:
        self.data, self.drawn, self.at = data, [] if drawn is None else drawn, 0

    def draw(self, strategy: Any, label: Any = None) -> Any:
        """Draw a value, or return the one that was drawn at this point before."""
        if self.at == len(self.drawn):
            if self.data is None:
                raise NothingLeftToDraw
            self.drawn.append(self.data.draw(strategy, label))
        self.at += 1
        return self.drawn[self.at - 1]

    def again(self) -> Draws:
        """Return the same draws, from the first one on."""
        return Draws(None, self.drawn)


class NothingLeftToDraw(BaseException):
    """The case goes on beyond the point where it first ended: nobody knows what would be drawn there."""


def read_attempt(path: Path) -> str:
    """Return the text of a learner's file. Raises UsageProblem that names what is wrong with it."""
    try:
        if not path.is_file():
            raise UsageProblem(f"There is no file {path}." if not path.exists() else f"{path} is not a file.")
        if path.stat().st_size > LONGEST_SOURCE:
            raise UsageProblem(f"{path} is larger than {LONGEST_SOURCE >> 10} KiB: that is no attempt.")
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise UsageProblem(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8.") from None
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror}.") from error


def _reference(technique: Technique) -> Any:
    try:
        return reference_of(technique)
    except Exception as error:
        raise PluginProblem(
            f"The solution of {technique.id} cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def _cannot_be_loaded(error: AttemptRaised | AttemptDied) -> str:
    if isinstance(error, AttemptDied):
        return f"The file cannot be loaded: {error.how}: {error.detail}."
    place = f" ({error.lines.splitlines()[-1]})" if error.lines else ""
    return f"The file cannot be loaded: {error}{place}"


def _is_of_the_stub(error: AttemptRaised) -> bool:
    """Whether an empty hole raised this. Torch raises NotImplementedError too, with words of its own."""
    return error.types[0] == "NotImplementedError" and (not error.message or error.message.startswith("hole "))


def _outcome(technique: Technique, source: str, results: list[PropertyResult], problem: str | None) -> Outcome:
    statuses = {r.status for r in results}
    if "died" in statuses:
        return "died"
    if "not_gradable" in statuses:
        return "not_gradable"
    if statuses == {"held"}:
        return "passed"
    holes = hole_states(technique, source, passed=False)
    started = problem is not None or "failed" in statuses or any(h.filled for h in holes)
    return "fell_short" if started else "not_started"


def _score(results: list[PropertyResult]) -> float:
    """Return the points that held over all points, leaving out what could not be graded."""
    counted = [r for r in results if r.status != "not_gradable"]
    total = sum(r.points for r in counted)
    return round(sum(r.points for r in counted if r.status == "held") / total, 4) if total else 0.0


def _shown(arguments: dict[str, Any]) -> dict[str, str]:
    shown: dict[str, str] = {}
    for name, value in arguments.items():
        drawn = {f"{name} {n}": v for n, v in enumerate(value.drawn, 1)} if isinstance(value, Draws) else {name: value}
        shown |= {k: literal(v) for k, v in drawn.items()}
    return shown


def _steps(error: BaseException) -> dict[str, str] | None:
    """Return the steps of a state machine's smallest failing run, from what hypothesis noted on its error."""
    notes = [note for note in getattr(error, "__notes__", ()) if "(" in note and not note.startswith("Failing")]
    steps = [n for n in notes[:-1] if not n.startswith("state = ")]
    return {"steps": "\n".join(steps)} if steps else None


def _mix(seed: int, name: str) -> int:
    """Return a seed for one use: the same for the same two, whatever else runs; neither tells ``seed``."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8]) >> 1


@functools.cache
def environment() -> dict[str, str]:
    """Return the versions that a verdict rests on."""
    packages = ("groundup", "torch", "hypothesis", "pytest")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": str(torch.get_num_threads()),
        **{name: version(name) for name in packages},
    }


@contextlib.contextmanager
def _clean_environment() -> Iterator[None]:
    """Hide the user's pytest and hypothesis settings, and every pytest plugin that is installed."""
    hidden = {k: v for k, v in os.environ.items() if k.startswith(("PYTEST_", "HYPOTHESIS_"))}
    for key in hidden:
        del os.environ[key]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        with _same_draws_everywhere():
            set_hypothesis_home_dir(NOWHERE)
            yield
    finally:
        set_hypothesis_home_dir(None)
        for key in [k for k in os.environ if k.startswith(("PYTEST_", "HYPOTHESIS_"))]:
            del os.environ[key]
        os.environ.update(hidden)


@contextlib.contextmanager
def _same_draws_everywhere() -> Iterator[None]:
    """Have a seed draw the same cases whatever modules are loaded.

    Hypothesis also draws constants that it reads in the source of every module outside site-packages: with an editable
    installation those are this project's, and of other techniques graded before.
    """
    from_modules = providers._get_local_constants
    providers._get_local_constants = providers.Constants  # type: ignore[attr-defined]
    providers.CONSTANTS_CACHE.cache.clear()
    try:
        yield
    finally:
        providers._get_local_constants = from_modules
        providers.CONSTANTS_CACHE.cache.clear()


__all__ = ["Grading", "Judge", "Replayed", "environment", "read_attempt"]
