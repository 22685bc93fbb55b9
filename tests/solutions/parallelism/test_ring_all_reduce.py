"""The solution of parallelism/ring-all-reduce against hand-worked steps, exact fractions and sums in ring order."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor

from groundup.core.registry import Registry
from groundup.core.testing import Deadlock, per_rank
from groundup.core.testing.ranks import LocalRanks
from groundup.grader.judging.edits import load_edits
from groundup.solutions.parallelism.ring_all_reduce import RingAllReduce

RING: Any = LocalRanks(RingAllReduce)
SHAPES = [(), (1,), (0,), (2, 0), (3,), (5,), (2, 3), (7,), (2, 2, 3), (64,)]


def drawn(size: int, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(len(shape) * 31 + size)
    return [torch.randint(-50, 50, shape, generator=generator).to(dtype) for _ in range(size)]


def test_the_lessons_example() -> None:
    rows = [[1, 2, 3], [10, 20, 30], [100, 200, 300]]
    group = RING(3)
    held = group.reduce_scatter(per_rank([torch.tensor(row)[:, None] for row in rows]))
    assert [chunk.tolist() for chunk in held] == [[111], [222], [333]]
    assert [whole.tolist() for whole in group.all_gather(per_rank(held))] == [[[111], [222], [333]]] * 3
    sent = [transfer.bytes for transfer in group.traffic() if transfer.rank == 0]
    assert sent == [8] * 4  # 4 numbers of int64 for a tensor of 3


@pytest.mark.parametrize(
    ("size", "elements", "each"), [(3, 5, [2] * 4), (4, 1, [1] * 6), (2, 6, [3] * 2), (4, 12, [3] * 6)]
)
def test_messages_are_as_many_and_as_long_as_worked_out_by_hand(size: int, elements: int, each: list[int]) -> None:
    group = RING(size)
    group.all_reduce(torch.ones(elements))
    for rank in range(size):
        own = [transfer for transfer in group.traffic() if transfer.rank == rank]
        assert [(transfer.kind, transfer.to, transfer.bytes) for transfer in own] == [
            ("exchange", (rank + 1) % size, 4 * count) for count in each
        ]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("shape", SHAPES)
def test_any_shape_on_any_number_of_ranks(size: int, shape: tuple[int, ...]) -> None:
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int16):
        given = drawn(size, shape, dtype)
        expected = torch.tensor(
            [sum(Fraction(x) for x in column) for column in zip(*(t.flatten().tolist() for t in given), strict=True)],
            dtype=torch.float64,
        )
        for got in RING(size).all_reduce(per_rank(given)):
            assert (got.dtype, got.shape) == (dtype, torch.Size(shape))
            assert torch.equal(got.flatten().to(torch.float64), expected)


@pytest.mark.parametrize("size", [2, 3, 4, 7])
def test_each_row_is_summed_in_the_order_of_the_ring(size: int) -> None:
    torch.manual_seed(size)
    given = [torch.randn(size, 5) for _ in range(size)]
    for row, got in enumerate(RING(size).reduce_scatter(per_rank(given))):
        total = given[(row + 1) % size][row]
        for further in range(2, size + 1):
            total = total + given[(row + further) % size][row]  # float32, rounded after every addition
        assert torch.equal(got, total)


@pytest.mark.parametrize("size", [2, 3, 4, 6])
def test_every_rank_holds_the_same_bits_where_own_orders_would_not(size: int) -> None:
    torch.manual_seed(0)
    given = [torch.randn(1000) for _ in range(size)]
    got = RING(size).all_reduce(per_rank(given))
    assert all(torch.equal(tensor, got[0]) for tensor in got)
    own = [sum((given[(rank + k) % size] for k in range(size)), torch.zeros(1000)) for rank in range(size)]
    assert all(torch.equal(tensor, own[0]) for tensor in own) == (size == 2)
    exact = torch.stack(given).double().sum(0)
    assert (got[0].double() - exact).abs().max() < size * 2**-24 * torch.stack(given).abs().sum(0).max()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_nothing_is_changed_and_nothing_shared(size: int) -> None:
    chunks = [tensor.reshape(size, 2) for tensor in drawn(size, (2 * size,))]
    for call, given in (("reduce_scatter", chunks), ("all_gather", [c[0] for c in chunks]), ("all_reduce", chunks)):
        before = [tensor.clone() for tensor in given]
        got = getattr(RING(size), call)(per_rank(given))
        for tensor in got:
            tensor.fill_(99)
        assert all(torch.equal(one, other) for one, other in zip(given, before, strict=True)), call


def test_a_transposed_tensor_is_summed_as_it_reads() -> None:
    given = [tensor.reshape(3, 4).T for tensor in drawn(3, (12,))]
    assert all(torch.equal(got, given[0] + given[1] + given[2]) for got in RING(3).all_reduce(per_rank(given)))


def edited(name: str) -> Any:
    technique = Registry().technique("ring-all-reduce")
    edit = next(edit for edit in load_edits(technique) if edit.id == name)
    module: dict[str, Any] = {"__name__": "edited"}
    exec(edit.apply(technique.files.solution.read_text(encoding="utf-8")), module)
    return LocalRanks(module["RingAllReduce"])


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_the_other_way_around_the_ring_is_as_right(size: int) -> None:
    given = drawn(size, (3, 3))
    group = edited("sends-to-the-rank-before")(size)
    assert all(torch.equal(got, sum(given[1:], given[0])) for got in group.all_reduce(per_rank(given)))
    assert {(t.to - t.rank) % size for t in group.traffic()} == ({size - 1} if size > 1 else set())


@pytest.mark.parametrize("name", ["everything-to-everyone", "all-to-rank-0-and-back", "uneven-chunks"])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_what_is_wrong_by_its_traffic_alone_has_the_right_sum(name: str, size: int) -> None:
    given = drawn(size, (5,))
    assert all(torch.equal(got, sum(given[1:], given[0])) for got in edited(name)(size).all_reduce(per_rank(given)))


@pytest.mark.parametrize("name", ["around-once-to-add-around-again-to-tell", "sends-all-rows-in-every-step"])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_ring_that_is_slow_is_still_a_sum(name: str, size: int) -> None:
    given = drawn(size, (5,))
    group = edited(name)(size)
    assert all(torch.equal(got, sum(given[1:], given[0])) for got in group.all_reduce(per_rank(given)))


def test_sending_first_stands_still() -> None:
    for size in (2, 3, 4):
        with pytest.raises(Deadlock, match="rank 0 waits in send to rank 1"):
            edited("everyone-sends-first")(size).all_reduce(torch.ones(4))
