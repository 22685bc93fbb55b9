"""Properties of every right implementation of the DPO loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.interfaces.rl import PreferenceBatch
from groundup.core.messages import Message
from groundup.core.testing import assert_close, claim, float_dtypes, hole, sum_tolerance
from groundup.core.testing.laws import preferences as pair_laws
from groundup.core.testing.laws import rl as laws
from groundup.core.testing.laws.preferences import Pair, sigmoid, softplus

Case = laws.Case[PreferenceBatch]
Rule = Mapping[str, Any]

BETAS, SMOOTHINGS = (0.125, 0.5, 0.75), (0.0, 0.125, 0.375)


def log_ratios(pair: Pair) -> tuple[float, float]:
    """Return the log-ratio of each answer, one token after the other."""
    chosen = math.fsum(now - ref for now, ref in zip(pair.chosen, pair.ref_chosen, strict=True))
    rejected = math.fsum(now - ref for now, ref in zip(pair.rejected, pair.ref_rejected, strict=True))
    return chosen, rejected


def rewards(rule: Rule, pair: Pair) -> tuple[float, float]:
    chosen, rejected = log_ratios(pair)
    return rule["beta"] * chosen, rule["beta"] * rejected


def cost(rule: Rule, pair: Pair) -> float:
    chosen, rejected = rewards(rule, pair)
    wrong: float = rule["label_smoothing"]
    return (1 - wrong) * softplus(rejected - chosen) + wrong * softplus(chosen - rejected)


def slopes(rule: Rule, pair: Pair) -> tuple[float, float]:
    chosen, rejected = rewards(rule, pair)
    weight = rule["beta"] * (sigmoid(rejected - chosen) - rule["label_smoothing"])
    return -weight, weight


DPO = pair_laws.Setting(
    batches=pair_laws.pairs(),
    sizes={"loss": 8.0, "chosen_reward": 4.0, "rejected_reward": 4.0, "margin": 8.0, "accuracy": 1.0},
    slope=1.0,
    rules=[{"beta": beta, "label_smoothing": wrong} for beta, wrong in product(BETAS, SMOOTHINGS)],
    another={"beta": 2.0, "label_smoothing": 0.25},
    constants=pair_laws.REFERENCE,
    cost=cost,
    slopes=slopes,
    rewards=rewards,
    swap_costs=lambda rule, margin: (1 - 2 * float(rule["label_smoothing"])) * margin,
)


# The log-ratios of whole answers.


@claim(
    "An answer's log-ratio is the sum over its tokens of log pi - log pi_ref.",
    zh="一段回答的对数比率，是其各词元 log pi - log pi_ref 之和。",
)
@hole(1)
@given(case=DPO.cases())
def test_a_log_ratio_is_the_sum_over_the_tokens(impl: Any, case: Case) -> None:
    batch = case.batch
    slow = torch.tensor([log_ratios(pair) for pair in pair_laws.pairs_of(batch)], dtype=torch.float64)
    names = (Message("the log-ratios of the chosen answers"), Message("the log-ratios of the rejected answers"))
    dtype = batch.chosen_log_prob.dtype
    for got, exact, what in zip(impl(**case.rule).log_ratios(batch), slow.T, names, strict=True):
        assert_close(got, exact, dtype=dtype, tolerance=sum_tolerance(dtype, 4, 0.5), what=what)


@claim(
    "The log-ratio of an answer of hundreds of tokens is as exact as a sum in float32 or wider: probabilities are not "
    "multiplied, and bfloat16 is cast to float32 first.",
    zh="几百个词元的回答，其对数比率与 float32 或更高精度的求和一样精确：从不把概率相乘，bfloat16 先转成 float32。",
)
@hole(1)
@given(
    lengths=st.permutations((300, 700)),
    steps=st.tuples(st.integers(-4, 4), st.integers(-4, 4)),
    dtype=st.sampled_from((torch.bfloat16, torch.float32, torch.float64)),
)
def test_long_answers_are_summed_as_logarithms(
    impl: Any, lengths: list[int], steps: tuple[int, int], dtype: torch.dtype
) -> None:
    refs = [torch.full((1, length), -3.1, dtype=dtype) for length in lengths]
    now = [ref + step / 30 for ref, step in zip(refs, steps, strict=True)]
    real, also_real = (torch.ones_like(ref, dtype=torch.bool) for ref in refs)
    batch = PreferenceBatch(now[0], now[1], real, also_real, refs[0], refs[1])
    (pair,), wide = pair_laws.pairs_of(batch), torch.promote_types(dtype, torch.float32)
    limit = sum_tolerance(wide, 700, 4.0)  # each sum of one policy's log-probabilities may be rounded, too
    for got, exact in zip(impl().log_ratios(batch), log_ratios(pair), strict=True):
        what = Message("the log-ratio of a long answer")
        assert_close(got, torch.tensor([exact], dtype=torch.float64), dtype=wide, tolerance=limit, what=what)


test_padding_changes_nothing = laws.test_padding_changes_nothing(DPO, hole=1)
test_the_place_of_a_token_does_not_matter = pair_laws.test_the_place_of_a_token_does_not_matter(DPO, hole=1)
test_a_common_shift_changes_nothing = pair_laws.test_a_common_shift_changes_nothing(DPO, hole=1)
test_a_constant_gets_no_gradient = laws.test_a_constant_gets_no_gradient(
    DPO,
    hole=1,
    claim={
        "en": "The reference gets no gradient, even where its log-probabilities come with a graph.",
        "zh": "参考策略得不到梯度，即使它的对数概率带着计算图。",
    },
)


# The loss.


@claim(
    "Where the policy is still the reference, each pair costs log 2, whatever the coefficients are.",
    zh="策略还等于参考策略时，无论系数是多少，每一对的代价都是 log 2。",
)
@hole(2)
@given(case=DPO.cases())
def test_the_loss_at_the_reference_is_log_2(impl: Any, case: Case) -> None:
    chosen, rejected = case.batch.chosen_log_prob, case.batch.rejected_log_prob
    batch = replace(case.batch, ref_chosen_log_prob=chosen, ref_rejected_log_prob=rejected)
    DPO.check(impl(**case.rule).loss(batch), "loss", torch.tensor(math.log(2), dtype=torch.float64), batch)


test_loss_is_the_mean_over_pairs = pair_laws.test_loss_is_the_mean_over_pairs(
    DPO,
    hole=2,
    claim={
        "en": "The loss is the mean over the pairs of -(1 - e) log sigmoid(m) - e log sigmoid(-m), where m is beta "
        "times the difference of the log-ratios, and e the smoothing.",
        "zh": "损失是 -(1 - e) log sigmoid(m) - e log sigmoid(-m) 对所有对的平均，"
        "其中 m 是 beta 乘以对数比率之差，e 是平滑系数。",
    },
)
test_each_token_gets_the_slope_of_its_pair = pair_laws.test_each_token_gets_the_slope_of_its_pair(
    DPO,
    hole=2,
    points=2,
    claim={
        "en": "Without smoothing each token of a pair gets beta sigmoid(-m) / B: the worse the pair is ordered, the "
        "more. The chosen answer rises, the rejected one falls, and nothing else moves. Smoothing takes beta e / B "
        "off.",
        "zh": "没有平滑时，一对中每个词元的梯度大小是 beta sigmoid(-m) / B：排得越错，权重越大。"
        "优选回答上升，劣选回答下降，别的都不动。平滑再减去 beta e / B。",
    },
)


@claim(
    "Only beta times the log-ratios counts: with twice the beta and half of each log-ratio, loss and rewards are the "
    "same.",
    zh="只有 beta 与对数比率的乘积起作用：beta 加倍而每个对数比率减半，损失和奖励都不变。",
)
@hole(2)
@given(case=DPO.cases())
def test_beta_and_the_log_ratios_come_as_a_product(impl: Any, case: Case) -> None:
    batch = case.batch
    assert batch.ref_chosen_log_prob is not None
    assert batch.ref_rejected_log_prob is not None
    halved = replace(
        batch,
        chosen_log_prob=(batch.chosen_log_prob + batch.ref_chosen_log_prob) / 2,
        rejected_log_prob=(batch.rejected_log_prob + batch.ref_rejected_log_prob) / 2,
    )
    twice = {**case.rule, "beta": 2 * case.rule["beta"]}
    DPO.check_same(impl(**twice).loss(halved), impl(**case.rule).loss(batch), batch)


@claim(
    "With smoothing e a pair has its minimum at m = log((1 - e) / e): the gradient is 0 there, and points back to it "
    "from both sides.",
    zh="平滑系数为 e 时，一对的最小值在 m = log((1 - e) / e)：该处梯度为 0，两侧的梯度都指回这里。",
)
@hole(2)
@given(
    beta=st.sampled_from(BETAS),
    wrong=st.sampled_from(SMOOTHINGS[1:]),
    away=st.sampled_from((-1.0, 0.0, 1.0)),
    dtype=float_dtypes(),
)
def test_smoothing_stops_the_margin(impl: Any, beta: float, wrong: float, away: float, dtype: torch.dtype) -> None:
    margin = math.log((1 - wrong) / wrong) + away
    rule, batch = {"beta": beta, "label_smoothing": wrong}, DPO.trained(pair_apart(margin / beta, dtype))
    slope = beta * (1 - wrong - sigmoid(margin)) if away else 0.0
    expected = {"chosen_log_prob": -slope, "rejected_log_prob": slope}
    for name, grad in DPO.gradients(impl(**rule).loss(batch), batch).items():
        exact, limit = torch.full_like(grad, expected[name], dtype=torch.float64), sum_tolerance(dtype, 4, 4.0)
        what = Message("the gradient to {name}", name=name)
        assert_close(grad, exact, dtype=dtype, tolerance=limit, what=what)


test_an_empty_answer_has_log_probability_zero = pair_laws.test_an_empty_answer_has_log_probability_zero(DPO, hole=2)
test_extreme_pairs_stay_finite = pair_laws.test_extreme_pairs_stay_finite(DPO, hole=2)


@claim(
    "Without smoothing, a rejected answer that the policy cannot give any more, log 0 = -inf, costs nothing and gets "
    "the gradient 0, not nan.",
    zh="没有平滑时，策略已不可能给出的劣选回答（log 0 = -inf）代价为 0，梯度也是 0，而不是 nan。",
)
@hole(2)
@given(beta=st.sampled_from(BETAS), step=st.integers(-4, 4), dtype=float_dtypes())
def test_what_is_impossible_costs_nothing(impl: Any, beta: float, step: int, dtype: torch.dtype) -> None:
    batch = pair_apart(step / 4, dtype)
    impossible = batch.rejected_log_prob.clone()
    impossible[0, 1] = -math.inf
    batch = DPO.trained(replace(batch, rejected_log_prob=impossible))
    got = impl(beta=beta, label_smoothing=0.0).loss(batch)
    zero, limit = torch.zeros((), dtype=torch.float64), sum_tolerance(dtype, 1, 1.0)
    assert_close(got.loss, zero, dtype=dtype, tolerance=limit, what=Message("the loss"))
    for name, grad in DPO.gradients(got, batch).items():
        what = Message("the gradient to {name}", name=name)
        assert_close(grad, torch.zeros_like(grad), dtype=dtype, tolerance=limit, what=what)


# What is reported.

test_rewards_are_reported = pair_laws.test_rewards_are_reported(DPO, hole=3)
test_swapping_the_answers_swaps_what_is_reported = pair_laws.test_swapping_the_answers_swaps_what_is_reported(
    DPO,
    hole=3,
    claim={
        "en": "Exchanging chosen and rejected answers exchanges their rewards, turns the sign of the margin, makes "
        "each success a failure, and costs (1 - 2 e) times the mean margin.",
        "zh": "互换优选与劣选回答，二者的奖励随之互换，margin 变号，原先成功的对变成失败，"
        "损失增加 (1 - 2 e) 乘以平均 margin。",
    },
)
test_metrics_are_detached_scalars = laws.test_metrics_are_detached_scalars(DPO, hole=3)
test_bfloat16_is_cast_up = pair_laws.test_bfloat16_is_cast_up(DPO)
test_loss_equals_the_reference_whatever_came_before = laws.test_loss_equals_the_reference_whatever_came_before(DPO)


def pair_apart(difference: float, dtype: torch.dtype) -> PreferenceBatch:
    """Return one pair, of two and three tokens, whose log-ratios differ by ``difference``."""
    chosen, rejected = torch.full((1, 2), -2.0, dtype=dtype), torch.full((1, 3), -1.5, dtype=dtype)
    real, also_real = (torch.ones_like(side, dtype=torch.bool) for side in (chosen, rejected))
    return PreferenceBatch(chosen, rejected, real, also_real, chosen - difference / 2, rejected.clone())
