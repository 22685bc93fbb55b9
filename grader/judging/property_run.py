"""One run of a technique's properties on one subject, under pytest."""

from __future__ import annotations

import collections
import contextlib
import functools
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import hypothesis
import pytest
from hypothesis.reporting import with_reporter

from groundup.core.errors import AttemptRaised, PluginProblem
from groundup.core.testing.compare import Mismatch
from groundup.core.testing.hypothesis_internals import (
    KeptCases,
    configure,
    is_hypothesis_test,
    reproducible,
    with_body,
)
from groundup.core.testing.marks import marks_of
from groundup.core.testing.pytest_plugin import properties_module
from groundup.core.testing.ranks import as_impl
from groundup.core.testing.stateful import machine_test
from groundup.grader.judging.ahead import Ahead, Found, MayBegin
from groundup.grader.judging.diagnosis import diagnose
from groundup.grader.judging.edits import Edit
from groundup.grader.judging.local import LocalAttempt
from groundup.grader.judging.plan import STEPS, Plan, derive_seed
from groundup.grader.judging.properties import Properties
from groundup.grader.judging.recorder import CASES_KEPT, FAILURES, Case, Enough, Recorder, shown
from groundup.grader.judging.subject import Subject
from groundup.grader.judging.verdict import PropertyResult, Status

__all__ = ["PropertyRun", "Tell", "isolated_pytest"]

FURTHER_CASES = 4  # of each property, where that leaves several known mistakes
INI = Path(__file__).with_name("judge.ini")
PLUGINS_OFF = (
    "cacheprovider", "capture", "debugging", "doctest", "faulthandler", "junitxml", "legacypath", "logging", "nose",
    "pastebin", "recwarn", "setuponly", "setupplan", "stepwise", "terminal", "terminalprogress", "threadexception",
    "tmpdir", "unittest", "unraisableexception", "warnings",
)  # fmt: skip

Tell = Callable[[Literal["failing", "result"], PropertyResult], None]
"""Callback: each property's result, and before that its first failure, while a smaller case is searched for."""


class PropertyRun:
    """Runs the properties as the plan says. It is the plugin that pytest is given."""

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
    ) -> None:
        """Prepare. ``kept`` are cases that failed before: they are tried first, and those that fail now replace them.

        ``ahead``: copies of the judge that run properties too. ``may_begin``: asked by such a copy before each.
        Raises UnknownName when the plan asks for a property that there is not.
        """
        self.properties, self.technique, self.subject, self.plan = properties, properties.technique, subject, plan
        self.reference_impl = as_impl(self.technique, reference)
        self.kept = kept or KeptCases()
        self.tell, self.ahead, self.may_begin = tell, ahead, may_begin
        self.only = properties.function_named(plan.only) if plan.only else None
        self.results: dict[str, PropertyResult] = {}
        self.failure: Case | None = None
        self._drawn: list[Case] = []  # of the property that failed first
        self._further: list[Callable[[], list[Case]]] = []  # for each property, what returns some cases as drawn
        self._failures: list[Callable[[], list[Case]]] = []  # for each that failed after the first, its cases
        self._problems: list[str] = []
        self._interrupted = False
        self._stopped = False

    def run(self) -> list[PropertyResult]:
        """Run the properties; return one result for each that the file declares, in its order.

        Raises PluginProblem when they cannot be run at all.
        """
        files = self.technique.files
        arguments = [
            str(files.properties), "-c", str(INI), "--rootdir", str(files.folder), "--noconftest",
            "--import-mode=importlib", *(f"-pno:{name}" for name in PLUGINS_OFF),
        ]  # fmt: skip
        with isolated_pytest(), warnings.catch_warnings(), with_reporter(lambda _: None):
            warnings.simplefilter("ignore")
            code = pytest.main(arguments, plugins=[self])
        if self._interrupted:
            raise KeyboardInterrupt
        if self._problems:
            raise PluginProblem(f"The properties of {self.technique.id} cannot be run: {self._problems[0]}")
        none_wanted = self.plan.kept_cases_only and code == pytest.ExitCode.NO_TESTS_COLLECTED
        if not none_wanted and code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            raise PluginProblem(f"pytest could not run {files.properties}: exit code {int(code)}")
        return [
            self.results.get(name) or self._result(name, "not_gradable", message="pytest did not run it")
            for name in self.properties.functions
        ]

    def diagnosis(self) -> tuple[Edit, ...]:
        """Return the known mistake that explains what failed, or two. Raises PluginProblem."""
        if self.failure is None:
            return ()

        def further() -> list[Case]:
            return [case for draw in self._further for case in draw()]

        with isolated_pytest():
            return diagnose(self.technique, self.failure, self._drawn, further, self._failures)

    # What pytest calls.

    def pytest_pycollect_makemodule(self, module_path: Path, parent: Any) -> pytest.Module:
        """Collect the properties under their canonical name."""
        return properties_module(self.technique, module_path, parent)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what kept properties from being collected."""
        if report.failed:
            self._problems.append(str(report.longrepr).strip().splitlines()[-1])

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Choose and order the properties; note a test that would not be reported as one, and run nothing then."""
        functions = self.properties.functions
        if odd := [item.nodeid for item in items if getattr(item, "originalname", None) not in functions]:
            self._problems.append(f"{odd[0]} is no function of the file named test_<claim>")
            items.clear()
        names = {item: item.originalname for item in items if isinstance(item, pytest.Function)}
        items[:] = [item for item, name in names.items() if self.only in (None, name)]
        if self.plan.ahead:  # one that is collected several times has one result: it is left to the judge
            times = collections.Counter(names.values())
            items[:] = [item for item, name in reversed(names.items()) if times[name] == 1]
            items.sort(key=lambda item: not self._has_kept(names[item]))  # type: ignore[index]
        if self.plan.kept_cases_only:
            items[:] = [item for item, name in names.items() if self._has_kept(name)]

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
        """Note a failure of pytest itself, which then does not print it."""
        self._problems.append(excinfo.exconly())
        return True

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note Ctrl-C, which pytest keeps to itself, or what else ended it."""
        self._interrupted = excinfo.type is KeyboardInterrupt
        self._problems.append(excinfo.exconly())

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
        return self.subject.impl

    @pytest.fixture
    def reference(self) -> Any:
        """The solution's public class or function."""
        return self.reference_impl

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool:
        """Run one property and note its result."""
        name = pyfuncitem.originalname
        if name in self.results and self.results[name].status != "held":
            return True  # a property with several parameters has failed with an earlier one
        if self.may_begin is not None and not self.may_begin(name):
            return True
        if self.tell is not None and self.ahead is not None:
            for failing in self.ahead.failures():
                self.tell("failing", failing)
        if self._stopped or self._lacks_what_it_presupposes(pyfuncitem.obj):
            self.results[name] = self._result(name, "not_reached")
            return True
        arguments = {n: pyfuncitem.funcargs[n] for n in pyfuncitem._fixtureinfo.argnames}
        found = self.ahead.found(name) if self.ahead is not None else None
        if found is not None and found.result.status in ("held", "died"):  # of any other, more is to be found out
            self._take_over(name, pyfuncitem.obj, arguments, found)
        else:
            self.results[name] = self._judge(name, pyfuncitem.obj, arguments)
            if found is not None and self.results[name].status == "held":  # the attempt is non-deterministic
                self.results[name] = found.result
        self._stopped |= self.plan.stop_at_first_failure and self.results[name].status == "failed"
        if self.tell is not None:
            self.tell("result", self.results[name])
        return True

    # Judging one property.

    def _lacks_what_it_presupposes(self, test: Callable[..., Any]) -> bool:
        if self.plan.independent or self.only:
            return False
        earlier = (self.results.get(name) for name in marks_of(test).after)
        return any(result is None or result.status != "held" for result in earlier)

    def _judge(self, name: str, test: Callable[..., Any], fixtures: dict[str, Any]) -> PropertyResult:
        if fixtures.get("impl") is not self.subject.impl:
            return self._result(
                name, "not_gradable", message="the property was not given the attempt: no fixture 'impl'"
            )
        behind = self.subject.behind
        recorder = Recorder(
            self.subject, fixtures, at_first_failure=functools.partial(self._tell_before_shrinking, name)
        )
        error: BaseException | None = None
        try:
            behind.reseed(derive_seed(self.plan.seed, f"attempt:{name}"))
            asked = behind.requests
            with self._recorded(name, test, recorder) as recorded:
                recorded(**fixtures)
        except (KeyboardInterrupt, SystemExit, pytest.exit.Exception):
            raise
        except BaseException as raised:
            error = raised
        self._further.append(lambda: recorder.drawn[:FURTHER_CASES])
        if behind.death is not None:  # asked of the process itself: a property may have caught what it raised
            self._stopped = True
            return self._result(
                name, "died", message=f"{behind.death.how}: {behind.death.detail}",
                counterexample={} if recorder.last is None else shown(recorder.last.arguments),
                printed=behind.take_printed() or None,
            )  # fmt: skip
        if error is not None:
            return self._fell_short(name, test, error, recorder)
        if behind.requests == asked:
            return self._result(name, "not_gradable", message="the property never called the attempt")
        return self._result(name, "held")

    def _take_over(self, name: str, test: Callable[..., Any], fixtures: dict[str, Any], found: Found) -> None:
        """Take over what a copy of this judge found."""
        key = self.properties.key(name)
        before = KeptCases({key: self.kept.of(key)})
        self._further.append(functools.cache(lambda: self._unshrunk(name, test, fixtures, before)))
        self.kept.replace(key, found.cases)
        self.results[name] = found.result
        self._stopped |= found.result.status == "died"

    def _tell_before_shrinking(self, name: str, error: BaseException) -> None:
        if self.tell is not None and not (isinstance(error, AttemptRaised) and _is_of_the_stub(error)):
            self.tell("failing", self._result(name, "failed"))

    def _fell_short(
        self, name: str, test: Callable[..., Any], error: BaseException, recorder: Recorder
    ) -> PropertyResult:
        if recorder.failure is None:  # hypothesis itself, or pytest
            return self._result(name, "not_gradable", message=f"{type(error).__name__}: {error}"[:500])
        case, cause = recorder.failure, recorder.failure.error
        if isinstance(cause, AttemptRaised) and _is_of_the_stub(cause):
            return self._result(name, "not_started", message=cause.message)
        example = shown(case.arguments) or _steps(error)
        try:
            case.run(self.reference_impl)
        except FAILURES as also:
            return self._result(
                name, "not_gradable", counterexample=example,
                message=f"the reference fails this case as well: {type(also).__name__}: {also}"[:500],
            )  # fmt: skip
        if self.failure is not None:
            self._failures.append(lambda: [case, *self._unshrunk(name, test, recorder.fixtures)])
        else:
            self.failure = case
            self._drawn = [] if self.plan.independent else self._unshrunk(name, test, recorder.fixtures)
        told = _what_is_wrong(cause)
        if isinstance(error, hypothesis.errors.Flaky):
            told["message"] = f"the same case was answered in two ways, once wrong: {told['message'] or 'see above'}"
        return self._result(name, "failed", counterexample=example, printed=case.printed or None, **told)

    def _unshrunk(
        self, name: str, test: Callable[..., Any], fixtures: dict[str, Any], held: KeptCases | None = None
    ) -> list[Case]:
        """Return cases as they are drawn: those that the property draws for the reference, which fails none of them.

        Where the property ``held``, for which those cases had been kept, they are the first that were drawn then.
        """
        local = LocalAttempt(self.reference_impl)
        given = fixtures | {"impl": local.impl}
        recorder = Recorder(Subject(local.impl, local), given, most=None if held is None else FURTHER_CASES)
        recording = self._recorded(name, test, recorder, judging=held is not None, database=held)
        with contextlib.suppress(Exception, Enough), recording as recorded:
            recorded(**given)
        return recorder.drawn

    @contextlib.contextmanager
    def _recorded(
        self, name: str, test: Any, recorder: Recorder, *, judging: bool = True, database: KeptCases | None = None
    ) -> Iterator[Callable[..., Any]]:
        """Give the property the plan's settings, seed and kept cases, and have every example of it recorded."""
        machine = getattr(test, "groundup_machine", None)
        if machine is None and not is_hypothesis_test(test):
            yield recorder.around(test)
            return
        settings = hypothesis.settings(
            max_examples=self.plan.examples if judging else CASES_KEPT, stateful_step_count=STEPS, deadline=None,
            database=(database or self.kept) if judging else None,
            phases=self._phases(name) if judging else [hypothesis.Phase.explicit, hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck), report_multiple_bugs=False, print_blob=False,
        )  # fmt: skip
        run: Any = test if machine is None else machine_test(machine, recorder.subject.impl, settings)
        configure(run, settings=settings, seed=derive_seed(self.plan.seed, name), key=self.properties.key(name))

        def wrap(body: Callable[..., Any]) -> Callable[..., Any]:
            return recorder.around(body) if machine is None else recorder.around_machine(body, machine, settings)

        with with_body(run, wrap):
            yield run if machine is None else lambda **_fixtures: run()

    def _phases(self, name: str) -> list[hypothesis.Phase]:
        # One smallest case is enough to work on: what fails after it is told with the case that was drawn.
        shrinking = not self.plan.independent and self.failure is None
        generating = not (self.plan.kept_cases_only or (self.only and self._has_kept(name)))
        return [
            hypothesis.Phase.explicit,
            hypothesis.Phase.reuse,
            *([hypothesis.Phase.generate] if generating else []),
            *([hypothesis.Phase.shrink] if shrinking else []),
        ]

    def _has_kept(self, name: str) -> bool:
        return bool(self.kept.of(self.properties.key(name)))

    def _result(self, name: str, status: Status, **details: Any) -> PropertyResult:
        return self.properties.result(name, status, self.plan.lang, **details)


@contextlib.contextmanager
def isolated_pytest() -> Iterator[None]:
    """Hide the user's settings of pytest and hypothesis, and every pytest plugin that is installed."""
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


def _is_of_the_stub(error: AttemptRaised) -> bool:
    """Whether an empty hole raised this. Torch raises NotImplementedError too, with words of its own."""
    return error.types[0] == "NotImplementedError" and (not error.message or error.message.startswith("hole "))


def _what_is_wrong(cause: BaseException | None) -> dict[str, Any]:
    """Return the fields of a result that tell why the property failed."""
    if isinstance(cause, Mismatch):
        return {"expected": cause.expected, "got": cause.got, "where": cause.where, "message": str(cause)}
    if isinstance(cause, AttemptRaised) and cause.types == ("NotPlainError",):
        return {"message": cause.message}
    if isinstance(cause, AttemptRaised):
        return {"message": f"it raised {cause}", "where": cause.lines or None}
    if isinstance(cause, (AssertionError, pytest.fail.Exception)):
        return {"message": str(cause) or None}
    return {"message": f"the answer cannot be used: {type(cause).__name__}: {cause}"[:500]}


def _steps(error: BaseException) -> dict[str, str] | None:
    """Return the steps of a state machine's smallest failing run, from what hypothesis noted on its error."""
    notes = [note for note in getattr(error, "__notes__", ()) if "(" in note and not note.startswith("Failing")]
    steps = [n for n in notes[:-1] if not n.startswith("state = ")]
    return {"steps": "\n".join(steps)} if steps else None
