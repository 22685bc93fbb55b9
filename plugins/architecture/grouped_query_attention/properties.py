"""What holds of every right implementation of grouped-query attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.testing import (
    Mismatch,
    after,
    assert_close,
    assert_equal,
    booleans,
    claim,
    float_dtypes,
    gradient,
    hole,
    rejects,
    sum_tolerance,
    tensors,
)

DTYPES = (torch.float32, torch.float64)
LARGEST = 16.0  # |value| up to 2, times the score's rounding: |score| up to 8 = 4 * D / sqrt(D) with D up to 4
STEEPEST = 64.0  # a gradient sums such terms over up to 9 queries of a group, weighed by up to 2
HUGE = 2.0**20  # times what is drawn, for whatever must not matter


class Shape(NamedTuple):
    """The axes of one call."""

    batch: int
    heads: int
    groups: int
    queries: int
    keys: int
    size: int
    width: int


# Between multi-head and multi-query; where there are as many groups as heads in each, too.
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
SHAPES = (*UNGROUPED, *GROUPED)
# More keys than queries, as many, and fewer.
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


class Case(NamedTuple):
    """The arguments of one call."""

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    causal: bool


def cases(
    shapes: Sequence[Shape] = SHAPES,
    *,
    masked: bool | None = False,
    causal: bool | None = False,
    dtypes: Sequence[torch.dtype] = DTYPES,
) -> st.SearchStrategy[Case]:
    """Draw numbers from -2 to 2. ``masked`` and ``causal`` say whether there is a mask, and causality; None: either."""
    return st.one_of([_cases(shape, dtype, masked, causal) for shape in shapes for dtype in dtypes])


def _cases(shape: Shape, dtype: torch.dtype, masked: bool | None, causal: bool | None) -> st.SearchStrategy[Case]:
    batch, heads, groups, queries, keys, size, width = shape
    mask = booleans((batch, keys), simplest=True)
    return st.builds(
        Case,
        query=tensors((batch, heads, queries, size), dtype=dtype),
        key=tensors((batch, groups, keys, size), dtype=dtype),
        value=tensors((batch, groups, keys, width), dtype=dtype),
        mask=st.one_of(st.none(), mask) if masked is None else mask if masked else st.none(),
        causal=st.booleans() if causal is None else st.just(causal),
    )


@claim(
    "Neighbouring query heads share a key/value head: query head h attends with key/value head h // (H / G).",
    zh="相邻的查询头共用一个键值头：查询头 h 使用键值头 h // (H / G)。",
)
@hole(1)
@given(case=cases(GROUPED, dtypes=DTYPES[:1]))  # what float64 asks for has properties of its own
def test_neighbouring_query_heads_share_a_key_head(impl: Any, case: Case) -> None:
    check(run(impl, case), slowly(case))


@claim(
    "Adding the same vector to every key moves all scores of a query by the same, and changes nothing. float64 has the "
    "digits for a vector of 2^20.",
    zh="给每个键加上同一个向量，一个查询的所有得分都平移同样多，结果不变。float64 的位数足够加上 2^20 这么大的向量。",
)
@hole(3)
@given(case=cases([shape._replace(size=1) for shape in SHAPES if shape.keys > 1], masked=None))
def test_a_shift_of_all_keys_changes_nothing(impl: Any, case: Case) -> None:
    shift = HUGE if case.key.dtype == torch.float64 else 64.0  # with D = 1 every score is exact, its logarithms are not
    check(run(impl, case._replace(key=case.key + shift)), slowly(case), size=LARGEST * shift / 8)


@claim(
    "Giving each query head a copy of its key/value head, as multi-head attention has it, changes nothing.",
    zh="给每个查询头复制一份它所用的键值头，变成多头注意力，结果不变。",
)
@hole(1)
@given(case=cases(masked=None, causal=None))
def test_it_equals_multi_head_attention_over_repeated_heads(impl: Any, case: Case) -> None:
    share = case.query.shape[1] // case.key.shape[1]
    key, value = (torch.stack([t] * share, dim=2).flatten(1, 2) for t in (case.key, case.value))
    check(run(impl, case), run(impl, case._replace(key=key, value=value)))


class Gap(NamedTuple):
    """A query of all ``step``, one key of zeros and one of ones: the scores are 0 and step * sqrt(size)."""

    shape: Shape
    step: float
    dtype: torch.dtype


def gaps() -> st.SearchStrategy[Gap]:
    shapes = [
        Shape(1, heads, groups, queries, 2, size, width)
        for size in (1, 2, 3, 4, 8)
        for heads, groups, queries, width in ((1, 1, 1, 1), (2, 1, 1, 3), (4, 2, 3, 1))
    ]
    return st.builds(Gap, st.sampled_from(shapes), st.sampled_from((0.5, -0.75, 1.0)), float_dtypes())


@claim(
    "Scores are divided by the square root of the head size, whatever the value size and the number of heads.",
    zh="得分除以头大小的平方根，与值的大小和头的个数无关。",
)
@hole(3)
@given(gap=gaps())
def test_scores_are_divided_by_the_root_of_the_head_size(impl: Any, gap: Gap) -> None:
    (batch, heads, groups, queries, keys, size, width), step, dtype = gap
    query = torch.full((batch, heads, queries, size), step, dtype=dtype)
    key, value = (
        torch.zeros((batch, groups, keys, size), dtype=dtype),
        torch.zeros((batch, groups, keys, width), dtype=dtype),
    )
    key[:, :, 1], value[:, :, 1] = 1.0, 1.0
    expected = 1 / (1 + math.exp(-step * math.sqrt(size)))
    got = run(impl, Case(query, key, value, None, False))
    check(got, torch.full((batch, heads, queries, width), expected, dtype=torch.float64))


@claim(
    "Without a causal mask keys have no order: turned round together with their values and their mask, they give the "
    "same.",
    zh="没有因果掩码时，键没有先后之分：键连同值和掩码一起倒过来，结果不变。",
)
@hole(3)
@given(case=cases([shape for shape in SHAPES if shape.keys > 1], masked=None))
def test_keys_have_no_order(impl: Any, case: Case) -> None:
    mask = None if case.mask is None else case.mask.flip(1)
    check(run(impl, case), run(impl, case._replace(key=case.key.flip(2), value=case.value.flip(2), mask=mask)))


@claim(
    "With causal, query i sees the keys up to i + K - Q and no other: the last query stands where the last key does.",
    zh="causal 时，查询 i 只看得到直到 i + K - Q 为止的键：最后一个查询与最后一个键对齐。",
)
@hole(2)
@given(case=cases(CAUSAL, causal=True))
def test_causal_lets_no_query_see_what_comes_after_it(impl: Any, case: Case) -> None:
    check(run(impl, case), slowly(case))


@claim(
    "Decoding one query at a time, against the keys so far, gives what all queries at once give.",
    zh="逐个查询解码，每次只对到目前为止的键做注意力，与所有查询一次算完的结果相同。",
)
@hole(2)
@given(case=cases([shape for shape in CAUSAL if shape.queries <= shape.keys], causal=True))
def test_decoding_equals_prefill(impl: Any, case: Case) -> None:
    whole = run(impl, case)
    queries, keys = case.query.shape[2], case.key.shape[2]
    for i in range(queries):
        stop = i + 1 + keys - queries
        step = case._replace(
            query=case.query[:, :, i : i + 1], key=case.key[:, :, :stop], value=case.value[:, :, :stop]
        )
        check(run(impl, step), whole[:, :, i : i + 1])


@claim(
    "A key whose mask is False might as well not be there, wherever it stands and whatever it and its value hold.",
    zh="掩码为 False 的键就像不存在一样，无论它在什么位置，也无论它和它的值是多少。",
)
@hole(2)
@given(case=cases(masked=True))
def test_a_masked_key_might_as_well_not_be_there(impl: Any, case: Case) -> None:
    query, key, value, mask, _ = case
    assert mask is not None
    hidden = ~mask[:, None, :, None]
    whole = run(impl, case._replace(key=key.masked_fill(hidden, HUGE), value=value.masked_fill(hidden, HUGE)))
    for row, kept in enumerate(mask):
        got = whole[row : row + 1]
        if kept.any():
            there = Case(query[row : row + 1], key[row : row + 1, :, kept], value[row : row + 1, :, kept], None, False)
            check(got, run(impl, there))
        else:
            assert_equal(got, torch.zeros_like(got))


@claim(
    "Mask and causality hold together: a query sees a key only where both allow it.",
    zh="掩码与因果性同时起作用：两者都允许，查询才看得到键。",
)
@hole(2)
@given(case=cases(CAUSAL, masked=True, causal=None))  # each alone among them: a name given to a mistake must fit both
def test_mask_and_causality_hold_together(impl: Any, case: Case) -> None:
    check(run(impl, case), slowly(case))


@claim(
    "A query that may attend to nothing gets zeros, and no gradient through it is anything but zero.",
    zh="什么都看不到的查询得到零，经过它的梯度也全是零。",
)
@hole(3)
@given(
    case=cases([Shape(1, 1, 1, 2, 1, 1, 1), Shape(1, 2, 1, 3, 2, 1, 2), Shape(2, 4, 2, 3, 2, 2, 1)], causal=True),
    by=st.sampled_from(("causality", "mask", "both")),
)
def test_a_query_that_sees_nothing_gets_zeros(impl: Any, case: Case, by: str) -> None:
    query, key, value = (t.clone().requires_grad_() for t in case[:3])
    queries, keys = query.shape[2], key.shape[2]
    blind = queries - keys  # this many of the first queries see nothing
    mask = torch.ones((key.shape[0], keys), dtype=torch.bool)
    if by == "mask":
        mask[:], blind = False, queries
    elif by == "both":  # the first query that causality lets see something is hidden just that
        mask[:, 0], blind = False, blind + 1
    got = run(impl, Case(query, key, value, None if by == "causality" else mask, by != "mask"))[:, :, :blind]
    assert_equal(got.detach(), torch.zeros_like(got))
    if got.requires_grad:  # zeros that were made for it carry none, and need none
        for name, of in zip(("query", "key", "value"), gradient(got, (query, key, value)), strict=True):
            assert_equal(of, torch.zeros_like(of), what=f"the gradient to {name}")


@claim(
    "However large the scores are, the keys with the largest one share the weight between them.",
    zh="得分再大也没关系：得分最大的那些键平分权重。",
)
@hole(3)
@given(case=cases([shape._replace(size=1) for shape in SHAPES if shape.keys > 1], masked=None))
def test_large_scores_are_no_trouble(impl: Any, case: Case) -> None:
    # With D = 1 every score is exact. Keys of -1, 0 and 1 make many ties; two scores that differ do so by 2^17.
    case = case._replace(query=case.query * HUGE, key=case.key.sign())
    check(run(impl, case), slowly(case))


@claim("A sequence's result does not depend on the sequences beside it.", zh="一个序列的结果与同一批里的其他序列无关。")
@given(case=cases([shape._replace(batch=2) for shape in (*CAUSAL, *GROUPED[:4])], masked=True, causal=None))
def test_sequences_are_independent(impl: Any, case: Case) -> None:
    assert case.mask is not None
    last = Case(case.query[-1:], case.key[-1:], case.value[-1:], case.mask[-1:], case.causal)
    check(run(impl, case)[-1:], run(impl, last))


@claim(
    "There may be no keys, which gives zeros, no queries, or no sequences.",
    zh="可以没有键（结果为零），可以没有查询，也可以没有序列。",
)
@given(case=st.sampled_from(((1, 3, 0), (2, 0, 2), (0, 2, 2))), causal=st.booleans(), masked=st.booleans())
def test_nothing_to_see_and_nobody_to_see_it(impl: Any, case: tuple[int, int, int], causal: bool, masked: bool) -> None:
    batch, queries, keys = case
    query, key = torch.ones((batch, 4, queries, 2)), torch.ones((batch, 2, keys, 2))
    mask = torch.ones((batch, keys), dtype=torch.bool) if masked else None
    got = run(impl, Case(query, key, torch.ones((batch, 2, keys, 3)), mask, causal))
    assert_equal(got, torch.zeros((batch, 4, queries, 3)))


class Weighed(NamedTuple):
    """A call, and the weights of a sum over its result: the gradients are that sum's."""

    case: Case
    weight: Tensor


def weighed() -> st.SearchStrategy[Weighed]:
    drawn = []
    for shape in (CAUSAL[0], *GROUPED[:4], *CAUSAL[2:]):
        weight = tensors((shape.batch, shape.heads, shape.queries, shape.width))
        drawn.append(st.builds(Weighed, cases([shape], masked=None, causal=None), weight))
    return st.one_of(drawn)


@claim(
    "Gradient reaches query, key and value; a key/value head's is the sum over the query heads that share it.",
    zh="梯度到达查询、键和值；一个键值头的梯度，是共用它的各查询头的梯度之和。",
)
@hole(3)
@after(test_neighbouring_query_heads_share_a_key_head)
@given(drawn=weighed())
def test_gradients_flow_to_query_key_and_value(impl: Any, drawn: Weighed) -> None:
    query, key, value = inputs = [t.clone().requires_grad_() for t in drawn.case[:3]]
    got = run(impl, Case(query, key, value, drawn.case.mask, drawn.case.causal)) * drawn.weight.to(query.dtype)
    expected = gradients_slowly(drawn)
    if not got.requires_grad and not any(of.any() for of in expected):
        return  # nobody sees anything: zeros that were made for it
    for name, ours, theirs in zip(("query", "key", "value"), expected, gradient(got, inputs), strict=True):
        check(theirs, ours, size=STEEPEST, what=f"the gradient to {name}")


class Projection(NamedTuple):
    """The weight of a projection to ``heads`` heads, (heads * D, M), or its bias, (heads * D,)."""

    weight: Tensor
    heads: int
    groups: int


# (heads, groups, D, M): groups and their sizes differ, and so do D and M. M None is a bias.
PROJECTIONS = ((2, 1, 1, 1), (4, 2, 1, 2), (4, 2, 2, 1), (6, 2, 2, 3), (6, 3, 3, 2), (4, 1, 3, None), (6, 2, 2, None))


def projections(layouts: Sequence[tuple[int, int, int, int | None]] = PROJECTIONS) -> st.SearchStrategy[Projection]:
    drawn = []
    for heads, groups, size, inputs in layouts:
        shape = (heads * size,) if inputs is None else (heads * size, inputs)
        drawn += [tensors(shape, dtype=dtype).map(partial(Projection, heads=heads, groups=groups)) for dtype in DTYPES]
    return st.one_of(drawn)


@claim(
    "Pooling averages the heads of each group, neighbours with neighbours: row d of the new head g is the mean of the "
    "rows d of heads g * (H / G) and on.",
    zh="合并就是对每组里相邻的头取平均：新头 g 的第 d 行，是从头 g * (H / G) 起各头第 d 行的平均。",
)
@hole(4)
@given(projection=projections())
def test_pooling_averages_the_heads_of_a_group(impl: Any, projection: Projection) -> None:
    weight, heads, groups = projection
    size, share = len(weight) // heads, heads // groups
    rows = weight.tolist()
    expected = []
    for g in range(groups):
        for d in range(size):
            pooled = [rows[h * size + d] for h in range(g * share, (g + 1) * share)]
            expected.append(
                math.fsum(pooled) / share
                if weight.dim() == 1
                else [math.fsum(column) / share for column in zip(*pooled, strict=True)]
            )
    check_pooled(pool(impl, projection), torch.tensor(expected, dtype=torch.float64))


@claim(
    "Pooled to as many heads as there are, a weight stays as it is; pooled in two steps, it is what one step makes it.",
    zh="合并成原来那么多头，权重不变；分两步合并与一步合并到位结果相同。",
)
@hole(4)
@given(projection=projections([layout for layout in PROJECTIONS if layout[1] > 1]))
def test_pooling_in_two_steps_equals_one(impl: Any, projection: Projection) -> None:
    projection = projection._replace(weight=projection.weight / 3)  # off the grid, so that a narrower dtype rounds it
    weight, heads, groups = projection
    assert_equal(pool(impl, projection._replace(groups=heads)), weight, what="the weight pooled to H heads")
    halfway = Projection(pool(impl, projection), groups, 1)
    check_pooled(pool(impl, halfway), pool(impl, projection._replace(groups=1)))


class Converted(NamedTuple):
    """What is attended to, and key and value weights of ``groups`` heads that a checkpoint keeps for every head."""

    query: Tensor  # (1, H, 1, D)
    text: Tensor  # (K, M)
    key: Tensor  # (G * D, M)
    value: Tensor  # (G * D, M)


def converted() -> st.SearchStrategy[Converted]:
    return st.one_of(
        [
            st.builds(
                Converted,
                tensors((1, heads, 1, size), dtype=dtype),
                tensors((3, 2), dtype=dtype, low=-1, high=1),
                *[tensors((groups * size, 2), dtype=dtype, low=-1, high=1)] * 2,
            )
            for heads, groups, size in ((4, 2, 1), (6, 2, 2), (6, 3, 1))
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
    heads, size = query.shape[1], query.shape[3]
    groups = len(weights[0]) // size
    copied = [torch.stack([w.reshape(groups, size, 2)] * (heads // groups), dim=1).reshape(-1, 2) for w in weights]
    pooled = [pool(impl, Projection(weight, heads, groups)) for weight in copied]
    before, after_it = (
        [(text @ w.T).reshape(1, len(text), -1, size).transpose(1, 2) for w in pair] for pair in (copied, pooled)
    )
    got, expected = (run(impl, Case(query, key, value, None, False)) for key, value in (after_it, before))
    check(got, expected)


REFUSED = {  # what does not divide
    "3 query heads over 2 key/value heads": lambda of: of.forward(*(torch.ones((1, h, 2, 2)) for h in (3, 2, 2))),
    "2 query heads over 4 key/value heads": lambda of: of.forward(*(torch.ones((1, h, 2, 2)) for h in (2, 4, 4))),
    "pooling 3 heads to 2": lambda of: of.pool(torch.ones((6, 2)), heads=3, groups=2),
    "pooling 2 heads to 4": lambda of: of.pool(torch.ones((8, 2)), heads=2, groups=4),
    "pooling 4 heads of 6 rows": lambda of: of.pool(torch.ones((6, 2)), heads=4, groups=2),
}


@claim(
    "Heads that do not divide evenly are refused with ValueError: query heads over key/value heads, heads over groups, "
    "rows over heads.",
    zh="不能整除的头会被拒绝并抛出 ValueError：查询头对键值头、头对组、行对头，都是如此。",
)
@given(wrong=st.sampled_from(sorted(REFUSED)))
def test_heads_that_do_not_divide_are_refused(impl: Any, wrong: str) -> None:
    with rejects(ValueError, what=wrong):
        REFUSED[wrong](impl())


@claim("It gives what the reference gives.", zh="与参考实现的结果相同。")
@after(test_neighbouring_query_heads_share_a_key_head)
@given(case=cases(LARGER, masked=None, causal=None))
def test_it_equals_the_reference(impl: Any, reference: Any, case: Case) -> None:
    query, key, value = (t / 3 for t in case[:3])  # off the grid, so that a narrower dtype rounds them
    case = Case(query, key, value, case.mask, case.causal)
    check(run(impl, case), run(reference, case))


def run(impl: Any, case: Case) -> Tensor:
    """Return what ``impl`` makes of ``case``: (B, H, Q, E) in the dtype of the query."""
    query, key, value, mask, causal = case
    result: Tensor = impl().forward(query, key, value, mask=mask, causal=causal)
    expect(result, (*query.shape[:3], value.shape[3]), query.dtype)
    return result


def pool(impl: Any, projection: Projection) -> Tensor:
    """Return what ``impl`` pools ``projection`` to: (G * D, M), or (G * D,), in the dtype of the weight."""
    weight, heads, groups = projection
    result: Tensor = impl().pool(weight, heads=heads, groups=groups)
    expect(result, (len(weight) // heads * groups, *weight.shape[1:]), weight.dtype)
    return result


def expect(result: Any, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if not isinstance(result, Tensor):
        raise Mismatch("the result is no tensor", "a tensor", type(result).__name__)
    if (tuple(result.shape), result.dtype) != (shape, dtype):
        raise Mismatch(
            "the result has another shape or dtype", f"{(shape, dtype)}", f"{(tuple(result.shape), result.dtype)}"
        )


def check(got: Tensor, expected: Tensor, *, size: float = LARGEST, what: str = "the result") -> None:
    """Compare results. Each sums over up to 7 keys values whose weights come of scores, sums of up to 4 products."""
    assert_close(got, expected, dtype=got.dtype, tolerance=sum_tolerance(got.dtype, 7 + 4, size), what=what)


def check_pooled(got: Tensor, expected: Tensor) -> None:
    """Compare pooled weights: means of up to 6 numbers from -2 to 2."""
    assert_close(got, expected, dtype=got.dtype, tolerance=sum_tolerance(got.dtype, 6, 2.0))


def sees(case: Case, b: int, i: int) -> list[int]:
    """Return the keys that query i of sequence b may attend to."""
    queries, keys = case.query.shape[2], case.key.shape[2]
    return [
        j
        for j in range(keys)
        if (case.mask is None or bool(case.mask[b, j])) and (not case.causal or j <= i + keys - queries)
    ]


def slowly(case: Case) -> Tensor:
    """Return the result query by query, in Python's floats."""
    query, key, value = (t.tolist() for t in case[:3])
    heads, width = case.query.shape[1], case.value.shape[3]
    share = heads // case.key.shape[1]
    result = torch.zeros((*case.query.shape[:3], width), dtype=torch.float64)
    for b in range(len(query)):
        for i in range(case.query.shape[2]):
            seen = sees(case, b, i)
            for h in range(heads if seen else 0):
                keys, values = ([head[j] for j in seen] for head in (key[b][h // share], value[b][h // share]))
                result[b, h, i] = torch.tensor(attend(query[b][h][i], keys, values), dtype=torch.float64)
    return result


def attend(query: list[float], keys: list[list[float]], values: list[list[float]]) -> list[float]:
    scores = [sum(a * b for a, b in zip(query, key, strict=True)) / math.sqrt(len(query)) for key in keys]
    weights = [math.exp(score - max(scores)) for score in scores]
    return [
        math.fsum(w * v for w, v in zip(weights, column, strict=True)) / sum(weights)
        for column in zip(*values, strict=True)
    ]


def gradients_slowly(drawn: Weighed) -> list[Tensor]:
    """Return the gradients in float64: for each query and head, those of a softmax over what is seen."""
    case, weight = drawn
    query, key, value = (t.to(torch.float64) for t in case[:3])
    share, root = query.shape[1] // key.shape[1], math.sqrt(query.shape[3])
    to_query, to_key, to_value = (torch.zeros_like(t) for t in (query, key, value))
    for b in range(query.shape[0]):
        for i in range(query.shape[2]):
            if not (seen := sees(case, b, i)):
                continue
            for h in range(query.shape[1]):
                g, cotangent = h // share, weight[b, h, i].to(torch.float64)  # (E,)
                keys, values = key[b, g, seen], value[b, g, seen]  # (S, D), (S, E)
                p = torch.exp(keys @ query[b, h, i] / root)  # (S,)
                p = p / p.sum()
                to_value[b, g, seen] += p[:, None] * cotangent
                slope = values @ cotangent  # (S,), of the sum to each weight
                to_score = p * (slope - (p * slope).sum())
                to_query[b, h, i] += to_score @ keys / root
                to_key[b, g, seen] += to_score[:, None] * query[b, h, i] / root
    return [to_query, to_key, to_value]
