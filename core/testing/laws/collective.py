"""Laws of collectives: algorithms that sum over ranks.

Where sums are compared, the numbers are multiples of 1/8 or integers, so that every order of additions gives the same
bits. Laws about rounding use other numbers::

    from groundup.core.testing.laws import collective as laws

    COLLECTIVE = laws.Setting()
    test_integers_stay_integers = laws.test_integers_stay_integers(COLLECTIVE, hole=3)

Which messages a rank sends depends on the algorithm: its own properties check that, with ``Given`` and ``on_ranks``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.messages import Message
from groundup.core.testing.compare import assert_close, assert_equal, sum_tolerance
from groundup.core.testing.laws import Property, law
from groundup.core.testing.ranks import PerRank, per_rank
from groundup.core.testing.strategies import LAYOUTS, laid_out, tensors
from groundup.core.testing.switch import Transfer

__all__ = ["EVEN", "FLOATS", "INTEGERS", "UNEVEN", "Given", "Setting", "canonical", "everywhere", "on_ranks", "rows"]

FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
INTEGERS = (torch.int64, torch.int32, torch.int8, torch.uint8)
EVEN = ((12,), (2, 6), (3, 4), (2, 2, 3))  # 12 elements split evenly over 2, 3 and 4 ranks
UNEVEN = ((), (1,), (3,), (5,), (7,), (0,), (2, 0), (1, 1), (5, 1), (2, 5))

Shape = Callable[[int], tuple[int, ...]]


@dataclass(frozen=True)
class Setting:
    """How to test an algorithm: on how many ranks, and with which constructor arguments.

    A size is drawn as often as it is listed in ``sizes``; laws with large cases draw from ``small`` instead.
    """

    sizes: tuple[int, ...] = (2, 3, 2, 4)
    small: tuple[int, ...] = (2, 3, 2)
    options: Callable[[int], Mapping[str, Any]] = lambda size: {}

    def group(self, impl: Any, size: int) -> Any:
        """Return the algorithm's objects on ``size`` ranks."""
        return impl(size, **self.options(size))


class Given(NamedTuple):
    """One input tensor per rank, all of the same shape and dtype."""

    ranks: list[Tensor]

    @property
    def size(self) -> int:
        """The number of ranks."""
        return len(self.ranks)

    def sum(self) -> Tensor:
        """Return the elementwise sum, computed exactly: in Python's integers, or in float64 on multiples of 1/8."""
        first = self.ranks[0]
        columns = zip(*[tensor.reshape(-1).tolist() for tensor in self.ranks], strict=True)
        wide = torch.float64 if first.is_floating_point() else torch.int64
        return torch.tensor([sum(column) for column in columns], dtype=wide).reshape(first.shape).to(first.dtype)

    def each(self) -> PerRank[Tensor]:
        """Return copies as an argument, in the drawn memory layout: changing them does not change the case."""
        return per_rank([torch.empty_strided(t.shape, t.stride(), dtype=t.dtype).copy_(t) for t in self.ranks])


def on_ranks(
    sizes: Sequence[int], shapes: Sequence[tuple[int, ...] | Shape], dtypes: Sequence[torch.dtype] = FLOATS
) -> st.SearchStrategy[Given]:
    """Draw the inputs of several ranks; a shape may depend on the number of ranks."""

    def of(shape: tuple[int, ...] | Shape, size: int) -> tuple[int, ...]:
        return shape if isinstance(shape, tuple) else shape(size)

    def build(drawn: tuple[int, tuple[int, ...] | Shape, torch.dtype, str, Tensor]) -> Given:
        size, shape, dtype, layout, numbers = drawn
        own = of(shape, size)
        mine = numbers[: size * math.prod(own)].reshape(size, *own)
        mine = mine if dtype.is_floating_point else (mine * 8).abs()
        return Given([laid_out(part, layout) for part in mine.to(dtype)])

    choices = [st.sampled_from(options) for options in (sizes, shapes, dtypes, LAYOUTS)]
    most = max(size * math.prod(of(shape, size)) for size in sizes for shape in shapes)
    return st.tuples(*choices, tensors((most,), dtype=torch.float64, layouts=False)).map(build)


def rows(length: int) -> Shape:
    """Return the shape of N chunks of ``length`` numbers."""
    return lambda size: (size, length)


def canonical(trace: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return what a collective answered and sent, each message as if it had been flattened first.

    By this the diagnosis compares an attempt with known mistakes: it is no mistake to send a tensor in another shape.
    """

    def flat(seen: Any) -> Any:
        if isinstance(seen, Transfer):
            elements = [math.prod(shape) for shape in seen.shapes]
            return replace(seen, shapes=tuple((n,) for n in elements), bytes=seen.bytes if any(elements) else 0)
        return type(seen)(map(flat, seen)) if type(seen) in (list, tuple) else seen

    return [(name, flat(answer)) for name, answer in trace]


def everywhere(got: Sequence[Any], expected: Tensor) -> None:
    """Check that every rank got the expected sum, bit for bit."""
    for rank, tensor in enumerate(got):
        assert_equal(tensor, expected, what=Message("the sum on rank {rank}", rank=rank))


UNROUND = (0.1, 0.7, -0.3, 1 / 3, 2.7, -1.9, 0.07, -0.6)


def unround(given: Given) -> Given:
    """Return inputs whose sums round, and round differently in another order of additions."""
    table = torch.tensor(UNROUND, dtype=torch.float64)
    which = [(tensor * 8).long() + 3 * rank for rank, tensor in enumerate(given.ranks)]
    return Given([table[w % len(table)].to(tensor.dtype) for w, tensor in zip(which, given.ranks, strict=True)])


@law(
    "After the reduce-scatter rank r holds row r of the sum, and what was passed in is as it was.",
    zh="reduce-scatter 之后，rank r 持有总和的第 r 行，传入的张量保持原样。",
)
def test_reduce_scatter_leaves_row_r_of_the_sum_on_rank_r(setting: Setting) -> Property:
    """Test it on chunks of 0 to 3 numbers."""

    @given(given=on_ranks((*setting.sizes, 1), (rows(1), rows(2), rows(3), rows(0))))
    def holds(impl: Any, given: Given) -> None:
        passed, expected = given.each(), given.sum()
        got = setting.group(impl, given.size).reduce_scatter(passed)
        for rank in range(given.size):
            assert_equal(got[rank], expected[rank], what=Message("the reduced chunk of rank {rank}", rank=rank))
            assert_equal(passed[rank], given.ranks[rank], what=Message("what rank {rank} passed in", rank=rank))

    return holds


@law(
    "After the all-gather every rank holds every rank's chunk, rank r's in row r, bit for bit.",
    zh="all-gather 之后，每个 rank 都持有所有 rank 的块，rank r 的块在第 r 行，逐位相同。",
)
def test_all_gather_puts_the_chunk_of_rank_r_into_row_r(setting: Setting) -> Property:
    """Test it on floats and integers."""

    @given(given=on_ranks((*setting.sizes, 1), ((1,), (2,), (3,), (0,)), (*FLOATS, *INTEGERS)))
    def holds(impl: Any, given: Given) -> None:
        expected = torch.stack(given.ranks)
        for rank, got in enumerate(setting.group(impl, given.size).all_gather(given.each())):
            assert_equal(got, expected, what=Message("the gathered chunks on rank {rank}", rank=rank))

    return holds


@law(
    "All-reduce gives every rank the sum of all tensors, in their shape and dtype, and leaves them as they were.",
    zh="all-reduce 让每个 rank 都得到所有 rank 的张量之和，形状和 dtype 不变，传入的张量保持原样。",
)
def test_all_reduce_gives_every_rank_the_sum(setting: Setting) -> Property:
    """Test it on tensors that split evenly over the ranks."""

    @given(given=on_ranks(setting.small, EVEN))
    def holds(impl: Any, given: Given) -> None:
        passed = given.each()
        everywhere(setting.group(impl, given.size).all_reduce(passed), given.sum())
        for rank, tensor in enumerate(passed):
            assert_equal(tensor, given.ranks[rank], what=Message("what rank {rank} passed in", rank=rank))

    return holds


@law(
    "Any number of elements is right: one, none, fewer than ranks, or one that they cannot share out evenly. The "
    "padding never shows.",
    zh="元素个数任意：一个、零个、少于 rank 数、不能均分都行。填充的部分从不露面。",
)
def test_any_number_of_elements_is_right(setting: Setting) -> Property:
    """Test it on shapes that do not split evenly over the ranks, () among them."""

    @given(given=on_ranks(setting.sizes, UNEVEN))
    def holds(impl: Any, given: Given) -> None:
        everywhere(setting.group(impl, given.size).all_reduce(given.each()), given.sum())

    return holds


@law(
    "What one rank alone brings arrives on every rank, once.",
    zh="只有一个 rank 带来的数，会到达每个 rank，且只计一次。",
)
def test_what_one_rank_brings_arrives_everywhere_once(setting: Setting) -> Property:
    """Test it on each rank in turn, with zeros on the others."""

    @given(size=st.sampled_from(setting.small), who=st.integers(0, 2), alone=tensors((7,), low=0.125, high=2.0))
    def holds(impl: Any, size: int, who: int, alone: Tensor) -> None:
        given = Given([alone if rank == who % size else torch.zeros_like(alone) for rank in range(size)])
        everywhere(setting.group(impl, size).all_reduce(given.each()), alone)

    return holds


@law(
    "Integers are summed as integers, in their own dtype, however large.",
    zh="整数按整数求和，保持自己的 dtype，再大也精确。",
)
def test_integers_stay_integers(setting: Setting) -> Property:
    """Test it on every integer dtype, and on integers that float64 cannot represent exactly."""

    @given(
        given=on_ranks(setting.small, ((3,), (2, 2), (5,)), (torch.int64, *INTEGERS)),
        large=st.sampled_from((False, True, True)),
    )
    def holds(impl: Any, given: Given, large: bool) -> None:
        if large and given.ranks[0].dtype == torch.int64:
            given = Given([tensor + (1 << 58) + 1 for tensor in given.ranks])
        got, expected = setting.group(impl, given.size).all_reduce(given.each()), given.sum()
        everywhere(got, expected)
        for rank, tensor in enumerate(got):  # assert_equal compares in float64, which rounds large integers
            assert_equal(
                tensor - expected,
                torch.zeros_like(expected),
                what=Message("the error of the sum on rank {rank}", rank=rank),
            )

    return holds


@law(
    "Every rank holds the same bits: each chunk is summed once, in one order, and then copied. The sum is off by no "
    "more than rounding.",
    zh="每个 rank 上的结果逐位相同：每个块只按一个顺序求和一次，然后复制。与精确和之差不超过舍入误差。",
)
def test_every_rank_holds_the_same_bits(setting: Setting) -> Property:
    """Test it on more than two ranks: the sum of two numbers does not depend on their order."""
    sizes = [size for size in setting.small if size > 2]

    @given(given=on_ranks(sizes, ((4,), (7,)), (torch.float32, torch.float64)).map(unround))
    def holds(impl: Any, given: Given) -> None:
        got, dtype = setting.group(impl, given.size).all_reduce(given.each()), given.ranks[0].dtype
        columns = zip(*[tensor.tolist() for tensor in given.ranks], strict=True)
        exact = torch.tensor([math.fsum(column) for column in columns], dtype=torch.float64)
        tolerance = sum_tolerance(dtype, given.size, size=max(map(abs, UNROUND)))
        assert_close(got[0], exact, dtype=dtype, tolerance=tolerance, what=Message("the sum on rank 0"))
        for rank in range(1, given.size):
            assert_equal(got[rank], got[0], what=Message("the sum on rank {rank}, next to that on rank 0,", rank=rank))

    return holds


@law(
    "Which rank brings which tensor makes no difference; and tensors that are all scaled have the scaled sum, whatever "
    "the call before was about.",
    zh="哪个 rank 带来哪个张量并无区别；张量都乘以同一个数，总和也乘以这个数，与上一次调用无关。",
)
def test_the_sum_knows_no_order_and_scales(setting: Setting) -> Property:
    """Test it on two calls, the second with the ranks' tensors permuted and scaled."""

    @given(
        given=on_ranks(sorted(set(setting.small)), ((3,), (2, 2), (5,)), FLOATS[:2]),
        turn=st.integers(1, 2),
        factor=st.sampled_from((-2.0, 0.5, 3.0)),
    )
    def holds(impl: Any, given: Given, turn: int, factor: float) -> None:
        group = setting.group(impl, given.size)
        once = group.all_reduce(given.each())
        turned = [*given.ranks[turn:], *given.ranks[:turn]][::-1]
        everywhere(group.all_reduce(per_rank([tensor * factor for tensor in turned])), once[0] * factor)

    return holds


@law(
    "A rank that is alone gets back what it gave, and sends nothing.",
    zh="只有一个 rank 时，给什么就得到什么，什么也不发送。",
)
def test_a_rank_alone_sends_nothing(setting: Setting) -> Property:
    """Test it on all three methods."""

    @given(given=on_ranks((1,), (*UNEVEN, (2, 3)), (*FLOATS, torch.int64)))
    def holds(impl: Any, given: Given) -> None:
        group, tensor = setting.group(impl, 1), given.ranks[0]
        flat = tensor.reshape(-1)
        assert_equal(group.all_reduce(given.each())[0], tensor, what=Message("the sum of one rank"))
        assert_equal(group.reduce_scatter(flat[None].clone())[0], flat, what=Message("the reduced chunk of one rank"))
        assert_equal(group.all_gather(flat.clone())[0], flat[None], what=Message("the gathered chunks of one rank"))
        assert_equal([t.bytes for t in group.traffic()], [], what=Message("what a rank alone sends (bytes)"))

    return holds


@law("On every rank the sum equals the reference, up to rounding.", zh="在每个 rank 上，总和与参考实现一致，只差舍入。")
def test_equals_the_reference(setting: Setting) -> Property:
    """Test it on numbers whose sums round."""

    @given(given=on_ranks(setting.small, ((3,), (2, 4), (9,)), FLOATS[:2]).map(unround))
    def holds(impl: Any, reference: Any, given: Given) -> None:
        expected = setting.group(reference, given.size).all_reduce(given.each())
        dtype = given.ranks[0].dtype
        tolerance = sum_tolerance(dtype, given.size, size=max(map(abs, UNROUND)))
        for rank, got in enumerate(setting.group(impl, given.size).all_reduce(given.each())):
            assert_close(
                got, expected[rank], dtype=dtype, tolerance=tolerance, what=Message("the sum on rank {rank}", rank=rank)
            )

    return holds
