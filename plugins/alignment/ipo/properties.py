"""Properties of every right implementation of the IPO loss."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.interfaces.rl import PreferenceBatch
from groundup.core.messages import Message
from groundup.core.testing import Tolerance, assert_close, claim, float_dtypes, hole, sum_tolerance
from groundup.core.testing.laws import preferences as pair_laws
from groundup.core.testing.laws import rl as laws

Case = laws.Case[PreferenceBatch]

BETAS = (0.125, 0.25, 0.75)  # targets of 4, 2 and 2/3 nats


def answers(pair: pair_laws.Pair) -> tuple[float, float]:
    """Return the two log-ratios, each a sum of differences."""
    both = ((pair.chosen, pair.ref_chosen), (pair.rejected, pair.ref_rejected))
    chosen, rejected = (math.fsum(map(operator.sub, now, ref)) for now, ref in both)
    return chosen, rejected


def missing(rule: Mapping[str, Any], pair: pair_laws.Pair) -> float:
    """Return how far the difference of the log-ratios is above its target."""
    chosen, rejected = answers(pair)
    return chosen - rejected - 0.5 / float(rule["beta"])


IPO = pair_laws.Setting(
    batches=pair_laws.pairs(),
    sizes={"loss": 64.0, "chosen_reward": 2.0, "rejected_reward": 2.0, "margin": 3.0, "accuracy": 1.0},
    slope=16.0,
    rules=[{"beta": beta} for beta in BETAS],
    another={"beta": 2.0},
    constants=pair_laws.REFERENCE,
    cost=lambda rule, pair: missing(rule, pair) ** 2,
    slopes=lambda rule, pair: (2 * missing(rule, pair), -2 * missing(rule, pair)),
    rewards=lambda rule, pair: (rule["beta"] * answers(pair)[0], rule["beta"] * answers(pair)[1]),
    swap_costs=lambda rule, margin: 2 * margin / rule["beta"] ** 2,
)


# The log-ratios of whole answers.


@claim(
    "An answer's log-ratio is the sum over its tokens of log pi - log pi_ref, not their mean, in float32 or wider: "
    "long "
    "answers and bfloat16 are as exact as that.",
    zh="一段回答的对数比率，是其各词元 log pi - log pi_ref 之和，而不是平均，按 float32 或更高精度计算：长回答和 "
    "bfloat16 也是如此。",
)
@hole(1)
@given(
    lengths=st.sampled_from(((1, 3), (2, 1), (300, 700), (500, 250))),
    steps=st.tuples(st.integers(-4, 4), st.integers(-4, 4)),
    dtype=st.sampled_from((torch.bfloat16, torch.float32, torch.float64)),
)
def test_a_log_ratio_is_the_sum_over_the_tokens(
    impl: Any, lengths: tuple[int, int], steps: tuple[int, int], dtype: torch.dtype
) -> None:
    batch = uniform(lengths, steps, -2.7, 30.0, dtype)
    wide, (pair,) = torch.promote_types(dtype, torch.float32), pair_laws.pairs_of(batch)
    limit = sum_tolerance(wide, max(lengths), 4.0)  # a sum of one policy's log-probabilities may be rounded, too
    for got, exact in zip(impl().log_ratios(batch), answers(pair), strict=True):
        expected, what = torch.tensor([exact], dtype=torch.float64), Message("the log-ratio of an answer")
        assert_close(got, expected, dtype=wide, tolerance=limit, what=what)


test_padding_changes_nothing = laws.test_padding_changes_nothing(IPO, hole=1)
test_the_place_of_a_token_does_not_matter = pair_laws.test_the_place_of_a_token_does_not_matter(IPO, hole=1)
test_a_common_shift_changes_nothing = pair_laws.test_a_common_shift_changes_nothing(IPO, hole=1)
test_a_constant_gets_no_gradient = laws.test_a_constant_gets_no_gradient(
    IPO,
    hole=1,
    claim={
        "en": "The reference is a constant: it gets no gradient, even where it comes with a graph.",
        "zh": "参考策略是常数：即使它带着计算图，也得不到梯度。",
    },
)


# The loss.


@claim(
    "The minimum is where the log-ratios differ by exactly 1 / (2 beta): the loss and the gradient are 0 there, and on "
    "both sides the gradient, 2 (h - target) for each token, leads back to it.",
    zh="最小值恰好在对数比率相差 1 / (2 beta) 处：该处损失和梯度都是 0，两侧每个词元的梯度 2 (h - 目标) 都指回这里。",
)
@hole(2)
@given(
    beta=st.sampled_from(BETAS[:2]),  # whose targets are exact in every dtype
    lengths=st.sampled_from(((1, 2), (2, 1), (4, 2))),
    away=st.sampled_from((-6.0, -0.5, 0.0, 0.5, 6.0)),
    dtype=float_dtypes(),
)
def test_the_target_is_reached_from_both_sides(
    impl: Any, beta: float, lengths: tuple[int, int], away: float, dtype: torch.dtype
) -> None:
    batch = IPO.trained(apart(1 / (2 * beta) + away, lengths, dtype))
    got = impl(beta=beta).loss(batch)
    exact, limit = torch.tensor(away**2, dtype=torch.float64), sum_tolerance(dtype, 4, 10.0)
    assert_close(got.loss, exact, dtype=dtype, tolerance=limit, what=Message("the loss"))
    slopes = {"chosen_log_prob": 2 * away, "rejected_log_prob": -2 * away}
    for name, grad in IPO.gradients(got, batch).items():
        what = Message("the gradient to {name}", name=name)
        assert_close(grad, torch.full_like(grad, slopes[name]), dtype=dtype, tolerance=limit, what=what)


@claim(
    "A pair that people order one way k times of n has its minimum at (2 k / n - 1) / (2 beta): the target is the full "
    "distance only where all agree.",
    zh="一对回答在 n 次标注中有 k 次是同一顺序时，最小值在 (2 k / n - 1) / (2 beta)：只有所有人都一致，"
    "目标才是完整的距离。",
)
@hole(2)
@given(
    beta=st.sampled_from(BETAS[:2]),
    votes=st.sampled_from(((1, 1), (2, 2), (1, 2), (3, 4), (1, 4), (0, 2))),
    dtype=float_dtypes(),
)
def test_divided_votes_shrink_the_target(impl: Any, beta: float, votes: tuple[int, int], dtype: torch.dtype) -> None:
    agreed, count = votes
    one = apart((2 * agreed / count - 1) / (2 * beta), (2, 2), dtype)
    turned = PreferenceBatch(
        one.rejected_log_prob,
        one.chosen_log_prob,
        one.rejected_mask,
        one.chosen_mask,
        one.ref_rejected_log_prob,
        one.ref_chosen_log_prob,
    )
    voted = [one] * agreed + [turned] * (count - agreed)
    fields = {name: torch.cat([getattr(vote, name) for vote in voted]) for name in laws.tensors_of(one)}
    batch = IPO.trained(PreferenceBatch(**fields))
    found = IPO.gradients(impl(beta=beta).loss(batch), batch)
    for_it, against = found["chosen_log_prob"], found["rejected_log_prob"]
    total = for_it[:agreed].sum(0) + against[agreed:].sum(0)  # of the answer that is chosen in the first votes
    limit, what = sum_tolerance(dtype, 4, 16.0), Message("the gradient to the answer, over all votes")
    assert_close(total, torch.zeros_like(total), dtype=dtype, tolerance=limit, what=what)


@claim(
    "Near a distant target the loss is as exact as the difference is: it is computed as a square of a difference, not "
    "as a sum of three large terms.",
    zh="目标很远时，在它附近损失与差值一样精确：应当先求差再平方，而不是把三个大数相加。",
)
@hole(2)
@given(
    power=st.sampled_from((10, 11, 12)),
    away=st.sampled_from((-0.25, -0.125, 0.125, 0.25)),
    dtype=float_dtypes(),
)
def test_the_square_is_of_the_difference(impl: Any, power: int, away: float, dtype: torch.dtype) -> None:
    beta = 2.0**-power  # a target of 512 to 2,048 nats
    batch = apart(1 / (2 * beta) + away, (1, 1), dtype)
    exact, limit = torch.tensor(away**2, dtype=torch.float64), Tolerance(rtol=1e-5, atol=0.0)
    assert_close(impl(beta=beta).loss(batch).loss, exact, dtype=dtype, tolerance=limit, what=Message("the loss"))


@claim(
    "Long answers in bfloat16 cost what their log-ratios say in float32: neither these nor their difference is rounded "
    "to bfloat16 again.",
    zh="bfloat16 的长回答，其代价由 float32 的对数比率决定：对数比率和它们的差值都不会再舍入成 bfloat16。",
)
@hole(2)
@given(
    lengths=st.sampled_from(((300, 700), (500, 250), (700, 40))),
    steps=st.sampled_from(((4, -3), (-4, 4), (3, -1), (-2, 3))),
    beta=st.sampled_from(BETAS),
)
def test_the_difference_keeps_its_digits(
    impl: Any, lengths: tuple[int, int], steps: tuple[int, int], beta: float
) -> None:
    batch = uniform(lengths, steps, -2.7, 30.0, torch.bfloat16)
    (pair,) = pair_laws.pairs_of(batch)
    exact = torch.tensor(missing({"beta": beta}, pair) ** 2, dtype=torch.float64)
    got, limit = impl(beta=beta).loss(batch).loss, Tolerance(rtol=2e-4, atol=1e-3)
    assert_close(got, exact, dtype=torch.float32, tolerance=limit, what=Message("the loss"))


test_loss_is_the_mean_over_pairs = pair_laws.test_loss_is_the_mean_over_pairs(
    IPO,
    hole=2,
    claim={
        "en": "The loss is the mean over the pairs of (h - 1 / (2 beta))^2, where h is the difference of the "
        "log-ratios.",
        "zh": "损失是 (h - 1 / (2 beta))^2 对所有对的平均，其中 h 是对数比率之差。",
    },
)
test_each_token_gets_the_slope_of_its_pair = pair_laws.test_each_token_gets_the_slope_of_its_pair(
    IPO,
    hole=2,
    points=2,
    claim={
        "en": "Each chosen token gets 2 (h - 1 / (2 beta)) / B, and each rejected token the opposite: before the "
        "target "
        "the pair is pulled apart, behind it together.",
        "zh": "每个优选词元的梯度是 2 (h - 1 / (2 beta)) / B，劣选词元的梯度相反：未到目标时把这一对拉开，"
        "过了目标则拉回。",
    },
)
test_an_empty_answer_has_log_probability_zero = pair_laws.test_an_empty_answer_has_log_probability_zero(IPO, hole=2)
test_extreme_pairs_stay_finite = pair_laws.test_extreme_pairs_stay_finite(
    IPO,
    hole=2,
    claim={
        "en": "A pair that is thousands of nats from its target costs the square of that, and its gradient is not "
        "bounded.",
        "zh": "一对与目标相差几千 nat 时，代价就是它的平方，梯度没有上限。",
    },
)


# What is reported.

test_rewards_are_reported = pair_laws.test_rewards_are_reported(IPO, hole=3)
test_swapping_the_answers_swaps_what_is_reported = pair_laws.test_swapping_the_answers_swaps_what_is_reported(
    IPO,
    hole=3,
    claim={
        "en": "Exchanging the answers exchanges their rewards, turns the sign of the margin, makes each success a "
        "failure, "
        "and costs 2 margin / beta^2.",
        "zh": "互换两段回答，奖励随之互换，margin 变号，成功变成失败，损失增加 2 margin / beta^2。",
    },
)
test_metrics_are_detached_scalars = laws.test_metrics_are_detached_scalars(IPO, hole=3)
test_bfloat16_is_cast_up = pair_laws.test_bfloat16_is_cast_up(IPO)
test_loss_equals_the_reference_whatever_came_before = laws.test_loss_equals_the_reference_whatever_came_before(IPO)


def uniform(
    lengths: tuple[int, int], steps: tuple[int, int], log_prob: float, parts: float, dtype: torch.dtype
) -> PreferenceBatch:
    """Return one pair whose tokens are all alike, ``steps`` / ``parts`` nats likelier than under the reference."""
    chosen, rejected = (torch.full((1, length), log_prob, dtype=dtype) for length in lengths)
    real, also_real = (torch.ones((1, length), dtype=torch.bool) for length in lengths)
    now = (chosen + steps[0] / parts, rejected + steps[1] / parts)
    return PreferenceBatch(now[0], now[1], real, also_real, chosen, rejected)


def apart(difference: float, lengths: tuple[int, int], dtype: torch.dtype) -> PreferenceBatch:
    """Return one pair of these lengths, powers of 2, whose log-ratios differ by ``difference``; all is exact."""
    batch = uniform(lengths, (0, 0), -1.0, 1.0, dtype)
    return replace(batch, ref_chosen_log_prob=batch.chosen_log_prob - difference / lengths[0])
