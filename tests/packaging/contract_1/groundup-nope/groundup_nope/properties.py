"""What holds of every right attention without positions."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.testing import assert_close, assert_equal, booleans, claim, hole, sum_tolerance, tensors

SHAPES = ((1, 1, 1, 2, 1, 1), (1, 2, 2, 3, 2, 1), (2, 1, 3, 3, 2, 2))  # (B, H, Q, K, D, E)
LARGEST = 2.0  # of a value
BEGIN = 1  # the token that every text begins with


class Case(NamedTuple):
    """The arguments of one call."""

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    causal: bool


def cases(*, causal: bool | None = None, masked: bool = False) -> st.SearchStrategy[Case]:
    """Draw queries, keys and values from -2 to 2; ``causal`` None draws whether."""

    def one(shape: tuple[int, ...], dtype: torch.dtype) -> st.SearchStrategy[Case]:
        batch, heads, queries, keys, size, width = shape
        return st.builds(
            Case,
            tensors((batch, heads, queries, size), dtype=dtype),
            tensors((batch, heads, keys, size), dtype=dtype),
            tensors((batch, heads, keys, width), dtype=dtype),
            booleans((batch, keys), simplest=True) if masked else st.none(),
            st.booleans() if causal is None else st.just(causal),
        )

    return st.one_of([one(shape, dtype) for shape in SHAPES for dtype in (torch.float32, torch.float64)])


def tokens() -> st.SearchStrategy[Tensor]:
    """Draw texts of 3 to 12 tokens, each of which begins with ``BEGIN``."""

    def text(drawn: tuple[int, int, int]) -> Tensor:
        batch, length, seed = drawn
        rest = torch.randint(2, 9, (batch, length - 1), generator=torch.Generator().manual_seed(seed))
        return torch.cat([torch.full((batch, 1), BEGIN), rest], dim=1)

    return st.tuples(st.integers(1, 2), st.integers(3, 12), st.integers(0, 99)).map(text)


def turned(case: Case, by: int) -> Case:
    """Return the case with its keys, values and mask turned around by so many places."""
    mask = None if case.mask is None else case.mask.roll(by, 1)
    return case._replace(key=case.key.roll(by, 2), value=case.value.roll(by, 2), mask=mask)


@claim("Without a mask it is the softmax of the scaled products, weighing the values.")
@hole(2)
@given(case=cases(causal=False))
def test_it_weighs_values_by_the_softmax(impl: Any, case: Case) -> None:
    check(run(impl, case), slowly(case))


@claim("A causal query sees no key behind its own; the last query stands where the last key does.")
@hole(1)
@given(case=cases(causal=True))
def test_a_causal_query_sees_nothing_behind_it(impl: Any, case: Case) -> None:
    check(run(impl, case), slowly(case))


@claim("A key whose mask is False is not seen, whatever stands there.")
@hole(1)
@given(case=cases(masked=True))
def test_a_masked_key_is_not_seen(impl: Any, case: Case) -> None:
    check(run(impl, case), slowly(case))


@claim("A query that sees nothing gets zeros.")
@hole(2)
@given(case=cases(causal=False))
def test_a_query_that_sees_nothing_gets_zeros(impl: Any, case: Case) -> None:
    mask = torch.zeros((case.key.shape[0], case.key.shape[2]), dtype=torch.bool)
    got = run(impl, case._replace(mask=mask))
    assert_equal(got, torch.zeros_like(got))


@claim("Without causality no order shows: keys and values that change places together change nothing.")
@hole(2)
@given(case=cases(causal=False, masked=True), turn=st.integers(1, 2))
def test_without_causality_no_order_shows(impl: Any, case: Case, turn: int) -> None:
    check(run(impl, turned(case, turn)), run(impl, case))


@claim("The last causal query, which sees every key, does not know their order either.")
@hole(2)
@given(case=cases(causal=True), turn=st.integers(1, 2))
def test_the_last_causal_query_knows_no_order(impl: Any, case: Case, turn: int) -> None:
    check(run(impl, turned(case, turn))[:, :, -1], run(impl, case)[:, :, -1])


@claim("Every token's position is found, from 0, whatever the tokens are.")
@hole(3)
@given(drawn=tokens())
def test_every_position_is_found(impl: Any, drawn: Tensor) -> None:
    expected = torch.arange(drawn.shape[1]).expand(drawn.shape)
    assert_equal(impl().positions(drawn, begin=BEGIN), expected, what="the positions")


@claim("A token's position does not depend on what comes after it.")
@hole(3)
@given(drawn=tokens())
def test_a_position_does_not_depend_on_what_follows(impl: Any, drawn: Tensor) -> None:
    whole = impl().positions(drawn, begin=BEGIN)
    half = impl().positions(drawn[:, :3], begin=BEGIN)
    assert_equal(half, whole[:, :3], what="the positions of the first three tokens")


@claim("It gives what the reference gives, and leaves what it is given as it was.")
@given(case=cases(masked=True))
def test_it_equals_the_reference(impl: Any, reference: Any, case: Case) -> None:
    case = case._replace(query=case.query / 3, key=case.key / 3, value=case.value / 3)
    given_to_it = case._replace(query=case.query.clone(), key=case.key.clone(), value=case.value.clone())
    check(run(impl, given_to_it), run(reference, case))
    for name in ("query", "key", "value"):
        assert_equal(getattr(given_to_it, name), getattr(case, name), what=f"the {name} that was passed in")


def run(impl: Any, case: Case) -> Tensor:
    result: Tensor = impl().forward(case.query, case.key, case.value, mask=case.mask, causal=case.causal)
    return result


def check(got: Tensor, expected: Tensor) -> None:
    """Compare results: means of up to 3 values, whose weights come of scores, sums of up to 2 products."""
    dtype = got.dtype if expected.dtype == torch.float64 else expected.dtype
    assert_close(got, expected, dtype=dtype, tolerance=sum_tolerance(dtype, 3 + 2, LARGEST))


def slowly(case: Case) -> Tensor:
    """Return the result query by query, in Python's floats, in the dtype of the query."""
    query, key, value = (t.tolist() for t in case[:3])
    batch, heads, queries, size = case.query.shape
    keys, width = case.key.shape[2], case.value.shape[3]
    result = torch.zeros((batch, heads, queries, width), dtype=case.query.dtype)
    for b in range(batch):
        for i in range(queries):
            seen = [
                j
                for j in range(keys)
                if (case.mask is None or bool(case.mask[b, j])) and (not case.causal or j <= i + keys - queries)
            ]
            for h in range(heads if seen else 0):
                score = [sum(x * y for x, y in zip(query[b][h][i], key[b][h][j], strict=True)) for j in seen]
                weight = [math.exp((s - max(score)) / math.sqrt(size)) for s in score]
                for e in range(width):
                    mixed = sum(w * value[b][h][j][e] for w, j in zip(weight, seen, strict=True))
                    result[b, h, i, e] = mixed / sum(weight)
    return result
