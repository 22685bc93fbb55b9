"""Properties of every right implementation of SimPO."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import PreferenceBatch
from groundup.core.messages import Message
from groundup.core.testing import (
    about,
    assert_close,
    assert_equal,
    claim,
    float_dtypes,
    gradient,
    hole,
    sum_tolerance,
    tensors,
)
from groundup.core.testing.laws import preferences as pair_laws
from groundup.core.testing.laws import rl as laws

# No beta is 1, and no gamma is a beta, 0 or the gamma of another entry times its beta. None is a default.
RULES = [{"beta": beta, "gamma": gamma} for beta, gamma in ((0.5, 0.25), (1.5, 0.75), (3.0, 1.25), (0.75, 2.0))]
LARGEST = 13.5  # the largest beta times the largest mean log-probability, 4.5 nats; means differ by 4 nats at most
SHAPES = ((1, 1), (1, 4), (2, 3), (3, 2))

Case = laws.Case[PreferenceBatch]
Pair = pair_laws.Pair
Rule = Mapping[str, Any]


def rewards(rule: Rule, pair: Pair) -> tuple[float, float]:
    """Return beta times the mean log-probability of either answer, 0 without tokens."""
    chosen, rejected = (rule["beta"] * laws.mean(side) for side in (pair.chosen, pair.rejected))
    return chosen, rejected


def cost(rule: Rule, pair: Pair) -> float:
    chosen, rejected = rewards(rule, pair)
    return pair_laws.softplus(rule["gamma"] - (chosen - rejected))


def slopes(rule: Rule, pair: Pair) -> tuple[float, float]:
    chosen, rejected = rewards(rule, pair)
    weight = rule["beta"] * pair_laws.sigmoid(rule["gamma"] - (chosen - rejected))
    return -weight / max(len(pair.chosen), 1), weight / max(len(pair.rejected), 1)


SIMPO = pair_laws.Setting(
    batches=pair_laws.pairs(reference=False),
    sizes=dict.fromkeys(("loss", "chosen_reward", "rejected_reward", "margin"), LARGEST) | {"accuracy": 1.0},
    slope=3.0,
    rules=RULES,
    another={"beta": 5.0, "gamma": 0.125},
    cost=cost,
    slopes=slopes,
    rewards=rewards,
)


# Hole 1: the reward of an answer.

ANSWERS = float_dtypes().flatmap(lambda dtype: st.sampled_from(SHAPES).flatmap(lambda shape: answers(shape, dtype)))
BETAS = st.sampled_from((0.5, 0.75, 1.5, 3.0))


def answers(shape: tuple[int, int], dtype: torch.dtype) -> st.SearchStrategy[tuple[Tensor, Tensor]]:
    """Draw log-probabilities from -4.5 to -0.5 and a mask, True somewhere in each row."""

    def made(drawn: Tensor) -> tuple[Tensor, Tensor]:
        mask = drawn[1] < 1
        mask[:, 0] |= ~mask.any(1)
        return drawn[0] - 2.5, mask

    return tensors((2, *shape), dtype=dtype).map(made)


def check_reward(got: Any, expected: Tensor, dtype: torch.dtype, terms: int = 4) -> None:
    limit = sum_tolerance(dtype, terms, LARGEST)
    assert_close(got, expected, dtype=dtype, tolerance=limit, what=Message("the reward"))


@claim(
    "The reward of an answer is beta times the mean log-probability of its tokens.",
    zh="回答的奖励是 beta 乘以它各词元对数概率的平均。",
)
@hole(1)
@given(drawn=ANSWERS, beta=BETAS)
def test_the_reward_is_the_mean_log_probability(impl: Any, drawn: tuple[Tensor, Tensor], beta: float) -> None:
    log_prob, mask = drawn
    exact = [beta * laws.mean(row[real].tolist()) for row, real in zip(log_prob, mask, strict=True)]
    got = impl(beta=beta, gamma=0.25).reward(log_prob, mask)
    check_reward(got, torch.tensor(exact, dtype=torch.float64), log_prob.dtype)


@claim(
    "A longer answer of the same mean log-probability has the same reward.",
    zh="平均对数概率相同时，更长的回答得到同样的奖励。",
)
@hole(1)
@given(drawn=ANSWERS, beta=BETAS, times=st.integers(2, 4))
def test_length_alone_earns_nothing(impl: Any, drawn: tuple[Tensor, Tensor], beta: float, times: int) -> None:
    log_prob, mask = drawn
    rule = impl(beta=beta, gamma=0.25)
    short, long = rule.reward(log_prob, mask), rule.reward(log_prob.repeat(1, times), mask.repeat(1, times))
    check_reward(long, short, log_prob.dtype, terms=16)


@claim(
    "Whatever stands outside the mask is no part of the reward, and gets no gradient.",
    zh="掩码之外无论是什么都不属于奖励，也得不到梯度。",
)
@hole(1)
@given(drawn=ANSWERS, beta=BETAS, noise=tensors((1,), low=-30.0, high=-8.0))
def test_what_is_masked_is_not_in_the_reward(
    impl: Any, drawn: tuple[Tensor, Tensor], beta: float, noise: Tensor
) -> None:
    log_prob, mask = drawn
    other = torch.where(mask, log_prob, noise.to(log_prob.dtype)).requires_grad_()
    rule = impl(beta=beta, gamma=0.25)
    got = rule.reward(other, mask)
    check_reward(got, rule.reward(log_prob, mask), log_prob.dtype)
    (grad,) = gradient(got.sum(), [other])
    assert_equal(grad[~mask], torch.zeros_like(grad[~mask]), what=Message("the gradient on padding"))


@claim(
    "Each token moves the reward of its answer by beta over the number of tokens, and that of no other answer.",
    zh="每个词元对本回答奖励的影响是 beta 除以词元数，对别的回答没有影响。",
)
@hole(1)
@given(drawn=ANSWERS, beta=BETAS)
def test_tokens_share_the_gradient_of_their_answer(impl: Any, drawn: tuple[Tensor, Tensor], beta: float) -> None:
    log_prob, mask = drawn
    log_prob = log_prob.clone().requires_grad_()
    weights = torch.tensor([1.0, -2.0, 4.0], dtype=log_prob.dtype)[: len(mask)]
    (grad,) = gradient((impl(beta=beta, gamma=0.25).reward(log_prob, mask) * weights).sum(), [log_prob])
    exact = torch.where(mask, beta * weights[:, None].double() / mask.sum(1, keepdim=True), 0)
    limit = sum_tolerance(log_prob.dtype, 4, 12.0)
    assert_close(grad, exact, dtype=log_prob.dtype, tolerance=limit, what=Message("the gradient to log_prob"))


@claim(
    "An answer without tokens has a reward of 0 and a gradient of 0, not NaN; those beside it keep theirs.",
    zh="没有词元的回答奖励为 0、梯度为 0，而不是 NaN；旁边的回答不受影响。",
)
@hole(1)
@given(drawn=ANSWERS, beta=BETAS, wide=st.booleans())
def test_no_tokens_no_reward(impl: Any, drawn: tuple[Tensor, Tensor], beta: float, wide: bool) -> None:
    log_prob, mask = drawn
    empty = torch.zeros_like(log_prob[:1])
    both = torch.cat([empty, log_prob]) if wide else empty
    real = torch.cat([torch.zeros_like(mask[:1]), mask]) if wide else torch.zeros_like(mask[:1])
    both = both.requires_grad_()
    rule = impl(beta=beta, gamma=0.25)
    got = rule.reward(both, real)
    assert_equal(got[0], torch.zeros_like(got[0]), what=Message("the reward of an answer without tokens"))
    (grad,) = gradient(got.sum(), [both])
    assert_equal(grad[~real], torch.zeros_like(grad[~real]), what=Message("the gradient on padding"))
    if wide:
        check_reward(got[1:], rule.reward(log_prob, mask), log_prob.dtype)


@claim(
    "A long answer in bfloat16 or float16 has the float32 reward of the same numbers in float32.",
    zh="bfloat16 或 float16 的长回答，奖励是 float32，且与同样的数以 float32 给出时相同。",
)
@hole(1)
@about("dtype")
@given(
    length=st.sampled_from((60, 300, 1000)),
    dtype=st.sampled_from((torch.bfloat16, torch.float16)),
    tail=st.sampled_from((-0.5, -1.25, -3.0)),
)
def test_long_answers_are_added_up_in_float32(impl: Any, length: int, dtype: torch.dtype, tail: float) -> None:
    log_prob = torch.full((1, length), -2.0, dtype=dtype)
    log_prob[:, ::3] = tail
    rule, mask = impl(beta=0.75, gamma=0.25), torch.ones_like(log_prob, dtype=torch.bool)
    got, expected = rule.reward(log_prob, mask), rule.reward(log_prob.float(), mask)
    limit = sum_tolerance(torch.float32, 16, 3.0)
    assert_close(got, expected.double(), dtype=torch.float32, tolerance=limit, what=Message("the reward"))


@claim(
    "A long answer keeps its mean, though its probability is smaller than any float.",
    zh="长回答的平均值不受影响，尽管它的概率小于任何浮点数能表示的值。",
)
@hole(1)
@given(length=st.sampled_from((300, 500)), dtype=float_dtypes(), beta=BETAS)
def test_the_probability_of_a_long_answer_is_never_formed(
    impl: Any, length: int, dtype: torch.dtype, beta: float
) -> None:
    log_prob = torch.full((1, length), -3.0, dtype=dtype)
    got = impl(beta=beta, gamma=0.25).reward(log_prob, torch.ones_like(log_prob, dtype=torch.bool))
    check_reward(got, torch.tensor([-3.0 * beta], dtype=torch.float64), dtype, terms=16)


@claim(
    "In float64 a billionth of a nat a token still shows in the reward.",
    zh="float64 时，每个词元十亿分之一 nat 的差别也会反映在奖励里。",
)
@hole(1)
@given(shape=st.sampled_from(SHAPES), beta=BETAS, level=st.sampled_from((-0.5, -1.25, -3.0)))
def test_float64_is_not_rounded(impl: Any, shape: tuple[int, int], beta: float, level: float) -> None:
    log_prob, mask = torch.full(shape, level, dtype=torch.float64), torch.ones(shape, dtype=torch.bool)
    rule = impl(beta=beta, gamma=0.25)
    rise = rule.reward(log_prob + 2.0**-30, mask) - rule.reward(log_prob, mask)
    exact = torch.full(shape[:1], beta * 2.0**-30, dtype=torch.float64)
    limit = sum_tolerance(torch.float64, 8, LARGEST)
    assert_close(rise, exact, dtype=torch.float64, tolerance=limit, what=Message("how much the reward rises"))


# Hole 2: the loss of a pair.


@claim(
    "Two answers of equal reward cost log(1 + exp(gamma)), whatever beta is.",
    zh="两个回答奖励相等时，代价是 log(1 + exp(gamma))，与 beta 无关。",
)
@hole(2)
@given(case=SIMPO.cases(), times=st.integers(1, 3))
def test_equal_rewards_still_cost_the_margin(impl: Any, case: Case, times: int) -> None:
    log_prob, mask = case.batch.chosen_log_prob, case.batch.chosen_mask
    twin = PreferenceBatch(log_prob, log_prob.repeat(1, times), mask, mask.repeat(1, times))
    exact = pair_laws.softplus(case.rule["gamma"])
    SIMPO.check(impl(**case.rule).loss(twin), "loss", torch.tensor(exact, dtype=torch.float64), twin)


@claim(
    "gamma moves the boundary: a chosen answer that is better by gamma / beta nats a token makes up for it, in loss "
    "and gradient.",
    zh="gamma 移动边界：优选回答每个词元好 gamma / beta nat，损失和梯度就与 gamma 为 0 时相同。",
)
@hole(2)
@given(case=SIMPO.cases())
def test_gamma_moves_the_boundary(impl: Any, case: Case) -> None:
    batch = SIMPO.trained(case.batch)
    raised = SIMPO.trained(
        replace(case.batch, chosen_log_prob=case.batch.chosen_log_prob + case.rule["gamma"] / case.rule["beta"])
    )
    expected, got = impl(beta=case.rule["beta"], gamma=0.0).loss(batch), impl(**case.rule).loss(raised)
    SIMPO.check(got, "loss", expected.loss.detach(), batch)
    SIMPO.check_same_gradients(SIMPO.gradients(got, raised), SIMPO.gradients(expected, batch), batch)


@claim(
    "The batch needs no reference, and what it holds of one changes nothing.",
    zh="批不需要参考策略；即使带着，也不影响任何结果。",
)
@hole(2)
@given(case=SIMPO.cases(), noise=tensors((1,), low=-3.0, high=-0.5))
def test_no_reference_is_used(impl: Any, case: Case, noise: Tensor) -> None:
    with_one = replace(
        case.batch,
        ref_chosen_log_prob=case.batch.chosen_log_prob + noise.to(case.batch.chosen_log_prob.dtype),
        ref_rejected_log_prob=case.batch.rejected_log_prob.flip(0),
    )
    expected, got = impl(**case.rule).loss(case.batch), impl(**case.rule).loss(with_one)
    SIMPO.check_same(got, expected, case.batch)


@claim(
    "A rejected answer with a token of probability 0 costs nothing and has a gradient of 0, not NaN; the other pairs "
    "keep theirs.",
    zh="劣选回答含有概率为 0 的词元时，该对代价为 0、梯度为 0，而不是 NaN；其他对不受影响。",
)
@hole(2)
@given(case=SIMPO.cases(), beside=st.booleans())
def test_an_impossible_rejected_answer_costs_nothing(impl: Any, case: Case, beside: bool) -> None:
    rejected = case.batch.rejected_log_prob.clone()
    rejected[0, case.batch.rejected_mask[0].int().argmax()] = -math.inf
    rows = torch.arange(len(rejected) if beside else 1)
    batch = SIMPO.trained(laws.changed(replace(case.batch, rejected_log_prob=rejected), lambda _, tensor: tensor[rows]))
    got, pairs = impl(**case.rule).loss(batch), pair_laws.pairs_of(batch)
    costs = [cost(case.rule, pair) for pair in pairs[1:]]
    SIMPO.check(got, "loss", torch.tensor(math.fsum(costs) / len(pairs), dtype=torch.float64), batch)
    expected = [(0.0, 0.0), *(slopes(case.rule, pair) for pair in pairs[1:])]
    by_side = torch.tensor(expected, dtype=torch.float64).T.unsqueeze(-1) / len(pairs)  # (2, B, 1)
    for (name, grad), slope in zip(SIMPO.gradients(got, batch).items(), by_side, strict=True):
        mask = batch.chosen_mask if name == "chosen_log_prob" else batch.rejected_mask
        what, limit = Message("the gradient to {name}", name=name), SIMPO.tolerance("gradient", batch)
        assert_close(grad, torch.where(mask, slope, 0), dtype=grad.dtype, tolerance=limit, what=what)


# What holds of every rule over pairs, and of every learning rule.

test_loss_is_the_mean_over_pairs = pair_laws.test_loss_is_the_mean_over_pairs(SIMPO, hole=2)
test_each_token_gets_the_slope_of_its_pair = pair_laws.test_each_token_gets_the_slope_of_its_pair(SIMPO, hole=2)
test_an_empty_answer_has_log_probability_zero = pair_laws.test_an_empty_answer_has_log_probability_zero(SIMPO, hole=2)
test_extreme_pairs_stay_finite = pair_laws.test_extreme_pairs_stay_finite(SIMPO, hole=2)
test_long_answers_do_not_underflow = pair_laws.test_long_answers_do_not_underflow(SIMPO, hole=2)
test_padding_changes_nothing = laws.test_padding_changes_nothing(SIMPO, hole=2)
test_rewards_are_reported = pair_laws.test_rewards_are_reported(SIMPO, hole=3)
test_bfloat16_is_cast_up = pair_laws.test_bfloat16_is_cast_up(SIMPO)
test_metrics_are_detached_scalars = laws.test_metrics_are_detached_scalars(SIMPO)
test_loss_equals_the_reference_whatever_came_before = laws.test_loss_equals_the_reference_whatever_came_before(SIMPO)
