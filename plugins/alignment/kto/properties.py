"""Properties of every right implementation of the KTO loss."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import UnpairedBatch
from groundup.core.messages import Message
from groundup.core.testing import (
    Tolerance,
    assert_close,
    assert_equal,
    claim,
    float_dtypes,
    gradient,
    hole,
    sum_tolerance,
    tensors,
)
from groundup.core.testing.laws import rl as laws
from groundup.core.testing.laws.preferences import sigmoid

Case = laws.Case[UnpairedBatch]

SHAPES = ((1, 1, 2), (2, 3, 1), (3, 2, 3), (4, 1, 2), (5, 2, 1))  # B, T, U
WEIGHTS = ((1.0, 1.0), (3.0, 0.5), (0.75, 2.0))
FAR = 16384.0  # nats: beyond what exp can hold in any dtype


def marked(drawn: tuple[Tensor, Tensor]) -> UnpairedBatch:
    """Make a batch from multiples of 1/8: log-probabilities of both policies are at most 1/2 apart, exact in "
    "bfloat16."""
    (log_prob, step, real, good), (mismatched, other_step, also_real, _) = (layer.unbind() for layer in drawn)
    masks = []
    for mask in (real < 1, also_real < 1):
        mask[:, -1] |= ~mask.any(1)
        masks.append(mask)
    return UnpairedBatch(
        log_prob=log_prob - 2.5,
        ref_log_prob=log_prob - 2.5 - step / 4,
        mask=masks[0],
        desirable=good[:, 0] > 0,
        mismatched_log_prob=mismatched - 2.5,
        mismatched_ref_log_prob=mismatched - 2.5 - other_step / 4,
        mismatched_mask=masks[1],
    )


KTO = laws.Setting(
    batches=st.one_of(
        [
            st.tuples(tensors((4, rows, own), dtype=dtype), tensors((4, rows, other), dtype=dtype))
            for rows, own, other in SHAPES
            for dtype in (torch.float32, torch.float64)
        ]
    ).map(marked),
    learned=("log_prob",),
    sizes={"loss": 3.0, "desirable_reward": 2.0, "undesirable_reward": 2.0, "kl": 2.0},
    slope=1.0,
    rules=[
        {"beta": beta, "desirable_weight": good, "undesirable_weight": bad}
        for beta in (0.25, 0.75)
        for good, bad in WEIGHTS
    ],
    another={"beta": 2.0, "desirable_weight": 5.0, "undesirable_weight": 7.0},
    constants=("ref_log_prob", "mismatched_log_prob", "mismatched_ref_log_prob"),
)


def sums(log_prob: Tensor, ref_log_prob: Tensor, mask: Tensor) -> list[float]:
    """Return the log-ratio of each answer, from its tokens' differences in Python's floats."""
    rows = zip(log_prob.detach().tolist(), ref_log_prob.detach().tolist(), mask.tolist(), strict=True)
    return [
        math.fsum(d for d, real in zip(map(operator.sub, now, ref), row, strict=True) if real) for now, ref, row in rows
    ]


def own(batch: UnpairedBatch) -> list[float]:
    return sums(batch.log_prob, batch.ref_log_prob, batch.mask)


def point(batch: UnpairedBatch) -> float:
    """Return the reference point."""
    return max(laws.mean(sums(batch.mismatched_log_prob, batch.mismatched_ref_log_prob, batch.mismatched_mask)), 0.0)


def signs(rule: Mapping[str, Any], batch: UnpairedBatch) -> list[tuple[float, float]]:
    """Return each answer's weight, and the direction in which it is to go."""
    marks = batch.desirable.tolist()
    return [(rule["desirable_weight"], 1.0) if good else (rule["undesirable_weight"], -1.0) for good in marks]


def costs(rule: Mapping[str, Any], batch: UnpairedBatch) -> list[float]:
    """Return what each answer costs."""
    z, beta = point(batch), rule["beta"]
    terms = zip(own(batch), signs(rule, batch), strict=True)
    return [weight * sigmoid(-way * beta * (ratio - z)) for ratio, (weight, way) in terms]


# Log-ratios and the reference point.


@claim(
    "An answer's log-ratio is the sum over the tokens of its mask of log pi - log pi_ref, in float32 or wider. The "
    "reference gets no gradient.",
    zh="一段回答的对数比率，是掩码内各词元 log pi - log pi_ref 之和，按 float32 或更高精度计算。参考策略得不到梯度。",
)
@hole(1)
@given(case=KTO.cases(), dtype=st.sampled_from((torch.bfloat16, torch.float32, torch.float64)))
def test_a_log_ratio_is_the_sum_over_the_tokens(impl: Any, case: Case, dtype: torch.dtype) -> None:
    now, ref = (field.to(dtype).requires_grad_() for field in (case.batch.log_prob, case.batch.ref_log_prob))
    wide = torch.promote_types(dtype, torch.float32)
    got = impl(**case.rule).log_ratios(now, ref, case.batch.mask)
    exact, limit = torch.tensor(sums(now, ref, case.batch.mask), dtype=torch.float64), sum_tolerance(wide, 4, 0.5)
    assert_close(got, exact, dtype=wide, tolerance=limit, what=Message("the log-ratios"))
    to_now, to_ref = gradient(got, [now, ref])
    assert_equal(to_now, case.batch.mask.to(dtype), what=Message("the gradient to {name}", name="log_prob"))
    assert_equal(to_ref, torch.zeros_like(to_ref), what=Message("the gradient to {name}", name="ref_log_prob"))


@claim(
    "Hundreds of tokens are added up as logarithms in float32 or wider: their probability is smaller than any float.",
    zh="几百个词元要在 float32 或更高精度下把对数相加：它们的概率小于任何浮点数。",
)
@hole(1)
@given(
    length=st.sampled_from((300, 700)),
    step=st.integers(-4, 4),
    dtype=st.sampled_from((torch.bfloat16, torch.float32, torch.float64)),
)
def test_long_answers_are_summed_as_logarithms(impl: Any, length: int, step: int, dtype: torch.dtype) -> None:
    ref, mask = torch.full((1, length), -3.1, dtype=dtype), torch.ones((1, length), dtype=torch.bool)
    now, wide = ref + step / 30, torch.promote_types(dtype, torch.float32)
    exact, limit = torch.tensor(sums(now, ref, mask), dtype=torch.float64), sum_tolerance(wide, 700, 4.0)
    got = impl().log_ratios(now, ref, mask)
    assert_close(got, exact, dtype=wide, tolerance=limit, what=Message("the log-ratio of a long answer"))


@claim(
    "The reference point is the mean log-ratio of the mismatched answers, over all rows; where that is negative it is "
    "0.",
    zh="参考点是错配回答的对数比率对所有行的平均；平均为负时取 0。",
)
@hole(2)
@given(case=KTO.cases())
def test_the_reference_point_is_a_mean_clamped_at_zero(impl: Any, case: Case) -> None:
    exact, dtype = torch.tensor(point(case.batch), dtype=torch.float64), case.batch.log_prob.dtype
    got, limit = impl(**case.rule).reference_point(case.batch), sum_tolerance(dtype, 8, 1.0)
    assert_close(got, exact, dtype=dtype, tolerance=limit, what=Message("the reference point"))


@claim(
    "The reference point is a constant: no gradient reaches the mismatched answers, even where they come with a graph.",
    zh="参考点是常数：即使错配回答带着计算图，梯度也传不到它们。",
)
@hole(2)
@given(case=KTO.cases())
def test_the_reference_point_carries_no_gradient(impl: Any, case: Case) -> None:
    batch = KTO.trained(case.batch, *KTO.constants)
    got = impl(**case.rule).reference_point(batch)
    assert_equal(got.requires_grad, False, what=Message("whether the reference point carries gradient"))


# The loss.


@claim(
    "A good answer costs its weight times 1 - sigmoid(beta (r - z)), a bad one its weight times 1 - sigmoid(beta (z - "
    "r)), and the loss is the mean over all of them.",
    zh="好的回答的代价是权重乘以 1 - sigmoid(beta (r - z))，坏的是权重乘以 1 - sigmoid(beta (z - r))，"
    "损失是全部回答的平均。",
)
@hole(3)
@given(case=KTO.cases())
def test_the_loss_is_the_mean_of_what_answers_fall_short(impl: Any, case: Case) -> None:
    exact = torch.tensor(laws.mean(costs(case.rule, case.batch)), dtype=torch.float64)
    KTO.check(impl(**case.rule).loss(case.batch), "loss", exact, case.batch)


@claim(
    "The gradient of each token is its answer's weight times beta s (1 - s) / B, with s = sigmoid(beta (r - z)): good "
    "answers rise and bad ones fall. It is largest at the reference point.",
    zh="每个词元的梯度大小是该回答的权重乘以 beta s (1 - s) / B，其中 s = sigmoid(beta (r - z))：好的回答上升，"
    "坏的下降。"
    "在参考点处最大。",
)
@hole(3)
@given(case=KTO.cases(), at=st.booleans())
def test_the_value_is_steepest_at_the_reference_point(impl: Any, case: Case, at: bool) -> None:
    batch = KTO.trained(at_the_point(case.batch) if at else case.batch)
    z, beta = point(batch), case.rule["beta"]
    slopes = [
        -way * weight * beta * sigmoid(beta * (ratio - z)) * sigmoid(beta * (z - ratio)) / len(batch.mask)
        for ratio, (weight, way) in zip(own(batch), signs(case.rule, batch), strict=True)
    ]
    found = KTO.gradients(impl(**case.rule).loss(batch), batch)["log_prob"]
    exact = torch.where(batch.mask, torch.tensor(slopes, dtype=torch.float64)[:, None], 0)
    what, limit = Message("the gradient to {name}", name="log_prob"), KTO.tolerance("gradient", batch)
    assert_close(found, exact, dtype=found.dtype, tolerance=limit, what=what)


@claim(
    "Only the distance from the reference point counts: if the policy finds all answers likelier by the same number of "
    "nats, matched and mismatched, the loss stays as it was. The point has no upper bound.",
    zh="起作用的只有与参考点的距离：如果策略对所有回答（匹配的和错配的）的对数概率都提高同样多的 nat，损失不变。"
    "参考点没有上限。",
)
@hole(3)
@given(case=KTO.cases(), by=st.sampled_from((16.0, 64.0, 256.0)))
def test_only_the_distance_from_the_point_counts(impl: Any, case: Case, by: float) -> None:
    near, far = lifted(case.batch, 4.0), lifted(case.batch, 4.0 + by)  # both points are positive
    expected, dtype = impl(**case.rule).loss(near).loss.to(torch.float64), case.batch.log_prob.dtype
    limit = Tolerance(rtol=0.0, atol=8 * by * torch.finfo(dtype).eps)  # the point is a mean of numbers of that size
    assert_close(impl(**case.rule).loss(far).loss, expected, dtype=dtype, tolerance=limit, what=Message("the loss"))


@claim(
    "The reference point is that of this batch, whatever point an earlier one had.",
    zh="参考点只属于当前的批，无论之前的批的参考点是多少。",
)
@hole(3)
@given(case=KTO.cases())
def test_no_reference_point_is_kept(impl: Any, case: Case) -> None:
    used = impl(**case.rule)
    used.loss(lifted(case.batch, 8.0))
    got = used.loss(case.batch)
    for name, number in {"kl": point(case.batch), "loss": laws.mean(costs(case.rule, case.batch))}.items():
        KTO.check(got, name, torch.tensor(number, dtype=torch.float64), case.batch)


@claim(
    "Long answers in bfloat16 cost what their log-ratios say in float32, which are not rounded to bfloat16 again.",
    zh="bfloat16 的长回答，其代价由 float32 的对数比率决定，对数比率不会再舍入成 bfloat16。",
)
@hole(3)
@given(length=st.sampled_from((300, 500, 700)), step=st.sampled_from((-4, -3, -2, 2, 3, 4)), good=st.booleans())
def test_a_long_answer_keeps_its_digits(impl: Any, length: int, step: int, good: bool) -> None:
    ref, real = torch.full((1, length), -2.7, dtype=torch.bfloat16), torch.ones((1, length), dtype=torch.bool)
    batch = UnpairedBatch(ref + step / 30, ref, real, torch.tensor([good]), ref, ref, real)
    rule = {"beta": 0.015625, "desirable_weight": 4.0, "undesirable_weight": 4.0}
    exact = torch.tensor(laws.mean(costs(rule, batch)), dtype=torch.float64)
    got, limit = impl(**rule).loss(batch).loss, Tolerance(rtol=0.0, atol=1e-4)
    assert_close(got, exact, dtype=torch.float32, tolerance=limit, what=Message("the loss"))


@claim(
    "Thumbs turned round, with the weights exchanged, give the rest of what can be lost: the two losses add up to the "
    "mean weight.",
    zh="把赞和踩对调，同时交换两个权重，得到的是剩下的部分：两个损失之和等于权重的平均。",
)
@hole(3)
@given(case=KTO.cases())
def test_turned_thumbs_cost_the_rest(impl: Any, case: Case) -> None:
    rule, batch = case.rule, case.batch
    exchanged = {
        **rule,
        "desirable_weight": rule["undesirable_weight"],
        "undesirable_weight": rule["desirable_weight"],
    }
    turned = impl(**exchanged).loss(replace(batch, desirable=~batch.desirable)).loss.to(torch.float64)
    weight = laws.mean(weight for weight, _ in signs(rule, batch))
    KTO.check(impl(**rule).loss(batch), "loss", weight - turned, batch)


@claim(
    "A batch may hold good answers alone, or bad ones alone: the loss is that of the formula, the reward of the kind "
    "that is missing is 0, and nothing is nan.",
    zh="一个批可以只有好的回答，或只有坏的回答：损失仍与公式一致，缺少的那一类奖励为 0，没有 nan。",
)
@hole(4)
@given(case=KTO.cases(), good=st.booleans())
def test_one_kind_alone_is_enough(impl: Any, case: Case, good: bool) -> None:
    batch = KTO.trained(replace(case.batch, desirable=torch.full_like(case.batch.desirable, good)))
    got, missing = impl(**case.rule).loss(batch), "undesirable_reward" if good else "desirable_reward"
    KTO.check(got, "loss", torch.tensor(laws.mean(costs(case.rule, batch)), dtype=torch.float64), batch)
    KTO.check(got, missing, torch.zeros((), dtype=torch.float64), batch)
    found = KTO.gradients(got, batch)["log_prob"]
    assert_equal(bool(found.isfinite().all()), True, what=Message("whether every gradient is finite"))


@claim(
    "However far an answer is from the reference point, and even if it has become impossible (log 0 = -inf), the loss "
    "is its weight or 0, and the gradient 0, not nan.",
    zh="无论回答离参考点多远，哪怕已经不可能出现（log 0 = -inf），损失都是它的权重或 0，梯度是 0，而不是 nan。",
)
@hole(3)
@given(
    weights=st.sampled_from(WEIGHTS),
    away=st.sampled_from((-math.inf, -FAR, FAR)),
    good=st.booleans(),
    dtype=float_dtypes(),
)
def test_extreme_answers_stay_finite(
    impl: Any, weights: tuple[float, float], away: float, good: bool, dtype: torch.dtype
) -> None:
    ref = torch.full((1, 2), -FAR - 1, dtype=dtype)
    now = ref.clone()
    now[0, 1] += away
    real = torch.ones((1, 2), dtype=torch.bool)
    batch = KTO.trained(UnpairedBatch(now, ref, real, torch.tensor([good]), ref[:, :1], ref[:, :1], real[:, :1]))
    got = impl(beta=0.25, desirable_weight=weights[0], undesirable_weight=weights[1]).loss(batch)
    lost = good == (away < 0)
    exact = torch.tensor((weights[0] if good else weights[1]) if lost else 0.0, dtype=torch.float64)
    assert_close(got.loss, exact, dtype=dtype, tolerance=sum_tolerance(dtype, 1, 1.0), what=Message("the loss"))
    (found,) = gradient(got.loss, [batch.log_prob])
    what = Message("the gradient to {name}", name="log_prob")
    assert_close(found, torch.zeros_like(found), dtype=dtype, tolerance=sum_tolerance(dtype, 1, 1.0), what=what)


test_padding_changes_nothing = laws.test_padding_changes_nothing(KTO, hole=3)
test_a_constant_gets_no_gradient = laws.test_a_constant_gets_no_gradient(
    KTO,
    hole=3,
    claim={
        "en": "Neither the reference nor the mismatched answers get a gradient from the loss, even with a graph.",
        "zh": "即使带着计算图，参考策略和错配回答也都得不到损失的梯度。",
    },
)


@claim(
    "An answer without tokens has the log-ratio 0, among the mismatched ones too: it counts as one of the rows.",
    zh="没有词元的回答，对数比率是 0，在错配回答里也一样：它仍算作一行。",
)
@hole(3)
@given(case=KTO.cases(), names=st.sampled_from((("mask",), ("mismatched_mask",), ("mask", "mismatched_mask"))))
def test_an_empty_answer_counts_as_zero(impl: Any, case: Case, names: tuple[str, ...]) -> None:
    masks = {name: getattr(case.batch, name).clone() for name in names}
    for mask in masks.values():
        mask[0] = False
    batch = KTO.trained(replace(case.batch, **masks))
    exact = torch.tensor(laws.mean(costs(case.rule, batch)), dtype=torch.float64)
    got = impl(**case.rule).loss(batch)
    KTO.check(got, "loss", exact, batch)
    found = KTO.gradients(got, batch)["log_prob"]
    assert_equal(bool(found.isfinite().all()), True, what=Message("whether every gradient is finite"))


# What is reported.


@claim(
    "The rewards are means of beta times the log-ratio, each over the answers of its kind, whatever the weights are; "
    "kl "
    "is the reference point.",
    zh="奖励是 beta 乘以对数比率，分别对好的和坏的回答取平均，与权重无关；kl 就是参考点。",
)
@hole(4)
@given(case=KTO.cases())
def test_rewards_are_means_by_kind(impl: Any, case: Case) -> None:
    ratios = list(zip(own(case.batch), case.batch.desirable.tolist(), strict=True))
    exact = {
        "desirable_reward": case.rule["beta"] * laws.mean(ratio for ratio, good in ratios if good),
        "undesirable_reward": case.rule["beta"] * laws.mean(ratio for ratio, good in ratios if not good),
        "kl": point(case.batch),
    }
    got = impl(**case.rule).loss(case.batch)
    for name, number in exact.items():
        KTO.check(got, name, torch.tensor(number, dtype=torch.float64), case.batch)


test_metrics_are_detached_scalars = laws.test_metrics_are_detached_scalars(KTO, hole=4)


@claim(
    "Log-probabilities in bfloat16 are cast to float32 before anything else: loss and metrics are float32, and those "
    "of the same numbers in float32.",
    zh="bfloat16 的对数概率先转成 float32 再做任何计算：损失和指标是 float32，且与同样的数以 float32 给出时相同。",
)
@given(case=KTO.cases())
def test_bfloat16_is_cast_up(impl: Any, case: Case) -> None:
    def in_dtype(dtype: torch.dtype) -> UnpairedBatch:
        return laws.changed(case.batch, lambda _, tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)

    narrow, wide = KTO.trained(in_dtype(torch.bfloat16)), KTO.trained(in_dtype(torch.float32))
    got, expected = impl(**case.rule).loss(narrow), impl(**case.rule).loss(wide)
    KTO.check_same(got, expected, wide)
    exact = KTO.gradients(expected, wide)["log_prob"]
    what, limit = Message("the gradient to {name}", name="log_prob"), Tolerance(rtol=2.0**-8, atol=2.0**-12)
    found = KTO.gradients(got, narrow)["log_prob"]  # rounded once to bfloat16
    assert_close(found, exact, dtype=torch.bfloat16, tolerance=limit, what=what)


test_loss_equals_the_reference_whatever_came_before = laws.test_loss_equals_the_reference_whatever_came_before(KTO)


def at_the_point(batch: UnpairedBatch) -> UnpairedBatch:
    """Return the batch with one row more likely under the policy by as much as the reference point asks for."""
    ref = batch.ref_log_prob.clone()
    first = int(batch.mask[0].nonzero()[0])
    ref[0, first] += own(batch)[0] - point(batch)
    return replace(batch, ref_log_prob=ref)


def lifted(batch: UnpairedBatch, by: float) -> UnpairedBatch:
    """Return the batch with every answer, matched and mismatched, likelier by that many nats than it was."""

    def lowered(ref: Tensor, mask: Tensor) -> Tensor:
        first = mask & (mask.cumsum(1) == 1)
        return torch.where(first, ref - by, ref)

    own_ref, other_ref = batch.ref_log_prob, batch.mismatched_ref_log_prob
    return replace(
        batch,
        ref_log_prob=lowered(own_ref, batch.mask),
        mismatched_ref_log_prob=lowered(other_ref, batch.mismatched_mask),
    )
