"""Laws of key/value caches on reading: all that was appended, and nothing of other sequences or caches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.messages import Message
from groundup.core.testing.compare import assert_close, assert_equal, sum_tolerance
from groundup.core.testing.laws import Property, law
from groundup.core.testing.laws.kv_cache_model import TOKENS, Setting
from groundup.core.testing.marks import about
from groundup.core.testing.strategies import LAYOUTS, tensors

__all__ = [
    "check_unrounded",
    "test_decoding_equals_attention_over_the_whole_sequence",
    "test_layers_grow_one_after_another",
    "test_neither_branch_sees_the_other",
    "test_no_gradient_is_kept",
    "test_no_number_is_rounded",
    "test_nothing_is_empty_and_zeros_are_not",
    "test_prefill_then_decode_equals_one_append",
    "test_sequences_do_not_mix",
    "test_two_caches_share_nothing",
    "test_what_is_read_begins_with_the_first_token",
]


@law(
    "However a sequence is cut into a prefill and decoding steps, it reads back the same: every token, oldest first.",
    zh="无论一个序列怎样切分成预填充和逐步解码，读回来的都一样：每个词元都在，最早的在前。",
)
def test_prefill_then_decode_equals_one_append(setting: Setting) -> Property:
    @given(
        shape=st.sampled_from(setting.shapes + setting.variants),
        parts=st.sampled_from([(3, 1, 1), (1, 1, 1), (0, 2, 1), (2, 0, 3), (5,), (1, 5), (4, 4), (19, 1, 8, 1)]),
        layout=st.sampled_from(LAYOUTS),
    )
    def holds(impl: Any, shape: Any, parts: Sequence[int], layout: str) -> None:
        watched = setting.watch(impl, setting.room(shape, sum(parts), 1))
        watched.begin(9)
        for part in parts:
            for layer in watched.layers:
                watched.append(9, layer, part, layout)
        watched.check_all()

    return holds


@law(
    "What is read back begins with the first token appended, and goes on in their order, layer by layer.",
    zh="每一层读回来的内容都从最先写入的词元开始，并保持写入的先后顺序。",
)
def test_what_is_read_begins_with_the_first_token(setting: Setting) -> Property:
    @given(
        shape=st.sampled_from(setting.layered),
        parts=st.sampled_from([(3, 1), (1, 2, 1), (2, 0, 2), (1, 1, 3)]),
        layer_by_layer=st.booleans(),
        layout=st.sampled_from(LAYOUTS),
    )
    def holds(impl: Any, shape: Any, parts: Sequence[int], layer_by_layer: bool, layout: str) -> None:
        watched = setting.watch(impl, setting.room(shape, sum(parts), 2))
        watched.begin(9)
        watched.begin(3)
        appends = [(part, layer) for part in parts for layer in watched.layers]
        for part, layer in sorted(appends, key=lambda append: append[1]) if layer_by_layer else appends:
            watched.append(9, layer, part, layout)
            watched.append(3, layer, part, layout)
        watched.check_begins(*itertools.product((9, 3), watched.layers))

    return holds


@law(
    "Each layer has a shape and a length of its own, and reads its new tokens before the next layer is given any.",
    zh="每一层有自己的形状和长度；一层的新词元立即可读，不必等下一层也写入。",
)
def test_layers_grow_one_after_another(setting: Setting) -> Property:
    @given(shape=st.sampled_from(setting.layered), parts=st.sampled_from([(3, 1), (2, 1), (1, 2), (1, 1)]))
    def holds(impl: Any, shape: Any, parts: Sequence[int]) -> None:
        watched = setting.watch(impl, shape)
        watched.begin(9)
        for part in parts:
            for layer in watched.layers:
                watched.append(9, layer, part)
                watched.check_all()

    return holds


@law(
    "A layer that was given nothing, or no tokens, reads back empty; a token of zeros is a token like any other.",
    zh="没有写入过，或只写入了零个词元的层，读回来是空的；全为零的词元也是词元。",
)
def test_nothing_is_empty_and_zeros_are_not(setting: Setting) -> Property:
    @given(shape=st.sampled_from(setting.shapes), zeros=st.integers(1, 2))
    def holds(impl: Any, shape: Any, zeros: int) -> None:
        watched = setting.watch(impl, shape)
        watched.begin(9)
        watched.append(9, 0, 0)
        watched.check_all()
        nothing = [torch.zeros_like(tensor) for tensor in watched.tensors(0, range(zeros))]
        watched.cache.append(9, 0, *nothing)
        for name, got, expected in zip(("key", "value"), watched.cache.read(9, 0), nothing, strict=True):
            assert_equal(
                got, expected, what=Message("the {name} tensor of {zeros} tokens of zeros", name=name, zeros=zeros)
            )

    return holds


class Decoded(NamedTuple):
    """Queries, keys and values of one layer, (G, T, D) each, and the number of tokens to prefill."""

    query: Tensor
    key: Tensor
    value: Tensor
    prefill: int


def decoded() -> st.SearchStrategy[Decoded]:
    """Draw a sequence of 3 or 4 tokens."""
    return st.one_of(
        [
            st.builds(Decoded, *[tensors((heads, tokens, 2), dtype=dtype)] * 3, st.integers(1, 2))
            for heads, tokens in ((1, 3), (2, 4))
            for dtype in (torch.float32, torch.float64)
        ]
    )


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return the attention output of one token, (G, D), computed head by head in Python floats."""
    heads = []
    for q, keys, values in zip(query.tolist(), key.tolist(), value.tolist(), strict=True):
        weights = [math.exp(sum(a * b for a, b in zip(q, k, strict=True)) / math.sqrt(len(q))) for k in keys]
        mixed = [sum(w * x for w, x in zip(weights, column, strict=True)) for column in zip(*values, strict=True)]
        heads.append([x / sum(weights) for x in mixed])
    return torch.tensor(heads, dtype=torch.float64)


@law(
    "A decoder that reads its past from the cache computes, token by token, what attention over the whole sequence "
    "gives.",
    zh="解码器从缓存读取过去，逐个词元算出的结果，与在整个序列上做注意力相同。",
)
def test_decoding_equals_attention_over_the_whole_sequence(setting: Setting) -> Property:
    @given(case=decoded())
    def holds(impl: Any, case: Decoded) -> None:
        query, key, value, prefill = case
        heads, tokens, size = key.shape
        shape = setting.shapes[0]._replace(layers=((heads, size),), dtype=key.dtype)
        cache = setting.watch(impl, setting.room(shape, tokens, 1)).cache
        cache.begin(9)
        for first, stop in [(0, prefill), *((t, t + 1) for t in range(prefill, tokens))]:
            cache.append(9, 0, key[:, first:stop], value[:, first:stop])
            newest = query[:, stop - 1]  # attends to everything in the cache, its own token included
            got, expected = attention(newest, *cache.read(9, 0)), attention(newest, key[:, :stop], value[:, :stop])
            tolerance = sum_tolerance(expected.dtype, tokens, size=2.0)
            what = Message("the output of token {number}", number=stop - 1)
            assert_close(got, expected, dtype=expected.dtype, tolerance=tolerance, what=what)

    return holds


@law(
    "No number is rounded: each that is read is, bit for bit, one that was appended, in the dtype that was asked for.",
    zh="任何数都不被舍入：读回来的每个数都与写入的某个数逐位相同，dtype 就是所要求的那个。",
)
@about("dtype")
def test_no_number_is_rounded(setting: Setting) -> Property:
    @given(
        dtype=st.sampled_from((torch.float64, torch.float32, torch.bfloat16, torch.float16)), tokens=st.integers(1, 3)
    )
    def holds(impl: Any, dtype: torch.dtype, tokens: int) -> None:
        key = ((torch.arange(6 * tokens, dtype=torch.float64) + 1) / 7).to(dtype).reshape(2, tokens, 3)  # not exact
        cache = setting.watch(impl, setting.shapes[0]._replace(dtype=dtype)).cache
        cache.begin(9)
        cache.append(9, 0, key, -key)
        check_unrounded(cache.read(9, 0), key)

    return holds


def check_unrounded(read: Sequence[Tensor], written: Tensor) -> None:
    """Check that every number of ``read`` is a number of ``written`` or its negative, in the same dtype.

    Zeros are ignored: memory that was never written may read as zeros, which other properties check.
    """
    for name, got in zip(("key", "value"), read, strict=True):
        assert_equal(got.dtype, written.dtype, what=Message("the dtype of the {name} tensor that is read", name=name))
        strangers = sorted(set(got.double().abs().flatten().tolist()) - {0.0, *written.double().flatten().tolist()})
        assert_equal(strangers, [], what=Message("the numbers in the {name} tensor that nobody appended", name=name))


@law(
    "What is kept carries no gradient, or the graph of every step would be kept with it.",
    zh="留下来的内容不带梯度，否则每一步的计算图都会一并留下。",
)
@about("gradient")
def test_no_gradient_is_kept(setting: Setting) -> Property:
    @given(shape=st.sampled_from(setting.shapes), tokens=st.integers(1, 3))
    def holds(impl: Any, shape: Any, tokens: int) -> None:
        watched = setting.watch(impl, shape)
        watched.begin(3)
        key, value = watched.tensors(0, watched.next(tokens))
        watched.cache.append(3, 0, key.requires_grad_(), value.requires_grad_())
        for name, kept in zip(("key", "value"), watched.cache.read(3, 0), strict=True):
            what = Message("whether the {name} tensor of read(3, 0) carries gradient", name=name)
            assert_equal(kept.requires_grad, False, what=what)

    return holds


# Several sequences, several caches


@law(
    "No sequence sees another's tokens, in whatever order they grow and whatever numbers they go by.",
    zh="任何序列都看不到别的序列的词元，无论它们以什么顺序增长、用什么编号。",
)
def test_sequences_do_not_mix(setting: Setting) -> Property:
    @given(turns=st.sampled_from([(0, 6, -6), (6, -6, 0), (0, 6, -6, 12, 9), (12, -6, 9, 0, 6)]))
    def holds(impl: Any, turns: tuple[int, ...]) -> None:
        watched = setting.watch(impl, setting.room(setting.shapes[0], 6, len(turns)))
        for sequence in sorted(turns):
            watched.begin(sequence)
        for turn, sequence in enumerate([*turns, *reversed(turns)]):
            watched.append(sequence, 0, 1 + turn % 3)
        watched.check_all()

    return holds


@law(
    "Neither branch of a fork sees what is appended to the other, in any layer, whoever is given tokens first.",
    zh="无论谁先写，在任何一层，分叉的一方都看不到另一方写入的词元。",
)
def test_neither_branch_sees_the_other(setting: Setting) -> Property:
    @given(
        shape=st.sampled_from(setting.shapes + setting.variants),
        held=st.sampled_from([1, 2, 3, 4]),
        parent_first=st.booleans(),
        more=st.sampled_from([1, 2, 4]),
    )
    def holds(impl: Any, shape: Any, held: int, parent_first: bool, more: int) -> None:
        watched = setting.watch(impl, setting.room(shape, held + more, 3))
        watched.fill(9, held)
        watched.fork(9, 3)
        first, second = (9, 3) if parent_first else (3, 9)
        watched.forward(first, more)
        watched.check_all()
        watched.forward(second, 1)
        watched.check_all()

    return holds


@law(
    "Two caches know nothing of each other, however alike they are.",
    zh="两个缓存互不相干，无论它们多么相像。",
)
def test_two_caches_share_nothing(setting: Setting) -> Property:
    @given(shape=st.sampled_from(setting.shapes), counts=st.sampled_from([(2, 1), (1, 2), (1, 1)]))
    def holds(impl: Any, shape: Any, counts: tuple[int, int]) -> None:
        one, other = setting.watch(impl, shape), setting.watch(impl, shape)
        other.appended = TOKENS // 2  # token numbers that differ from the first cache's
        for watched, count in zip((one, other), counts, strict=True):
            watched.begin(9)
            watched.forward(9, count)
        for watched in (one, other):
            watched.check_all()
        before = other.told()
        one.free(9)
        for name, told in other.told().items():
            assert_equal(
                told, before[name], what=Message("{name}, after another cache has freed a sequence,", name=name)
            )

    return holds
