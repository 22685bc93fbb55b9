"""What holds of every right contiguous key-value cache.

Tokens are numbered. Token n holds n, n + 1/8, n + 2/8 ... as its keys and the same below zero as its values, so that a
number found in the wrong place says which token it came from. What a cache should hold is then a dict of lists of ints.
"""

from __future__ import annotations

import itertools
import math
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

NAMES = (0, 6, -6, 12)  # equal modulo 2 and modulo 3: a number taken for a slot meets itself again; and 0 is a number
TOKENS = 31  # of different numbers; each of theirs is exact in bfloat16, the narrowest dtype here


class Shape(NamedTuple):
    """How a cache is constructed. ``layers`` holds (heads, head size) of each."""

    layers: tuple[tuple[int, int], ...] = ((2, 3),)
    capacity: int = 6
    sequences: int = 3
    dtype: torch.dtype = torch.float32


ONE_LAYER = Shape()
TWO_LAYERS = Shape(((1, 2), (3, 1)), dtype=torch.float16)
THREE_LAYERS = Shape(((2, 1), (1, 3), (2, 2)), dtype=torch.bfloat16)
SHAPES = (ONE_LAYER, TWO_LAYERS, THREE_LAYERS)


class Watched:
    """A cache, and beside it the numbers of the tokens that each layer of each open sequence should hold."""

    def __init__(self, impl: Any, shape: Shape) -> None:
        self.shape, self.appended = shape, 0
        self.cache = impl(**shape._asdict())
        self.held: dict[int, list[list[int]]] = {}

    @property
    def layers(self) -> range:
        return range(len(self.shape.layers))

    def begin(self, sequence: int, *prompt: Sequence[int]) -> None:
        assert_equal(self.cache.begin(sequence, *prompt), 0, what=f"the answer of begin({sequence})")
        self.held[sequence] = [[] for _ in self.layers]

    def append(self, sequence: int, layer: int, count: int, layout: str = "contiguous") -> None:
        numbers = self.next(count)
        self.cache.append(sequence, layer, *self.tensors(layer, numbers, layout))
        self.held[sequence][layer] += numbers

    def forward(self, sequence: int, count: int) -> None:
        """Append as one forward pass does: one layer after the other."""
        numbers = [self.next(count) for _ in self.layers]
        each(self.cache.append, [(sequence, n, *self.tensors(n, numbers[n])) for n in self.layers])
        for layer in self.layers:
            self.held[sequence][layer] += numbers[layer]

    def fork(self, parent: int, child: int) -> None:
        self.cache.fork(parent, child)
        self.held[child] = [list(numbers) for numbers in self.held[parent]]

    def free(self, sequence: int, *ids: Sequence[int]) -> None:
        self.cache.free(sequence, *ids)
        del self.held[sequence]

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
        """Check the count of bytes, number by number of every key and value."""
        numbers = [2 * heads * size for heads, size in self.shape.layers]  # of one token: key and value
        byte = torch.empty(0, dtype=self.shape.dtype).element_size()
        used = sum(len(self.held[s][layer]) * numbers[layer] for s in self.held for layer in self.layers)
        slot = self.shape.capacity * sum(numbers)
        expected = {
            "used": used * byte,
            "reserved": len(self.held) * slot * byte,
            "total": self.shape.sequences * slot * byte,
        }
        got = self.cache.usage()
        assert_equal(got, expected, what="the usage")
        assert_equal([type(number).__name__ for number in got.values()], ["int"] * 3, what="the types in the usage")

    def check_unchanged(self) -> None:
        self.check_all()
        self.check_usage()


@claim(
    "However a sequence is cut into a prefill and decoding steps, it reads back the same: every token, oldest first.",
    zh="无论一个序列怎样切分成预填充和逐步解码，读回来的都一样：每个词元都在，最早的在前。",
)
@hole(2)
@given(
    shape=st.sampled_from(SHAPES),
    parts=st.sampled_from([(3, 1, 1), (1, 1, 1), (0, 2, 1), (2, 0, 3), (5,), (1, 5), (19, 1, 8, 1)]),
    layout=st.sampled_from(LAYOUTS),
)
def test_prefill_then_decode_equals_one_append(impl: Any, shape: Shape, parts: Sequence[int], layout: str) -> None:
    watched = Watched(impl, shape._replace(capacity=max(6, sum(parts))))
    watched.begin(9)
    for part in parts:
        for layer in watched.layers:
            watched.append(9, layer, part, layout)
    watched.check_all()


@claim(
    "Each layer has a shape and a length of its own, and reads its new tokens before the next layer is given any.",
    zh="每一层有自己的形状和长度；一层的新词元立即可读，不必等下一层也写入。",
)
@hole(3)
@given(shape=st.sampled_from((TWO_LAYERS, THREE_LAYERS)), parts=st.sampled_from([(2, 1), (1, 2), (1, 1)]))
def test_layers_grow_one_after_another(impl: Any, shape: Shape, parts: Sequence[int]) -> None:
    watched = Watched(impl, shape)
    watched.begin(9)
    for part in parts:
        for layer in watched.layers:
            watched.append(9, layer, part)
            watched.check_all()


@claim(
    "A layer that was given nothing, or no tokens, reads back empty; a token of zeros is a token like any other.",
    zh="没有写入过，或只写入了零个词元的层，读回来是空的；全为零的词元也是词元。",
)
@hole(3)
@given(shape=st.sampled_from(SHAPES), zeros=st.integers(1, 2))
def test_nothing_is_empty_and_zeros_are_not(impl: Any, shape: Shape, zeros: int) -> None:
    watched = Watched(impl, shape)
    watched.begin(9)
    watched.append(9, 0, 0)
    watched.check_all()
    nothing = torch.zeros_like(watched.tensors(0, range(zeros))[0])
    watched.cache.append(9, 0, nothing, nothing)
    for name, got in zip(("key", "value"), watched.cache.read(9, 0), strict=True):
        assert_equal(got, nothing, what=f"the {name} tensor of {zeros} tokens of zeros")


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
    "A decoder that reads its past from the cache computes, token by token, what attention over the whole sequence "
    "gives.",
    zh="解码器从缓存读取过去，逐个词元算出的结果，与在整个序列上做注意力相同。",
)
@hole(3)
@after(test_prefill_then_decode_equals_one_append)
@given(case=decoded())
def test_decoding_equals_attention_over_the_whole_sequence(impl: Any, case: Decoded) -> None:
    query, key, value, prefill = case
    heads, tokens, size = key.shape
    cache = impl(layers=[(heads, size)], capacity=tokens, sequences=1, dtype=key.dtype)
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
    "No sequence sees another's tokens, in whatever order they grow and whatever numbers they go by.",
    zh="任何序列都看不到别的序列的词元，无论它们以什么顺序增长、用什么编号。",
)
@hole(1)
@given(turns=st.sampled_from([(0, 6, -6), (6, -6, 0), (0, 6, -6, 12, 9), (12, -6, 9, 0, 6)]))
def test_sequences_do_not_mix(impl: Any, turns: tuple[int, ...]) -> None:
    watched = Watched(impl, ONE_LAYER._replace(sequences=len(turns)))
    for sequence in sorted(turns):
        watched.begin(sequence)
    for turn, sequence in enumerate([*turns, *reversed(turns)]):
        watched.append(sequence, 0, 1 + turn % 3)
    watched.check_all()


@claim(
    "Exactly as many tokens fit as the capacity says, in each sequence. One too many raises CacheFullError, and then "
    "nothing has changed: what is left can still be filled.",
    zh="每个序列恰好能放下容量那么多的词元。多一个就抛出 CacheFullError，此后一切不变：剩下的位置仍可写入。",
)
@hole(2)
@given(
    shape=st.sampled_from((ONE_LAYER._replace(capacity=4), TWO_LAYERS._replace(capacity=3))),
    held=st.integers(0, 3),
    layer=st.sampled_from((0, -1)),
)
def test_the_capacity_is_exact_and_one_too_many_changes_nothing(impl: Any, shape: Shape, held: int, layer: int) -> None:
    watched = Watched(impl, shape)
    watched.begin(3)
    watched.begin(9)
    watched.forward(3, 1)
    watched.forward(9, held)
    room, layer = shape.capacity - held, watched.layers[layer]
    with rejects(CacheFullError, what=f"appending {room + 1} tokens where {room} fit"):
        watched.cache.append(9, layer, *watched.tensors(layer, watched.next(room + 1)))
        watched.cache.read(9, layer)  # reached by mistake only: what was kept instead tells which mistake it is
    watched.check_unchanged()
    watched.append(9, layer, room)
    watched.check((9, layer))


@claim(
    "A fork begins with all that its parent holds, and neither sees what is appended to the other, or misses the other "
    "once it is freed.",
    zh="分叉出的序列一开始拥有父序列的全部内容；此后双方看不到对方新写入的词元，一方释放也不影响另一方。",
)
@hole(4)
@given(
    shape=st.sampled_from((ONE_LAYER, TWO_LAYERS)),
    held=st.sampled_from([(1, 1), (5, 4)]),
    turns=st.sampled_from([(9, 3), (3, 9), (9, 3, 27, 8, 45), (45, 8, 27, 3, 9)]),
)
def test_a_fork_shares_nothing(impl: Any, shape: Shape, held: tuple[int, int], turns: tuple[int, ...]) -> None:
    watched = Watched(impl, shape._replace(capacity=held[0] + 2, sequences=len(turns)))
    watched.begin(9)
    for layer in watched.layers:  # the first may be ahead: in the midst of a forward pass
        watched.append(9, layer, held[layer])
    for parent, child in [(9, 3), (9, 27), (27, 8), (8, 45)][: len(turns) - 1]:
        watched.fork(parent, child)
    first, *others = turns
    watched.forward(first, 1)
    watched.check_all()
    for sequence in others:
        watched.forward(sequence, 2)
    watched.check_all()
    watched.free(first)
    watched.fork(others[-1], 6)  # the first layer of which is full
    watched.check_all()


@claim(
    "As many sequences can be open as were asked for. Freeing one makes room for exactly one, which begins empty, and "
    "leaves the others alone.",
    zh="能同时打开的序列数正好是要求的数目。释放一个就恰好腾出一个位置，新序列从空开始，其余序列不受影响。",
)
@hole(1)
@given(
    shape=st.sampled_from((ONE_LAYER._replace(sequences=2), TWO_LAYERS._replace(sequences=5))),
    freed=st.integers(0, 1),
    again=st.booleans(),
)
def test_freeing_makes_room_for_one_empty_sequence(impl: Any, shape: Shape, freed: int, again: bool) -> None:
    watched, ids = Watched(impl, shape), [7, 8, 5, 8]
    names = (*NAMES, 9)[: shape.sequences]
    for sequence in names:
        watched.begin(sequence, ids)
        watched.forward(sequence, 2)
    watched.free(names[freed], ids)
    new = names[freed] if again else 45
    watched.begin(new, ids)  # a known prompt; this cache shares no prefixes
    with rejects(CacheFullError, what=f"opening {shape.sequences + 1} sequences where {shape.sequences} fit"):
        watched.cache.begin(8)
    watched.check_unchanged()
    watched.forward(new, 1)
    watched.check_unchanged()


CLOSED = {  # what to ask of a sequence that is not open
    "append": lambda watched, closed: watched.cache.append(closed, 0, *watched.tensors(0, [1])),
    "read": lambda watched, closed: watched.cache.read(closed, 0),
    "fork": lambda watched, closed: watched.cache.fork(closed, 27),
    "free": lambda watched, closed: watched.cache.free(closed),
}


@claim(
    "A sequence that was never opened, or was freed, cannot be appended to, read, forked or freed: KeyError, and "
    "nothing has changed.",
    zh="从未打开或已经释放的序列不能写入、读取、分叉或释放：抛出 KeyError，且一切不变。",
)
@given(call=st.sampled_from(sorted(CLOSED)), freed=st.booleans())
def test_a_closed_sequence_is_unknown(impl: Any, call: str, freed: bool) -> None:
    watched = Watched(impl, TWO_LAYERS)
    watched.begin(9)
    watched.forward(9, 2)
    if freed:
        watched.begin(3)
        watched.forward(3, 1)
        watched.free(3)
    with rejects(KeyError, what=f"{call} with a sequence that is not open"):
        CLOSED[call](watched, 3)
    watched.check_unchanged()


@claim(
    "A number in use cannot be opened again, by begin or by fork: ValueError. A fork needs a vacant slot: "
    "CacheFullError. Nothing has changed then.",
    zh="正在使用的编号不能再次打开，begin 和 fork 都一样：抛出 ValueError。"
    "分叉需要空闲的槽：否则抛出 CacheFullError。此后一切不变。",
)
@given(
    call=st.sampled_from(
        ["begin an open one", "fork onto an open one", "fork onto itself", "fork without a vacant slot"]
    )
)
def test_opening_needs_a_free_number_and_a_vacant_slot(impl: Any, call: str) -> None:
    full = call == "fork without a vacant slot"
    watched = Watched(impl, TWO_LAYERS._replace(sequences=2 if full else 3))
    for sequence in (9, 3):
        watched.begin(sequence)
        watched.forward(sequence, 2)
    with rejects(CacheFullError if full else ValueError, what=call):
        if call == "begin an open one":
            watched.cache.begin(9)
        else:
            watched.cache.fork(9, {"fork onto an open one": 3, "fork onto itself": 9}.get(call, 27))
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
    watched = Watched(impl, ONE_LAYER)
    watched.begin(9)
    watched.forward(9, 1)
    with rejects(ValueError, what=wrong):
        watched.cache.append(9, 0, *WRONG[wrong](*watched.tensors(0, watched.next(2))))
    watched.check_unchanged()


@claim(
    "Used are the bytes of the tokens held, key and value, layer by layer; reserved those of the open sequences' "
    "slots; total those of all slots. Opening, appending, forking and freeing count at once.",
    zh="used 是各层持有的词元的键和值所占的字节，reserved 是已打开序列的槽所占的字节，total 是所有槽的字节；"
    "打开、写入、分叉、释放都立即计入。",
)
@hole(5)
@given(
    shape=st.sampled_from((TWO_LAYERS, THREE_LAYERS)),
    dtype=st.sampled_from((torch.float16, torch.float32, torch.float64)),
)
def test_usage_counts_bytes(impl: Any, shape: Shape, dtype: torch.dtype) -> None:
    watched = Watched(impl, shape._replace(dtype=dtype))
    watched.begin(3)
    watched.check_usage()
    watched.forward(3, 2)
    watched.append(3, watched.layers[-1], 1)  # the others follow later in the forward pass
    watched.check_usage()
    watched.fork(3, 9)
    watched.check_usage()
    watched.free(3)
    watched.check_usage()


@claim(
    "The numbers come back bit for bit, in the dtype that was asked for.",
    zh="读回来的数值逐位相同，dtype 就是所要求的那个。",
)
@hole(2)
@given(dtype=st.sampled_from((torch.float64, torch.float32, torch.bfloat16, torch.float16)), tokens=st.integers(1, 3))
def test_no_number_is_rounded(impl: Any, dtype: torch.dtype, tokens: int) -> None:
    key = ((torch.arange(6 * tokens, dtype=torch.float64) + 1) / 7).to(dtype).reshape(2, tokens, 3)  # not on any grid
    cache = impl(layers=[(2, 3)], capacity=4, sequences=1, dtype=dtype)
    cache.begin(9)
    cache.append(9, 0, key, -key)
    for name, got, expected in zip(("key", "value"), cache.read(9, 0), (key, -key), strict=True):
        assert_equal(got, expected, what=f"the {name} tensor of read(9, 0)")


@claim(
    "What is kept carries no gradient, or the graph of every step would be kept with it.",
    zh="留下来的内容不带梯度，否则每一步的计算图都会一并留下。",
)
@hole(2)
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
@given(shape=st.sampled_from(SHAPES), counts=st.sampled_from([(2, 1), (1, 2), (1, 1)]))
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


class AgainstADict(ImplMachine):
    """Opens, appends, forks, frees and reads in any order. What the dict has no room for must be refused."""

    @initialize(shape=st.sampled_from((ONE_LAYER._replace(capacity=4), TWO_LAYERS._replace(capacity=4))))
    def construct(self, shape: Shape) -> None:
        self.watched = Watched(self.impl, shape)
        self.watched.begin(0)

    def opened(self, which: int) -> int:
        """Return one of the open sequences, counted in the order in which they were opened."""
        return list(self.watched.held)[which % len(self.watched.held)]

    def some_open(self) -> bool:
        return bool(self.watched.held)

    @rule(sequence=st.sampled_from(NAMES))
    def begin(self, sequence: int) -> None:
        with self.unless(*self.cannot_open(sequence)):
            self.watched.begin(sequence)
            self.watched.check((sequence, 0))

    @precondition(some_open)
    @rule(which=st.integers(0, 2), layer=st.integers(0, 1), count=st.integers(0, 3))
    def append(self, which: int, layer: int, count: int) -> None:
        sequence, layer = self.opened(which), layer % len(self.watched.layers)
        too_many = len(self.watched.held[sequence][layer]) + count > self.watched.shape.capacity
        with self.unless((CacheFullError, too_many)):
            self.watched.append(sequence, layer, count)
        self.watched.check((sequence, layer))

    @precondition(some_open)
    @rule(which=st.integers(0, 2), child=st.sampled_from(NAMES), layer=st.integers(0, 1))
    def fork(self, which: int, child: int, layer: int) -> None:
        with self.unless(*self.cannot_open(child)):
            self.watched.fork(self.opened(which), child)
            self.watched.check((child, layer % len(self.watched.layers)))

    @precondition(some_open)
    @rule(which=st.integers(0, 2))
    def free(self, which: int) -> None:
        self.watched.free(self.opened(which))

    @rule()
    def read_and_count(self) -> None:
        self.watched.check_unchanged()

    def cannot_open(self, sequence: int) -> list[tuple[type[Exception], bool]]:
        full = len(self.watched.held) == self.watched.shape.sequences
        return [(ValueError, sequence in self.watched.held), (CacheFullError, full)]

    def unless(self, *refusals: tuple[type[Exception], bool]) -> AbstractContextManager[None]:
        """Return what a call is made within: where a refusal is due, any that is due will do."""
        due = [error for error, is_due in refusals if is_due]
        return rejects(*due, what="the last step") if due else nullcontext()


@claim(
    "In whatever order sequences are opened, appended to, forked and freed: each reads back what was appended to it, "
    "every byte is counted, and what there is no room for is refused.",
    zh="无论以什么顺序打开、写入、分叉、释放：每个序列都读回写入它的内容，每个字节都计入，放不下的都被拒绝。",
)
@after(test_prefill_then_decode_equals_one_append)
@state_machine(AgainstADict)
def test_any_order_of_calls_agrees_with_a_dict(impl: Any) -> None: ...
