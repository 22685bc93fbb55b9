from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from groundup.core.communicator import Call, Communicator

X = torch.ones(3)


class Echo(Communicator):
    """Returns the arguments of every call."""

    def __init__(self, rank: int = 0, size: int = 2) -> None:
        super().__init__(rank, size)
        self.calls: list[Call] = []
        self.finished = 0

    def _start(self, call: Call, *, wait: bool) -> Callable[[], list[Tensor]]:
        self.calls.append(call)

        def finish() -> list[Tensor]:
            self.finished += 1
            return list(call.tensors)

        return finish


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda c: c.send(X, 2), "there is no rank 2 among 2"),
        (lambda c: c.send(X, -1), "there is no rank -1 among 2"),
        (lambda c: c.recv(0), "rank 0 cannot send to itself, or receive from itself"),
        (lambda c: c.exchange(X, 1, 0), "rank 0 cannot send to itself, or receive from itself"),
        (lambda c: c.broadcast(X, 2), "there is no rank 2 among 2"),
        (lambda c: c.reduce_scatter(X), r"shape \(3,\) has no first axis that divides into 2"),
        (lambda c: c.reduce_scatter(torch.tensor(1.0)), r"shape \(\) has no first axis that divides into 2"),
        (lambda c: c.all_gather(torch.tensor(1.0)), r"shape \(\) has no first axis that divides into 1"),
        (lambda c: c.all_to_all([X]), "all_to_all takes a chunk for each of the 2 ranks, got 1"),
    ],
)
def test_a_call_that_cannot_be_made_is_refused_and_not_counted(call: Callable[[Echo], object], told: str) -> None:
    comm = Echo()
    with pytest.raises(ValueError, match=told):
        call(comm)
    assert (comm.calls, comm.sent_bytes) == ([], 0)


def test_what_was_started_is_finished_once_however_often_it_is_waited_for() -> None:
    comm = Echo()
    pending = comm.start_all_reduce(X)
    assert comm.finished == 0
    assert pending.wait() is pending.wait()
    assert comm.finished == 1


def test_every_byte_is_counted_when_the_call_begins() -> None:
    comm = Echo()
    comm.start_all_reduce(torch.zeros(4))
    assert comm.sent_bytes == 2 * 1 * 2 * 4
    comm.send(torch.zeros(5, dtype=torch.float64), 1)
    assert comm.sent_bytes == 16 + 40


def test_no_gradient_goes_over_the_wire() -> None:
    comm = Echo()
    comm.all_reduce(X.clone().requires_grad_())
    assert not comm.calls[0].tensors[0].requires_grad
