"""Records the examples of a property while it runs, so that each can be run again with another implementation."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest

from groundup.core.testing.compare import forgiving_changes, watching_gradients
from groundup.core.testing.hypothesis_internals import DataObject, choices_of
from groundup.core.testing.literals import literal
from groundup.core.testing.parts import Event, watching_parts
from groundup.core.testing.stateful import ImplMachine, run_again
from groundup.grader.judging.local import traced
from groundup.grader.judging.subject import Subject

__all__ = ["FAILURES", "Case", "Enough", "Recorder", "Trace", "shown"]

Trace = list[tuple[str, Any]]
"""The calls in order, each with its answer or error."""

FAILURES = (Exception, pytest.fail.Exception)  # what a property may fail with; pytest's is not derived from Exception
CASES_KEPT = 16  # of the failing property, to compare with known mistakes


@dataclass
class Case:
    """One example of one property, to be run again with any implementation."""

    run: Callable[[Any], None]
    """Runs the property on this case with a given ``impl``. Raises what the property raises."""
    impl: Any
    """The ``impl`` of its first run."""
    arguments: dict[str, Any]
    """The drawn arguments by name."""
    error: BaseException | None = None
    printed: str = ""
    steps: bool = False
    """Whether it is a run of a state machine."""
    forgives: bool = False
    """Whether the property continues after a call that changed its inputs; another property reports the change."""

    def trace(self, implementation: Any, like: Any, *, sent: bool = False) -> Trace:
        """Return the answers and gradients that the property saw, up to its failure; the failure itself is left out.

        The case stays unchanged, whatever ``implementation`` does to its inputs.
        """
        trace: Trace = []
        events: list[Event] = []  # since the last completed call; events of different ranks have no fixed order

        def note(name: str, answer: Any) -> None:
            for event in sorted(events, key=lambda event: -1 if event.rank is None else event.rank):
                trace.append((f"{event.part}.{event.method}", [event.kind, event.rank, event.args, event.answer]))
            events.clear()
            trace.append((name, answer))

        def seen(event: Event) -> None:
            if sent or event.kind != "message":
                events.append(event)

        followed = traced(implementation, note, like, guarded=True, sent=sent)
        with (
            forgiving_changes(lambda change: None) if self.forgives else contextlib.nullcontext(),
            watching_gradients(lambda found: note("gradient", found)),
            watching_parts(seen),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # warnings of edited solutions do not concern the learner
            with contextlib.suppress(*FAILURES):
                self.run(followed)
        return trace


class Recorder:
    """Keeps examples of one property: the last one, the last that failed, and the first few as drawn."""

    def __init__(
        self,
        subject: Subject,
        fixtures: dict[str, Any],
        *,
        most: int | None = None,
        kept: int = CASES_KEPT,
        at_first_failure: Callable[[BaseException], None] = lambda _: None,
        forgives: bool = True,
    ) -> None:
        """Record the property's first ``kept`` examples; raise Enough inside the property once there are ``most``."""
        self.subject, self.fixtures, self.most, self.kept = subject, fixtures, most, kept
        self.at_first_failure, self.forgives = at_first_failure, forgives
        self.last: Case | None = None
        self.failure: Case | None = None
        self.drawn: list[Case] = []

    def around(self, body: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the body of an ordinary property so that its examples are recorded."""

        @functools.wraps(body)
        def recorded(*args: Any, **kwargs: Any) -> None:
            kwargs = {k: Draws(v) if isinstance(v, DataObject) else v for k, v in kwargs.items()}
            drawn = {k: v for k, v in kwargs.items() if k not in self.fixtures}

            def again(impl: Any) -> None:
                with contextlib.suppress(NothingLeftToDraw):
                    body(**{k: v.again() if isinstance(v, Draws) else v for k, v in kwargs.items()} | {"impl": impl})

            with self._recording(Case(again, self.subject.impl, drawn, forgives=self.forgives)):
                body(*args, **kwargs)

        return recorded

    def around_machine(
        self, body: Callable[..., Any], machine: type[ImplMachine], settings: hypothesis.settings
    ) -> Callable[..., Any]:
        """Wrap the body of a state machine's property. Cases are run again from the choices that hypothesis drew."""

        @functools.wraps(body)
        def recorded(data: Any) -> None:
            case = Case(lambda impl: None, self.subject.impl, {}, steps=True, forgives=self.forgives)
            try:
                with self._recording(case):
                    body(data)
            finally:
                choices = choices_of(data)
                case.run = lambda impl: run_again(machine, impl, choices, settings)

        return recorded

    @contextlib.contextmanager
    def _recording(self, case: Case) -> Iterator[None]:
        if self.most == len(self.drawn):
            raise Enough
        self.last = case
        if self.failure is None and len(self.drawn) < self.kept:
            self.drawn.append(case)
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
    """The requested number of cases has been recorded."""


class Draws:
    """Wraps hypothesis's ``data``, which is valid only during its example: keeps the draws, to run the case again."""

    def __init__(self, data: DataObject | None, drawn: list[Any] | None = None) -> None:
        self.data, self.drawn, self.at = data, [] if drawn is None else drawn, 0

    def draw(self, strategy: Any, label: Any = None) -> Any:
        """Draw a value, or return the value drawn here in the first run."""
        if self.at == len(self.drawn):
            if self.data is None:
                raise NothingLeftToDraw
            self.drawn.append(self.data.draw(strategy, label))
        self.at += 1
        return self.drawn[self.at - 1]

    def again(self) -> Draws:
        """Return a replay of the same draws from the first one on."""
        return Draws(None, self.drawn)


class NothingLeftToDraw(BaseException):
    """A replayed case continues past the end of its first run, so there is no recorded draw."""


def shown(arguments: dict[str, Any]) -> dict[str, str]:
    """Return a case's arguments as literals, by name."""
    literals: dict[str, str] = {}
    for name, value in arguments.items():
        drawn = {f"{name} {n}": v for n, v in enumerate(value.drawn, 1)} if isinstance(value, Draws) else {name: value}
        literals |= {k: literal(v) for k, v in drawn.items()}
    return literals
