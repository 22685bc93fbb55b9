"""Laws of attention: softmax(query key^T / sqrt(D)) value for each head, with a mask and causality.

::

    from groundup.core.testing.laws import attention as laws

    GQA = laws.Setting(shapes=(laws.Shape(1, 4, 2, 1, 2, 1, 1), ...))
    test_decoding_equals_prefill = laws.test_decoding_equals_prefill(GQA, hole=2)

A technique whose queries see other keys, or attend to a function of them, passes its own ``slowly``::

    WINDOWED = laws.Setting(construct=lambda impl: impl(window=2), slowly=partial(laws.slowly, sees=in_window))
    LATENT = laws.Setting(slowly=lambda case: laws.slowly(projected_up(case)), width=3)

It leaves out the laws that do not hold for it. With a window the position of a key matters: keys have an order,
removing a masked key moves the others, and a query may see only one of two keys (the law on the scale). Latent keys are
projected before they are scored: the laws on the scale, on a shift of all keys and on large scores do not apply.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.messages import Message
from groundup.core.testing.compare import assert_equal, gradient
from groundup.core.testing.laws import Property, law
from groundup.core.testing.laws.attention_calls import (
    CAUSAL,
    DTYPES,
    LARGER,
    LARGEST,
    SHAPES,
    Case,
    Setting,
    Shape,
    attend,
    cases,
    sees,
    slowly,
)
from groundup.core.testing.strategies import tensors

__all__ = [
    "CAUSAL",
    "DTYPES",
    "HUGE",
    "INPUTS",
    "LARGER",
    "LARGEST",
    "SHAPES",
    "STEEPEST",
    "Case",
    "Gap",
    "Setting",
    "Shape",
    "Weighed",
    "attend",
    "cases",
    "gradients_slowly",
    "one_number_a_head",
    "sees",
    "slowly",
    "test_a_masked_key_might_as_well_not_be_there",
    "test_a_query_that_sees_nothing_gets_zeros",
    "test_a_shift_of_all_keys_changes_nothing",
    "test_causal_lets_no_query_see_what_comes_after_it",
    "test_decoding_equals_prefill",
    "test_gradients_flow_to_query_key_and_value",
    "test_it_equals_the_reference",
    "test_keys_have_no_order",
    "test_large_scores_are_no_trouble",
    "test_mask_and_causality_hold_together",
    "test_nothing_to_see_and_nobody_to_see_it",
    "test_scores_are_divided_by_the_root_of_the_head_size",
    "test_sequences_are_independent",
    "test_values_are_weighed_by_the_softmax_of_the_scores",
]

STEEPEST = 64.0  # a gradient sums terms of size LARGEST over up to 9 queries of a group, with weights up to 2
HUGE = 2.0**20  # a factor, or filling, for numbers that must not affect the result
INPUTS = ("query", "key", "value")


def one_number_a_head(shapes: Sequence[Shape]) -> list[Shape]:
    """Return the shapes with several keys, with D set to 1: then every score is exact."""
    return [shape._replace(head_dim=1) for shape in shapes if shape.kv_len > 1]


# Scores, weights and the weighted mean.


@law(
    "Without a mask the values are weighed by the softmax of the scaled products of query and key.",
    zh="没有掩码时，用查询与键的缩放内积的 softmax 给值加权。",
)
def test_values_are_weighed_by_the_softmax_of_the_scores(setting: Setting) -> Property:
    @given(case=cases(setting.shapes))
    def holds(impl: Any, case: Case) -> None:
        setting.check(setting.run(impl, case), setting.slowly(case))

    return holds


@law(
    "Adding the same vector to every key moves all scores of a query by the same, and changes nothing. float64 has the "
    "digits for a vector of 2^20.",
    zh="给每个键加上同一个向量，一个查询的所有得分都平移同样多，结果不变。float64 的位数足够加上 2^20 这么大的向量。",
)
def test_a_shift_of_all_keys_changes_nothing(setting: Setting) -> Property:
    @given(case=cases(one_number_a_head(setting.shapes), masked=None))
    def holds(impl: Any, case: Case) -> None:
        shift = HUGE if case.key.dtype == torch.float64 else 64.0  # scores are exact; a log-sum-exp of them is not
        shifted = case._replace(key=case.key + shift)
        setting.check(setting.run(impl, shifted), setting.slowly(case), size=LARGEST * shift / 8)

    return holds


class Gap(NamedTuple):
    """A query filled with ``step``, one key of zeros and one of ones: the scores are 0 and step * sqrt(D)."""

    shape: Shape
    step: float
    dtype: torch.dtype


@law(
    "Scores are divided by the square root of the head size, whatever the value size and the number of heads.",
    zh="得分除以头大小的平方根，与值的大小和头的个数无关。",
)
def test_scores_are_divided_by_the_root_of_the_head_size(setting: Setting) -> Property:
    shapes = [shape._replace(kv_len=2, head_dim=size) for size in (1, 2, 3, 4, 8) for shape in setting.shapes]
    gaps = st.builds(Gap, st.sampled_from(shapes), st.sampled_from((0.5, -0.75, 1.0)), st.sampled_from(DTYPES))

    @given(gap=gaps)
    def holds(impl: Any, gap: Gap) -> None:
        (batch, num_heads, num_kv_heads, q_len, kv_len, head_dim, value_dim, _), step, dtype = gap
        query = torch.full((batch, num_heads, q_len, head_dim), step, dtype=dtype)
        key, value = (
            torch.zeros((batch, num_kv_heads, kv_len, head_dim), dtype=dtype),
            torch.zeros((batch, num_kv_heads, kv_len, value_dim), dtype=dtype),
        )
        key[:, :, 1], value[:, :, 1] = 1.0, 1.0
        expected = 1 / (1 + math.exp(-step * math.sqrt(head_dim)))
        got = setting.run(impl, Case(query, key, value, None, False))
        setting.check(got, torch.full((batch, num_heads, q_len, value_dim), expected, dtype=torch.float64))

    return holds


@law(
    "Without a causal mask keys have no order: turned round together with their values and their mask, they give the "
    "same.",
    zh="没有因果掩码时，键没有先后之分：键连同值和掩码一起倒过来，结果不变。",
)
def test_keys_have_no_order(setting: Setting) -> Property:
    @given(case=cases([shape for shape in setting.shapes if shape.kv_len > 1], masked=None))
    def holds(impl: Any, case: Case) -> None:
        attn_mask = None if case.attn_mask is None else case.attn_mask.flip(1)
        turned = case._replace(key=case.key.flip(2), value=case.value.flip(2), attn_mask=attn_mask)
        setting.check(setting.run(impl, case), setting.run(impl, turned))

    return holds


@law(
    "However large the scores are, the keys with the largest one share the weight between them.",
    zh="得分再大也没关系：得分最大的那些键平分权重。",
)
def test_large_scores_are_no_trouble(setting: Setting) -> Property:
    @given(case=cases(one_number_a_head(setting.shapes), masked=None))
    def holds(impl: Any, case: Case) -> None:
        # Keys of -1, 0 and 1 make many ties; scores that differ do so by at least 2^17.
        case = case._replace(query=case.query * HUGE, key=case.key.sign())
        setting.check(setting.run(impl, case), setting.slowly(case))

    return holds


# Masks and causality.


@law(
    "With causal, query i sees the keys up to i + K - Q and no other: the last query stands where the last key does.",
    zh="causal 时，查询 i 只看得到直到 i + K - Q 为止的键：最后一个查询与最后一个键对齐。",
)
def test_causal_lets_no_query_see_what_comes_after_it(setting: Setting) -> Property:
    @given(case=cases(setting.causal, causal=True))
    def holds(impl: Any, case: Case) -> None:
        setting.check(setting.run(impl, case), setting.slowly(case))

    return holds


@law(
    "Decoding one query at a time, against the keys so far, gives what all queries at once give.",
    zh="逐个查询解码，每次只对到目前为止的键做注意力，与所有查询一次算完的结果相同。",
)
def test_decoding_equals_prefill(setting: Setting) -> Property:
    @given(case=cases([shape for shape in setting.causal if shape.q_len <= shape.kv_len], causal=True))
    def holds(impl: Any, case: Case) -> None:
        whole = setting.run(impl, case)
        q_len, kv_len = case.query.shape[2], case.key.shape[2]
        for i in range(q_len):
            stop = i + 1 + kv_len - q_len
            one = case._replace(
                query=case.query[:, :, i : i + 1], key=case.key[:, :, :stop], value=case.value[:, :, :stop]
            )
            setting.check(setting.run(impl, one), whole[:, :, i : i + 1])

    return holds


@law(
    "A key whose mask is False might as well not be there, wherever it stands and whatever it and its value hold.",
    zh="掩码为 False 的键就像不存在一样，无论它在什么位置，也无论它和它的值是多少。",
)
def test_a_masked_key_might_as_well_not_be_there(setting: Setting) -> Property:
    @given(case=cases(setting.shapes, masked=True))
    def holds(impl: Any, case: Case) -> None:
        query, key, value, attn_mask, _ = case
        assert attn_mask is not None
        hidden = ~attn_mask[:, None, :, None]
        filled = case._replace(key=key.masked_fill(hidden, HUGE), value=value.masked_fill(hidden, HUGE))
        whole = setting.run(impl, filled)
        for b, kept in enumerate(attn_mask):
            got = whole[b : b + 1]
            if kept.any():
                there = Case(query[b : b + 1], key[b : b + 1, :, kept], value[b : b + 1, :, kept], None, False)
                setting.check(got, setting.run(impl, there))
            else:
                assert_equal(got, torch.zeros_like(got))

    return holds


@law(
    "Mask and causality hold together: a query sees a key only where both allow it.",
    zh="掩码与因果性同时起作用：两者都允许，查询才看得到键。",
)
def test_mask_and_causality_hold_together(setting: Setting) -> Property:
    # Includes cases where only one of them hides keys: the diagnosis names a mistake only if it matches all cases.
    @given(case=cases(setting.causal, masked=True, causal=None))
    def holds(impl: Any, case: Case) -> None:
        setting.check(setting.run(impl, case), setting.slowly(case))

    return holds


@law(
    "A query that may attend to nothing gets zeros, and no gradient through it is anything but zero.",
    zh="什么都看不到的查询得到零，经过它的梯度也全是零。",
)
def test_a_query_that_sees_nothing_gets_zeros(setting: Setting) -> Property:
    shapes = [shape._replace(q_len=shape.kv_len + 1) for shape in setting.causal]

    @given(case=cases(shapes, causal=True), by=st.sampled_from(("causality", "mask", "both")))
    def holds(impl: Any, case: Case, by: str) -> None:
        query, key, value = inputs = [t.clone().requires_grad_() for t in case[:3]]
        q_len, kv_len = query.shape[2], key.shape[2]
        blind = q_len - kv_len  # the first ``blind`` queries see nothing
        attn_mask = torch.ones((key.shape[0], kv_len), dtype=torch.bool)
        if by == "mask":
            attn_mask[:], blind = False, q_len
        elif by == "both":  # mask the only key that the first non-blind query sees
            attn_mask[:, 0], blind = False, blind + 1
        case = Case(query, key, value, None if by == "causality" else attn_mask, by != "mask")
        got = setting.run(impl, case)[:, :, :blind]
        assert_equal(got.detach(), torch.zeros_like(got))
        if got.requires_grad:  # zeros created by the implementation carry no gradient, which is right too
            for name, of in zip(INPUTS, gradient(got, inputs), strict=True):
                assert_equal(of, torch.zeros_like(of), what=Message("the gradient to {name}", name=name))

    return holds


@law(
    "There may be no keys, which gives zeros, no queries, or no sequences.",
    zh="可以没有键（结果为零），可以没有查询，也可以没有序列。",
)
def test_nothing_to_see_and_nobody_to_see_it(setting: Setting) -> Property:
    _, num_heads, num_kv_heads, _, _, head_dim, value_dim, key_dim = setting.shapes[-1]

    @given(case=st.sampled_from(((1, 3, 0), (2, 0, 2), (0, 2, 2))), causal=st.booleans(), masked=st.booleans())
    def holds(impl: Any, case: tuple[int, int, int], causal: bool, masked: bool) -> None:
        batch, q_len, kv_len = case
        query = torch.ones((batch, num_heads, q_len, head_dim))
        key = torch.ones((batch, num_kv_heads, kv_len, key_dim or head_dim))
        value = torch.ones((batch, num_kv_heads, kv_len, value_dim))
        attn_mask = torch.ones((batch, kv_len), dtype=torch.bool) if masked else None
        got = setting.run(impl, Case(query, key, value, attn_mask, causal))
        assert_equal(got, torch.zeros((batch, num_heads, q_len, setting.width or value_dim)))

    return holds


# All together.


@law("A sequence's result does not depend on the sequences beside it.", zh="一个序列的结果与同一批里的其他序列无关。")
def test_sequences_are_independent(setting: Setting) -> Property:
    shapes = [shape._replace(batch=2) for shape in (*setting.causal, *setting.shapes)]

    @given(case=cases(shapes, masked=True, causal=None))
    def holds(impl: Any, case: Case) -> None:
        assert case.attn_mask is not None
        last = Case(case.query[-1:], case.key[-1:], case.value[-1:], case.attn_mask[-1:], case.causal)
        setting.check(setting.run(impl, case)[-1:], setting.run(impl, last))

    return holds


class Weighed(NamedTuple):
    """A call, and the weights of a sum over its result; gradients are those of the sum."""

    case: Case
    weight: Tensor


def gradients_slowly(setting: Setting, drawn: Weighed) -> list[Tensor]:
    """Return the right answer's gradients for query, key and value, in float64."""
    case, weight = drawn
    inputs = [t.to(torch.float64, copy=True).requires_grad_() for t in case[:3]]
    query, key, value = inputs
    total = (setting.slowly(case._replace(query=query, key=key, value=value)) * weight).sum()
    if not total.requires_grad:  # no query sees a key
        return [torch.zeros_like(t) for t in inputs]
    return list(torch.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True))


@law(
    "Gradient reaches query, key and value; a key/value head's is the sum over the query heads that share it.",
    zh="梯度到达查询、键和值；一个键值头的梯度，是共用它的各查询头的梯度之和。",
)
def test_gradients_flow_to_query_key_and_value(setting: Setting) -> Property:
    drawn = [
        st.builds(
            Weighed,
            cases([shape], masked=None, causal=None),
            tensors((shape.batch, shape.num_heads, shape.q_len, setting.width or shape.value_dim)),
        )
        for shape in (*setting.causal, *setting.shapes)
    ]

    @given(drawn=st.one_of(drawn))
    def holds(impl: Any, drawn: Weighed) -> None:
        case, weight = drawn
        query, key, value = inputs = [t.clone().requires_grad_() for t in case[:3]]
        got = setting.run(impl, case._replace(query=query, key=key, value=value)) * weight.to(query.dtype)
        expected = gradients_slowly(setting, drawn)
        if not got.requires_grad and not any(of.any() for of in expected):
            return  # no query sees a key, and the result is zeros created by the implementation
        for name, ours, theirs in zip(INPUTS, expected, gradient(got, inputs), strict=True):
            setting.check(theirs, ours, size=STEEPEST, what=Message("the gradient to {name}", name=name))

    return holds


@law("It gives what the reference gives.", zh="与参考实现的结果相同。")
def test_it_equals_the_reference(setting: Setting) -> Property:
    @given(case=cases(setting.larger, masked=None, causal=None))
    def holds(impl: Any, reference: Any, case: Case) -> None:
        query, key, value = (t / 3 for t in case[:3])  # not multiples of 1/8, so that a narrower dtype rounds them
        case = Case(query, key, value, case.attn_mask, case.causal)
        setting.check(setting.run(impl, case), setting.run(reference, case))

    return holds
