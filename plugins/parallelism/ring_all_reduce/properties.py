"""What holds of every right ring all-reduce, whichever way around the ring it goes.

Where sums are compared, the numbers are multiples of 1/8 or whole numbers, so that every order of additions gives the
same bits. Where rounding is the point, they are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.testing import (
    Mismatch,
    PerRank,
    Transfer,
    after,
    assert_close,
    assert_equal,
    claim,
    hole,
    per_rank,
    sum_tolerance,
    tensors,
)
from groundup.core.testing.strategies import LAYOUTS, laid_out

FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
INTEGERS = (torch.int64, torch.int32, torch.int8, torch.uint8)
EVEN = ((12,), (2, 6), (3, 4), (2, 2, 3))  # 12 elements, which 2, 3 and 4 ranks share out evenly
NUMBERS = tensors((48,), dtype=torch.float64, layouts=False)  # as many as 4 ranks need, at most
AWKWARD = ((), (1,), (3,), (5,), (7,), (0,), (2, 0), (1, 1), (5, 1), (2, 5))


class Given(NamedTuple):
    """What each rank is given: one tensor each, all of the same shape and dtype."""

    ranks: list[Tensor]

    @property
    def size(self) -> int:
        return len(self.ranks)

    def sum(self) -> Tensor:
        """Return the sum, number by number: in Python's integers, or in float64, where it is exact."""
        first = self.ranks[0]
        columns = zip(*[tensor.reshape(-1).tolist() for tensor in self.ranks], strict=True)
        wide = torch.float64 if first.is_floating_point() else torch.int64
        return torch.tensor([sum(column) for column in columns], dtype=wide).reshape(first.shape).to(first.dtype)

    def each(self) -> PerRank[Tensor]:
        """Return copies as an argument, laid out as they were drawn: whoever changes them leaves the case alone."""
        return per_rank([torch.empty_strided(t.shape, t.stride(), dtype=t.dtype).copy_(t) for t in self.ranks])


Shape = Callable[[int], tuple[int, ...]]


def on_ranks(
    sizes: Sequence[int], shapes: Sequence[tuple[int, ...] | Shape], dtypes: Sequence[torch.dtype] = FLOATS
) -> st.SearchStrategy[Given]:
    """Draw what each of several ranks is given; a shape may depend on how many they are."""

    def build(drawn: tuple[int, tuple[int, ...] | Shape, torch.dtype, str, Tensor]) -> Given:
        size, shape, dtype, layout, numbers = drawn
        own = shape if isinstance(shape, tuple) else shape(size)
        mine = numbers[: size * math.prod(own)].reshape(size, *own)
        mine = mine if dtype.is_floating_point else (mine * 8).abs()
        return Given([laid_out(part, layout) for part in mine.to(dtype)])

    choices = [st.sampled_from(options) for options in (sizes, shapes, dtypes, LAYOUTS)]
    return st.tuples(*choices, NUMBERS).map(build)


def rows(length: int) -> Shape:
    """Return the shape of N chunks of ``length`` numbers."""
    return lambda size: (size, length)


def ring(sent: Sequence[Transfer], size: int, messages: int, each: int) -> None:
    """Check that every rank has sent so many messages of ``each`` bytes, one to one, all to the same neighbour.

    Which neighbour is free, but all ranks turn the same way. What holds no bytes is not counted.
    """
    count = messages if each else 0
    for rank in range(size):
        own = [transfer for transfer in sent if transfer.rank == rank]
        if together := [transfer.kind for transfer in own if transfer.to is None]:
            raise Mismatch(
                f"rank {rank} leaves work to a collective of the communicator",
                "send, recv and exchange alone",
                ", ".join(dict.fromkeys(together)),
            )
        lengths = [transfer.bytes for transfer in own]
        if lengths != [each] * count:
            raise Mismatch(
                f"rank {rank} of {size} sends other messages",
                f"{count} message(s) of {each} bytes" if count else "nothing sent",
                f"bytes: {', '.join(map(str, lengths))}" if lengths else "no message",
            )
    turns = sorted({((transfer.to or 0) - transfer.rank) % size for transfer in sent})
    if len(turns) > 1 or not {*turns} <= {1, size - 1}:
        raise Mismatch(
            "the messages do not go around one ring",
            "every rank sends to rank + 1, or every rank to rank - 1",
            "messages to rank " + ", ".join(f"+ {turn}" for turn in turns),
        )


@claim(
    "After the reduce-scatter rank r holds row r of the sum, and what was passed in is as it was.",
    zh="reduce-scatter 之后，rank r 持有总和的第 r 行，传入的张量保持原样。",
)
@hole(1)
@given(given=on_ranks((2, 3, 2, 4), (rows(1), rows(2), rows(3), rows(0))))
def test_reduce_scatter_leaves_row_r_of_the_sum_on_rank_r(impl: Any, given: Given) -> None:
    passed, expected = given.each(), given.sum()
    got = impl(given.size).reduce_scatter(passed)
    for rank in range(given.size):
        assert_equal(got[rank], expected[rank], what=f"the reduced chunk of rank {rank}")
        assert_equal(passed[rank], given.ranks[rank], what=f"what rank {rank} passed in")


@claim(
    "After the all-gather every rank holds every rank's chunk, rank r's in row r, bit for bit.",
    zh="all-gather 之后，每个 rank 都持有所有 rank 的块，rank r 的块在第 r 行，逐位相同。",
)
@hole(2)
@given(given=on_ranks((2, 3, 2, 4), ((1,), (2,), (3,), (0,)), (*FLOATS, *INTEGERS)))
def test_all_gather_puts_the_chunk_of_rank_r_into_row_r(impl: Any, given: Given) -> None:
    expected = torch.stack(given.ranks)
    for rank, got in enumerate(impl(given.size).all_gather(given.each())):
        assert_equal(got, expected, what=f"the gathered chunks on rank {rank}")


@claim(
    "Each half sends N - 1 messages a rank, each one chunk, all to the same neighbour, and leaves nothing to a "
    "collective of the communicator.",
    zh="每一半中，每个 rank 发送 N - 1 条消息，每条一个块，全部发给同一个邻居，不借助通信器的任何集合操作。",
)
@given(
    given=on_ranks((2, 3, 4), (rows(1), rows(2), rows(0)), (*FLOATS, torch.int64)),
    call=st.sampled_from(("reduce_scatter", "all_gather")),
)
def test_each_half_sends_n_minus_1_chunks_to_one_neighbour(impl: Any, given: Given, call: str) -> None:
    group, chunk = impl(given.size), given.ranks[0][0]
    getattr(group, call)(per_rank([own[0] for own in given.each()]) if call == "all_gather" else given.each())
    ring(group.traffic(), given.size, given.size - 1, chunk.numel() * chunk.element_size())


@claim(
    "All-reduce gives every rank the sum of all tensors, in their shape and dtype, and leaves them as they were.",
    zh="all-reduce 让每个 rank 都得到所有 rank 的张量之和，形状和 dtype 不变，传入的张量保持原样。",
)
@hole(3)
@given(given=on_ranks((2, 3, 2), EVEN))
def test_all_reduce_gives_every_rank_the_sum(impl: Any, given: Given) -> None:
    passed = given.each()
    everywhere(impl(given.size).all_reduce(passed), given.sum())
    for rank, tensor in enumerate(passed):
        assert_equal(tensor, given.ranks[rank], what=f"what rank {rank} passed in")


def everywhere(got: Sequence[Any], expected: Tensor) -> None:
    """Check that every rank got what is expected."""
    for rank, tensor in enumerate(got):
        assert_equal(tensor, expected, what=f"the sum on rank {rank}")


@claim(
    "Any number of elements is right: one, none, fewer than ranks, or one that they cannot share out evenly. The "
    "padding never shows.",
    zh="元素个数任意：一个、零个、少于 rank 数、不能均分都行。补齐的部分从不露面。",
)
@hole(3)
@given(given=on_ranks((2, 3, 2, 4), AWKWARD))
def test_any_number_of_elements_is_right(impl: Any, given: Given) -> None:
    everywhere(impl(given.size).all_reduce(given.each()), given.sum())


@claim(
    "All-reduce sends 2 (N - 1) messages a rank, each one N-th of the padded tensor, all to the same neighbour: "
    "2 (N - 1) / N of its bytes, the least possible.",
    zh="all-reduce 中每个 rank 发送 2 (N - 1) 条消息，每条是补齐后张量的 N 分之一，全部发给同一个邻居："
    "共 2 (N - 1) / N 倍的字节，这是可能的最小值。",
)
@after(test_all_reduce_gives_every_rank_the_sum)
@given(given=on_ranks((2, 3, 2, 4), ((12,), (2, 6), (), (5,), (7,), (2, 5), (0,)), (*FLOATS, torch.int64)))
def test_all_reduce_sends_2_n_minus_1_chunks_to_one_neighbour(impl: Any, given: Given) -> None:
    group, tensor = impl(given.size), given.ranks[0]
    group.all_reduce(given.each())
    chunk = math.ceil(tensor.numel() / given.size)
    ring(group.traffic(), given.size, 2 * (given.size - 1), chunk * tensor.element_size())


@claim(
    "What one rank alone brings arrives on every rank, once.",
    zh="只有一个 rank 带来的数，会到达每个 rank，且只计一次。",
)
@hole(3)
@given(size=st.sampled_from((2, 3, 2)), who=st.integers(0, 2), alone=tensors((7,), low=0.125, high=2.0))
def test_what_one_rank_brings_arrives_everywhere_once(impl: Any, size: int, who: int, alone: Tensor) -> None:
    given = Given([alone if rank == who % size else torch.zeros_like(alone) for rank in range(size)])
    everywhere(impl(size).all_reduce(given.each()), alone)


@claim(
    "Integers are summed as integers, in their own dtype, however large.",
    zh="整数按整数求和，保持自己的 dtype，再大也精确。",
)
@given(
    given=on_ranks((2, 2, 3), ((3,), (2, 2), (5,)), (torch.int64, *INTEGERS)),
    large=st.sampled_from((False, True, True)),
)
def test_integers_stay_integers(impl: Any, given: Given, large: bool) -> None:
    if large and given.ranks[0].dtype == torch.int64:  # beyond what a float64 holds
        given = Given([tensor + (1 << 58) + 1 for tensor in given.ranks])
    got, expected = impl(given.size).all_reduce(given.each()), given.sum()
    everywhere(got, expected)
    for rank, tensor in enumerate(got):  # a comparison of numbers turns both into float64
        assert_equal(tensor - expected, torch.zeros_like(expected), what=f"the error of the sum on rank {rank}")


UNROUND = (0.1, 0.7, -0.3, 1 / 3, 2.7, -1.9, 0.07, -0.6)


def unround(given: Given) -> Given:
    """Return numbers whose sums are rounded, and differently in another order of additions."""
    table = torch.tensor(UNROUND, dtype=torch.float64)
    which = [(tensor * 8).long() + 3 * rank for rank, tensor in enumerate(given.ranks)]
    return Given([table[w % len(table)].to(tensor.dtype) for w, tensor in zip(which, given.ranks, strict=True)])


@claim(
    "Every rank holds the same bits: each chunk is summed once, in one order, and then copied. The sum is off by no "
    "more than rounding.",
    zh="每个 rank 上的结果逐位相同：每个块只按一个顺序求和一次，然后复制。与精确和之差不超过舍入误差。",
)
@after(test_all_reduce_gives_every_rank_the_sum)
@given(given=on_ranks((3,), ((4,), (7,)), (torch.float32, torch.float64)).map(unround))
def test_every_rank_holds_the_same_bits(impl: Any, given: Given) -> None:
    got, dtype = impl(given.size).all_reduce(given.each()), given.ranks[0].dtype
    columns = zip(*[tensor.tolist() for tensor in given.ranks], strict=True)
    exact = torch.tensor([math.fsum(column) for column in columns], dtype=torch.float64)
    tolerance = sum_tolerance(dtype, given.size, size=max(map(abs, UNROUND)))
    assert_close(got[0], exact, dtype=dtype, tolerance=tolerance, what="the sum on rank 0")
    for rank in range(1, given.size):
        assert_equal(got[rank], got[0], what=f"the sum on rank {rank}, next to that on rank 0,")


@claim(
    "Which rank brings which tensor makes no difference; and tensors that are all scaled have the scaled sum, whatever "
    "the call before was about.",
    zh="哪个 rank 带来哪个张量并无区别；张量都乘以同一个数，总和也乘以这个数，与上一次调用无关。",
)
@after(test_all_reduce_gives_every_rank_the_sum)
@given(
    given=on_ranks((2, 3), ((3,), (2, 2), (5,)), FLOATS[:2]),
    turn=st.integers(1, 2),
    factor=st.sampled_from((-2.0, 0.5, 3.0)),
)
def test_the_sum_knows_no_order_and_scales(impl: Any, given: Given, turn: int, factor: float) -> None:
    group = impl(given.size)
    once = group.all_reduce(given.each())
    turned = [*given.ranks[turn:], *given.ranks[:turn]][::-1]
    everywhere(group.all_reduce(per_rank([tensor * factor for tensor in turned])), once[0] * factor)


@claim(
    "A rank that is alone gets back what it gave, and sends nothing.",
    zh="只有一个 rank 时，给什么就得到什么，什么也不发送。",
)
@given(given=on_ranks((1,), (*AWKWARD, (2, 3)), (*FLOATS, torch.int64)))
def test_a_rank_alone_sends_nothing(impl: Any, given: Given) -> None:
    group, tensor = impl(1), given.ranks[0]
    flat = tensor.reshape(-1)
    assert_equal(group.all_reduce(given.each())[0], tensor, what="the sum of one rank")
    assert_equal(group.reduce_scatter(flat[None].clone())[0], flat, what="the reduced chunk of one rank")
    assert_equal(group.all_gather(flat.clone())[0], flat[None], what="the gathered chunks of one rank")
    ring(group.traffic(), 1, 0, 0)


@claim(
    "On every rank the sum equals the reference, up to rounding.", zh="在每个 rank 上，总和与参考实现一致，只差舍入。"
)
@after(test_all_reduce_gives_every_rank_the_sum)
@given(given=on_ranks((2, 2, 3), ((3,), (2, 4), (9,)), FLOATS[:2]).map(unround))
def test_equals_the_reference(impl: Any, reference: Any, given: Given) -> None:
    expected = reference(given.size).all_reduce(given.each())
    dtype = given.ranks[0].dtype
    tolerance = sum_tolerance(dtype, given.size, size=max(map(abs, UNROUND)))
    for rank, got in enumerate(impl(given.size).all_reduce(given.each())):
        assert_close(got, expected[rank], dtype=dtype, tolerance=tolerance, what=f"the sum on rank {rank}")
