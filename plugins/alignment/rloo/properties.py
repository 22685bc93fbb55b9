"""Properties of every right implementation of RLOO."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import GroupBatch
from groundup.core.messages import Message
from groundup.core.testing import (
    assert_close,
    assert_equal,
    claim,
    float_dtypes,
    gradient,
    hole,
    sum_tolerance,
    tensors,
)
from groundup.core.testing.laws import groups as group_laws
from groundup.core.testing.laws import rl as laws
from groundup.core.testing.laws.groups import Answer, Term

Case = laws.Case[GroupBatch]
Rule = Mapping[str, Any]

CLIPS, KLS = (0.2, 0.12, 0.27), (0.0, 0.0625, 0.25)


def log_ratio(answer: Answer) -> float:
    return math.fsum(old - ref for old, ref in zip(answer.old, answer.ref, strict=True)) if answer.ref else 0.0


def earned(rule: Rule, answer: Answer) -> float:
    cost: float = rule["kl_coef"] * log_ratio(answer)
    return answer.reward - cost


def advantages(rule: Rule, answers: Sequence[Answer]) -> list[float]:
    """Compare each answer with all others, one after the other."""
    found, paid = [], [earned(rule, answer) for answer in answers]
    for i, own in enumerate(paid):
        others = paid[:i] + paid[i + 1 :]
        found.append(own - math.fsum(others) / len(others) if others else 0.0)
    return found


def terms(rule: Rule, answer: Answer, advantage: float) -> list[Term]:
    ratio = math.exp(math.fsum(now - old for now, old in zip(answer.log_prob, answer.old, strict=True)))
    policy, slope = group_laws.clipped(advantage, ratio, 1 - rule["clip"], 1 + rule["clip"])
    length, outside = len(answer.log_prob), abs(ratio - 1) > rule["clip"]
    return [Term(policy / length, slope, log_ratio(answer) / length, outside)] * length


RLOO = group_laws.Setting(
    batches=group_laws.groups(furthest=0.5),
    sizes={"loss": 40.0, "policy_loss": 40.0, "kl": 6.0, "clip_fraction": 1.0},
    slope=40.0,
    rules=[{"clip": clip, "kl_coef": kl_coef} for clip, kl_coef in product(CLIPS, KLS)],
    another={"clip": 0.4, "kl_coef": 1.0},
    advantages=advantages,
    terms=terms,
    weights=lambda rule, lengths: [1 / len(lengths)] * len(lengths),
    kl_in_the_loss=False,
    answers_are_clipped=True,
    tallest=8.0,
)


# Rewards.


@claim(
    "An answer earns its reward less kl_coef times the sum over its tokens of log pi_old - log pi_ref; without a "
    "reference nothing is taken off, and no gradient flows.",
    zh="一段回答所得是它的奖励减去 kl_coef 乘以各词元 log pi_old - log pi_ref 之和；没有参考策略就不减，也不传梯度。",
)
@hole(1)
@given(case=RLOO.cases(), reference=st.booleans())
def test_the_distance_is_paid_from_the_reward(impl: Any, case: Case, reference: bool) -> None:
    batch = case.batch if reference else replace(case.batch, ref_log_prob=None)
    batch = RLOO.trained(batch, *(name for name in RLOO.constants if getattr(batch, name) is not None))
    got = impl(**case.rule).rewards(batch)
    exact = torch.tensor([earned(case.rule, answer) for answer in group_laws.answers_of(batch)], dtype=torch.float64)
    assert_equal(got.requires_grad, False, what=Message("whether the rewards carry gradient"))
    dtype = batch.log_prob.dtype
    what = Message("the rewards")
    assert_close(got, exact, dtype=dtype, tolerance=sum_tolerance(dtype, 8, 4.0), what=what)


@claim(
    "Rewards and log-probabilities in bfloat16 are cast to float32 before they are subtracted.",
    zh="bfloat16 的奖励和对数概率先转成 float32 再相减。",
)
@hole(1)
@given(case=RLOO.cases(kl_coef=0.25))
def test_rewards_are_computed_wide(impl: Any, case: Case) -> None:
    factors = {"ref_log_prob": 0.03}  # a difference of numbers of one size would be exact in bfloat16, too
    narrow = laws.changed(
        case.batch, lambda name, t: (t * factors.get(name, 1.1)).bfloat16() if t.is_floating_point() else t
    )
    exact = [earned({"kl_coef": 0.25}, answer) for answer in group_laws.answers_of(narrow)]
    limit = sum_tolerance(torch.float32, 8, 4.0)
    got, expected = impl(**case.rule).rewards(narrow), torch.tensor(exact, dtype=torch.float64)
    assert_close(got, expected, dtype=torch.float32, tolerance=limit, what=Message("the rewards"))


# Advantages.

test_advantages_are_those_of_the_group = group_laws.test_advantages_are_those_of_the_group(
    RLOO,
    hole=2,
    points=2,
    claim={
        "en": "An advantage is what the answer earned less the mean of what the others of its group earned.",
        "zh": "优势是这段回答所得减去同组其他回答所得的平均。",
    },
)
test_advantages_of_a_group_sum_to_zero = group_laws.test_advantages_of_a_group_sum_to_zero(RLOO, hole=2)
test_equal_rewards_teach_nothing = group_laws.test_equal_rewards_teach_nothing(RLOO, hole=2)
test_a_lone_answer_teaches_nothing = group_laws.test_a_lone_answer_teaches_nothing(RLOO, hole=2)
test_shifting_a_groups_rewards_changes_nothing = group_laws.test_shifting_a_groups_rewards_changes_nothing(RLOO, hole=2)
test_groups_do_not_touch_each_other = group_laws.test_groups_do_not_touch_each_other(RLOO, hole=2)
test_group_numbers_are_names = group_laws.test_group_numbers_are_names(RLOO, hole=2)
test_a_large_group_has_the_same_formula = group_laws.test_a_large_group_has_the_same_formula(RLOO, hole=2)


@claim(
    "With N answers in the group, the advantage is N / (N - 1) times the distance from the mean of all of them.",
    zh="组内有 N 段回答时，优势是与全组平均之差的 N / (N - 1) 倍。",
)
@hole(2)
@given(rewards=tensors((6,)), size=st.integers(2, 6), dtype=float_dtypes())
def test_leaving_one_out_stretches_the_distance_from_the_mean(
    impl: Any, rewards: Tensor, size: int, dtype: torch.dtype
) -> None:
    reward = rewards[:size].to(dtype)
    got = impl().advantages(answers(reward))
    exact = (reward.double() - reward.double().mean()) * size / (size - 1)
    assert_close(got, exact, dtype=dtype, tolerance=sum_tolerance(dtype, 8, 4.0), what=Message("the advantages"))


# Whole answers.

EIGHTHS = [(a, b, 8 - a - b) for a in range(1, 7) for b in range(1, 8 - a)]


@claim(
    "Over all groups of two that a policy with three answers can draw, each counted as often as it is drawn, the mean "
    "of the gradient is the gradient of the expected reward, exactly.",
    zh="一个有三种回答的策略可能采样到的所有两段回答的组，按各自的概率加权，梯度的平均恰好是期望奖励的梯度。",
)
@hole(3)
@given(policy=st.sampled_from(EIGHTHS), rewards=tensors((3,)))
def test_the_gradient_is_unbiased(impl: Any, policy: tuple[int, int, int], rewards: Tensor) -> None:
    p = torch.tensor(policy, dtype=torch.float64) / 8
    drawn = torch.tensor([answer for pair in product(range(3), range(3)) for answer in pair])  # (18,), nine groups
    log_prob, pairs = p.log()[drawn, None], torch.arange(9).repeat_interleave(2)
    batch = answers(rewards.double()[drawn])
    batch = RLOO.trained(replace(batch, log_prob=log_prob, old_log_prob=log_prob.clone(), group=pairs))
    (slopes,) = gradient(impl(kl_coef=0.0).loss(batch).loss, [batch.log_prob])
    often = p[drawn].reshape(9, 2).prod(1).repeat_interleave(2)  # the probability of each answer's group
    score = torch.eye(3, dtype=torch.float64)[drawn] - p  # the gradient of log p to the logits
    mean = (9 * often[:, None] * slopes * score).sum(0)  # the loss is a mean over nine groups
    exact = -(p * rewards.double()) @ (torch.eye(3, dtype=torch.float64) - p)
    what = Message("the mean of the gradient over all groups")
    assert_close(mean, exact, dtype=torch.float64, tolerance=sum_tolerance(torch.float64, 32, 4.0), what=what)


test_loss_is_the_weighted_sum_over_tokens = group_laws.test_loss_is_the_weighted_sum_over_tokens(
    RLOO,
    hole=3,
    claim={
        "en": "The loss is the mean over the answers of the clipped surrogate of each whole answer.",
        "zh": "损失是每段完整回答裁剪后的代理损失对所有回答的平均。",
    },
)
test_each_token_gets_its_slope = group_laws.test_each_token_gets_its_slope(
    RLOO,
    hole=3,
    points=2,
    claim={
        "en": "All tokens of an answer get the same slope, -A times the ratio of the whole answer, divided by the "
        "number of answers; none where the clip holds the answer, and none on padding.",
        "zh": "一段回答的所有词元得到相同的斜率：-A 乘以整段回答的比率，再除以回答数；"
        "裁剪拦住这段回答时为 0，填充处也为 0。",
    },
)
test_at_the_old_policy_it_is_the_policy_gradient = group_laws.test_at_the_old_policy_it_is_the_policy_gradient(
    RLOO, hole=3
)
test_metrics_are_those_of_the_tokens = group_laws.test_metrics_are_those_of_the_tokens(
    RLOO,
    hole=3,
    claim={
        "en": "policy_loss is the loss; kl is the mean over the answers of their log-ratios; clip_fraction is the "
        "share of answers whose ratio is further than clip from 1.",
        "zh": "policy_loss 就是损失；kl 是各回答对数比率的平均；clip_fraction 是比率偏离 1 超过 clip 的回答的比例。",
    },
)


@claim(
    "An answer without tokens has the ratio 1: it costs minus its advantage, and counts among the answers.",
    zh="没有词元的回答比率是 1：它的代价是负的优势，并且计入回答数。",
)
@hole(3)
@given(case=RLOO.cases(kl_coef=0.0))
def test_an_empty_answer_counts_as_an_answer(impl: Any, case: Case) -> None:
    mask = torch.zeros_like(case.batch.mask)
    mask[1:] = case.batch.mask[1:]
    batch = replace(case.batch, mask=mask)
    found = group_laws.answers_of(batch)
    scores = group_laws.slow_advantages(RLOO, case.rule, found)
    costs = [-scores[0]]
    for answer, score in zip(found[1:], scores[1:], strict=True):
        costs.append(math.fsum(term.policy for term in terms(case.rule, answer, score)))
    exact = torch.tensor(math.fsum(costs) / len(costs), dtype=torch.float64)
    RLOO.check(impl(**case.rule).loss(batch), "loss", exact, batch)


test_answers_may_stand_in_any_order = group_laws.test_answers_may_stand_in_any_order(RLOO, hole=3)
test_padding_changes_nothing = laws.test_padding_changes_nothing(RLOO, hole=3)
test_padding_may_hold_any_finite_number = group_laws.test_padding_may_hold_any_finite_number(RLOO, hole=3)
test_what_moved_far_counts_in_full = group_laws.test_what_moved_far_counts_in_full(RLOO, hole=3)
test_a_constant_gets_no_gradient = laws.test_a_constant_gets_no_gradient(
    RLOO,
    hole=3,
    claim={
        "en": "Old policy, reference and rewards get no gradient, even where they come with a graph.",
        "zh": "旧策略、参考策略和奖励都得不到梯度，即使它们带着计算图。",
    },
)
test_metrics_are_detached_scalars = laws.test_metrics_are_detached_scalars(RLOO, hole=3)
test_bfloat16_is_cast_up = group_laws.test_bfloat16_is_cast_up(RLOO)
test_long_answers_are_counted_in_full = group_laws.test_long_answers_are_counted_in_full(RLOO)
test_loss_equals_the_reference_whatever_came_before = laws.test_loss_equals_the_reference_whatever_came_before(RLOO)


def answers(reward: Tensor) -> GroupBatch:
    """Return answers of one token to one prompt, as likely as when they were sampled, without a reference."""
    log_prob = torch.full((len(reward), 1), -1.5, dtype=reward.dtype)
    group, mask = torch.zeros(len(reward), dtype=torch.long), torch.ones(len(reward), 1, dtype=torch.bool)
    return GroupBatch(log_prob, log_prob.clone(), reward, group, mask)
