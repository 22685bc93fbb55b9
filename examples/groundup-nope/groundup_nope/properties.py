"""Properties of every right attention without positional encoding."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.testing import assert_equal, claim, hole
from groundup.core.testing.laws import attention as laws

NOPE = laws.Setting()  # each query head has its own key/value head
BEGIN = 1  # the token that every text begins with


def tokens() -> st.SearchStrategy[Tensor]:
    """Draw texts of 3 to 12 tokens, each of which begins with ``BEGIN``."""

    def text(drawn: tuple[int, int, int]) -> Tensor:
        batch, length, seed = drawn
        rest = torch.randint(2, 9, (batch, length - 1), generator=torch.Generator().manual_seed(seed))
        return torch.cat([torch.full((batch, 1), BEGIN), rest], dim=1)

    return st.tuples(st.integers(1, 2), st.integers(3, 12), st.integers(0, 99)).map(text)


test_values_are_weighed_by_the_softmax_of_the_scores = laws.test_values_are_weighed_by_the_softmax_of_the_scores(
    NOPE, hole=2
)
test_causal_lets_no_query_see_what_comes_after_it = laws.test_causal_lets_no_query_see_what_comes_after_it(NOPE, hole=1)
test_a_masked_key_might_as_well_not_be_there = laws.test_a_masked_key_might_as_well_not_be_there(NOPE, hole=1)
test_a_query_that_sees_nothing_gets_zeros = laws.test_a_query_that_sees_nothing_gets_zeros(NOPE, hole=2)
test_keys_have_no_order = laws.test_keys_have_no_order(NOPE, hole=2)


@claim("The last causal query, which sees every key, does not know their order either.")
@hole(2)
@given(case=laws.cases(laws.CAUSAL, causal=True), turn=st.integers(1, 2))
def test_the_last_causal_query_knows_no_order(impl: Any, case: laws.Case, turn: int) -> None:
    turned = case._replace(key=case.key.roll(turn, 2), value=case.value.roll(turn, 2))
    NOPE.check(NOPE.run(impl, turned)[:, :, -1], NOPE.run(impl, case)[:, :, -1])


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


test_it_equals_the_reference = laws.test_it_equals_the_reference(NOPE)
