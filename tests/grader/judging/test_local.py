from __future__ import annotations

import types
from typing import Any

import pytest
import torch

from groundup.core.communicator import Communicator
from groundup.core.errors import AttemptRaised
from groundup.core.testing.compare import ChangedInput, forgiving_changes
from groundup.core.testing.ranks import LocalRanks
from groundup.grader.judging.local import LocalAttempt, traced


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
        traced(fail, lambda *noted: notes.append(noted))()
    assert notes == [("", "KeyError")]


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
    counter = traced(Counter, lambda *noted: notes.append(noted))(5)
    assert (counter.add(1), counter.add(2)) == (6, 8)
    assert notes == [("", "constructed"), ("add", 6), ("add", 8)]
    with pytest.raises(ValueError, match=r"^$"):
        traced(Counter, lambda *noted: notes.append(noted))(-1)


def test_an_answer_is_noted_as_it_was_when_it_was_given() -> None:
    buffer = torch.zeros(2)
    notes: list[Any] = []

    def grow() -> dict[str, Any]:
        buffer.add_(1)
        return {"view": [buffer[:1]], "text": "a"}

    grow = traced(grow, lambda _, answer: notes.append(answer))
    answers = [grow(), grow()]
    assert [n["view"][0].tolist() for n in notes] == [[1.0], [2.0]]
    assert answers[0]["view"][0].data_ptr() == buffer.data_ptr(), "the property must get the answer itself, not a copy"


def test_a_stand_in_for_a_class_is_traced_as_one_where_it_stands_for_one() -> None:
    class Stand:
        def __call__(self, n: int) -> Any:
            return types.SimpleNamespace(add=lambda m: n + m)

    notes: list[Any] = []
    assert traced(Stand(), lambda *noted: notes.append(noted), int)(1).add(2) == 3
    assert notes == [("", "constructed"), ("add", 3)]


def test_guarded_an_input_that_was_changed_is_put_back_and_the_change_is_noted_with_the_answer() -> None:
    def double(x: torch.Tensor) -> torch.Tensor:
        return x.mul_(2)

    notes: list[Any] = []
    x = torch.ones(2)
    with pytest.raises(ChangedInput):
        traced(double, lambda *noted: notes.append(noted), guarded=True)(x)
    assert x.tolist() == [1.0, 1.0]
    ((_, (kind, answer)),) = notes
    assert (kind, answer.tolist()) == ("ChangedInput", [2.0, 2.0])
    assert traced(double, lambda *_: None)(x).tolist() == [2.0, 2.0]


def test_guarded_an_answer_that_is_a_changed_input_stays_as_it_was_answered() -> None:
    def add(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.add_(1), y

    x, y = torch.ones(2), torch.ones(2)
    with forgiving_changes(lambda change: None):
        total, same = traced(add, lambda *_: None, guarded=True)(x, y)
    assert (x.tolist(), total.tolist()) == ([1.0, 1.0], [2.0, 2.0])
    assert same is y


def test_guarded_a_dict_that_was_changed_is_put_back() -> None:
    def pops(batch: dict[str, Any]) -> int:
        return int(batch.pop("b"))

    batch = {"a": torch.ones(2), "b": 1}
    with pytest.raises(ChangedInput):
        traced(pops, lambda *_: None, guarded=True)(batch)
    assert sorted(batch) == ["a", "b"]


def test_guarded_an_input_that_a_constructor_changed_is_as_it_was_and_the_change_is_noted() -> None:
    class Keeps:
        def __init__(self, x: torch.Tensor, names: list[str]) -> None:
            self.x = x.mul_(2)

        def kept(self) -> torch.Tensor:
            return self.x

    class Sorts(Keeps):
        def __init__(self, x: torch.Tensor, names: list[str]) -> None:
            names.sort()

    for kind in (Keeps, Sorts):
        notes: list[Any] = []
        x, names = torch.ones(2), ["b", "a"]
        with pytest.raises(ChangedInput):
            traced(kind, lambda *noted: notes.append(noted), guarded=True)(x, names)  # noqa: B023
        assert (x.tolist(), names) == ([1.0, 1.0], ["b", "a"])
        assert notes == [("", "constructed"), ("", "ChangedInput")]
    with forgiving_changes(lambda change: None):
        assert traced(Keeps, lambda *_: None, guarded=True)(torch.ones(2), []).kept().tolist() == [2.0, 2.0]


def test_what_ranks_send_is_noted_where_that_is_asked_for() -> None:
    class Passes:
        def __init__(self, communicator: Communicator) -> None:
            self.communicator = communicator

        def total(self, x: torch.Tensor) -> torch.Tensor:
            return self.communicator.all_reduce(x)

    notes: list[Any] = []
    group = traced(LocalRanks(Passes), lambda *noted: notes.append(noted), guarded=True, sent=True)(2)
    group.total(torch.ones(4))
    assert [name for name, _ in notes] == ["", "sent", "total"]
    assert [(t.rank, t.kind, t.bytes) for t in notes[1][1]] == [(rank, "all_reduce", 16) for rank in range(2)]


def test_guarded_a_rank_that_changes_what_all_were_given_changes_its_own_copy() -> None:
    class Adds:
        def __init__(self, communicator: Communicator) -> None:
            self.rank = communicator.rank

        def add(self, x: torch.Tensor) -> torch.Tensor:
            return x.add_(1) if self.rank else x + 1

        def take(self, x: list[float]) -> float:
            return x.pop() if self.rank else x[-1]

    x = torch.ones(2)
    group = traced(LocalRanks(Adds), lambda *_: None, guarded=True)(3)
    with pytest.raises(ChangedInput):
        group.add(x)
    assert x.tolist() == [1.0, 1.0]
    with pytest.raises(ChangedInput):
        group.take([1.0])
    assert [answer.tolist() for answer in LocalRanks(Adds)(3).add(x)] == [[2.0, 2.0]] * 3
