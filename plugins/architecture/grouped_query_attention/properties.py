"""Properties of every right implementation of grouped-query attention."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.messages import Message
from groundup.core.testing import (
    about,
    assert_close,
    assert_equal,
    assert_form,
    claim,
    hole,
    rejects,
    sum_tolerance,
    tensors,
)
from groundup.core.testing.laws import attention as laws
from groundup.core.testing.laws.attention import DTYPES, Case, Shape, cases, sees, slowly

# Between multi-head and multi-query, also with as many groups as heads per group.
GROUPED = (
    Shape(1, 4, 2, 1, 2, 1, 1),
    Shape(1, 4, 2, 2, 2, 2, 1),
    Shape(1, 6, 2, 1, 3, 1, 2),
    Shape(1, 6, 3, 2, 2, 4, 3),
    Shape(2, 4, 2, 3, 3, 3, 2),
    Shape(2, 6, 3, 2, 4, 4, 1),
)
UNGROUPED = (
    Shape(1, 1, 1, 1, 1, 1, 1),
    Shape(1, 2, 1, 1, 2, 1, 1),
    Shape(1, 3, 3, 2, 2, 2, 1),
    Shape(2, 3, 1, 2, 3, 4, 3),
)
# More, as many, and fewer keys than queries.
CAUSAL = (
    Shape(1, 1, 1, 2, 2, 1, 1),
    Shape(1, 2, 1, 1, 3, 1, 1),
    Shape(1, 4, 2, 2, 4, 2, 1),
    Shape(1, 4, 2, 3, 3, 1, 2),
    Shape(2, 2, 2, 2, 3, 3, 2),
    Shape(1, 2, 1, 3, 2, 1, 2),
)
LARGER = (
    Shape(2, 8, 2, 3, 5, 4, 3),
    Shape(3, 6, 3, 4, 4, 2, 5),
    Shape(1, 8, 4, 5, 3, 3, 4),
    Shape(2, 5, 1, 2, 7, 4, 2),
)
GQA = laws.Setting(shapes=(*UNGROUPED, *GROUPED), causal=CAUSAL, larger=LARGER)


@claim(
    "A query head gives by itself, with the key/value head h // (H / G) of its group, what it gives among the others.",
    zh="一个查询头单独与它那一组的键值头 h // (H / G) 一起计算，结果与它在所有头中间时相同。",
)
@hole(1)
@given(case=cases(GROUPED, dtypes=DTYPES[:1]))
def test_a_query_head_alone_gives_the_same(impl: Any, case: Case) -> None:
    whole, n_rep = GQA.run(impl, case), case.query.shape[1] // case.key.shape[1]
    for h in range(case.query.shape[1]):
        group = slice(h // n_rep, h // n_rep + 1)
        alone = case._replace(query=case.query[:, h : h + 1], key=case.key[:, group], value=case.value[:, group])
        GQA.check(whole[:, h : h + 1], GQA.run(impl, alone), what=Message("query head {head}", head=h))


EVEN = ((1, 1), (2, 1), (3, 3), (4, 2), (6, 2))
UNEVEN = ((3, 2), (2, 4), (5, 3), (1, 2))


@claim(
    "Query heads that are no multiple of the key/value heads are refused with ValueError, others are not.",
    zh="查询头数不是键值头数的倍数时，会被拒绝并抛出 ValueError；否则不会被拒绝。",
)
@about("refusal")
@hole(1)
@given(heads=st.sampled_from((*UNEVEN, *EVEN)))
def test_uneven_query_heads_are_refused(impl: Any, heads: tuple[int, int]) -> None:
    query, key = (torch.ones((1, count, 2, 2)) for count in heads)
    what = Message("{heads} query heads over {groups}", heads=heads[0], groups=heads[1])
    with rejects(ValueError, what=what) if heads in UNEVEN else nullcontext():
        impl().forward(query, key, key)


@claim(
    "Neighbouring query heads share a key/value head: query head h attends with key/value head h // (H / G).",
    zh="相邻的查询头共用一个键值头：查询头 h 使用键值头 h // (H / G)。",
)
@hole(3)
@given(case=cases(GROUPED, dtypes=DTYPES[:1]))  # other properties check float64
def test_neighbouring_query_heads_share_a_key_head(impl: Any, case: Case) -> None:
    GQA.check(GQA.run(impl, case), slowly(case))


test_a_shift_of_all_keys_changes_nothing = laws.test_a_shift_of_all_keys_changes_nothing(GQA, hole=3)


@claim(
    "A query gives against just the keys that mask and causality let it see what it gives among all queries and keys.",
    zh="让一个查询只面对掩码和因果性允许它看到的键，结果与它在所有查询和键中间时相同。",
)
@hole(2)
@given(case=cases(CAUSAL, masked=None, causal=None))
def test_a_query_alone_sees_the_same(impl: Any, case: Case) -> None:
    whole = GQA.run(impl, case)
    for b, i in itertools.product(range(case.query.shape[0]), range(case.query.shape[2])):
        seen, got = sees(case, b, 0, i), whole[b : b + 1, :, i : i + 1]
        key, value = case.key[b : b + 1, :, seen], case.value[b : b + 1, :, seen]
        alone = Case(case.query[b : b + 1, :, i : i + 1], key, value, None, False)
        GQA.check(got, GQA.run(impl, alone), what=Message("query {query} of sequence {sequence}", query=i, sequence=b))


@claim(
    "Giving each query head a copy of its key/value head, as multi-head attention has it, changes nothing.",
    zh="给每个查询头复制一份它所用的键值头，变成多头注意力，结果不变。",
)
@hole(1)
@given(case=cases(GQA.shapes, masked=None, causal=None))
def test_it_equals_multi_head_attention_over_repeated_heads(impl: Any, case: Case) -> None:
    n_rep = case.query.shape[1] // case.key.shape[1]
    key, value = (torch.stack([t] * n_rep, dim=2).flatten(1, 2) for t in (case.key, case.value))
    GQA.check(GQA.run(impl, case), GQA.run(impl, case._replace(key=key, value=value)))


test_scores_are_divided_by_the_root_of_the_head_size = laws.test_scores_are_divided_by_the_root_of_the_head_size(
    GQA, hole=3
)
test_keys_have_no_order = laws.test_keys_have_no_order(GQA, hole=3)
test_causal_lets_no_query_see_what_comes_after_it = laws.test_causal_lets_no_query_see_what_comes_after_it(GQA, hole=3)
test_decoding_equals_prefill = laws.test_decoding_equals_prefill(GQA, hole=2)
test_a_masked_key_might_as_well_not_be_there = laws.test_a_masked_key_might_as_well_not_be_there(GQA, hole=2)
test_mask_and_causality_hold_together = laws.test_mask_and_causality_hold_together(GQA, hole=3)
test_a_query_that_sees_nothing_gets_zeros = laws.test_a_query_that_sees_nothing_gets_zeros(GQA, hole=3)
test_large_scores_are_no_trouble = laws.test_large_scores_are_no_trouble(GQA, hole=3)
test_sequences_are_independent = laws.test_sequences_are_independent(GQA, hole=2)
test_nothing_to_see_and_nobody_to_see_it = laws.test_nothing_to_see_and_nobody_to_see_it(GQA, hole=3)
test_gradients_flow_to_query_key_and_value = laws.test_gradients_flow_to_query_key_and_value(
    GQA, hole=3, after=test_neighbouring_query_heads_share_a_key_head
)


class Projection(NamedTuple):
    """The weight of a projection to H heads, (H * D, M), or its bias, (H * D,)."""

    weight: Tensor
    num_heads: int
    num_kv_heads: int


# (num_heads, num_kv_heads, D, M): the number and size of groups vary, and so do D and M. M None is a bias.
PROJECTIONS = ((2, 1, 1, 1), (4, 2, 1, 2), (4, 2, 2, 1), (6, 2, 2, 3), (6, 3, 3, 2), (4, 1, 3, None), (6, 2, 2, None))


def projections(layouts: Sequence[tuple[int, int, int, int | None]] = PROJECTIONS) -> st.SearchStrategy[Projection]:
    drawn = []
    for num_heads, num_kv_heads, head_dim, inputs in layouts:
        shape = (num_heads * head_dim,) if inputs is None else (num_heads * head_dim, inputs)
        drawn += [
            tensors(shape, dtype=dtype).map(partial(Projection, num_heads=num_heads, num_kv_heads=num_kv_heads))
            for dtype in DTYPES
        ]
    return st.one_of(drawn)


@claim(
    "Pooling averages the heads of each group, neighbours with neighbours: row d of the new head g is the mean of the "
    "rows d of heads g * (H / G) and on.",
    zh="合并就是对每组里相邻的头取平均：新头 g 的第 d 行，是从头 g * (H / G) 起各头第 d 行的平均。",
)
@hole(4)
@given(projection=projections())
def test_pooling_averages_the_heads_of_a_group(impl: Any, projection: Projection) -> None:
    weight, num_heads, num_kv_heads = projection
    head_dim, n_rep = len(weight) // num_heads, num_heads // num_kv_heads
    rows = weight.tolist()
    expected = []
    for g in range(num_kv_heads):
        for d in range(head_dim):
            pooled = [rows[h * head_dim + d] for h in range(g * n_rep, (g + 1) * n_rep)]
            expected.append(
                math.fsum(pooled) / n_rep
                if weight.dim() == 1
                else [math.fsum(column) / n_rep for column in zip(*pooled, strict=True)]
            )
    check_pooled(pool(impl, projection), torch.tensor(expected, dtype=torch.float64))


@claim(
    "Pooled to as many heads as there are, a weight stays as it is; pooled in two steps, it is what one step makes it.",
    zh="合并成原来那么多头，权重不变；分两步合并与一步合并到位结果相同。",
)
@hole(4)
@given(projection=projections([layout for layout in PROJECTIONS if layout[1] > 1]))
def test_pooling_in_two_steps_equals_one(impl: Any, projection: Projection) -> None:
    projection = projection._replace(weight=projection.weight / 3)  # not exact, so that a narrower dtype rounds it
    weight, num_heads, num_kv_heads = projection
    assert_equal(
        pool(impl, projection._replace(num_kv_heads=num_heads)), weight, what=Message("the weight pooled to H heads")
    )
    halfway = Projection(pool(impl, projection), num_kv_heads, 1)
    check_pooled(pool(impl, halfway), pool(impl, projection._replace(num_kv_heads=1)))


class Converted(NamedTuple):
    """A query and the inputs to attend to, and key and value weights of G heads, to be repeated for every head."""

    query: Tensor  # (1, H, 1, D)
    text: Tensor  # (K, M)
    key: Tensor  # (G * D, M)
    value: Tensor  # (G * D, M)


def converted() -> st.SearchStrategy[Converted]:
    return st.one_of(
        [
            st.builds(
                Converted,
                tensors((1, num_heads, 1, head_dim), dtype=dtype),
                tensors((3, 2), dtype=dtype, low=-1, high=1),
                *[tensors((num_kv_heads * head_dim, 2), dtype=dtype, low=-1, high=1)] * 2,
            )
            for num_heads, num_kv_heads, head_dim in ((4, 2, 1), (6, 2, 2), (6, 3, 1))
            for dtype in DTYPES
        ]
    )


@claim(
    "A multi-head checkpoint whose heads are alike within each group computes the same before and after it is pooled.",
    zh="如果多头检查点在每组之内各头相同，那么合并前后计算结果一样。",
)
@hole(4)
@given(drawn=converted())
def test_pooling_loses_nothing_where_heads_are_alike(impl: Any, drawn: Converted) -> None:
    query, text, *weights = drawn
    num_heads, head_dim = query.shape[1], query.shape[3]
    num_kv_heads = len(weights[0]) // head_dim
    copied = [
        torch.stack([w.reshape(num_kv_heads, head_dim, 2)] * (num_heads // num_kv_heads), dim=1).reshape(-1, 2)
        for w in weights
    ]
    pooled = [pool(impl, Projection(weight, num_heads, num_kv_heads)) for weight in copied]
    before, after_it = (
        [(text @ w.T).reshape(1, len(text), -1, head_dim).transpose(1, 2) for w in pair] for pair in (copied, pooled)
    )
    got, expected = (GQA.run(impl, Case(query, key, value, None, False)) for key, value in (after_it, before))
    GQA.check(got, expected)


REFUSED: dict[str, Callable[[Any], Any]] = {  # numbers that are not divisible
    Message("pooling 3 heads to 2"): lambda of: of.pool(torch.ones((6, 2)), num_heads=3, num_kv_heads=2),
    Message("pooling 2 heads to 4"): lambda of: of.pool(torch.ones((8, 2)), num_heads=2, num_kv_heads=4),
    Message("pooling 4 heads of 6 rows"): lambda of: of.pool(torch.ones((6, 2)), num_heads=4, num_kv_heads=2),
}


@claim(
    "Weights whose heads do not divide evenly are refused with ValueError: heads over groups, rows over heads.",
    zh="头不能整除的权重会被拒绝并抛出 ValueError：头对组、行对头，都是如此。",
)
@about("refusal")
@hole(4)
@given(wrong=st.sampled_from(sorted(REFUSED)))
def test_weights_that_do_not_divide_are_refused(impl: Any, wrong: str) -> None:
    with rejects(ValueError, what=wrong):
        REFUSED[wrong](impl())


test_it_equals_the_reference = laws.test_it_equals_the_reference(
    GQA, hole=3, after=test_neighbouring_query_heads_share_a_key_head
)


def pool(impl: Any, projection: Projection) -> Tensor:
    """Return ``projection`` pooled by ``impl``: (G * D, M), or (G * D,), in the dtype of the weight."""
    weight, num_heads, num_kv_heads = projection
    result: Tensor = impl().pool(weight, num_heads=num_heads, num_kv_heads=num_kv_heads)
    assert_form(result, (len(weight) // num_heads * num_kv_heads, *weight.shape[1:]), weight.dtype)
    return result


def check_pooled(got: Tensor, expected: Tensor) -> None:
    """Compare pooled weights: each is a mean of up to 6 numbers from -2 to 2."""
    assert_close(got, expected, dtype=got.dtype, tolerance=sum_tolerance(got.dtype, 6, 2.0))
