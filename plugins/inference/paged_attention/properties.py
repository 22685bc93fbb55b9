"""What holds of every right paged cache.

Tokens are numbered. Token n holds n, n + 1/8, n + 2/8 ... as its keys and the same below zero as its values, so that a
number found in the wrong place says which token it came from. Beside the cache runs a model of it: lists of numbers,
and tables of blocks that are mere names. Which of its blocks a cache takes is its own affair: tables are compared by
which entries are the same block, never by the blocks' numbers.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from torch import Tensor

from groundup.core.interfaces.kv_cache import CacheFullError
from groundup.core.testing import (
    ImplMachine,
    Mismatch,
    after,
    assert_close,
    assert_equal,
    claim,
    each,
    hole,
    rejects,
    state_machine,
    sum_tolerance,
    tensors,
)
from groundup.core.testing.strategies import LAYOUTS, laid_out

NAMES = (0, 6, -6, 12)  # numbers of sequences: equal modulo 2 and modulo 3; and 0 is a number
TOKENS = 31  # of different numbers; each of theirs is exact in bfloat16, the narrowest dtype here


class Shape(NamedTuple):
    """How a cache is constructed. ``layers`` holds (heads, head size) of each."""

    layers: tuple[tuple[int, int], ...] = ((2, 3),)
    block_size: int = 2
    blocks: int = 7
    dtype: torch.dtype = torch.float32


ONE_LAYER = Shape()
TWO_LAYERS = Shape(((1, 2), (3, 1)), dtype=torch.float16)
THREE_LAYERS = Shape(((2, 1), (1, 3), (2, 2)), dtype=torch.bfloat16)


def canonical(trace: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return what a cache answered with its blocks numbered in the order in which tables first show them.

    By this the diagnosis compares an attempt with known mistakes, which may take other blocks.
    """
    names: dict[int, int] = {}
    told: list[tuple[str, Any]] = []
    for method, answer in trace:
        if method == "" and answer == "constructed":
            names = {}
        if method == "table" and isinstance(answer, list):
            answer = [names.setdefault(block, len(names)) for block in answer]
        elif method == "references" and isinstance(answer, list) and all(block < len(answer) for block in names):
            others = sorted(count for block, count in enumerate(answer) if block not in names)
            answer = [*(answer[block] for block in names), *others]
        told.append((method, answer))
    return told


class Watched:
    """A cache, and beside it what it should hold: the tokens of each layer, and which entries of tables are one."""

    def __init__(self, impl: Any, shape: Shape) -> None:
        self.shape, self.appended, self.named = shape, 0, 0
        self.cache = impl(**shape._asdict())
        self.held: dict[int, list[list[int]]] = {}
        self.tables: dict[int, list[int]] = {}
        self.known: dict[int, int] = {}  # a block's name here -> its number there, once a table told

    @property
    def layers(self) -> range:
        return range(len(self.shape.layers))

    @property
    def vacant(self) -> int:
        return self.shape.blocks - len(self.owners())

    def owners(self) -> Counter[int]:
        return Counter(block for table in self.tables.values() for block in table)

    def begin(self, sequence: int, *prompt: Sequence[int]) -> None:
        assert_equal(self.cache.begin(sequence, *prompt), 0, what=f"the answer of begin({sequence})")
        self.held[sequence] = [[] for _ in self.layers]
        self.tables[sequence] = []

    def append(self, sequence: int, layer: int, count: int, layout: str = "contiguous") -> None:
        numbers = self.next(count)
        self.cache.append(sequence, layer, *self.tensors(layer, numbers, layout))
        self.appended_to(sequence, layer, numbers)

    def appended_to(self, sequence: int, layer: int, numbers: list[int]) -> None:
        """Note what an append has done."""
        owners, table = self.owners(), self.tables[sequence]
        for position in range(len(self.held[sequence][layer]), len(self.held[sequence][layer]) + len(numbers)):
            place = position // self.shape.block_size
            if place == len(table):
                table.append(self.name())
            elif owners[table[place]] > 1:
                table[place] = self.name()
        self.held[sequence][layer] += numbers

    def needs(self, sequence: int, layer: int, count: int) -> int:
        """Return how many vacant blocks an append takes, by going through its tokens."""
        owners, table, held = self.owners(), self.tables[sequence], len(self.held[sequence][layer])
        places = {position // self.shape.block_size for position in range(held, held + count)}
        return sum(place >= len(table) or owners[table[place]] > 1 for place in places)

    def forward(self, sequence: int, count: int) -> None:
        """Append as one forward pass does: one layer after the other."""
        numbers = [self.next(count) for _ in self.layers]
        each(self.cache.append, [(sequence, n, *self.tensors(n, numbers[n])) for n in self.layers])
        for layer in self.layers:
            self.appended_to(sequence, layer, numbers[layer])

    def fill(self, sequence: int, *counts: int) -> None:
        """Begin with ``counts`` tokens in the layers, the last count in all that remain."""
        self.begin(sequence)
        for layer in self.layers:
            self.append(sequence, layer, counts[min(layer, len(counts) - 1)])

    def fork(self, parent: int, child: int) -> None:
        self.cache.fork(parent, child)
        self.held[child] = [list(numbers) for numbers in self.held[parent]]
        self.tables[child] = list(self.tables[parent])

    def free(self, sequence: int, *ids: Sequence[int]) -> None:
        self.cache.free(sequence, *ids)
        del self.held[sequence], self.tables[sequence]

    def name(self) -> int:
        self.named += 1
        return self.named

    def next(self, count: int) -> list[int]:
        """Return the numbers of new tokens; after TOKENS of them they begin anew."""
        numbers = [n % TOKENS + 1 for n in range(self.appended, self.appended + count)]
        self.appended += count
        return numbers

    def tensors(self, layer: int, numbers: Sequence[int], layout: str = "contiguous") -> tuple[Tensor, Tensor]:
        """Return the keys and values of the tokens of these numbers, (G, T, D) each."""
        heads, size = self.shape.layers[layer]
        coordinate = torch.arange(heads * size, dtype=torch.float64).reshape(heads, 1, size) / 8
        key = (torch.tensor(numbers, dtype=torch.float64)[:, None] + coordinate).to(self.shape.dtype)
        return laid_out(key, layout), laid_out(-key, layout)

    def check(self, *places: tuple[int, int]) -> None:
        """Check that layers of sequences read back what they should hold, in the cache's dtype."""
        for (sequence, layer), got in zip(places, each(self.cache.read, places), strict=True):
            expected = self.tensors(layer, self.held[sequence][layer])
            if not isinstance(got, tuple) or len(got) != 2:
                raise Mismatch("read returns no pair", "a tuple of keys and values", type(got).__name__)
            for name, ours, theirs in zip(("key", "value"), expected, got, strict=True):
                assert_equal(theirs, ours, what=f"the {name} tensor of read({sequence}, {layer})")

    def check_all(self) -> None:
        self.check(*itertools.product(self.held, self.layers))

    def check_usage(self) -> None:
        """Check the count of bytes, token by token: one that is in a shared block is found there several times."""
        numbers = [2 * heads * size for heads, size in self.shape.layers]  # of one token: key and value
        byte = torch.empty(0, dtype=self.shape.dtype).element_size()
        filled = {
            (self.tables[sequence][position // self.shape.block_size], position % self.shape.block_size, layer)
            for sequence, held in self.held.items()
            for layer in self.layers
            for position in range(len(held[layer]))
        }
        block = self.shape.block_size * sum(numbers) * byte
        expected = {
            "used": sum(numbers[layer] for _, _, layer in filled) * byte,
            "reserved": len(self.owners()) * block,
            "total": self.shape.blocks * block,
        }
        got = self.cache.usage()
        assert_equal({name: got.get(name) for name in expected}, expected, what="the usage")

    def tell(self) -> Told:
        """Ask for every table and the references; what they should be is kept beside the answers."""
        tables = each(self.cache.table, [(sequence,) for sequence in self.tables])
        theirs = {sequence: list(table) for sequence, table in zip(self.tables, tables, strict=True)}
        return Told({s: list(table) for s, table in self.tables.items()}, theirs, list(self.cache.references()))

    def check_tables(self, told: Told) -> None:
        """Check that entries are the same block where they should be, and that no block has moved."""
        ours, theirs, references = told
        assert_equal(renamed(theirs), renamed(ours), what="the tables, blocks numbered as they first appear")
        owners = Counter(block for table in ours.values() for block in table)
        self.known = {block: number for block, number in self.known.items() if block in owners}
        for sequence, table in ours.items():
            kept = [self.known.setdefault(b, n) for b, n in zip(table, theirs[sequence], strict=True)]
            assert_equal(theirs[sequence], kept, what=f"table({sequence}), whose blocks stay where they are")
        numbered = {number: owners[block] for block, number in self.known.items()}
        counted = [numbered.get(number, 0) for number in range(self.shape.blocks)]
        assert_equal(references, counted, what="the references, one number for each block")

    def check_unchanged(self) -> None:
        self.check_all()
        self.check_usage()


class Told(NamedTuple):
    """What a cache told of its tables, and the model's own."""

    ours: dict[int, list[int]]
    theirs: dict[int, list[int]]
    references: list[int]


def renamed(tables: dict[int, list[int]]) -> list[list[int]]:
    """Return the tables with blocks numbered 0, 1, 2 ... as they first appear."""
    names: dict[int, int] = {}
    return [[names.setdefault(block, len(names)) for block in table] for table in tables.values()]


def holding(impl: Any, shape: Shape, *counts: int) -> Watched:
    """Return a cache in which sequence 9 holds ``counts`` tokens in its layers, as ``fill`` puts them there."""
    watched = Watched(impl, shape)
    watched.fill(9, *counts)
    return watched


@claim(
    "However a sequence is cut into a prefill and decoding steps, and whatever the size of a block, it reads back "
    "every token, oldest first.",
    zh="无论一个序列怎样切分成预填充和逐步解码，也无论块有多大，读回来的每个词元都在，最早的在前。",
)
@hole(3)
@given(
    shape=st.sampled_from((ONE_LAYER, TWO_LAYERS, THREE_LAYERS)),
    block_size=st.sampled_from([1, 2, 3, 4]),
    parts=st.sampled_from([(3, 1, 1), (1, 1, 1), (0, 2, 1), (2, 0, 3), (7,), (1, 5), (4, 4), (19, 1, 8, 1)]),
    layout=st.sampled_from(LAYOUTS),
)
def test_prefill_then_decode_equals_one_append(
    impl: Any, shape: Shape, block_size: int, parts: Sequence[int], layout: str
) -> None:
    watched = Watched(impl, shape._replace(block_size=block_size, blocks=-(-sum(parts) // block_size)))
    watched.begin(9)
    for part in parts:
        for layer in watched.layers:
            watched.append(9, layer, part, layout)
    watched.check_all()


@claim(
    "Each layer has a shape and a length of its own, and reads its new tokens before the next layer is given any.",
    zh="每一层有自己的形状和长度；一层的新词元立即可读，不必等下一层也写入。",
)
@hole(4)
@given(shape=st.sampled_from((TWO_LAYERS, THREE_LAYERS)), parts=st.sampled_from([(3, 1), (2, 1), (1, 2), (1, 1)]))
def test_layers_grow_one_after_another(impl: Any, shape: Shape, parts: Sequence[int]) -> None:
    watched = Watched(impl, shape)
    watched.begin(9)
    for part in parts:
        for layer in watched.layers:
            watched.append(9, layer, part)
            watched.check_all()


class Decoded(NamedTuple):
    """Queries, keys and values of one layer, (G, T, D) each, and how many tokens are prefilled."""

    query: Tensor
    key: Tensor
    value: Tensor
    prefill: int


def decoded() -> st.SearchStrategy[Decoded]:
    return st.one_of(
        [
            st.builds(Decoded, *[tensors((heads, tokens, 2), dtype=dtype)] * 3, st.integers(1, 2))
            for heads, tokens in ((1, 3), (2, 4))
            for dtype in (torch.float32, torch.float64)
        ]
    )


@claim(
    "A decoder that reads its past from blocks computes, token by token, what attention over the whole sequence gives.",
    zh="解码器从块中读取过去，逐个词元算出的结果，与在整个序列上做注意力相同。",
)
@hole(4)
@after(test_prefill_then_decode_equals_one_append)
@given(case=decoded())
def test_decoding_equals_attention_over_the_whole_sequence(impl: Any, case: Decoded) -> None:
    query, key, value, prefill = case
    heads, tokens, size = key.shape
    cache = impl(layers=[(heads, size)], block_size=2, blocks=2, dtype=key.dtype)
    cache.begin(9)
    for first, stop in [(0, prefill), *((t, t + 1) for t in range(prefill, tokens))]:
        cache.append(9, 0, key[:, first:stop], value[:, first:stop])
        newest = query[:, stop - 1]  # sees all that is in the cache, itself included
        got, expected = attention(newest, *cache.read(9, 0)), attention(newest, key[:, :stop], value[:, :stop])
        tolerance = sum_tolerance(expected.dtype, tokens, size=2.0)
        assert_close(got, expected, dtype=expected.dtype, tolerance=tolerance, what=f"the output of token {stop - 1}")


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return one token's attention, (G, D), head by head in Python's floats."""
    heads = []
    for q, keys, values in zip(query.tolist(), key.tolist(), value.tolist(), strict=True):
        weights = [math.exp(sum(a * b for a, b in zip(q, k, strict=True)) / math.sqrt(len(q))) for k in keys]
        mixed = [sum(w * x for w, x in zip(weights, column, strict=True)) for column in zip(*values, strict=True)]
        heads.append([x / sum(weights) for x in mixed])
    return torch.tensor(heads, dtype=torch.float64)


@claim(
    "Sequences that take turns in taking blocks see none of each other's tokens, whatever numbers they go by.",
    zh="几个序列轮流取块，彼此看不到对方的词元，无论它们用什么编号。",
)
@hole(3)
@given(turns=st.sampled_from([(0, 6, -6), (6, -6, 0), (0, 6, -6, 12, 9), (12, -6, 9, 0, 6)]))
def test_sequences_do_not_mix(impl: Any, turns: tuple[int, ...]) -> None:
    watched = Watched(impl, ONE_LAYER._replace(blocks=3 * len(turns)))
    for sequence in sorted(turns):
        watched.begin(sequence)
    for turn, sequence in enumerate([*turns, *reversed(turns)]):
        watched.append(sequence, 0, 1 + turn % 3)
    watched.check_all()


@claim(
    "A sequence without tokens has no block. One is taken when the first layer has a token for it, whichever layer "
    "that is, and it serves all layers.",
    zh="没有词元的序列不占块。无论哪一层，只要最先有词元要放进某一块，就在那时取这一块，并供所有层使用。",
)
@hole(1)
@given(shape=st.sampled_from((TWO_LAYERS, THREE_LAYERS)), backwards=st.booleans(), prefill=st.sampled_from([2, 0, 3]))
def test_a_block_is_taken_when_the_first_token_reaches_it(
    impl: Any, shape: Shape, backwards: bool, prefill: int
) -> None:
    watched = Watched(impl, shape)
    watched.begin(9)
    watched.check_usage()
    for part in (prefill, 1):
        for layer in reversed(watched.layers) if backwards else watched.layers:
            watched.append(9, layer, part)
            watched.check_unchanged()  # reads first: they tell apart mistakes that are counted alike


@claim(
    "All sequences draw on one pool, and exactly as many tokens fit as there is room in vacant blocks and in the last "
    "one. One too many raises CacheFullError, and then nothing has changed: what is left can still be filled.",
    zh="所有序列共用一个池，空闲块和最后一块里有多少位置，就恰好放得下多少词元。多一个就抛出 CacheFullError，"
    "此后一切不变：剩下的位置仍可写入。",
)
@hole(1)
@given(
    shape=st.sampled_from((ONE_LAYER._replace(blocks=4), TWO_LAYERS._replace(block_size=3, blocks=3))),
    others=st.integers(0, 3),
    held=st.integers(0, 3),
)
def test_the_pool_is_exact_and_one_too_many_changes_nothing(impl: Any, shape: Shape, others: int, held: int) -> None:
    watched = holding(impl, shape, held)
    watched.begin(3)
    watched.forward(3, others)
    layer, size = watched.layers[-1], shape.block_size
    room = (watched.vacant + len(watched.tables[9])) * size - held
    with rejects(CacheFullError, what=f"appending {room + 1} tokens where {room} fit"):
        watched.cache.append(9, layer, *watched.tensors(layer, watched.next(room + 1)))
        watched.cache.read(9, layer)  # reached by mistake only: what was kept instead tells which mistake it is
    watched.check_unchanged()
    watched.append(9, layer, room)
    watched.check_unchanged()


@claim(
    "A fork holds all that its parent holds, takes no block, and copies nothing: it works when no block is vacant. So "
    "does the fork of a fork.",
    zh="分叉出的序列拥有父序列的全部内容，不取块，也不复制：没有空闲块时也能分叉。分叉的分叉也一样。",
)
@hole(5)
@given(
    shape=st.sampled_from((ONE_LAYER._replace(blocks=2), TWO_LAYERS._replace(blocks=2))),
    held=st.sampled_from([(3,), (4,), (3, 2), (4, 1), (3, 0)]),
)
def test_a_fork_takes_no_memory(impl: Any, shape: Shape, held: tuple[int, ...]) -> None:
    watched = Watched(impl, shape)
    watched.begin(8)  # without tokens, it takes nothing either
    watched.fill(9, *held)
    for parent, child in ((9, 3), (3, 27), (27, 45)):
        watched.fork(parent, child)
        watched.check(*((child, layer) for layer in watched.layers))
        watched.check_usage()
    watched.check_all()


@claim(
    "Neither branch sees what is appended to the other, in any layer, whoever writes first, and however full their "
    "last common block is.",
    zh="无论谁先写，也无论共有的最后一块有多满，在任何一层，一方都看不到另一方写入的词元。",
)
@hole(2)
@given(
    shape=st.sampled_from((ONE_LAYER, TWO_LAYERS._replace(block_size=3))),
    held=st.sampled_from([1, 2, 3, 4]),
    parent_first=st.booleans(),
    more=st.sampled_from([1, 2, 4]),
)
def test_neither_branch_sees_the_other(impl: Any, shape: Shape, held: int, parent_first: bool, more: int) -> None:
    watched = holding(impl, shape, held)
    watched.fork(9, 3)
    first, second = (9, 3) if parent_first else (3, 9)
    watched.forward(first, more)
    watched.check_all()
    watched.forward(second, 1)
    watched.check_all()


@claim(
    "A write copies a block that others hold too, once for all layers. Who holds it alone writes in place: of three "
    "branches two copy, of five four.",
    zh="写入别人也持有的块时，先复制一次，供所有层使用。独自持有的则就地写入：三个分支中有两个要复制，五个中有四个。",
)
@hole(2)
@given(
    shape=st.sampled_from((ONE_LAYER, TWO_LAYERS)),
    turns=st.sampled_from([(9, 3, 27), (3, 27, 9), (27, 9, 3), (9, 3, 27, 8, 45), (45, 8, 27, 3, 9)]),
)
def test_the_last_owner_writes_in_place(impl: Any, shape: Shape, turns: tuple[int, ...]) -> None:
    watched = holding(impl, shape._replace(blocks=1 + len(turns)), 3)  # one full block; the other, once a branch
    for parent, child in [(9, 3), (3, 27), (27, 8), (8, 45)][: len(turns) - 1]:
        watched.fork(parent, child)
    for sequence in turns:
        for layer in watched.layers:
            watched.append(sequence, layer, 1)
            watched.check((sequence, layer))
            watched.check_usage()
    watched.check_all()


@claim(
    "Nothing is copied that is not written to: no full block, and none at all for an append of no tokens.",
    zh="没有写入就没有复制：满的块不复制，写入零个词元时什么都不复制。",
)
@hole(1)
@given(shape=st.sampled_from((ONE_LAYER, TWO_LAYERS)), held=st.sampled_from([1, 2, 3, 4]), count=st.integers(0, 2))
def test_only_what_is_written_to_is_copied(impl: Any, shape: Shape, held: int, count: int) -> None:
    watched = holding(impl, shape, held)
    watched.fork(9, 3)
    watched.append(3, watched.layers[-1], count)
    watched.check_unchanged()


@claim(
    "In the midst of a forward pass, layers that lag behind write to earlier blocks than the last. Each of these that "
    "is shared is copied, with all that the other layers hold in it.",
    zh="前向进行到一半时，落后的层要写的不只是最后一块。其中每个共享的块都要复制，连同其他层在块里的内容。",
)
@hole(2)
@given(
    shape=st.sampled_from((TWO_LAYERS, THREE_LAYERS)),
    held=st.sampled_from([(5, 0), (5, 1), (3, 1), (4, 2), (3, 0)]),
    child_first=st.booleans(),
)
def test_a_fork_in_the_midst_of_a_forward_pass(
    impl: Any, shape: Shape, held: tuple[int, int], child_first: bool
) -> None:
    watched = holding(impl, shape._replace(blocks=6), *held)
    watched.fork(9, 3)
    for sequence in (3, 9) if child_first else (9, 3):
        for layer in watched.layers[1:]:
            watched.append(sequence, layer, held[0] - held[1])
        watched.check_unchanged()


@claim(
    "A copy needs a vacant block: without one, CacheFullError, and nothing has changed. Once the other owner is freed, "
    "the same append writes in place.",
    zh="复制需要空闲块：没有就抛出 CacheFullError，且一切不变。另一个持有者释放之后，同样的写入就地完成。",
)
@hole(1)
@given(
    shape=st.sampled_from((ONE_LAYER._replace(blocks=2), TWO_LAYERS._replace(blocks=2))),
    vacant=st.integers(0, 1),
    writer=st.sampled_from([9, 3]),
)
def test_a_copy_needs_a_vacant_block(impl: Any, shape: Shape, vacant: int, writer: int) -> None:
    watched = holding(impl, shape, 3 - 2 * vacant)
    watched.fork(9, 3)
    tokens, other = 1 + vacant, 12 - writer  # with a vacant block, one to copy and one more
    with rejects(CacheFullError, what="appending to a shared block when no block is vacant for the copy"):
        watched.cache.append(writer, 0, *watched.tensors(0, watched.next(tokens)))
    watched.check_unchanged()
    watched.free(other)
    watched.append(writer, 0, tokens)
    watched.check_unchanged()


@claim(
    "Freeing a sequence leaves a shared block to its other owners, parent or child, until the last of them is freed.",
    zh="释放一个序列时，共享的块留给其他持有者，无论父子，直到最后一个持有者释放。",
)
@hole(6)
@given(
    shape=st.sampled_from((ONE_LAYER._replace(blocks=4), TWO_LAYERS._replace(blocks=4))),
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
        if watched.vacant:  # whatever became vacant is written over at once
            watched.forward(sequence, watched.vacant * shape.block_size)
        watched.check_unchanged()
        watched.free(sequence)


@claim(
    "What was given back can be filled by anyone, all of it and again and again. Who gets it begins empty, and finds "
    "nothing that was left in it.",
    zh="归还的块谁都可以填，全部都能填，而且可以反复。拿到它的序列从空开始，看不到里面的残留。",
)
@hole(6)
@given(
    shape=st.sampled_from((ONE_LAYER._replace(blocks=3), TWO_LAYERS._replace(blocks=3))),
    again=st.booleans(),
    zeros=st.integers(1, 3),
)
def test_freed_blocks_can_be_filled_by_anyone(impl: Any, shape: Shape, again: bool, zeros: int) -> None:
    watched, ids = holding(impl, shape, 6), [7, 8, 5]
    new = 9
    for _ in range(2):
        watched.free(new, ids)
        new = 9 if again else new + 1
        watched.begin(new, ids)  # a known prompt; this cache finds no prefixes
        watched.check_unchanged()
        watched.forward(new, 6)
    watched.free(new)
    watched.begin(new)
    nothing = torch.zeros_like(watched.tensors(0, range(zeros))[0])
    watched.cache.append(new, 0, nothing, nothing)  # a token of zeros is a token like any other
    for name, got in zip(("key", "value"), watched.cache.read(new, 0), strict=True):
        assert_equal(got, nothing, what=f"the {name} tensor of {zeros} tokens of zeros")


CLOSED = {  # what to ask of a sequence that is not open
    "append": lambda watched, closed: watched.cache.append(closed, 0, *watched.tensors(0, [1])),
    "read": lambda watched, closed: watched.cache.read(closed, 0),
    "fork": lambda watched, closed: watched.cache.fork(closed, 27),
    "free": lambda watched, closed: watched.cache.free(closed),
    "table": lambda watched, closed: watched.cache.table(closed),
}


@claim(
    "A sequence that was never opened, or was freed, cannot be appended to, read, forked or freed, and has no table: "
    "KeyError, and nothing has changed.",
    zh="从未打开或已经释放的序列不能写入、读取、分叉或释放，也没有块表：抛出 KeyError，且一切不变。",
)
@given(call=st.sampled_from(sorted(CLOSED)), freed=st.booleans())
def test_a_closed_sequence_is_unknown(impl: Any, call: str, freed: bool) -> None:
    watched = holding(impl, TWO_LAYERS, 2)
    if freed:
        watched.fork(9, 3)
        watched.free(3)
    with rejects(KeyError, what=f"{call} with a sequence that is not open"):
        CLOSED[call](watched, 3)
    watched.check_unchanged()
    watched.begin(27)  # which the refused fork has not opened
    watched.check((27, 0))


@claim(
    "A number in use cannot be opened again, by begin or by fork: ValueError, and nothing has changed.",
    zh="正在使用的编号不能再次打开，begin 和 fork 都一样：抛出 ValueError，且一切不变。",
)
@given(call=st.sampled_from(["begin an open one", "fork onto an open one", "fork onto itself"]))
def test_opening_needs_a_free_number(impl: Any, call: str) -> None:
    watched = holding(impl, TWO_LAYERS, 3)
    watched.begin(3)
    watched.forward(3, 2)
    with rejects(ValueError, what=call):
        if call == "begin an open one":
            watched.cache.begin(9)
        else:
            watched.cache.fork(9, 3 if call == "fork onto an open one" else 9)
    watched.check_unchanged()
    watched.free(9)
    watched.check_unchanged()


WRONG = {  # what not to append, made of keys and values of two tokens for two heads of size 3
    "one head where there are two": lambda key, value: (key[:1], value[:1]),
    "no axis of heads": lambda key, value: (key[0], value[0]),
    "an axis of sequences": lambda key, value: (key[None], value[None]),
    "a smaller head": lambda key, value: (key[..., :1], value[..., :1]),
    "values of a smaller head": lambda key, value: (key, value[..., :1]),
    "tokens where the heads should be": lambda key, value: (key.mT, value.mT),
    "two keys and one value": lambda key, value: (key, value[:, :1]),
    "another dtype": lambda key, value: (key.to(torch.float64), value.to(torch.float64)),
    "values of another dtype": lambda key, value: (key, value.to(torch.float16)),
}


@claim(
    "Keys and values of another shape or dtype than the layer's are refused with ValueError, not broadcast or cast, "
    "and nothing has changed.",
    zh="形状或 dtype 与该层不符的键和值会被拒绝并抛出 ValueError，既不广播也不转换，且一切不变。",
)
@given(wrong=st.sampled_from(sorted(WRONG)))
def test_what_does_not_fit_the_layer_is_refused(impl: Any, wrong: str) -> None:
    watched = holding(impl, ONE_LAYER, 1)
    watched.fork(9, 3)
    with rejects(ValueError, what=wrong):
        watched.cache.append(9, 0, *WRONG[wrong](*watched.tensors(0, watched.next(2))))
    watched.check_unchanged()
    watched.free(3)
    watched.append(9, 0, 1)
    watched.check_unchanged()


@claim(
    "Used are the bytes of the tokens held, key and value, layer by layer, shared ones once; reserved those of the "
    "blocks that tables list; total those of all blocks. Everything counts at once.",
    zh="used 是各层持有的词元的键和值所占的字节，共享的只算一次；reserved 是块表里列出的块所占的字节；"
    "total 是所有块的字节。每个操作都立即计入。",
)
@hole(7)
@given(
    shape=st.sampled_from((TWO_LAYERS, THREE_LAYERS)),
    dtype=st.sampled_from((torch.float16, torch.float32, torch.float64)),
)
def test_usage_counts_bytes(impl: Any, shape: Shape, dtype: torch.dtype) -> None:
    watched = Watched(impl, shape._replace(dtype=dtype))
    watched.begin(3)
    watched.forward(3, 3)
    watched.append(3, watched.layers[-1], 2)  # the others follow later in the forward pass
    watched.check_unchanged()
    watched.fork(3, 9)
    watched.check_unchanged()
    watched.append(9, 0, 2)
    watched.check_unchanged()
    watched.free(3)
    watched.check_unchanged()
    got = watched.cache.usage()
    kinds = [type(got[name]).__name__ for name in ("used", "reserved", "total")]
    assert_equal(kinds, ["int"] * 3, what="the types in the usage")


@claim(
    "The numbers come back bit for bit, in the dtype that was asked for, out of a copied block too.",
    zh="读回来的数值逐位相同，dtype 就是所要求的那个，从复制过的块里读也一样。",
)
@hole(2)
@given(dtype=st.sampled_from((torch.float64, torch.float32, torch.bfloat16, torch.float16)), tokens=st.integers(1, 3))
def test_no_number_is_rounded(impl: Any, dtype: torch.dtype, tokens: int) -> None:
    key = ((torch.arange(6 * tokens + 6, dtype=torch.float64) + 1) / 7).to(dtype).reshape(2, tokens + 1, 3)  # no grid
    cache = impl(layers=[(2, 3)], block_size=4, blocks=2, dtype=dtype)
    cache.begin(9)
    cache.append(9, 0, key[:, :tokens], -key[:, :tokens])
    cache.fork(9, 3)
    cache.append(3, 0, key[:, tokens:], -key[:, tokens:])
    for name, got, expected in zip(("key", "value"), cache.read(3, 0), (key, -key), strict=True):
        assert_equal(got, expected, what=f"the {name} tensor of read(3, 0)")


@claim(
    "What is kept carries no gradient, or the graph of every step would be kept with it.",
    zh="留下来的内容不带梯度，否则每一步的计算图都会一并留下。",
)
@hole(3)
@given(shape=st.sampled_from((ONE_LAYER, TWO_LAYERS)), tokens=st.integers(1, 3))
def test_no_gradient_is_kept(impl: Any, shape: Shape, tokens: int) -> None:
    watched = Watched(impl, shape)
    watched.begin(3)
    key, value = watched.tensors(0, watched.next(tokens))
    watched.cache.append(3, 0, key.requires_grad_(), value.requires_grad_())
    for name, kept in zip(("key", "value"), watched.cache.read(3, 0), strict=True):
        what = f"whether the {name} tensor of read(3, 0) carries gradient"
        assert_equal(kept.requires_grad, False, what=what)


@claim(
    "Two caches know nothing of each other, however alike they are.",
    zh="两个缓存互不相干，无论它们多么相像。",
)
@hole(1)
@given(shape=st.sampled_from((ONE_LAYER, TWO_LAYERS)), counts=st.sampled_from([(2, 1), (1, 2), (1, 1)]))
def test_two_caches_share_nothing(impl: Any, shape: Shape, counts: tuple[int, int]) -> None:
    one, other = Watched(impl, shape), Watched(impl, shape)
    other.appended = TOKENS // 2  # other numbers than the first one's
    for watched, count in zip((one, other), counts, strict=True):
        watched.begin(9)
        watched.forward(9, count)
    for watched in (one, other):
        watched.check_unchanged()
    one.free(9)
    other.check_unchanged()


@claim(
    "A table lists as many blocks as the tokens need, a fork's the same ones as its parent's. A copy takes the place "
    "of its original in the writer's table, other entries stay. References count the tables with a block.",
    zh="块表列出的块正好够放词元；分叉的块表与父序列列出同样的块。复制出的块在写入者的表里取代原来的块，其余各项不变。"
    "references 是列出每个块的表的个数。",
)
@hole(2)
@given(
    shape=st.sampled_from((ONE_LAYER, TWO_LAYERS)),
    held=st.integers(0, 4),
    writer=st.sampled_from([9, 3]),
    count=st.integers(0, 3),
)
def test_tables_and_references_tell_who_holds_what(impl: Any, shape: Shape, held: int, writer: int, count: int) -> None:
    watched = holding(impl, shape, held)
    told = [watched.tell()]
    watched.fork(9, 3)
    told.append(watched.tell())
    watched.append(writer, 0, count)
    told.append(watched.tell())
    watched.check_unchanged()  # before all else: wrong tables behind right answers are another mistake
    watched.free(12 - writer)
    told.append(watched.tell())
    for tables in told:
        watched.check_tables(tables)


class AgainstADict(ImplMachine):
    """Opens, appends, forks, frees and reads in any order. What the model has no room for must be refused."""

    @initialize(
        shape=st.sampled_from(
            (ONE_LAYER._replace(blocks=5), TWO_LAYERS._replace(blocks=5), TWO_LAYERS._replace(block_size=1))
        )
    )
    def construct(self, shape: Shape) -> None:
        self.watched = Watched(self.impl, shape)
        self.watched.begin(0)
        self.watched.forward(0, 3)

    def opened(self, which: int) -> int:
        """Return one of the open sequences, counted in the order in which they were opened."""
        return list(self.watched.held)[which % len(self.watched.held)]

    def some_open(self) -> bool:
        return bool(self.watched.held)

    @rule(sequence=st.sampled_from(NAMES))
    def begin(self, sequence: int) -> None:
        with self.unless((ValueError, sequence in self.watched.held)):
            self.watched.begin(sequence)
            self.watched.check((sequence, 0))

    @precondition(some_open)
    @rule(which=st.integers(0, 3), layer=st.integers(0, 1), count=st.integers(0, 3))
    def append(self, which: int, layer: int, count: int) -> None:
        sequence, layer = self.opened(which), layer % len(self.watched.layers)
        with self.unless((CacheFullError, self.watched.needs(sequence, layer, count) > self.watched.vacant)):
            self.watched.append(sequence, layer, count)
        self.watched.check((sequence, layer))

    @precondition(some_open)
    @rule(which=st.integers(0, 3), nth=st.integers(0, 3), layer=st.integers(0, 1))
    def fork(self, which: int, nth: int, layer: int) -> None:
        closed = [sequence for sequence in NAMES if sequence not in self.watched.held] or NAMES
        child = closed[nth % len(closed)]
        with self.unless((ValueError, child in self.watched.held)):
            self.watched.fork(self.opened(which), child)
            self.watched.check((child, layer % len(self.watched.layers)))

    @precondition(some_open)
    @rule(which=st.integers(0, 3), layer=st.integers(0, 1))
    def decode(self, which: int, layer: int) -> None:
        """Append one token, to one layer or as far as it goes to all, and look at everything."""
        sequence = self.opened(which)
        for ahead in range(layer % len(self.watched.layers), len(self.watched.layers)):
            if self.watched.needs(sequence, ahead, 1) <= self.watched.vacant:
                self.watched.append(sequence, ahead, 1)
        self.watched.check_unchanged()
        self.watched.check_tables(self.watched.tell())

    @precondition(some_open)
    @rule(which=st.integers(0, 3))
    def free(self, which: int) -> None:
        self.watched.free(self.opened(which))
        self.watched.check_usage()

    def unless(self, refusal: tuple[type[Exception], bool]) -> AbstractContextManager[None]:
        """Return what a call is made within, which must be refused where that is due."""
        error, due = refusal
        return rejects(error, what="the last step") if due else nullcontext()


@claim(
    "In whatever order sequences are opened, appended to, forked and freed: each reads back what was appended to it, "
    "tables, references and bytes agree with a model, and what there is no room for is refused.",
    zh="无论以什么顺序打开、写入、分叉、释放：每个序列都读回写入它的内容，块表、引用计数和字节数都与模型一致，"
    "放不下的都被拒绝。",
)
@after(test_prefill_then_decode_equals_one_append)
@state_machine(AgainstADict)
def test_any_order_of_calls_agrees_with_a_model(impl: Any) -> None: ...
