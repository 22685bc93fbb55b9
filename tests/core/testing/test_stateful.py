from __future__ import annotations

import re
from typing import Any

import hypothesis
import pytest
import torch
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase
from hypothesis.stateful import invariant, rule

from groundup.core.testing import ImplMachine, claim, state_machine, tensors
from groundup.core.testing.marks import marks_of
from groundup.core.testing.stateful import machine_test, run_again

QUIET = hypothesis.settings(
    database=None, deadline=None, print_blob=False, suppress_health_check=list(hypothesis.HealthCheck)
)


class Counter:
    """The implementation under test: a counter."""

    wrong_at = 1000

    def __init__(self) -> None:
        self.count = 0

    def add(self, number: int) -> None:
        self.count += number
        if self.count >= self.wrong_at:
            self.count += 1


class WrongFromFive(Counter):
    wrong_at = 5


class AgainstANumber(ImplMachine):
    def __init__(self, impl: Any) -> None:
        super().__init__(impl)
        self.counter, self.model = impl(), 0

    @rule(number=st.integers(1, 3))
    def add(self, number: int) -> None:
        self.counter.add(number)
        self.model += number

    @invariant()
    def counts(self) -> None:
        assert self.counter.count == self.model


def steps(error: BaseException) -> list[str]:
    return [note for note in getattr(error, "__notes__", ()) if note.startswith("state.")]


def test_a_right_implementation_holds() -> None:
    machine_test(AgainstANumber, Counter, QUIET)()


def test_a_wrong_one_is_shown_steps_that_end_where_it_goes_wrong() -> None:
    with pytest.raises(AssertionError) as raised:
        machine_test(AgainstANumber, WrongFromFive, QUIET)()
    added = [int(n) for step in steps(raised.value) for n in re.findall(r"add\(number=(\d)\)", step)]
    assert sum(added[:-1]) < 5 <= sum(added)


def test_a_property_made_of_a_machine_is_an_ordinary_one() -> None:
    @claim("It counts.")
    @state_machine(AgainstANumber)
    def test_it_counts(impl: Any) -> None: ...

    assert marks_of(test_it_counts).claim == {"en": "It counts."}
    assert test_it_counts.__name__ == "test_it_counts"
    test_it_counts(Counter)
    with pytest.raises(AssertionError):
        test_it_counts(WrongFromFive)


def test_a_run_can_be_had_again_with_another_implementation() -> None:
    choices: list[Any] = []

    class Remembering(AgainstANumber):
        def teardown(self) -> None:
            if self.counter.count != self.model:
                choices.append(hypothesis.control.current_build_context().data.choices)

    with pytest.raises(AssertionError):
        machine_test(Remembering, WrongFromFive, QUIET)()
    run_again(AgainstANumber, Counter, choices[-1], QUIET)
    with pytest.raises(AssertionError):
        run_again(AgainstANumber, WrongFromFive, choices[-1], QUIET)


def test_running_again_draws_nothing_new() -> None:
    runs: list[int] = []

    class Counting(AgainstANumber):
        def teardown(self) -> None:
            runs.append(self.model)

    run_again(Counting, Counter, (), QUIET)
    assert len(runs) <= 1


def test_tensors_in_a_step_read_as_in_any_other_case() -> None:
    class Taking(ImplMachine):
        @rule(x=tensors((1,)))
        def take(self, x: torch.Tensor) -> None:
            assert x.sum() == 0

    with pytest.raises(AssertionError) as raised:
        machine_test(Taking, None, hypothesis.settings(QUIET, database=InMemoryExampleDatabase()))()
    assert "state.take(x=torch.tensor([0.125]))" in steps(raised.value)
