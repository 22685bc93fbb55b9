"""Properties of every right paged cache, compared with a model of its tables: core/testing/laws/kv_cache_blocks.py."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.interfaces.kv_cache import CacheFullError
from groundup.core.messages import Message
from groundup.core.testing import about, assert_equal, claim, each, hole
from groundup.core.testing.laws import kv_cache as laws
from groundup.core.testing.laws.kv_cache_blocks import Blocks, canonical
from groundup.core.testing.laws.kv_cache_reading import check_unrounded

__all__ = ["canonical"]


class Shape(NamedTuple):
    """The constructor's arguments. ``layers`` holds (heads, head size) for each layer."""

    layers: tuple[tuple[int, int], ...] = ((2, 3),)
    block_size: int = 2
    num_blocks: int = 7
    dtype: torch.dtype = torch.float32


ONE_LAYER = Shape()
TWO_LAYERS = Shape(((1, 2), (3, 1)), dtype=torch.float16)
THREE_LAYERS = Shape(((2, 1), (1, 3), (2, 2)), dtype=torch.bfloat16)


CACHE = laws.Setting(
    Blocks,
    shapes=(ONE_LAYER, TWO_LAYERS, THREE_LAYERS),
    scarce=(ONE_LAYER._replace(num_blocks=5), TWO_LAYERS._replace(num_blocks=5), TWO_LAYERS._replace(block_size=1)),
    room=lambda shape, tokens, sequences: shape._replace(num_blocks=sequences * -(-tokens // shape.block_size)),
    variants=tuple(
        shape._replace(block_size=size) for shape in (ONE_LAYER, TWO_LAYERS, THREE_LAYERS) for size in (1, 3, 4)
    ),
    methods=("block_table",),
)


def holding(impl: Any, shape: Shape, *counts: int) -> Blocks:
    """Return a cache in which sequence 9 holds ``counts`` tokens in its layers (see ``fill``)."""
    watched = Blocks(impl, shape)
    watched.fill(9, *counts)
    return watched


test_prefill_then_decode_equals_one_append = laws.test_prefill_then_decode_equals_one_append(CACHE, hole=5)
test_layers_grow_one_after_another = laws.test_layers_grow_one_after_another(CACHE, hole=5)
test_decoding_equals_attention_over_the_whole_sequence = laws.test_decoding_equals_attention_over_the_whole_sequence(
    CACHE, hole=5, after=test_prefill_then_decode_equals_one_append
)
test_what_is_read_begins_with_the_first_token = laws.test_what_is_read_begins_with_the_first_token(CACHE, hole=4)
test_sequences_do_not_mix = laws.test_sequences_do_not_mix(CACHE, hole=5)


@claim(
    "A sequence without tokens has no block. One is taken when the first layer has a token for it, whichever layer "
    "that is, and it serves all layers.",
    zh="没有词元的序列不占块。无论哪一层，只要最先有词元要放进某一块，就在那时取这一块，并供所有层使用。",
)
@hole(2)
@given(
    shape=st.sampled_from((TWO_LAYERS, THREE_LAYERS)),
    block_size=st.integers(1, 3),
    backwards=st.booleans(),
    parts=st.sampled_from([(2, 1), (0, 1), (3, 1, 1), (5, 2)]),
)
def test_a_block_is_taken_when_the_first_token_reaches_it(
    impl: Any, shape: Shape, block_size: int, backwards: bool, parts: tuple[int, ...]
) -> None:
    watched = Blocks(impl, shape._replace(block_size=block_size, num_blocks=15))
    watched.begin(9)
    watched.begin(3)
    watched.check_now()
    for part in parts:
        for layer in reversed(watched.layers) if backwards else watched.layers:
            watched.append(9, layer, part)
            watched.append(3, layer, part)
            watched.check_now()


@claim(
    "All sequences draw on one pool, and exactly as many tokens fit as there is room in free blocks and in the last "
    "one. One too many raises CacheFullError, and then nothing has changed: what is left can still be filled.",
    zh="所有序列共用一个池，空闲块和最后一块里有多少位置，就恰好放得下多少词元。多一个就抛出 CacheFullError，"
    "此后一切不变：剩下的位置仍可写入。",
)
@hole(2)
@given(
    shape=st.sampled_from((ONE_LAYER._replace(num_blocks=4), TWO_LAYERS._replace(block_size=3, num_blocks=3))),
    others=st.integers(0, 3),
    held=st.integers(0, 3),
)
def test_the_pool_is_exact_and_one_too_many_changes_nothing(impl: Any, shape: Shape, others: int, held: int) -> None:
    watched = holding(impl, shape, held)
    watched.fill(3, others)
    watched.check_room(9, watched.layers[-1])


@claim(
    "An append needs as many free blocks as it copies and adds, no more and no fewer: it copies the blocks that it "
    "writes to and that others list, and nothing for no tokens.",
    zh="一次写入需要的空闲块，恰好是它要复制的和新增的块，不多也不少：只复制要写且别人也列着的块，写入零个词元时什么都不需要。",
)
@hole(2)
@given(
    shape=st.sampled_from((ONE_LAYER, TWO_LAYERS)),
    held=st.sampled_from([(1,), (2,), (3,), (5,), (5, 0), (5, 1), (3, 2)]),
    free=st.integers(0, 2),
    forks=st.integers(0, 2),
    writer=st.sampled_from([9, 3]),
)
def test_an_append_needs_what_it_copies_and_adds(
    impl: Any, shape: Shape, held: tuple[int, ...], free: int, forks: int, writer: int
) -> None:
    watched = holding(impl, shape._replace(num_blocks=-(-held[0] // shape.block_size) + free), *held)
    for child in (3, 27)[:forks]:
        watched.fork(9, child)
    watched.check_room(writer if forks else 9, watched.layers[-1])


@claim(
    "A fork's table lists its parent's blocks, which have one reference more each; no block is taken. After that each "
    "table grows on its own, just as if its sequence had been given all its tokens itself.",
    zh="分叉的块表列出父序列的那些块，每块的引用多一个，不取块。此后各自的表独立增长，与自己写入全部词元的序列一样。",
)
@hole(1)
@given(
    shape=st.sampled_from((ONE_LAYER, TWO_LAYERS, THREE_LAYERS)),
    held=st.sampled_from([(1, 1), (2, 2), (2, 1), (2, 0)]),
    turns=st.sampled_from([(9, 3, 27), (3, 9, 27), (27, 3, 9)]),
)
def test_a_fork_lists_the_blocks_of_its_parent(
    impl: Any, shape: Shape, held: tuple[int, int], turns: tuple[int, ...]
) -> None:
    alone = {9: 8, 3: 45, 27: 6}  # for each sequence one that is no fork and gets the same tokens
    watched = Blocks(impl, shape._replace(block_size=1, num_blocks=40))
    cache, last = watched.cache, watched.layers[-1]
    for sequence in (9, *alone.values()):
        watched.begin(sequence)
        for layer in watched.layers:
            for _ in range(held[min(layer, 1)]):
                watched.append(sequence, layer, 1)
    table = cache.block_table(9)
    for parent, child in ((9, 3), (3, 27)):
        counts = [count + (block in table) for block, count in enumerate(cache.ref_counts())]
        watched.fork(parent, child)
        tables = each(cache.block_table, [(parent,), (child,)])
        assert_equal(
            tables,
            [table, table],
            what=Message("the tables of {parent} and of {child}, its fork", parent=parent, child=child),
        )
        assert_equal(cache.ref_counts(), counts, what=Message("ref_counts()"))
    for turn, sequence in enumerate(turns):
        for appended in (sequence, alone[sequence]):
            for _ in range(1 + turn):
                watched.append(appended, last, 1)
        lengths = [list(map(len, each(cache.block_table, [(s,) for s in names]))) for names in (alone, alone.values())]
        assert_equal(*lengths, what=Message("the lengths of the tables of {names}", names=[*alone]))


@claim(
    "A fork holds all that its parent holds, takes no block, and copies nothing: it works when no block is free. So "
    "does the fork of a fork.",
    zh="分叉出的序列拥有父序列的全部内容，不取块，也不复制：没有空闲块时也能分叉。分叉的分叉也一样。",
)
@hole(5)
@given(
    shape=st.sampled_from((ONE_LAYER._replace(num_blocks=2), TWO_LAYERS._replace(num_blocks=2))),
    held=st.sampled_from([(3,), (4,), (3, 2), (4, 1), (3, 0)]),
)
def test_a_fork_takes_no_memory(impl: Any, shape: Shape, held: tuple[int, ...]) -> None:
    watched = Blocks(impl, shape)
    watched.begin(8)  # an empty sequence takes no block
    watched.fill(9, *held)
    for parent, child in ((9, 3), (3, 27), (27, 45)):
        watched.fork(parent, child)
        watched.check(*((child, layer) for layer in watched.layers))
        watched.check_now()
    watched.check_all()


test_neither_branch_sees_the_other = laws.test_neither_branch_sees_the_other(CACHE, hole=5)


@claim(
    "A write copies a block that others hold too, once for all layers. Who holds it alone writes in place: of three "
    "branches two copy, of five four.",
    zh="写入别人也持有的块时，先复制一次，供所有层使用。独自持有的则原地写入：三个分支中有两个要复制，五个中有四个。",
)
@hole(3)
@given(
    shape=st.sampled_from((ONE_LAYER, TWO_LAYERS)),
    turns=st.sampled_from([(9, 3, 27), (3, 27, 9), (27, 9, 3), (9, 3, 27, 8, 45), (45, 8, 27, 3, 9)]),
)
def test_the_last_owner_writes_in_place(impl: Any, shape: Shape, turns: tuple[int, ...]) -> None:
    watched = holding(impl, shape._replace(num_blocks=1 + len(turns)), 3)  # one full block, and a last block per branch
    for parent, child in [(9, 3), (3, 27), (27, 8), (8, 45)][: len(turns) - 1]:
        watched.fork(parent, child)
    for sequence in turns:
        for layer in watched.layers:
            watched.append(sequence, layer, 1)
            watched.check_now()


@claim(
    "Nothing is copied that is not written to: no full block, and none at all for an append of no tokens.",
    zh="没有写入就没有复制：满的块不复制，写入零个词元时什么都不复制。",
)
@hole(3)
@given(shape=st.sampled_from((ONE_LAYER, TWO_LAYERS)), held=st.sampled_from([1, 2, 3, 4]), count=st.integers(0, 2))
def test_only_what_is_written_to_is_copied(impl: Any, shape: Shape, held: int, count: int) -> None:
    watched = holding(impl, shape, held)
    watched.fork(9, 3)
    watched.append(3, watched.layers[-1], count)
    watched.check_now()


@claim(
    "In the midst of a forward pass, layers that lag behind write to earlier blocks than the last. Each of these that "
    "is shared is copied, with all that the other layers hold in it.",
    zh="前向进行到一半时，落后的层要写的不只是最后一块。其中每个共享的块都要复制，连同其他层在块里的内容。",
)
@hole(5)
@given(
    shape=st.sampled_from((TWO_LAYERS, THREE_LAYERS)),
    held=st.sampled_from([(5, 0), (5, 1), (3, 1), (4, 2), (3, 0)]),
    child_first=st.booleans(),
)
def test_a_fork_in_the_midst_of_a_forward_pass(
    impl: Any, shape: Shape, held: tuple[int, int], child_first: bool
) -> None:
    watched = holding(impl, shape._replace(num_blocks=6), *held)
    watched.fork(9, 3)
    for sequence in (3, 9) if child_first else (9, 3):
        for layer in watched.layers[1:]:
            watched.append(sequence, layer, held[0] - held[1])
        watched.check_all()
        watched.check_now()


@claim(
    "A copy needs a free block: without one, CacheFullError, and nothing has changed. Once the other owner is freed, "
    "the same append writes in place.",
    zh="复制需要空闲块：没有就抛出 CacheFullError，且一切不变。另一个持有者释放之后，同样的写入原地完成。",
)
@hole(6)
@given(
    shape=st.sampled_from((ONE_LAYER._replace(num_blocks=2), TWO_LAYERS._replace(num_blocks=2))),
    free=st.integers(0, 1),
    writer=st.sampled_from([9, 3]),
)
def test_a_copy_needs_a_vacant_block(impl: Any, shape: Shape, free: int, writer: int) -> None:
    watched = holding(impl, shape, 3 - 2 * free)
    watched.fork(9, 3)
    tokens, other = 1 + free, 12 - writer  # with one free block, the append needs two: a copy and a new block
    with watched.refused(
        CacheFullError, what=Message("appending to a shared block when no block is free for the copy")
    ):
        watched.cache.append(writer, 0, *watched.tensors(0, watched.next(tokens)))
    watched.free(other)
    watched.append(writer, 0, tokens)
    watched.check_all()
    watched.check_now()


@claim(
    "Freeing a sequence leaves a shared block to its other owners, parent or child, until the last of them is freed.",
    zh="释放一个序列时，共享的块留给其他持有者，无论父子，直到最后一个持有者释放。",
)
@hole(6)
@given(
    shape=st.sampled_from((ONE_LAYER._replace(num_blocks=4), TWO_LAYERS._replace(num_blocks=4))),
    order=st.sampled_from([(3, 27, 9), (9, 45, 3, 27, 8)]),
    written=st.booleans(),
)
def test_freeing_a_shared_block_keeps_it_until_its_last_owner(
    impl: Any, shape: Shape, order: tuple[int, ...], written: bool
) -> None:
    watched = holding(impl, shape, 3)
    for child in (3, 27, 8, 45)[: len(order) - 1]:
        watched.fork(9, child)
    if written:
        watched.forward(order[0], 1)
    for sequence in order:
        watched.free(sequence)
        watched.begin(sequence)
        if watched.free_blocks:  # overwrite all blocks that became free
            watched.forward(sequence, watched.free_blocks * shape.block_size)
        watched.check_all()
        watched.check_now()
        watched.free(sequence)


@claim(
    "What was given back can be filled by anyone, all of it and again and again. Who gets it begins empty, and finds "
    "nothing that was left in it.",
    zh="归还的块谁都可以填，全部都能填，而且可以反复。拿到它的序列从空开始，看不到里面的残留。",
)
@hole(6)
@given(
    shape=st.sampled_from((ONE_LAYER._replace(num_blocks=3), TWO_LAYERS._replace(num_blocks=3))),
    again=st.booleans(),
    zeros=st.integers(1, 3),
)
def test_freed_blocks_can_be_filled_by_anyone(impl: Any, shape: Shape, again: bool, zeros: int) -> None:
    watched, ids = holding(impl, shape, 6), [7, 8, 5]
    new = 9
    for _ in range(2):
        watched.free(new, ids)
        new = 9 if again else new + 1
        watched.begin(new, ids)  # a prompt seen before; this cache shares no prefixes
        watched.check_all()
        watched.check_now()
        watched.forward(new, 6)
    watched.free(new)
    watched.begin(new)
    nothing = torch.zeros_like(watched.tensors(0, range(zeros))[0])
    watched.cache.append(new, 0, nothing, nothing)  # a token of zeros is a token like any other
    for name, got in zip(("key", "value"), watched.cache.read(new, 0), strict=True):
        assert_equal(got, nothing, what=Message("the {name} tensor of {zeros} tokens of zeros", name=name, zeros=zeros))


test_a_closed_sequence_is_unknown = laws.test_a_closed_sequence_is_unknown(
    CACHE,
    hole=1,
    claim={
        "en": "A sequence that was never opened, or was freed, cannot be appended to, read, forked or freed, and has "
        "no table: KeyError, and nothing has changed.",
        "zh": "从未打开或已经释放的序列不能写入、读取、分叉或释放，也没有块表：抛出 KeyError，且一切不变。",
    },
)
test_opening_needs_a_free_number = laws.test_opening_needs_a_free_number(CACHE, hole=1)
test_what_does_not_fit_the_layer_is_refused = laws.test_what_does_not_fit_the_layer_is_refused(CACHE, hole=1)
test_usage_counts_bytes = laws.test_usage_counts_bytes(CACHE, hole=7)


@claim(
    "No number is rounded, in a copied block neither: each that is read is, bit for bit, one that was appended, in the "
    "dtype that was asked for.",
    zh="任何数都不被舍入，复制过的块里也一样：读回来的每个数都与写入的某个数逐位相同，dtype 就是所要求的那个。",
)
@about("dtype")
@hole(5)
@given(dtype=st.sampled_from((torch.float64, torch.float32, torch.bfloat16, torch.float16)), tokens=st.integers(1, 3))
def test_no_number_is_rounded(impl: Any, dtype: torch.dtype, tokens: int) -> None:
    key = ((torch.arange(6 * tokens + 6, dtype=torch.float64) + 1) / 7).to(dtype).reshape(2, tokens + 1, 3)  # not exact
    cache = impl(layers=[(2, 3)], block_size=4, num_blocks=8, dtype=dtype)
    cache.begin(9)
    cache.append(9, 0, key[:, :tokens].clone(), -key[:, :tokens])
    cache.fork(9, 3)
    cache.append(3, 0, key[:, tokens:].clone(), -key[:, tokens:])
    check_unrounded(cache.read(3, 0), key)


test_no_gradient_is_kept = laws.test_no_gradient_is_kept(CACHE, hole=4)
test_two_caches_share_nothing = laws.test_two_caches_share_nothing(CACHE, hole=5)


@claim(
    "A table lists as many blocks as the tokens need, a fork's the same ones as its parent's. A copy takes the place "
    "of its original in the writer's table, other entries stay. ref_counts says how many tables list a block.",
    zh="块表列出的块正好够放词元；分叉的块表与父序列列出同样的块。复制出的块在写入者的表里取代原来的块，其余各项不变。"
    "ref_counts 是列出每个块的表的个数。",
)
@hole(3)
@given(
    shape=st.sampled_from((ONE_LAYER, TWO_LAYERS)),
    held=st.integers(0, 4),
    writer=st.sampled_from([9, 3]),
    count=st.integers(0, 3),
)
def test_tables_and_references_tell_who_holds_what(impl: Any, shape: Shape, held: int, writer: int, count: int) -> None:
    watched = holding(impl, shape, held)
    watched.check_now()
    watched.fork(9, 3)
    watched.check_now()
    watched.append(writer, 0, count)
    watched.check_now()


test_any_order_of_calls_agrees_with_a_model = laws.test_any_order_of_calls_agrees_with_a_model(
    CACHE, after=test_prefill_then_decode_equals_one_append
)
