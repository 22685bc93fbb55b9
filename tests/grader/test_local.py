from __future__ import annotations

import types
from typing import Any

import pytest
import torch

from groundup.core.errors import AttemptRaised
from groundup.grader.local import LocalAttempt, traced


def test_every_answer_and_every_error_is_noted_in_order() -> None:
    def halve(x: int) -> int:
        if x % 2:
            raise ValueError(x)
        return x // 2

    local = LocalAttempt(halve)
    assert local.impl(4) == 2
    with pytest.raises(ValueError, match="3"):
        local.impl(3)
    assert local.impl(x=0) == 0
    assert local.trace == [2, "ValueError", 0]
    assert (local.requests, local.death, local.take_printed()) == (3, None, "")


def test_an_error_of_an_attempt_is_noted_by_the_type_it_had_there() -> None:
    def fail() -> None:
        raise AttemptRaised(("KeyError", "LookupError"), "4")

    notes: list[Any] = []
    with pytest.raises(AttemptRaised):
        traced(fail, notes.append)()
    assert notes == ["KeyError"]


def test_an_object_is_noted_when_it_is_made_and_whenever_it_answers() -> None:
    class Counter:
        def __init__(self, start: int) -> None:
            if start < 0:
                raise ValueError
            self.count = start

        def add(self, n: int) -> int:
            self.count += n
            return self.count

    notes: list[Any] = []
    counter = traced(Counter, notes.append)(5)
    assert (counter.add(1), counter.add(2)) == (6, 8)
    assert notes == ["constructed", 6, 8]
    with pytest.raises(ValueError, match=r"^$"):
        traced(Counter, notes.append)(-1)


def test_an_answer_is_noted_as_it_was_when_it_was_given() -> None:
    buffer = torch.zeros(2)
    notes: list[Any] = []

    def grow() -> dict[str, Any]:
        buffer.add_(1)
        return {"view": [buffer[:1]], "text": "a"}

    grow = traced(grow, notes.append)
    answers = [grow(), grow()]
    assert [n["view"][0].tolist() for n in notes] == [[1.0], [2.0]]
    assert answers[0]["view"][0].data_ptr() == buffer.data_ptr(), "the property gets the answer itself"


def test_a_stand_in_for_a_class_is_traced_as_one_where_it_stands_for_one() -> None:
    class Stand:
        def __call__(self, n: int) -> Any:
            return types.SimpleNamespace(add=lambda m: n + m)

    notes: list[Any] = []
    assert traced(Stand(), notes.append, int)(1).add(2) == 3
    assert notes == ["constructed", 3]
