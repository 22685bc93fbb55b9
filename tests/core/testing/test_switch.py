from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.communicator import Call, wire_bytes
from groundup.core.testing.switch import Deadlock, Disagreement, Switch

X, Y = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])


def send(tensor: Tensor, to: int) -> Call:
    return Call("send", (tensor,), to=to)


def recv(source: int) -> Call:
    return Call("recv", source=source)


def blocked(switch: Switch, rank: int, call: Call, ticket: int = 1, place: str = "") -> None:
    switch.post(rank, ticket, call, place)
    switch.wait(rank, ticket)


def answers(switch: Switch) -> dict[int, list[list[float]] | None]:
    return {rank: found and [t.tolist() for t in found] for rank, found in switch.take_answers()}


def test_a_message_frees_its_sender_only_once_it_is_received() -> None:
    switch = Switch(3)
    blocked(switch, 0, send(X, 1))
    assert answers(switch) == {}
    blocked(switch, 1, recv(0))
    assert answers(switch) == {0: [], 1: [[1.0, 2.0]]}


@pytest.mark.parametrize("first", [0, 1])
def test_an_exchange_waits_for_both_neighbours_and_for_no_order(first: int) -> None:
    switch = Switch(2)
    for rank in (first, 1 - first):
        assert answers(switch) == {}
        blocked(switch, rank, Call("exchange", (X if rank == 0 else Y,), to=1 - rank, source=1 - rank))
    assert answers(switch) == {0: [[3.0, 4.0]], 1: [[1.0, 2.0]]}


def test_messages_between_two_ranks_arrive_in_the_order_in_which_they_were_sent() -> None:
    switch = Switch(2)
    switch.post(0, 1, send(X, 1))
    switch.post(0, 2, send(Y, 1))
    blocked(switch, 1, recv(0))
    assert answers(switch) == {1: [[1.0, 2.0]]}
    blocked(switch, 1, recv(0), ticket=2)
    assert answers(switch) == {1: [[3.0, 4.0]]}


def test_a_message_to_one_rank_is_not_given_to_another() -> None:
    switch = Switch(3)
    switch.post(0, 1, send(X, 1))
    blocked(switch, 2, recv(0))
    assert answers(switch) == {}


@pytest.mark.parametrize(
    ("calls", "results"),
    [
        ([Call("all_reduce", (X,)), Call("all_reduce", (Y,))], [[[4.0, 6.0]], [[4.0, 6.0]]]),
        ([Call("reduce_scatter", (X,)), Call("reduce_scatter", (Y,))], [[[4.0]], [[6.0]]]),
        ([Call("all_gather", (X,)), Call("all_gather", (Y,))], [[[1.0, 2.0, 3.0, 4.0]]] * 2),
        ([Call("broadcast", (X,), source=1), Call("broadcast", (Y,), source=1)], [[[3.0, 4.0]]] * 2),
        ([Call("all_to_all", (X, Y)), Call("all_to_all", (Y, X))], [[[1, 2], [3, 4]], [[3, 4], [1, 2]]]),
        ([Call("barrier"), Call("barrier")], [[], []]),
    ],
    ids=lambda calls: calls[0].kind if isinstance(calls[0], Call) else "",
)  # fmt: skip
def test_a_collective_is_answered_once_all_ranks_have_joined(calls: list[Call], results: list[object]) -> None:
    switch = Switch(2)
    blocked(switch, 1, calls[1])
    assert answers(switch) == {}
    blocked(switch, 0, calls[0])
    assert answers(switch) == dict(enumerate(results))


def test_a_call_that_was_started_is_answered_when_it_is_waited_for() -> None:
    switch = Switch(2)
    switch.post(0, 1, Call("all_reduce", (X,)))
    switch.post(0, 2, Call("all_reduce", (Y,)))
    switch.post(1, 1, Call("all_reduce", (Y,)))
    assert answers(switch) == {}
    switch.wait(0, 1)
    assert answers(switch) == {0: [[4.0, 6.0]]}
    switch.wait(0, 2)
    assert answers(switch) == {}
    switch.post(1, 2, Call("all_reduce", (Y,)))
    assert answers(switch) == {0: [[6.0, 8.0]]}


# Calls that do not match


def all_send_first(switch: Switch) -> None:
    for rank in range(3):
        blocked(switch, rank, send(X, (rank + 1) % 3), place=f"line {rank}")


def one_has_returned(switch: Switch) -> None:
    switch.returned(0)
    blocked(switch, 2, recv(0))
    blocked(switch, 1, Call("barrier"))


def nobody_waits(switch: Switch) -> None:
    switch.post(1, 1, Call("all_reduce", (X,)))
    for rank in range(3):
        switch.returned(rank)


@pytest.mark.parametrize(
    ("story", "told"),
    [
        (
            all_send_first,
            "the ranks wait for each other: rank 0 waits in send to rank 1 (line 0); rank 1 waits in send to rank 2 "
            "(line 1); rank 2 waits in send to rank 0 (line 2)",
        ),
        (
            one_has_returned,
            "the ranks wait for each other: rank 0 has returned; rank 1 waits in barrier; "
            "rank 2 waits in recv from rank 0",
        ),
        (nobody_waits, "a call was begun that not every rank made: rank 1 began all_reduce"),
    ],
)  # fmt: skip
def test_a_deadlock_is_told_with_every_rank_and_its_call(story: Callable[[Switch], None], told: str) -> None:
    switch = Switch(3)
    story(switch)
    assert isinstance(switch.failure, Deadlock)
    assert str(switch.failure) == told


def test_in_a_deadlock_all_who_wait_are_freed_and_so_is_who_calls_later() -> None:
    switch = Switch(2)
    blocked(switch, 0, recv(1))
    blocked(switch, 1, recv(0))
    assert answers(switch) == {0: None, 1: None}
    blocked(switch, 0, Call("barrier"), ticket=2)
    assert answers(switch) == {0: None}


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (Call("all_reduce", (X,)), Call("all_reduce", (X[:1],)), r"\(2,\); rank 1 calls all_reduce of float32 \(1,\)"),
        (Call("all_reduce", (X,)), Call("all_reduce", (X.double(),)), "float64"),
        (Call("all_reduce", (X,)), Call("all_gather", (X,)), "rank 1 calls all_gather"),
        (Call("broadcast", (X,), source=0), Call("broadcast", (X,), source=1), "from rank 0; rank 1 .* from rank 1"),
        (Call("barrier"), Call("all_reduce", (X,)), "barrier; rank 1 calls all_reduce"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("first", [0, 1])
def test_collectives_that_differ_are_told_the_same_whoever_comes_first(
    one: Call, other: Call, told: str, first: int
) -> None:
    switch = Switch(2)
    for rank in (first, 1 - first):
        blocked(switch, rank, (one, other)[rank])
    assert isinstance(switch.failure, Disagreement)
    assert answers(switch) == {0: None, 1: None}
    with pytest.raises(Disagreement, match=f"collective call 1 is not the same on all ranks: rank 0 calls .*{told}"):
        raise switch.failure


def test_differing_collectives_are_told_as_such_even_where_a_third_rank_never_joins() -> None:
    switch = Switch(3)
    switch.returned(2)
    blocked(switch, 0, Call("all_reduce", (X,)))
    blocked(switch, 1, Call("barrier"))
    assert isinstance(switch.failure, Disagreement)


def test_a_new_joint_call_begins_with_nothing_under_way_and_keeps_the_count() -> None:
    switch = Switch(2)
    blocked(switch, 0, recv(1))
    blocked(switch, 1, recv(0))
    switch.begin()
    assert switch.failure is None
    blocked(switch, 0, send(X, 1))
    blocked(switch, 1, recv(0))
    assert set(answers(switch)) == {0, 1}
    assert [(t.rank, t.kind, t.to, t.bytes) for t in switch.traffic] == [(0, "send", 1, 8)]


# What is counted


@given(st.sampled_from([1, 2, 3, 4, 7]), st.integers(0, 40))
def test_a_ring_all_reduce_counts_its_reduce_scatter_and_its_all_gather(size: int, numbers: int) -> None:
    chunk = -(-numbers // size)
    padded, own = torch.zeros(chunk * size), torch.zeros(chunk)
    for rank in range(size):
        both = sum(wire_bytes(Call(k, (t,)), rank, size) for k, t in (("reduce_scatter", padded), ("all_gather", own)))
        assert wire_bytes(Call("all_reduce", (torch.zeros(numbers),)), rank, size) == both == 2 * (size - 1) * chunk * 4


@given(st.sampled_from([1, 2, 3, 4]), st.integers(0, 3))
def test_a_broadcast_reaches_every_other_rank_once(size: int, source: int) -> None:
    call = Call("broadcast", (X,), source=source % size)
    assert sum(wire_bytes(call, rank, size) for rank in range(size)) == (size - 1) * X.nbytes


def test_only_what_goes_to_others_counts_in_an_all_to_all() -> None:
    call = Call("all_to_all", (torch.zeros(1), torch.zeros(10), torch.zeros(100)))
    assert [wire_bytes(call, rank, 3) for rank in range(3)] == [440, 404, 44]
