"""Properties of every right implementation of Dr. GRPO."""

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
from groundup.core.testing import assert_close, claim, float_dtypes, gradient, hole, sum_tolerance, tensors
from groundup.core.testing.laws import groups as group_laws
from groundup.core.testing.laws import rl as laws
from groundup.core.testing.laws.groups import Answer, Term

Case = laws.Case[GroupBatch]
Rule = Mapping[str, Any]

CLIPS, LONGEST = (0.2, 0.12, 0.27), (5, 7, 11)  # no width of a batch is among them


def advantages(rule: Rule, answers: Sequence[Answer]) -> list[float]:
    middle = math.fsum(answer.reward for answer in answers) / len(answers)
    return [answer.reward - middle for answer in answers]


def terms(rule: Rule, answer: Answer, advantage: float) -> list[Term]:
    found, clip = [], rule["clip"]
    for now, old in zip(answer.log_prob, answer.old, strict=True):
        ratio = math.exp(now - old)
        found.append(Term(*group_laws.clipped(advantage, ratio, 1 - clip, 1 + clip), 0.0, abs(ratio - 1) > clip))
    return found


DR_GRPO = group_laws.Setting(
    batches=group_laws.groups(reference=False),
    sizes={"loss": 20.0, "policy_loss": 20.0, "kl": 1.0, "clip_fraction": 1.0},
    slope=20.0,
    rules=[{"clip": clip, "max_tokens": longest} for clip, longest in product(CLIPS, LONGEST)],
    another={"clip": 0.4, "max_tokens": 2},
    constants=group_laws.CONSTANTS[:2],
    advantages=advantages,
    terms=terms,
    weights=lambda rule, lengths: [1 / (len(lengths) * rule["max_tokens"])] * len(lengths),
    without_kl={},
)


# Advantages.

test_advantages_are_those_of_the_group = group_laws.test_advantages_are_those_of_the_group(
    DR_GRPO,
    hole=1,
    points=2,
    claim={
        "en": "An advantage is the reward less the mean of the group, the answer itself included.",
        "zh": "优势是奖励减去组内平均，平均包括这段回答自己。",
    },
)
test_advantages_of_a_group_sum_to_zero = group_laws.test_advantages_of_a_group_sum_to_zero(DR_GRPO, hole=1)
test_equal_rewards_teach_nothing = group_laws.test_equal_rewards_teach_nothing(DR_GRPO, hole=1)
test_a_lone_answer_teaches_nothing = group_laws.test_a_lone_answer_teaches_nothing(DR_GRPO, hole=1)
test_shifting_a_groups_rewards_changes_nothing = group_laws.test_shifting_a_groups_rewards_changes_nothing(
    DR_GRPO, hole=1
)
test_groups_do_not_touch_each_other = group_laws.test_groups_do_not_touch_each_other(DR_GRPO, hole=1)
test_group_numbers_are_names = group_laws.test_group_numbers_are_names(DR_GRPO, hole=1)
test_a_large_group_has_the_same_formula = group_laws.test_a_large_group_has_the_same_formula(DR_GRPO, hole=1)
test_advantages_are_wide_constants = group_laws.test_advantages_are_wide_constants(DR_GRPO, hole=1)


@claim(
    "Advantages have the unit of the reward: a group whose rewards are twice as far apart has twice the advantages.",
    zh="优势的单位与奖励相同：一组的奖励拉开两倍，优势也是两倍。",
)
@hole(1)
@given(case=DR_GRPO.cases())
def test_advantages_keep_the_unit_of_the_reward(impl: Any, case: Case) -> None:
    own = case.batch.group == case.batch.group[0]
    apart = replace(case.batch, reward=torch.where(own, 2 * case.batch.reward, case.batch.reward))
    rule, dtype = impl(**case.rule), case.batch.log_prob.dtype
    exact = torch.where(own, 2.0, 1.0).double() * rule.advantages(case.batch).double()
    limit = sum_tolerance(dtype, 8, 8.0)
    assert_close(rule.advantages(apart), exact, dtype=dtype, tolerance=limit, what=Message("the advantages"))


# The surrogate, before the divisor: a token of another answer gives the unit.


@claim(
    "A token gets -A * ratio, or 0 where the clip binds: A > 0 and the ratio above 1 + clip, or A < 0 and the ratio "
    "below 1 - clip. The other tokens of its answer have ratios of their own.",
    zh="一个词元的梯度与 -A * ratio 成正比；裁剪起作用时为 0：A > 0 且比率高于 1 + clip，或 A < 0 且比率低于 1 - clip。"
    "同一回答的其他词元有各自的比率。",
)
@hole(2)
@given(
    log_ratio=st.integers(-12, 12).map(lambda n: n / 8),
    rewards=st.sampled_from(((1.0, 0.0), (0.0, 1.0), (-0.5, 1.5))),
    clip=st.sampled_from(CLIPS),
    dtype=float_dtypes(),
)
def test_the_clip_stops_only_what_would_leave(
    impl: Any, log_ratio: float, rewards: tuple[float, float], clip: float, dtype: torch.dtype
) -> None:
    log_prob = torch.full((2, 2), -2.0, dtype=dtype)
    old = log_prob - torch.tensor([[log_ratio, 0.0], [0.0, 0.0]], dtype=dtype)
    mask, group = torch.ones(2, 2, dtype=torch.bool), torch.zeros(2, dtype=torch.long)
    batch = DR_GRPO.trained(GroupBatch(log_prob, old, torch.tensor(rewards, dtype=dtype), group, mask))
    (grad,) = DR_GRPO.gradients(impl(clip=clip, max_tokens=1).loss(batch), batch).values()
    up = 1.0 if rewards[0] > rewards[1] else -1.0
    _, slope = group_laws.clipped(up, math.exp(log_ratio), 1 - clip, 1 + clip)
    exact = torch.tensor([slope, -up], dtype=torch.float64) * up * grad[1, 1].double()
    what = Message("the gradient to {name}", name="log_prob")
    assert_close(grad[0], exact, dtype=dtype, tolerance=sum_tolerance(dtype, 8, 5.0), what=what)


# One divisor for all.

test_loss_is_the_weighted_sum_over_tokens = group_laws.test_loss_is_the_weighted_sum_over_tokens(
    DR_GRPO,
    hole=3,
    claim={
        "en": "The loss is the sum of all tokens' clipped surrogates, divided by the number of answers times "
        "max_tokens.",
        "zh": "损失是所有词元裁剪后的代理损失之和，除以回答数与 max_tokens 的乘积。",
    },
)
test_each_token_gets_its_slope = group_laws.test_each_token_gets_its_slope(
    DR_GRPO,
    hole=3,
    points=2,
    claim={
        "en": "Each token gets the slope of its surrogate, divided by the number of answers times max_tokens, however "
        "long its answer is; padding gets none.",
        "zh": "每个词元得到代理损失的斜率，除以回答数与 max_tokens 的乘积，与所属回答的长度无关；填充得不到梯度。",
    },
)
test_at_the_old_policy_it_is_the_policy_gradient = group_laws.test_at_the_old_policy_it_is_the_policy_gradient(
    DR_GRPO, hole=3
)
test_metrics_are_those_of_the_tokens = group_laws.test_metrics_are_those_of_the_tokens(
    DR_GRPO,
    hole=3,
    claim={
        "en": "policy_loss is the loss, kl is 0, and clip_fraction is the share of all real tokens whose ratio is "
        "further than clip from 1.",
        "zh": "policy_loss 就是损失，kl 是 0，clip_fraction 是比率偏离 1 超过 clip 的真实词元的比例。",
    },
)


@claim(
    "A batch may have a single token: the sum is divided by the number of answers all the same, and clip_fraction is 0 "
    "or 1.",
    zh="一个批可以只有一个词元：总和照样除以回答数，clip_fraction 是 0 或 1。",
)
@hole(3)
@given(case=DR_GRPO.cases())
def test_a_single_token_is_enough(impl: Any, case: Case) -> None:
    row, place = case.batch.mask.nonzero()[0].tolist()
    mask = torch.zeros_like(case.batch.mask)
    mask[row, place] = True
    batch = replace(case.batch, mask=mask)
    answers = group_laws.answers_of(batch)
    (term,) = terms(case.rule, answers[row], group_laws.slow_advantages(DR_GRPO, case.rule, answers)[row])
    loss = term.policy / (len(answers) * case.rule["max_tokens"])
    got = impl(**case.rule).loss(batch)
    for name, number in {"loss": loss, "clip_fraction": float(term.outside)}.items():
        DR_GRPO.check(got, name, torch.tensor(number, dtype=torch.float64), batch)


# A policy that goes on with the probability 1 - stop after each of the first two tokens; the third is the last.
LENGTHS = (1, 2, 3)


@claim(
    "A policy ends its answer after one, two or three tokens. Over all groups of two, each counted as often as it is "
    "drawn, the mean gradient by the probability to end is half of the exact one, divided by max_tokens.",
    zh="一个策略在一个、两个或三个词元之后结束回答。对所有两段回答的组按概率加权，"
    "对结束概率的平均梯度是准确梯度的一半再除以 max_tokens。",
)
@hole(3)
@given(stop=st.sampled_from((0.25, 0.5, 0.625)), rewards=tensors((3,)), longest=st.sampled_from(LONGEST))
def test_the_expected_gradient_has_one_divisor(impl: Any, stop: float, rewards: Tensor, longest: int) -> None:
    ends, goes = math.log(stop), math.log(1 - stop)
    tokens = {1: [ends], 2: [goes, ends], 3: [goes, goes, 0.0]}
    slopes = {1: [1 / stop], 2: [-1 / (1 - stop), 1 / stop], 3: [-1 / (1 - stop)] * 2 + [0.0]}  # by ``stop``
    often = {n: math.exp(math.fsum(tokens[n])) for n in LENGTHS}
    drawn = [n for pair in product(LENGTHS, LENGTHS) for n in pair]  # nine groups of two
    log_prob = torch.tensor([tokens[n] + [0.0] * (3 - n) for n in drawn], dtype=torch.float64)
    mask = torch.tensor([[t < n for t in range(3)] for n in drawn])
    reward, pairs = rewards.double()[torch.tensor(drawn) - 1], torch.arange(9).repeat_interleave(2)
    batch = DR_GRPO.trained(GroupBatch(log_prob, log_prob.clone(), reward, pairs, mask))
    (found,) = gradient(impl(max_tokens=longest).loss(batch).loss, [batch.log_prob])
    weight = torch.tensor(
        [often[a] * often[b] for a, b in product(LENGTHS, LENGTHS)], dtype=torch.float64
    ).repeat_interleave(2)
    score = torch.tensor([slopes[n] + [0.0] * (3 - n) for n in drawn], dtype=torch.float64)
    mean = (9 * weight[:, None] * found * score).sum()
    earned = {n: float(rewards[n - 1]) for n in LENGTHS}
    exact = -math.fsum(often[n] * earned[n] * math.fsum(slopes[n]) for n in LENGTHS) / 2 / longest
    what = Message("the mean of the gradient over all groups")
    limit = sum_tolerance(torch.float64, 64, 8.0)
    assert_close(mean, torch.tensor(exact, dtype=torch.float64), dtype=torch.float64, tolerance=limit, what=what)


test_answers_may_stand_in_any_order = group_laws.test_answers_may_stand_in_any_order(DR_GRPO, hole=3)
test_padding_changes_nothing = laws.test_padding_changes_nothing(DR_GRPO, hole=3)
test_padding_alone_gives_zero = laws.test_padding_alone_gives_zero(DR_GRPO, hole=3)
test_padding_may_hold_any_finite_number = group_laws.test_padding_may_hold_any_finite_number(DR_GRPO, hole=3)
test_what_moved_far_counts_in_full = group_laws.test_what_moved_far_counts_in_full(DR_GRPO, hole=3)
test_a_constant_gets_no_gradient = laws.test_a_constant_gets_no_gradient(
    DR_GRPO,
    hole=3,
    claim={
        "en": "Old policy and rewards get no gradient, even where they come with a graph.",
        "zh": "旧策略和奖励都得不到梯度，即使它们带着计算图。",
    },
)
test_metrics_are_detached_scalars = laws.test_metrics_are_detached_scalars(DR_GRPO, hole=3)
test_bfloat16_is_cast_up = group_laws.test_bfloat16_is_cast_up(DR_GRPO)
test_long_answers_are_counted_in_full = group_laws.test_long_answers_are_counted_in_full(DR_GRPO)
test_loss_equals_the_reference_whatever_came_before = laws.test_loss_equals_the_reference_whatever_came_before(DR_GRPO)
