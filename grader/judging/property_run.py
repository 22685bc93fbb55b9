"""One run of a technique's properties on one subject, under pytest."""

from __future__ import annotations

import collections
import contextlib
import functools
import math
import os
import warnings
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from groundup.core.errors import PluginProblem
from groundup.core.interfaces.code_runner import CodeRunner
from groundup.core.messages import Message
from groundup.core.testing.hypothesis_internals import KeptCases, reproducible, unreported
from groundup.core.testing.marks import marks_of
from groundup.core.testing.pytest_plugin import properties_module
from groundup.core.testing.ranks import as_impl
from groundup.grader.judging.ahead import Ahead, Found, MayBegin
from groundup.grader.judging.diagnosis import DIAGNOSIS_SECONDS, diagnose
from groundup.grader.judging.edits import Edit
from groundup.grader.judging.inputs import INPUTS, inputs_result
from groundup.grader.judging.one_property import PropertyJudge, Trial, Tried
from groundup.grader.judging.plan import Plan
from groundup.grader.judging.properties import Properties
from groundup.grader.judging.recorder import Case
from groundup.grader.judging.subject import Subject
from groundup.grader.judging.verdict import PropertyResult, Status

__all__ = ["PropertyRun", "Tell", "isolated_pytest"]

INI = Path(__file__).with_name("judge.ini")
PLUGINS_OFF = (
    "cacheprovider", "capture", "debugging", "doctest", "faulthandler", "junitxml", "legacypath", "logging", "nose",
    "pastebin", "recwarn", "setuponly", "setupplan", "stepwise", "terminal", "terminalprogress", "threadexception",
    "tmpdir", "unittest", "unraisableexception", "warnings",
)  # fmt: skip

Tell = Callable[[Literal["failing", "result"], PropertyResult], None]
"""Callback: each property's result, and its first failure before shrinking. After the last property, it receives the
most informative failing property's result again, with a smaller case."""


class PropertyRun:
    """Runs the properties according to the plan. It is a pytest plugin."""

    def __init__(
        self,
        properties: Properties,
        subject: Subject,
        reference: Any,
        plan: Plan,
        *,
        kept: KeptCases | None = None,
        tell: Tell | None = None,
        ahead: Ahead | None = None,
        may_begin: MayBegin | None = None,
        empty: frozenset[int] = frozenset(),
    ) -> None:
        """Prepare the run. ``kept`` are failing cases of earlier runs: they are tried first, then replaced by new ones.

        ``ahead``: copies of the judge that run properties too. ``may_begin``: a copy calls it before each property.
        ``empty``: the holes that contain placeholders, both in the subject and in the reference.
        Raises UnknownName if the plan names a property that does not exist.
        """
        self.properties, self.technique, self.subject, self.plan = properties, properties.technique, subject, plan
        self.reference_impl = as_impl(self.technique, reference)
        self.kept = kept or KeptCases()
        self.tell, self.ahead, self.may_begin, self.empty = tell, ahead, may_begin, empty
        self.only = properties.function_named(plan.only) if plan.only not in (None, INPUTS) else None
        self.results: dict[str, PropertyResult] = {}
        self.says_most: str | None = None
        """The most informative failing property, whose case is shrunk, by the name of its function."""
        self._judge = PropertyJudge(properties, subject, self.reference_impl, plan, self.kept)
        self._failed: dict[str, tuple[Trial, Tried]] = {}
        self._changed: tuple[Trial, PropertyResult] | None = None  # the first property in which a call changed an input
        self.changed_in: set[str] = set()
        """The functions of the properties in which a call changed its inputs."""
        self.drawn: dict[str, list[Case]] = {}
        """By the name of its function, the first cases of each property as drawn, ``plan.cases_kept`` at most."""
        self._further: list[Callable[[], list[Case]]] = []  # per property, a function that returns some unshrunk cases
        self._problems: list[str] = []
        self._interrupted = False
        self._stopped = False

    @property
    def failure(self) -> Case | None:
        """The smallest case of the most informative failing property; None if none has failed."""
        return self._failed[self.says_most][1].failure if self.says_most else None

    def run(self) -> list[PropertyResult]:
        """Run the properties; return one result for each declared property, in file order.

        Raises PluginProblem if they cannot be run.
        """
        files = self.technique.files
        arguments = [
            str(files.properties), "-c", str(INI), "--rootdir", str(files.folder), "--noconftest",
            "--import-mode=importlib", *(f"-pno:{name}" for name in PLUGINS_OFF),
        ]  # fmt: skip
        with isolated_pytest(), warnings.catch_warnings(), unreported():
            warnings.simplefilter("ignore")
            code = pytest.main(arguments, plugins=[self])
        if self._interrupted:
            raise KeyboardInterrupt
        if self._problems:
            raise PluginProblem(
                "The properties of {id} cannot be run: {why}", id=self.technique.id, why=self._problems[0]
            )
        none_wanted = self.plan.kept_cases_only and code == pytest.ExitCode.NO_TESTS_COLLECTED
        if not none_wanted and code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            raise PluginProblem(
                "pytest could not run {properties}: exit code {code}", properties=files.properties, code=int(code)
            )
        results = [
            self.results.get(name) or self._result(name, "not_gradable", message=Message("pytest did not run it"))
            for name in self.properties.functions
        ]
        return [*results, *([inputs_result(self._changed[1])] if self._changed else [])]

    def diagnosis(self) -> tuple[Edit, ...]:
        """Return the one or two known mistakes that explain the failures. Raises PluginProblem, DiagnosisStopped."""
        if self.says_most is None:
            return ()
        self.subject.behind.allow(DIAGNOSIS_SECONDS)

        def further() -> list[Case]:
            return [case for draw in self._further for case in draw()]

        def cases_of(name: str) -> list[Case]:
            trial, tried = self._failed[name]
            return [*([tried.failure] if tried.failure else []), *self._judge.unshrunk(trial)]

        with isolated_pytest():
            smallest, *drawn = cases_of(self.says_most)
            others = [functools.partial(cases_of, name) for name in self._failed if name != self.says_most]
            return diagnose(self.technique, smallest, drawn, further, others, empty=self.empty)

    # Hooks and fixtures that pytest calls.

    def pytest_pycollect_makemodule(self, module_path: Path, parent: Any) -> pytest.Module:
        """Collect the properties under their canonical name."""
        return properties_module(self.technique, module_path, parent)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record why properties could not be collected."""
        if report.failed:
            self._problems.append(str(report.longrepr).strip().splitlines()[-1])

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Select and order the properties. If a test is not a declared property, record a problem and run nothing."""
        functions = self.properties.functions
        if odd := [item.nodeid for item in items if getattr(item, "originalname", None) not in functions]:
            self._problems.append(Message("{name} is no function of the file named test_<claim>", name=odd[0]))
            items.clear()
        names = {item: item.originalname for item in items if isinstance(item, pytest.Function)}
        items[:] = [item for item, name in names.items() if self.only in (None, name)]
        if first := [self.properties.function_named(name) for name in self.plan.first]:
            places = {name: place for place, name in enumerate(first)}
            items.sort(key=lambda item: places.get(names[item], len(places)))  # type: ignore[index]
        if self.plan.ahead:  # a parametrized property has one result for all its items: left to the judge
            times = collections.Counter(names.values())
            items[:] = [item for item, name in reversed(names.items()) if times[name] == 1]
            items.sort(key=lambda item: not self._judge.has_kept(names[item]))  # type: ignore[index]
        if self.plan.kept_cases_only:
            items[:] = [item for item, name in names.items() if self._judge.has_kept(name)]

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
        """Record a failure of pytest itself and keep pytest from printing it."""
        self._problems.append(excinfo.exconly())
        return True

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Record Ctrl-C, which pytest does not raise again, or what else ended the run."""
        self._interrupted = excinfo.type is KeyboardInterrupt
        self._problems.append(excinfo.exconly())

    def pytest_runtest_makereport(self, item: pytest.Function, call: pytest.CallInfo[None]) -> None:
        """Record why a property was not run: a missing fixture, or a skip mark."""
        name = item.originalname
        if call.excinfo is not None and name not in self.results:
            error = call.excinfo.value
            message: str = f"{call.excinfo.typename}: {error}"[:500]
            if isinstance(error, pytest.FixtureLookupError):
                message = Message("there is no fixture {name!r}", name=error.argname)
            self.results[name] = self._result(name, "not_gradable", message=message)

    @pytest.fixture
    def impl(self) -> Any:
        """The implementation that is judged."""
        return self.subject.impl

    @pytest.fixture
    def reference(self) -> Any:
        """The solution's public class or function."""
        return self.reference_impl

    @pytest.fixture
    def code_runner(self) -> CodeRunner:
        """Runs programs, each in a process of its own."""
        return self.subject.code_runner

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool:
        """Run one property and record its result."""
        name = pyfuncitem.originalname
        if name in self.results and self.results[name].status != "held":
            return True  # a parametrized property that failed with an earlier parameter
        if self.may_begin is not None and not self.may_begin(name):
            return True
        if self.tell is not None and self.ahead is not None:
            for failing in self.ahead.failures():
                self.tell("failing", failing)
        if self._waits(pyfuncitem.obj):
            self.results[name] = self._result(name, "not_started", message=self.plan.waits_for)
            return True
        if self._stopped or self._lacks_what_it_presupposes(pyfuncitem.obj):
            self.results[name] = self._result(name, "not_reached")
            return True
        trial = Trial(name, pyfuncitem.obj, {n: pyfuncitem.funcargs[n] for n in pyfuncitem._fixtureinfo.argnames})
        found = self.ahead.found(name) if self.ahead is not None else None
        if found is not None and found.is_settled:
            self._take_over(trial, found)
        else:
            self._try(trial)
            failed_there = found is not None and found.result.status not in ("held", "died")
            if found is not None and failed_there and self.results[name].status == "held":
                self.results[name] = found.result  # the attempt is non-deterministic
        self._stopped |= self.results[name].status == "died"
        self._stopped |= self.plan.stop_at_first_failure and self.results[name].status == "failed"
        self._stopped |= self.plan.stop_unless_held and self.results[name].status != "held"
        if self.tell is not None:
            self.tell("result", self.results[name])
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, bool, bool]:
        """After all properties, shrink the case of the most informative failing property."""
        ran = yield
        if self._failed or self._changed:
            self._show_what_says_most()
        return ran

    def _try(self, trial: Trial) -> None:
        def failing() -> None:
            if self.tell is not None:
                self.tell("failing", self._result(trial.name, "failed"))

        tried = self._judge.judge(trial, at_first_failure=failing)
        self.results[trial.name] = tried.result
        self.drawn.setdefault(trial.name, []).extend(tried.drawn)
        self._further.append(lambda: tried.drawn)
        if tried.failure is not None:
            self._failed[trial.name] = trial, tried
        if tried.changed is not None:
            self.changed_in.add(trial.name)
            self._changed = self._changed or (trial, tried.changed)

    def _take_over(self, trial: Trial, found: Found) -> None:
        """Use the result of a copy of this judge."""
        key = self.properties.key(trial.name)
        before = KeptCases({key: self.kept.of(key)})
        self._further.append(functools.cache(lambda: self._judge.unshrunk(trial, before)))
        self.kept.replace(key, found.cases)
        self.results[trial.name] = found.result

    def _show_what_says_most(self) -> None:
        """Choose the failing property with the lowest hole, then the fewest known mistakes, and shrink its case."""
        if self._changed is not None and (not self._failed or self.plan.only == INPUTS):
            self._show_the_change(*self._changed)
            return
        places = {name: place for place, name in enumerate(self.properties.functions)}

        def rank(name: str) -> tuple[float, int, int]:
            return marks_of(self.properties.functions[name]).hole or math.inf, self.properties.finds(name), places[name]

        self.says_most = min(self._failed, key=rank)
        if self.plan.independent or self.subject.behind.death is not None:
            return
        trial, _ = self._failed[self.says_most]
        smaller = self._judge.judge(trial, shrink=True)
        if smaller.failure is not None:
            self._failed[self.says_most] = trial, smaller
            self.results[self.says_most] = smaller.result
        if self.tell is not None:
            self.tell("result", self.results[self.says_most])

    def _show_the_change(self, trial: Trial, seen: PropertyResult) -> None:
        """Shrink the case in which a call changes an input, in the first property where that happened."""
        smaller = self._judge.judge(trial, forgives=False)
        if smaller.failure is None or self.plan.independent:
            return
        smaller = self._judge.judge(trial, forgives=False, shrink=True)
        if smaller.failure is not None:
            self._changed = trial, smaller.result
            self._failed[INPUTS] = trial, smaller
            self.says_most = INPUTS

    def _waits(self, test: Callable[..., Any]) -> bool:
        """Whether a property needs a hole that is still empty. A property without a hole mark needs all holes."""
        return self.plan.reach is not None and (marks_of(test).hole or math.inf) > self.plan.reach

    def _lacks_what_it_presupposes(self, test: Callable[..., Any]) -> bool:
        if self.plan.independent or self.only:
            return False
        earlier = (self.results.get(name) for name in marks_of(test).after)
        return any(result is None or result.status != "held" for result in earlier)

    def _result(self, name: str, status: Status, **details: Any) -> PropertyResult:
        return self.properties.result(name, status, self.plan.lang, **details)


@contextlib.contextmanager
def isolated_pytest() -> Iterator[None]:
    """Hide the user's settings of pytest and hypothesis, and every installed pytest plugin."""
    hidden = {k: v for k, v in os.environ.items() if k.startswith(("PYTEST_", "HYPOTHESIS_"))}
    for key in hidden:
        del os.environ[key]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        with reproducible():
            yield
    finally:
        for key in [k for k in os.environ if k.startswith(("PYTEST_", "HYPOTHESIS_"))]:
            del os.environ[key]
        os.environ.update(hidden)
