"""What holds of every right implementation of DrGrpo."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from hypothesis import given
from torch import Tensor

from groundup.core.interfaces.rl import GroupBatch
from groundup.core.testing import claim, hole
from groundup.core.testing.laws import rl as laws

SIZES = [{"B": 1, "T": 1}, {"B": 2, "T": 3}, {"B": 4, "T": 2}]
RULE = laws.Setting(
    batches=laws.batches(GroupBatch, SIZES, below={"group": 2}),
    learned=("log_prob",),
    sizes={"loss": 16.0},  # |advantage| up to 4, |log_prob| up to 4
    slope=4.0,
)


def slopes(batch: GroupBatch) -> Tensor:
    """Return the gradient to each token's log-probability: minus its answer's advantage, over the real tokens."""
    rewards, groups = batch.reward.tolist(), batch.group.tolist()
    found = torch.zeros(batch.mask.shape, dtype=torch.float64)
    for row, reward in enumerate(rewards):
        members = [other for other, group in zip(rewards, groups, strict=True) if group == groups[row]]
        found[row, batch.mask[row]] = (sum(members) / len(members) - reward) / int(batch.mask.sum())
    return found


@claim("The loss is the mean over real tokens of minus log_prob times reward minus the group's mean reward.")
@hole(1)
@given(case=RULE.cases())
def test_it_is_the_mean_over_real_tokens(impl: Any, case: laws.Case[GroupBatch]) -> None:
    exact = (slopes(case.batch) * case.batch.log_prob).sum()
    RULE.check(impl(**case.rule).loss(case.batch), "loss", exact, case.batch)


@claim("The gradient to log_prob is the group's mean reward minus the reward, over the number of real tokens.")
@hole(1)
@given(case=RULE.cases())
def test_the_gradient_is_minus_the_advantage(impl: Any, case: laws.Case[GroupBatch]) -> None:
    batch = RULE.trained(case.batch)
    got = RULE.gradients(impl(**case.rule).loss(batch), batch)
    RULE.check_same_gradients(got, {"log_prob": slopes(batch).to(batch.log_prob.dtype)}, batch)


@claim("A number added to all rewards of a prompt changes nothing.")
@hole(1)
@given(case=RULE.cases())
def test_a_prompt_may_be_easy_or_hard(impl: Any, case: laws.Case[GroupBatch]) -> None:
    easier = case.batch.reward + torch.where(case.batch.group == 0, 2, 0)
    got = impl(**case.rule).loss(replace(case.batch, reward=easier))
    RULE.check_same(got, impl(**case.rule).loss(case.batch), case.batch)


# What holds of every learning rule.

test_padding_changes_nothing = laws.test_padding_changes_nothing(RULE)
test_padding_alone_gives_zero = laws.test_padding_alone_gives_zero(RULE)
test_the_order_of_rows_does_not_matter = laws.test_the_order_of_rows_does_not_matter(RULE)
test_loss_equals_the_reference_whatever_came_before = laws.test_loss_equals_the_reference_whatever_came_before(RULE)
