"""Properties of every right implementation of ORPO."""

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

CERTAIN = -1e-12  # the text's bound on a mean log-probability
LAMS = (0.25, 0.625, 1.5)  # not 0, 1, 1/2 or the default
LARGEST = 28.0  # log-odds of CERTAIN are 27.6; all other numbers are smaller

Case = laws.Case[PreferenceBatch]
Pair = pair_laws.Pair
Rule = Mapping[str, Any]


def log_odds(mean: float) -> float:
    """Return log(P / (1 - P)) of P = exp(mean), in Python's floats."""
    bounded = min(mean, CERTAIN)
    return bounded - math.log(-math.expm1(bounded)) if bounded > -math.inf else -math.inf


def rewards(_: Rule, pair: Pair) -> tuple[float, float]:
    return log_odds(laws.mean(pair.chosen)), log_odds(laws.mean(pair.rejected))


def cost(rule: Rule, pair: Pair) -> float:
    chosen, rejected = rewards(rule, pair)
    odds_ratio: float = rule["lam"] * pair_laws.softplus(rejected - chosen)
    return odds_ratio - laws.mean(pair.chosen)


def slopes(rule: Rule, pair: Pair) -> tuple[float, float]:
    """Return the slopes by one token: lam * sigmoid(-log odds ratio) / (1 - P), and 1 for the chosen answer's mean."""
    chosen, rejected = rewards(rule, pair)
    weight = rule["lam"] * pair_laws.sigmoid(rejected - chosen)

    def share(side: list[float], more: float) -> float:
        mean = laws.mean(side)
        odds = weight / -math.expm1(mean) if mean < CERTAIN else 0.0
        return (more + odds) / max(len(side), 1)

    return -share(pair.chosen, 1.0), share(pair.rejected, 0.0)


NAMES = ("loss", "sft_loss", "odds_ratio_loss", "chosen_reward", "rejected_reward", "margin")
ORPO = pair_laws.Setting(
    batches=pair_laws.pairs(reference=False),
    sizes=dict.fromkeys(NAMES, LARGEST) | {"accuracy": 1.0},
    slope=5.0,
    rules=[{"lam": lam} for lam in LAMS],
    another={"lam": 2.0},
    cost=cost,
    slopes=slopes,
    rewards=rewards,
)


def scalar(number: float) -> Tensor:
    return torch.tensor(number, dtype=torch.float64)


# Hole 1: the mean log-probability.

LENGTHS = st.lists(st.integers(1, 4), min_size=1, max_size=3)
LEVELS = (-0.5, -1.25, -3.0)


def ragged(lengths: list[int], dtype: torch.dtype, level: float, padding: float) -> tuple[Tensor, Tensor]:
    """Return answers of these lengths, whose tokens go down in steps of 1/8 from ``level``, padded on the right."""
    places = torch.arange(max(lengths))
    mask = places < torch.tensor(lengths)[:, None]
    return torch.where(mask, level - places / 8, padding).to(dtype), mask


@claim(
    "The mean is over an answer's own tokens: their number divides it, and padding is not in it.",
    zh="平均只取回答自己的词元：除以它们的个数，填充不计在内。",
)
@hole(1)
@given(lengths=LENGTHS, dtype=float_dtypes(), level=st.sampled_from(LEVELS), padding=st.sampled_from((0.0, -7.0)))
def test_the_mean_is_over_the_tokens_of_the_answer(
    impl: Any, lengths: list[int], dtype: torch.dtype, level: float, padding: float
) -> None:
    log_prob, mask = ragged(lengths, dtype, level, padding)
    log_prob.requires_grad_()
    got = impl(lam=0.25).mean_log_prob(log_prob, mask)
    exact = torch.tensor([level - (length - 1) / 16 for length in lengths], dtype=torch.float64)
    assert_close(got, exact, dtype=dtype, tolerance=sum_tolerance(dtype, 4, 4.0), what=Message("the means"))
    (grad,) = gradient(got.sum(), [log_prob])
    share = torch.where(mask, 1 / torch.tensor(lengths, dtype=torch.float64)[:, None], 0)
    limit = sum_tolerance(dtype, 4, 1.0)
    assert_close(grad, share, dtype=dtype, tolerance=limit, what=Message("the gradient to log_prob"))


@claim(
    "An answer without tokens has a mean of 0 and a gradient of 0, not NaN.",
    zh="没有词元的回答平均为 0，梯度为 0，而不是 NaN。",
)
@hole(1)
@given(lengths=LENGTHS, dtype=float_dtypes(), level=st.sampled_from(LEVELS))
def test_without_tokens_the_mean_is_zero(impl: Any, lengths: list[int], dtype: torch.dtype, level: float) -> None:
    log_prob, mask = ragged(lengths, dtype, level, 0.0)
    mask[0] = False
    log_prob.requires_grad_()
    got = impl(lam=0.25).mean_log_prob(log_prob, mask)
    assert_equal(got[0], torch.zeros_like(got[0]), what=Message("the mean of an answer without tokens"))
    (grad,) = gradient(got.sum(), [log_prob])
    assert_equal(grad[0], torch.zeros_like(grad[0]), what=Message("the gradient on padding"))


@claim(
    "A long answer has the float32 mean of its numbers, in bfloat16 and in float32: no product of probabilities, no "
    "sum in a narrow dtype.",
    zh="无论以 bfloat16 还是 float32 给出，长回答的平均都以 float32 计算：不把概率连乘，也不在窄的 dtype 中求和。",
)
@hole(1)
@given(
    length=st.sampled_from((300, 1000)),
    dtype=st.sampled_from((torch.bfloat16, torch.float16, torch.float32)),
    level=st.sampled_from(LEVELS),
)
def test_a_long_answer_keeps_its_mean(impl: Any, length: int, dtype: torch.dtype, level: float) -> None:
    log_prob = torch.full((1, length), level, dtype=dtype)
    log_prob[:, ::4] = -2.0
    exact = torch.tensor([math.fsum(log_prob[0].tolist()) / length], dtype=torch.float64)
    got = impl(lam=0.25).mean_log_prob(log_prob, torch.ones_like(log_prob, dtype=torch.bool))
    limit = sum_tolerance(torch.float32, 16, 4.0)
    assert_close(got, exact, dtype=torch.float32, tolerance=limit, what=Message("the means"))


@claim(
    "In float64 a billionth of a nat a token still shows in the mean.",
    zh="float64 时，每个词元十亿分之一 nat 的差别也会反映在平均里。",
)
@hole(1)
@given(lengths=LENGTHS, level=st.sampled_from(LEVELS))
def test_float64_is_not_rounded(impl: Any, lengths: list[int], level: float) -> None:
    log_prob, mask = ragged(lengths, torch.float64, level, 0.0)
    rule = impl(lam=0.25)
    rises = [rule.mean_log_prob(log_prob + step, mask) - rule.mean_log_prob(log_prob, mask) for step in (2**-30, 2**-4)]
    limit = sum_tolerance(torch.float64, 8, 8.0)
    what = Message("how much the mean rises")
    assert_close(rises[0] * 2**26, rises[1], dtype=torch.float64, tolerance=replace(limit, atol=1e-6), what=what)


# Hole 2: the log-odds.

MEANS = st.lists(st.sampled_from((-0.125, -0.5, -0.6875, -0.75, -1.5, -4.0)), min_size=1, max_size=4)


def check_odds(impl: Any, means: list[float], dtype: torch.dtype) -> None:
    """Compare log-odds and their slopes, 1 / (1 - P), with Python's; slopes relative to their size."""
    mean = torch.tensor(means, dtype=dtype, requires_grad=True)
    got = impl(lam=0.25).log_odds(mean)
    numbers = mean.tolist()
    exact = torch.tensor([log_odds(one) for one in numbers], dtype=torch.float64)
    size = max(1.0, float(exact.abs().max()))
    assert_close(got, exact, dtype=dtype, tolerance=sum_tolerance(dtype, 2, size), what=Message("the log-odds"))
    (grad,) = gradient(got.sum(), [mean])
    slope = torch.tensor([-1 / math.expm1(one) for one in numbers], dtype=torch.float64)
    limit = sum_tolerance(dtype, 4, 1.0)
    assert_close(grad / slope.to(dtype), torch.ones_like(slope), dtype=dtype, tolerance=limit, what=SHARE)


SHARE = Message("the gradient to the mean, as a share of 1 / (1 - P)")


@claim(
    "The log-odds are log(P / (1 - P)) of P = exp(mean), with the slope 1 / (1 - P). Even odds are at P = 1/2.",
    zh="对数几率是 log(P / (1 - P))，其中 P = exp(平均)，斜率为 1 / (1 - P)。P = 1/2 时几率相等。",
)
@hole(2)
@given(means=MEANS, dtype=float_dtypes())
def test_log_odds_are_those_of_the_geometric_mean(impl: Any, means: list[float], dtype: torch.dtype) -> None:
    check_odds(impl, means, dtype)


@claim(
    "Near certainty 1 - P keeps its digits: log-odds and slope are right at a millionth and at a billionth of a nat.",
    zh="接近确定时 1 - P 不丢位数：平均只差百万分之一、十亿分之一 nat 时，对数几率和斜率仍然正确。",
)
@hole(2)
@given(
    powers=st.lists(st.sampled_from((10, 16, 20, 22, 26, 30, 36)), min_size=1, max_size=3),
    beside=st.booleans(),
    dtype=float_dtypes(),
)
def test_near_certainty_no_digit_is_lost(impl: Any, powers: list[int], beside: bool, dtype: torch.dtype) -> None:
    check_odds(impl, [-(2.0**-power) for power in powers] + [-1.5] * beside, dtype)


@claim(
    "Far from certainty nothing overflows: the log-odds become the mean itself, and the slope 1.",
    zh="远离确定时不会上溢：对数几率趋于平均本身，斜率趋于 1。",
)
@hole(2)
@given(means=st.lists(st.sampled_from((-30.0, -100.0, -1000.0)), min_size=1, max_size=3), dtype=float_dtypes())
def test_far_from_certainty_nothing_overflows(impl: Any, means: list[float], dtype: torch.dtype) -> None:
    check_odds(impl, means, dtype)


@claim(
    "A mean of 0, a probability of 1, counts as CERTAIN: the log-odds are finite, 27.6, and the gradient is 0.",
    zh="平均为 0（概率为 1）按 CERTAIN 计：对数几率有限，为 27.6，梯度为 0。",
)
@hole(2)
@given(others=MEANS, dtype=float_dtypes())
def test_certainty_has_finite_odds(impl: Any, others: list[float], dtype: torch.dtype) -> None:
    mean = torch.tensor([0.0, *others], dtype=dtype, requires_grad=True)
    got = impl(lam=0.25).log_odds(mean)
    exact = torch.tensor([log_odds(one) for one in mean.tolist()], dtype=torch.float64)
    limit = sum_tolerance(dtype, 2, LARGEST)
    assert_close(got, exact, dtype=dtype, tolerance=limit, what=Message("the log-odds"))
    (grad,) = gradient(got.sum(), [mean])
    assert_equal(grad[0], torch.zeros_like(grad[0]), what=Message("the gradient to a mean of 0"))


# Hole 3: the losses.


@claim(
    "With lam 0 it is supervised fine-tuning on the chosen answers: minus their mean log-probability, and the rejected "
    "ones get no gradient.",
    zh="lam 为 0 时就是在优选回答上做监督微调：损失是平均对数概率的相反数，劣选回答得不到梯度。",
)
@hole(3)
@given(case=ORPO.cases(lam=0.0), other=tensors((1,), low=-4.0, high=-0.5))
def test_lam_zero_is_supervised_fine_tuning(impl: Any, case: Case, other: Tensor) -> None:
    batch = ORPO.trained(case.batch)
    got = impl(lam=0.0).loss(batch)
    exact = laws.mean(-laws.mean(pair.chosen) for pair in pair_laws.pairs_of(batch))
    ORPO.check(got, "loss", scalar(exact), batch)
    grad = ORPO.gradients(got, batch)["rejected_log_prob"]
    assert_equal(grad, torch.zeros_like(grad), what=Message("the gradient to {name}", name="rejected_log_prob"))
    different = replace(case.batch, rejected_log_prob=case.batch.rejected_log_prob + other.to(got.loss.dtype))
    ORPO.check(impl(lam=0.0).loss(different), "loss", scalar(exact), batch)


@claim(
    "The two losses are reported: the supervised one, in which every chosen answer weighs the same, and the odds-ratio "
    "one, without lam.",
    zh="两项损失都会报告：监督项中每个优选回答权重相同；几率比项不含 lam。",
)
@hole(3)
@given(case=ORPO.cases())
def test_both_losses_are_reported(impl: Any, case: Case) -> None:
    got, pairs = impl(**case.rule).loss(case.batch), pair_laws.pairs_of(case.batch)
    sft = laws.mean(-laws.mean(pair.chosen) for pair in pairs)
    odds = laws.mean(pair_laws.softplus(bad - good) for good, bad in (rewards(case.rule, pair) for pair in pairs))
    for name, number in {"sft_loss": sft, "odds_ratio_loss": odds, "loss": sft + case.rule["lam"] * odds}.items():
        ORPO.check(got, name, scalar(number), case.batch)


@claim(
    "Answers of equal mean have an odds-ratio loss of log 2, whatever their length.",
    zh="平均相等的两个回答，几率比损失为 log 2，与长度无关。",
)
@hole(3)
@given(case=ORPO.cases(), times=st.integers(2, 3))
def test_equal_means_cost_log_2(impl: Any, case: Case, times: int) -> None:
    log_prob, mask = case.batch.chosen_log_prob, case.batch.chosen_mask
    twin = PreferenceBatch(log_prob, log_prob.repeat(1, times), mask, mask.repeat(1, times))
    ORPO.check(impl(**case.rule).loss(twin), "odds_ratio_loss", scalar(math.log(2)), twin)


@claim(
    "A rejected answer with a token of probability 0 leaves supervised fine-tuning of its pair: no further cost, and "
    "no NaN.",
    zh="劣选回答含有概率为 0 的词元时，该对只剩监督微调：没有别的代价，也没有 NaN。",
)
@hole(3)
@given(case=ORPO.cases())
def test_an_impossible_rejected_answer_leaves_fine_tuning(impl: Any, case: Case) -> None:
    rejected = torch.where(case.batch.rejected_mask, -math.inf, case.batch.rejected_log_prob)
    batch = ORPO.trained(replace(case.batch, rejected_log_prob=rejected))
    got, plain = impl(**case.rule).loss(batch), ORPO.trained(case.batch)
    exact = laws.mean(-laws.mean(pair.chosen) for pair in pair_laws.pairs_of(batch))
    ORPO.check(got, "loss", scalar(exact), batch)
    expected = ORPO.gradients(impl(lam=0.0).loss(plain), plain)
    ORPO.check_same_gradients(ORPO.gradients(got, batch), expected, batch)


@claim(
    "A rejected answer of certainty has a finite loss: its log-odds are 27.6, and its gradient is 0.",
    zh="劣选回答完全确定时损失仍然有限：它的对数几率是 27.6，梯度为 0。",
)
@hole(3)
@given(case=ORPO.cases())
def test_a_certain_rejected_answer_has_a_finite_loss(impl: Any, case: Case) -> None:
    certain = ORPO.trained(replace(case.batch, rejected_log_prob=torch.zeros_like(case.batch.rejected_log_prob)))
    got = impl(**case.rule).loss(certain)
    exact = scalar(laws.mean(cost(case.rule, pair) for pair in pair_laws.pairs_of(certain)))
    limit = sum_tolerance(torch.float32, 8, LARGEST)  # torch's softplus is x itself from 20 on
    assert_close(got.loss, exact, dtype=got.loss.dtype, tolerance=limit, what=Message("the loss"))
    grad = ORPO.gradients(got, certain)["rejected_log_prob"]
    assert_equal(grad, torch.zeros_like(grad), what=Message("the gradient to {name}", name="rejected_log_prob"))


@claim(
    "A pair whose chosen answer is empty is a pair like any other: it adds 0 to the supervised loss, and counts in "
    "both means.",
    zh="优选回答为空的对与其他对一样：它给监督损失加 0，并且在两个平均里都算一对。",
)
@hole(3)
@given(case=ORPO.cases())
def test_an_empty_chosen_answer_counts(impl: Any, case: Case) -> None:
    mask = case.batch.chosen_mask.clone()
    mask[0] = False
    batch = replace(case.batch, chosen_mask=mask)
    exact = laws.mean(cost(case.rule, pair) for pair in pair_laws.pairs_of(batch))
    ORPO.check(impl(**case.rule).loss(batch), "loss", scalar(exact), batch)


# What holds of every rule over pairs, and of every learning rule.

test_each_token_gets_the_slope_of_its_pair = pair_laws.test_each_token_gets_the_slope_of_its_pair(ORPO, hole=3)
test_extreme_pairs_stay_finite = pair_laws.test_extreme_pairs_stay_finite(ORPO, hole=3)
test_padding_changes_nothing = laws.test_padding_changes_nothing(ORPO, hole=3)
test_rewards_are_reported = pair_laws.test_rewards_are_reported(ORPO)
test_bfloat16_is_cast_up = pair_laws.test_bfloat16_is_cast_up(ORPO)
test_metrics_are_detached_scalars = laws.test_metrics_are_detached_scalars(ORPO)
test_loss_equals_the_reference_whatever_came_before = laws.test_loss_equals_the_reference_whatever_came_before(ORPO)
