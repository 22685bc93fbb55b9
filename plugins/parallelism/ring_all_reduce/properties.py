"""Properties of every right ring all-reduce, in either direction around the ring: the laws of collectives, and the
messages sent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import given

from groundup.core.messages import Message
from groundup.core.testing import Mismatch, Transfer, after, claim, hole, per_rank
from groundup.core.testing.laws import collective as laws
from groundup.core.testing.laws.collective import FLOATS, Given, canonical, on_ranks, rows

__all__ = ["canonical"]

RING = laws.Setting()
HALVES = (rows(1), rows(2), rows(0))


def ring(sent: Sequence[Transfer], size: int, messages: int, chunk: int, dtype: torch.dtype) -> None:
    """Check that every rank has sent that many point-to-point ``messages`` of one ``chunk``, all to one neighbour.

    Either neighbour is right, but all ranks must use the same direction. Empty chunks may be sent or left out.
    """
    each = chunk * dtype.itemsize
    for rank in range(size):
        own = [transfer for transfer in sent if transfer.rank == rank]
        if together := [transfer.kind for transfer in own if transfer.to is None]:
            raise Mismatch(
                Message("rank {rank} leaves work to a collective of the communicator", rank=rank),
                Message("send, recv and exchange alone"),
                ", ".join(dict.fromkeys(together)),
            )
        told = [Message("{count} bytes of {dtypes}", count=t.bytes, dtypes=t.dtypes) for t in own]
        right = [Message("{count} bytes of {dtypes}", count=each, dtypes=dtype)] * messages
        if told != right and not (each == 0 and told in ([], right)):
            raise Mismatch(
                Message("rank {rank} of {size} sends other messages", rank=rank, size=size),
                Message("{count} message(s) of {each} bytes of {dtype}", count=messages, each=each, dtype=dtype)
                if each
                else Message("nothing sent, or empty chunks"),
                Message("{messages}", messages=told) if told else Message("no message"),
            )
    turns = sorted({((transfer.to or 0) - transfer.rank) % size for transfer in sent})
    if len(turns) > 1 or not {*turns} <= {1, size - 1}:
        raise Mismatch(
            Message("the messages do not go around one ring"),
            Message("every rank sends to rank + 1, or every rank to rank - 1"),
            Message("messages to rank {turns}", turns=[f"+ {turn}" for turn in turns]),
        )


test_reduce_scatter_leaves_row_r_of_the_sum_on_rank_r = laws.test_reduce_scatter_leaves_row_r_of_the_sum_on_rank_r(
    RING, hole=1
)
test_all_gather_puts_the_chunk_of_rank_r_into_row_r = laws.test_all_gather_puts_the_chunk_of_rank_r_into_row_r(
    RING, hole=2
)


@claim(
    "Reduce-scatter sends N - 1 messages a rank, each one row, all to the same neighbour, and leaves nothing to a "
    "collective of the communicator.",
    zh="reduce-scatter 中每个 rank 发送 N - 1 条消息，每条一行，全部发给同一个邻居，不借助通信器的任何集合操作。",
)
@hole(1)
@after(test_reduce_scatter_leaves_row_r_of_the_sum_on_rank_r)
@given(given=on_ranks((2, 3, 4), HALVES, (*FLOATS, torch.int64)))
def test_reduce_scatter_sends_n_minus_1_rows_to_one_neighbour(impl: Any, given: Given) -> None:
    group, row = impl(given.size), given.ranks[0][0]
    group.reduce_scatter(given.each())
    ring(group.traffic(), given.size, given.size - 1, row.numel(), row.dtype)


@claim(
    "All-gather sends N - 1 messages a rank, each one chunk, all to the same neighbour, and leaves nothing to a "
    "collective of the communicator.",
    zh="all-gather 中每个 rank 发送 N - 1 条消息，每条一个块，全部发给同一个邻居，不借助通信器的任何集合操作。",
)
@hole(2)
@after(test_all_gather_puts_the_chunk_of_rank_r_into_row_r)
@given(given=on_ranks((2, 3, 4), HALVES, (*FLOATS, torch.int64)))
def test_all_gather_sends_n_minus_1_chunks_to_one_neighbour(impl: Any, given: Given) -> None:
    group, chunk = impl(given.size), given.ranks[0][0]
    group.all_gather(per_rank([own[0] for own in given.each()]))
    ring(group.traffic(), given.size, given.size - 1, chunk.numel(), chunk.dtype)


test_all_reduce_gives_every_rank_the_sum = laws.test_all_reduce_gives_every_rank_the_sum(RING, hole=3)
test_any_number_of_elements_is_right = laws.test_any_number_of_elements_is_right(RING, hole=3)


@claim(
    "All-reduce sends 2 (N - 1) messages a rank, each one N-th of the padded tensor, all to the same neighbour: "
    "2 (N - 1) / N of its bytes, the least possible.",
    zh="all-reduce 中每个 rank 发送 2 (N - 1) 条消息，每条是填充后张量的 N 分之一，全部发给同一个邻居："
    "共 2 (N - 1) / N 倍的字节，这是可能的最小值。",
)
@after(test_all_reduce_gives_every_rank_the_sum)
@given(given=on_ranks((2, 3, 2, 4), ((12,), (2, 6), (), (5,), (7,), (2, 5), (0,)), (*FLOATS, torch.int64)))
def test_all_reduce_sends_2_n_minus_1_chunks_to_one_neighbour(impl: Any, given: Given) -> None:
    group, tensor = impl(given.size), given.ranks[0]
    group.all_reduce(given.each())
    chunk = math.ceil(tensor.numel() / given.size)
    ring(group.traffic(), given.size, 2 * (given.size - 1), chunk, tensor.dtype)


test_what_one_rank_brings_arrives_everywhere_once = laws.test_what_one_rank_brings_arrives_everywhere_once(
    RING, hole=3, after=(test_all_reduce_gives_every_rank_the_sum, test_any_number_of_elements_is_right)
)
test_integers_stay_integers = laws.test_integers_stay_integers(RING)
test_every_rank_holds_the_same_bits = laws.test_every_rank_holds_the_same_bits(
    RING, after=test_all_reduce_gives_every_rank_the_sum
)
test_the_sum_knows_no_order_and_scales = laws.test_the_sum_knows_no_order_and_scales(
    RING, after=test_all_reduce_gives_every_rank_the_sum
)
test_a_rank_alone_sends_nothing = laws.test_a_rank_alone_sends_nothing(RING)
test_equals_the_reference = laws.test_equals_the_reference(RING, after=test_all_reduce_gives_every_rank_the_sum)
