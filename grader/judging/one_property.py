"""Judges one property: runs it on the subject and returns its result, with the failing case."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import hypothesis
import pytest

from groundup.core.errors import AttemptRaised
from groundup.core.messages import Message, said_by
from groundup.core.testing.compare import ChangedInput, Mismatch, forgiving_changes
from groundup.core.testing.hypothesis_internals import KeptCases, configure, is_hypothesis_test, with_body
from groundup.core.testing.stateful import machine_test
from groundup.grader.judging.local import LocalAttempt
from groundup.grader.judging.plan import FURTHER_CASES, STEPS, Plan, derive_seed
from groundup.grader.judging.properties import Properties
from groundup.grader.judging.recorder import CASES_KEPT, FAILURES, Case, Enough, Recorder, shown
from groundup.grader.judging.subject import Subject
from groundup.grader.judging.verdict import PropertyResult, Status

__all__ = ["PropertyJudge", "Trial", "Tried"]


@dataclass(frozen=True)
class Trial:
    """One property and its fixtures."""

    name: str
    test: Callable[..., Any]
    fixtures: dict[str, Any]


@dataclass(frozen=True)
class Tried:
    """The result of a property. ``failure`` is the failing case; ``drawn`` are some cases as first drawn, unshrunk."""

    result: PropertyResult
    failure: Case | None = None
    changed: PropertyResult | None = None
    """The result of the property that no call changes its inputs, if a call changed one."""
    drawn: list[Case] = field(default_factory=list)


class PropertyJudge:
    """Judges the properties of one run, one after another."""

    def __init__(
        self, properties: Properties, subject: Subject, reference_impl: Any, plan: Plan, kept: KeptCases
    ) -> None:
        self.properties, self.subject, self.reference_impl = properties, subject, reference_impl
        self.plan, self.kept = plan, kept

    def judge(
        self,
        trial: Trial,
        *,
        shrink: bool = False,
        forgives: bool = True,
        at_first_failure: Callable[[], None] = lambda: None,
    ) -> Tried:
        """Run a property; ``shrink`` only shrinks the known failing case and draws no new ones.

        With ``forgives`` false, the property fails at the first call that changes an input.
        """
        if trial.fixtures.get("impl") is not self.subject.impl:
            return self._not_gradable(
                trial, Message("the property was not given the attempt: no fixture {name!r}", name="impl")
            )

        def failing(error: BaseException) -> None:
            if not (isinstance(error, AttemptRaised) and _is_of_the_stub(error)):
                at_first_failure()

        key = self.properties.key(trial.name)
        cases = self.kept.to_shrink(key) if shrink else self.kept
        behind = self.subject.behind
        recorder = Recorder(
            self.subject, trial.fixtures, kept=max(CASES_KEPT, self.plan.cases_kept), at_first_failure=failing,
            forgives=forgives,
        )  # fmt: skip
        changes: list[PropertyResult] = []

        def changed(change: ChangedInput) -> None:
            if not changes:
                case = {} if recorder.last is None else shown(recorder.last.arguments)
                changes.append(self._result(trial, "failed", counterexample=case, **_what_is_wrong(change)))

        error: BaseException | None = None
        try:
            behind.reseed(derive_seed(self.plan.seed, f"attempt:{trial.name}"))
            asked = behind.requests
            with (
                forgiving_changes(changed) if forgives else contextlib.nullcontext(),
                self._recorded(trial, recorder, self._phases(trial, shrink), cases) as recorded,
            ):
                recorded(**trial.fixtures)
        except (KeyboardInterrupt, SystemExit, pytest.exit.Exception):
            raise
        except BaseException as raised:
            error = raised
        if shrink and cases.of(key):
            self.kept.replace(key, cases.of(key))
        drawn = recorder.drawn[: self.plan.cases_kept]
        if behind.death is not None:  # ask the process, since the property may have caught AttemptDied
            died = self._result(
                trial, "died", message=behind.death.summary, where=behind.death.lines or None,
                counterexample={} if recorder.last is None else shown(recorder.last.arguments),
                printed=behind.take_printed() or None,
            )  # fmt: skip
            return Tried(died, drawn=drawn)
        change = changes[0] if changes else None
        if error is not None:
            return replace(self._fell_short(trial, error, recorder), changed=change)
        if behind.requests == asked:
            return self._not_gradable(trial, Message("the property never called the attempt"))
        return Tried(self._result(trial, "held"), changed=change, drawn=drawn)

    def unshrunk(self, trial: Trial, held: KeptCases | None = None) -> list[Case]:
        """Return unshrunk cases: those that the property draws when it runs on the reference, which never fails.

        For a property that held, pass as ``held`` the cases kept before that run: the same cases are then drawn first.
        """
        local = LocalAttempt(self.reference_impl)
        fixtures = trial.fixtures | {"impl": local.impl}
        recorder = Recorder(Subject(local.impl, local), fixtures, most=None if held is None else FURTHER_CASES)
        phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate] if held is None else self._phases(trial)
        examples = CASES_KEPT if held is None else None
        recording = self._recorded(trial, recorder, phases, held, examples)
        with contextlib.suppress(Exception, Enough), recording as recorded:
            recorded(**fixtures)
        return recorder.drawn

    def has_kept(self, name: str) -> bool:
        """Whether failing cases of the property are kept from earlier runs."""
        return bool(self.kept.of(self.properties.key(name)))

    def _fell_short(self, trial: Trial, error: BaseException, recorder: Recorder) -> Tried:
        if recorder.failure is None:  # the error is hypothesis's or pytest's own
            return self._not_gradable(trial, f"{type(error).__name__}: {error}"[:500])
        case, cause = recorder.failure, recorder.failure.error
        if isinstance(cause, AttemptRaised) and _is_of_the_stub(cause):
            return Tried(self._result(trial, "not_started", message=cause.message))
        example = shown(case.arguments) or _steps(error)
        try:
            case.run(self.reference_impl)
        except FAILURES as also:
            if self.plan.reach is not None:  # the same holes are empty in the reference: it cannot be judged yet
                return Tried(self._result(trial, "not_started", message=self.plan.waits_for))
            why = f"{type(also).__name__}: {also}"[:500]
            message = Message("the reference fails this case as well: {why}", why=why)
            return Tried(self._result(trial, "not_gradable", counterexample=example, message=message))
        told = _what_is_wrong(cause)
        if isinstance(error, hypothesis.errors.Flaky):
            how = told["message"] or Message("see above")
            told["message"] = Message("the same case was answered in two ways, once wrong: {how}", how=how)
        result = self._result(trial, "failed", counterexample=example, printed=case.printed or None, **told)
        return Tried(result, case, drawn=recorder.drawn[: self.plan.cases_kept])

    @contextlib.contextmanager
    def _recorded(
        self,
        trial: Trial,
        recorder: Recorder,
        phases: list[hypothesis.Phase],
        database: KeptCases | None,
        examples: int | None = None,
    ) -> Iterator[Callable[..., Any]]:
        """Apply the plan's settings, seed and kept cases to the property, and record every example."""
        machine = getattr(trial.test, "groundup_machine", None)
        if machine is None and not is_hypothesis_test(trial.test):
            yield recorder.around(trial.test)
            return
        settings = hypothesis.settings(
            max_examples=examples or self.plan.examples, stateful_step_count=STEPS, deadline=None, database=database,
            phases=phases, suppress_health_check=list(hypothesis.HealthCheck), report_multiple_bugs=False,
            print_blob=False,
        )  # fmt: skip
        run: Any = trial.test if machine is None else machine_test(machine, recorder.subject.impl, settings)
        seed, key = derive_seed(self.plan.seed, trial.name), self.properties.key(trial.name)
        configure(run, settings=settings, seed=seed, key=key)

        def wrap(body: Callable[..., Any]) -> Callable[..., Any]:
            return recorder.around(body) if machine is None else recorder.around_machine(body, machine, settings)

        with with_body(run, wrap):
            yield run if machine is None else lambda **_fixtures: run()

    def _phases(self, trial: Trial, shrink: bool = False) -> list[hypothesis.Phase]:
        generating = not (shrink or self.plan.kept_cases_only or (self.plan.only and self.has_kept(trial.name)))
        return [
            hypothesis.Phase.explicit,
            hypothesis.Phase.reuse,
            *([hypothesis.Phase.generate] if generating else []),
            *([hypothesis.Phase.shrink] if shrink else []),
        ]

    def _not_gradable(self, trial: Trial, message: str) -> Tried:
        return Tried(self._result(trial, "not_gradable", message=message))

    def _result(self, trial: Trial, status: Status, **details: Any) -> PropertyResult:
        return self.properties.result(trial.name, status, self.plan.lang, **details)


def _is_of_the_stub(error: AttemptRaised) -> bool:
    """Whether an empty hole raised this. Torch raises NotImplementedError too, with other messages."""
    return error.types[0] == "NotImplementedError" and (not error.message or error.message.startswith("hole "))


def _what_is_wrong(cause: BaseException | None) -> dict[str, Any]:
    """Return the fields of a result that say why the property failed."""
    if isinstance(cause, Mismatch):
        return {"expected": cause.expected, "got": cause.got, "where": cause.where, "message": said_by(cause)}
    if isinstance(cause, AttemptRaised) and cause.types == ("NotPlainError",):
        return {"message": cause.message}
    if isinstance(cause, AttemptRaised):
        return {"message": Message("it raised {error}", error=cause.summary), "where": cause.lines or None}
    if isinstance(cause, (AssertionError, pytest.fail.Exception)):
        return {"message": said_by(cause) or None}
    why = f"{type(cause).__name__}: {cause}"[:500]
    return {"message": Message("the answer cannot be used: {why}", why=why)}


def _steps(error: BaseException) -> dict[str, str] | None:
    """Return the steps of a state machine's smallest failing run, from the notes that hypothesis added to the error."""
    notes = [note for note in getattr(error, "__notes__", ()) if "(" in note and not note.startswith("Failing")]
    steps = [n for n in notes[:-1] if not n.startswith("state = ")]
    return {"steps": "\n".join(steps)} if steps else None
