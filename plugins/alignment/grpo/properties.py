"""Properties of every right implementation of the GRPO loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.interfaces.rl import GroupBatch
from groundup.core.messages import Message
from groundup.core.testing import assert_close, claim, float_dtypes, hole, sum_tolerance
from groundup.core.testing.laws import groups as group_laws
from groundup.core.testing.laws import rl as laws
from groundup.core.testing.laws.groups import Answer, Term

Case = laws.Case[GroupBatch]
Rule = Mapping[str, Any]

# No clip is a multiple of 1/8, and no ratio exp(n / 8) is 1 - clip or 1 + clip: no example lies on a kink of the loss.
CLIPS, KLS, EPSES = (0.2, 0.12, 0.27), (0.25, 0.75), (1e-4, 0.125)


def advantages(rule: Rule, answers: Sequence[Answer]) -> list[float]:
    rewards = [answer.reward for answer in answers]
    middle = math.fsum(rewards) / len(rewards)
    spread = math.fsum((reward - middle) ** 2 for reward in rewards) / max(len(rewards) - 1, 1)
    return [(reward - middle) / (math.sqrt(spread) + rule["eps"]) for reward in rewards]


def terms(rule: Rule, answer: Answer, advantage: float) -> list[Term]:
    found, clip = [], rule["clip"]
    for t, (now, old) in enumerate(zip(answer.log_prob, answer.old, strict=True)):
        ratio = math.exp(now - old)
        policy, slope = group_laws.clipped(advantage, ratio, 1 - clip, 1 + clip)
        kl, pull = group_laws.k3(answer.ref[t] - now) if answer.ref else (0.0, 0.0)
        found.append(Term(policy, slope + rule["kl_coef"] * pull, kl, abs(ratio - 1) > clip))
    return found


def weights(rule: Rule, lengths: list[int]) -> list[float]:
    if rule["aggregation"] == "token":
        return [1 / max(sum(lengths), 1)] * len(lengths)
    return [1 / (max(length, 1) * len(lengths)) for length in lengths]


def grpo(rules: list[dict[str, Any]], *, reference: bool = True) -> group_laws.Setting:
    return group_laws.Setting(
        batches=group_laws.groups(reference=reference),
        sizes={"loss": 12.0, "policy_loss": 10.0, "kl": 2.0, "clip_fraction": 1.0},
        slope=12.0,
        rules=rules,
        another={"clip": 0.4, "kl_coef": 0.1, "eps": 1.0, "aggregation": "token"},
        advantages=advantages,
        terms=terms,
        weights=weights,
        tallest=2.5,
    )


GRPO = grpo(
    [
        {"clip": clip, "kl_coef": kl_coef, "eps": eps, "aggregation": aggregation}
        for clip, kl_coef, eps in product(CLIPS, KLS, EPSES)
        for aggregation in ("sequence", "token")
    ]
)


# Advantages.

test_advantages_are_those_of_the_group = group_laws.test_advantages_are_those_of_the_group(
    GRPO,
    hole=1,
    points=2,
    claim={
        "en": "An advantage is the reward less the mean of the group, divided by the group's standard deviation plus "
        "eps; the variance is divided by one less than the number of answers.",
        "zh": "优势是奖励减去组内平均，再除以组内标准差加 eps；方差除以回答数减一。",
    },
)
test_advantages_of_a_group_sum_to_zero = group_laws.test_advantages_of_a_group_sum_to_zero(GRPO, hole=1)
test_equal_rewards_teach_nothing = group_laws.test_equal_rewards_teach_nothing(GRPO, hole=1)
test_a_lone_answer_teaches_nothing = group_laws.test_a_lone_answer_teaches_nothing(GRPO, hole=1)
test_shifting_a_groups_rewards_changes_nothing = group_laws.test_shifting_a_groups_rewards_changes_nothing(GRPO, hole=1)
test_groups_do_not_touch_each_other = group_laws.test_groups_do_not_touch_each_other(GRPO, hole=1)
test_group_numbers_are_names = group_laws.test_group_numbers_are_names(GRPO, hole=1)
test_a_large_group_has_the_same_formula = group_laws.test_a_large_group_has_the_same_formula(GRPO, hole=1)
test_advantages_are_wide_constants = group_laws.test_advantages_are_wide_constants(GRPO, hole=1)


@claim(
    "Only eps knows the unit of the rewards: all rewards and eps times 4 give the same advantages.",
    zh="只有 eps 认得奖励的单位：所有奖励和 eps 一起乘以 4，优势不变。",
)
@hole(1)
@given(case=GRPO.cases())
def test_only_eps_knows_the_unit_of_the_rewards(impl: Any, case: Case) -> None:
    scaled = replace(case.batch, reward=4 * case.batch.reward)
    got = impl(**{**case.rule, "eps": 4 * case.rule["eps"]}).advantages(scaled)
    exact = impl(**case.rule).advantages(case.batch).to(torch.float64)
    dtype = case.batch.log_prob.dtype
    limit = sum_tolerance(dtype, 8, 2.5)
    assert_close(got, exact, dtype=dtype, tolerance=limit, what=Message("the advantages"))


# Surrogate and distance, before the means: one token gives the unit in which the others are measured.


def two_answers(
    dtype: torch.dtype, log_ratio: float, ref_log_ratio: float | None, rewards: tuple[float, float]
) -> GroupBatch:
    """Return two answers of two tokens to one prompt. Only the first token of all has moved, from both policies."""
    log_prob = torch.full((2, 2), -2.0, dtype=dtype)
    old, ref = log_prob.clone(), log_prob.clone()
    old[0, 0] -= log_ratio
    ref[0, 0] += ref_log_ratio or 0.0
    mask, group = torch.ones(2, 2, dtype=torch.bool), torch.zeros(2, dtype=torch.long)
    reference = None if ref_log_ratio is None else ref
    return GroupBatch(log_prob, old, torch.tensor(rewards, dtype=dtype), group, mask, reference)


def check_first_answer(
    impl_rule: Any, batch: GroupBatch, slopes: tuple[float, float], unit: float, dtype: torch.dtype
) -> None:
    """Compare the slopes of the first answer's tokens; a token of the other answer, ``unit``, gives the scale."""
    batch = GRPO.trained(batch)
    (grad,) = GRPO.gradients(impl_rule.loss(batch), batch).values()
    exact = torch.tensor(slopes, dtype=torch.float64) * (grad[1, 1].to(torch.float64) / unit)
    what = Message("the gradient to {name}", name="log_prob")
    limit = sum_tolerance(dtype, 8, max(5.0, *map(abs, slopes)))
    assert_close(grad[0], exact, dtype=dtype, tolerance=limit, what=what)


EIGHTHS = st.integers(-12, 12).map(lambda n: n / 8)
PAIRS = st.sampled_from(((1.0, 0.0), (0.0, 1.0), (-0.5, 1.5), (2.0, -1.0)))


@claim(
    "A token gets -A * ratio, or 0 where the clip binds: A > 0 and the ratio above 1 + clip, or A < 0 and the ratio "
    "below 1 - clip. The other tokens of its answer have ratios of their own.",
    zh="一个词元的梯度与 -A * ratio 成正比；裁剪起作用时为 0：A > 0 且比率高于 1 + clip，或 A < 0 且比率低于 1 - clip。"
    "同一回答的其他词元有各自的比率。",
)
@hole(2)
@given(log_ratio=EIGHTHS, rewards=PAIRS, clip=st.sampled_from(CLIPS), dtype=float_dtypes())
def test_the_clip_stops_only_what_would_leave(
    impl: Any, log_ratio: float, rewards: tuple[float, float], clip: float, dtype: torch.dtype
) -> None:
    up = 1.0 if rewards[0] > rewards[1] else -1.0
    _, slope = group_laws.clipped(up, math.exp(log_ratio), 1 - clip, 1 + clip)
    batch = two_answers(dtype, log_ratio, None, rewards)
    check_first_answer(impl(clip=clip, kl_coef=0.0), batch, (slope, -up), up, dtype)


@claim(
    "The reference pulls each token back by 1 - exp(log pi_ref - log pi), in the unit in which an advantage of 1 "
    "pushes; without a reference nothing pulls.",
    zh="参考策略把每个词元拉回：以优势 1 的推力为单位，拉力是 1 - exp(log pi_ref - log pi)；没有参考策略就没有拉力。",
)
@hole(3)
@given(ref_log_ratio=st.one_of(st.none(), EIGHTHS, st.sampled_from((-9.0, 4.0, 6.0))), dtype=float_dtypes())
def test_the_reference_pulls_the_policy_back(impl: Any, ref_log_ratio: float | None, dtype: torch.dtype) -> None:
    push = 0.5 / (math.sqrt(0.5) + 0.125)  # the advantage of the better of two answers with rewards 1 and 0
    pull = 0.0 if ref_log_ratio is None else 1 - math.exp(ref_log_ratio)
    rule = impl(clip=0.2, kl_coef=1.0, eps=0.125)
    rule.loss(two_answers(dtype, 0.5, 0.5, (1.0, 0.0)))  # its reference must not be remembered
    batch = two_answers(dtype, 0.0, ref_log_ratio, (1.0, 0.0))
    check_first_answer(rule, batch, (pull - push, -push), push, dtype)


# Means over tokens.

test_loss_is_the_weighted_sum_over_tokens = group_laws.test_loss_is_the_weighted_sum_over_tokens(
    GRPO,
    hole=4,
    claim={
        "en": "The loss is a mean over tokens of the clipped surrogate plus kl_coef times k3: over each answer first "
        "and then over the answers, or over all tokens at once.",
        "zh": "损失是裁剪后的代理损失加 kl_coef 乘 k3 的平均："
        "先在每段回答内平均、再对回答平均，或者对所有词元一次平均。",
    },
)
test_each_token_gets_its_slope = group_laws.test_each_token_gets_its_slope(
    GRPO,
    hole=4,
    points=2,
    claim={
        "en": "Each token gets the slope of its surrogate and of its k3, divided by the number of answers times its "
        "answer's length, or by the number of all tokens; padding gets none.",
        "zh": "每个词元得到代理损失与 k3 的斜率，除以回答数与所属回答长度的乘积，"
        "或除以所有词元的个数；填充得不到梯度。",
    },
)
test_at_the_old_policy_it_is_the_policy_gradient = group_laws.test_at_the_old_policy_it_is_the_policy_gradient(
    GRPO, hole=4
)
test_metrics_are_those_of_the_tokens = group_laws.test_metrics_are_those_of_the_tokens(
    GRPO,
    hole=4,
    claim={
        "en": "policy_loss and kl are averaged as the loss is; clip_fraction is the share of all real tokens whose "
        "ratio is further than clip from 1, on either side.",
        "zh": "policy_loss 和 kl 与损失用同样的平均；clip_fraction 是比率偏离 1 超过 clip 的真实词元的比例，两侧都算。",
    },
)


@claim(
    "An answer without tokens adds nothing to the sum, but counts among the answers, and its reward counts in its "
    "group.",
    zh="没有词元的回答不给总和添加任何东西，但仍算一段回答，它的奖励也计入所在的组。",
)
@hole(4)
@given(case=GRPO.cases(aggregation="sequence"))
def test_an_empty_answer_counts_as_an_answer(impl: Any, case: Case) -> None:
    mask = case.batch.mask.clone()
    mask[0] = False
    batch = replace(case.batch, mask=mask)
    answers = group_laws.answers_of(batch)
    scores = group_laws.slow_advantages(GRPO, case.rule, answers)
    means = [
        math.fsum(term.policy for term in terms(case.rule, answer, score)) / max(len(answer.log_prob), 1)
        for answer, score in zip(answers, scores, strict=True)
    ]
    exact = torch.tensor(math.fsum(means) / len(means), dtype=torch.float64)
    GRPO.check(impl(**case.rule).loss(batch), "policy_loss", exact, batch)


test_answers_may_stand_in_any_order = group_laws.test_answers_may_stand_in_any_order(GRPO, hole=4)
test_padding_changes_nothing = laws.test_padding_changes_nothing(GRPO, hole=4)
test_padding_alone_gives_zero = laws.test_padding_alone_gives_zero(GRPO, hole=4)
test_padding_may_hold_any_finite_number = group_laws.test_padding_may_hold_any_finite_number(GRPO, hole=4)
test_what_moved_far_counts_in_full = group_laws.test_what_moved_far_counts_in_full(GRPO, hole=4)
test_a_constant_gets_no_gradient = laws.test_a_constant_gets_no_gradient(
    GRPO,
    hole=4,
    claim={
        "en": "Old policy, reference and rewards get no gradient, even where they come with a graph.",
        "zh": "旧策略、参考策略和奖励都得不到梯度，即使它们带着计算图。",
    },
)
test_metrics_are_detached_scalars = laws.test_metrics_are_detached_scalars(GRPO, hole=4)
test_bfloat16_is_cast_up = group_laws.test_bfloat16_is_cast_up(GRPO)
test_long_answers_are_counted_in_full = group_laws.test_long_answers_are_counted_in_full(GRPO)
test_loss_equals_the_reference_whatever_came_before = laws.test_loss_equals_the_reference_whatever_came_before(GRPO)
