"""What holds of every right implementation of the PPO loss."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import product
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import Loss, RolloutBatch
from groundup.core.testing import (
    Mismatch,
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

SIZE = {"the loss": 32.0, "policy_loss": 4.0, "value_loss": 16.0, "entropy": 4.0, "kl": 8.0, "clip_fraction": 1.0}
"""No token's term is larger, with what is drawn below."""
SLOPE = 8.0  # ... nor its gradient, before it is divided by N

# Log-ratios and distances between values lie on a grid of 1/8. None of these clips does, and no power of e reaches
# 1 - clip or 1 + clip from there: no example sits on a kink, where more than one gradient is right.
CLIPS = (0.2, 0.1, 0.3)
RULES = [
    {"clip": clip, "value_clip": value_clip, "value_coef": value_coef, "entropy_coef": entropy_coef, "kl_coef": kl_coef}
    for clip, value_clip in product(CLIPS, (*CLIPS, None))
    if clip != value_clip
    for value_coef, entropy_coef, kl_coef in product((0.5, 0.75), (0.25, 0.5), (0.25, 1.5))
]
SHAPES = ((1, 1), (1, 4), (3, 2), (2, 4), (3, 4))


class Case(NamedTuple):
    """One update: a rule's coefficients, by name, and its batch."""

    rule: dict[str, Any]
    batch: RolloutBatch


def cases(**fixed: float) -> st.SearchStrategy[Case]:
    """Draw a rule, with the coefficients in ``fixed`` as they are, and a rollout."""
    numbers = [tensors((9, *shape), dtype=dtype) for shape in SHAPES for dtype in (torch.float32, torch.float64)]
    return st.builds(lambda rule, drawn: Case(rule | fixed, rollout(drawn)), st.sampled_from(RULES), st.one_of(numbers))


def rollout(drawn: Tensor) -> RolloutBatch:
    """Make a batch from multiples of 1/8 in [-2, 2]; about half of its ratios, and of its values, are clipped."""
    log_prob, advantage, value, returns, entropy, reference, mask, ratio, step = drawn
    log_prob = log_prob - 3
    return RolloutBatch(
        log_prob=log_prob,
        old_log_prob=log_prob - (ratio * 2).round() / 8,
        advantage=advantage,
        value=value,
        old_value=value - (step * 2).round() / 8,
        returns=returns,
        entropy=entropy + 2,
        mask=mask < 1,
        ref_log_prob=log_prob + reference,
    )


POLICY_ALONE = {"value_coef": 0.0, "entropy_coef": 0.0, "kl_coef": 0.0}


@claim(
    "The policy loss is the mean over real tokens of the worse of two surrogates: advantage times ratio, and advantage "
    "times clipped ratio, both negated.",
    zh="策略损失是所有真实词元上的平均；每个词元取两个代理损失中较差的一个：优势乘比率、优势乘截断后的比率，二者都取负。",
)
@hole(1)
@given(case=cases())
def test_policy_loss_is_the_clipped_surrogate(impl: Any, case: Case) -> None:
    expected = mean(surrogate(token, case.rule["clip"]) for token in real_tokens(case.batch))
    check_metric(impl(**case.rule).loss(case.batch), "policy_loss", expected, case.batch)


@claim(
    "A token's policy gradient is -A * ratio / N, at the first step -A / N. It is zero where the clip binds: A > 0 and "
    "the ratio above 1 + clip, or A < 0 and the ratio below 1 - clip.",
    zh="每个词元的策略梯度是 -A * ratio / N；截断起作用时为零：A > 0 且比率高于 1 + clip，或 A < 0 且比率低于 1 - clip。",
)
@hole(1)
@given(case=cases(**POLICY_ALONE))
def test_clip_stops_the_gradient_only_where_the_policy_would_leave(impl: Any, case: Case) -> None:
    def slope(token: dict[str, float]) -> float:
        ratio, clip = math.exp(token["log_prob"] - token["old_log_prob"]), case.rule["clip"]
        leaving = ratio > 1 + clip if token["advantage"] > 0 else ratio < 1 - clip
        return 0.0 if leaving else -token["advantage"] * ratio

    check_gradients(impl(**case.rule), case.batch, log_prob=slope)


@claim(
    "Clipping never lowers the policy loss; with a clip too wide to bind, it is the importance-weighted policy "
    "gradient's, the mean of -A * ratio.",
    zh="截断从不降低策略损失；截断范围宽到不起作用时，它就是重要性加权的策略梯度损失，即 -A * ratio 的平均。",
)
@hole(1)
@given(case=cases())
def test_clipping_is_pessimistic(impl: Any, case: Case) -> None:
    free = impl(**case.rule | {"clip": 1e6}).loss(case.batch)
    weighted = mean(surrogate(token, math.inf) for token in real_tokens(case.batch))
    check_metric(free, "policy_loss", weighted, case.batch)
    clipped = impl(**case.rule).loss(case.batch)
    check_not_below(clipped, free, "policy_loss", case.batch)


@claim(
    "The value loss is the mean over real tokens of half the squared error of V against R, or of V moved at most "
    "value_clip away from old_value, whichever error is larger.",
    zh="价值损失是真实词元上的平均：V 对 R 的平方误差的一半，或把 V 限制在 old_value 上下 value_clip 之内后的误差，取较大者。",
)
@hole(2)
@given(case=cases())
def test_value_loss_is_half_the_larger_squared_error(impl: Any, case: Case) -> None:
    expected = mean(max(errors(token, case.rule["value_clip"])) for token in real_tokens(case.batch))
    check_metric(impl(**case.rule).loss(case.batch), "value_loss", expected, case.batch)


@claim(
    "The critic's gradient is value_coef * (V - R) / N, and zero where the clipped error is the larger one.",
    zh="价值网络的梯度是 value_coef * (V - R) / N；截断后的误差更大时为零。",
)
@hole(2)
@given(case=cases())
def test_value_gradient_vanishes_where_the_clipped_error_is_larger(impl: Any, case: Case) -> None:
    def slope(token: dict[str, float]) -> float:
        plain, clipped = errors(token, case.rule["value_clip"])
        return 0.0 if clipped > plain else case.rule["value_coef"] * (token["value"] - token["returns"])

    check_gradients(impl(**case.rule), case.batch, value=slope)


# Eight tokens, spread over three actions as often as the policy takes each: their mean is the policy's expectation.
SPLITS = [(a, b, 8 - a - b) for a in range(1, 7) for b in range(1, 8 - a)]


@claim(
    "Over tokens that occur exactly as often as the policy draws them, the mean penalty is KL(policy || reference).",
    zh="词元出现的频率恰好等于策略的概率时，惩罚的平均值就是 KL(策略 || 参考策略)。",
)
@hole(3)
@given(policy=st.sampled_from(SPLITS), shift=st.integers(1, len(SPLITS) - 1), dtype=float_dtypes())
def test_kl_is_the_divergence_in_expectation(
    impl: Any, policy: tuple[int, ...], shift: int, dtype: torch.dtype
) -> None:
    reference = SPLITS[(SPLITS.index(policy) + shift) % len(SPLITS)]  # never the policy itself
    tokens = [(p / 8, q / 8) for p, q in zip(policy, reference, strict=True) for _ in range(p)]
    batch = filled((2, 4), dtype)
    batch = replace(
        batch,
        log_prob=torch.tensor([math.log(p) for p, _ in tokens], dtype=dtype).reshape(2, 4),
        ref_log_prob=torch.tensor([math.log(q) for _, q in tokens], dtype=dtype).reshape(2, 4),
    )
    divergence = mean(math.log(p / q) for p, q in tokens)
    check_metric(impl(kl_coef=0.5).loss(batch), "kl", divergence, batch)


@claim(
    "The penalty of a token is never negative, and nothing at all where policy and reference agree or where there is "
    "no reference.",
    zh="每个词元的惩罚从不为负；策略与参考一致时，或没有参考策略时，惩罚为零。",
)
@hole(3)
@given(case=cases(), reference=st.sampled_from(["apart", "apart", "equal", "none"]))
def test_kl_is_never_negative(impl: Any, case: Case, reference: str) -> None:
    ref = {"apart": case.batch.ref_log_prob, "equal": case.batch.log_prob, "none": None}[reference]
    batch = replace(case.batch, ref_log_prob=ref)
    expected = mean(k3(token) if reference == "apart" else 0.0 for token in real_tokens(case.batch))
    check_metric(impl(**case.rule).loss(batch), "kl", expected, batch)


@claim(
    "The penalty pulls the policy back to the reference: its gradient is kl_coef * (1 - exp(log pi_ref - log pi)) / N.",
    zh="惩罚把策略拉回参考策略：梯度是 kl_coef * (1 - exp(log pi_ref - log pi)) / N。",
)
@hole(3)
@given(case=cases())
def test_kl_pulls_the_policy_back(impl: Any, case: Case) -> None:
    batch = replace(case.batch, advantage=torch.zeros_like(case.batch.advantage))  # silences the surrogate
    pull = case.rule["kl_coef"]
    check_gradients(
        impl(**case.rule),
        batch,
        log_prob=lambda token: pull * (1 - math.exp(token["ref_log_prob"] - token["log_prob"])),
    )


@claim(
    "The loss is policy_loss + value_coef * value_loss - entropy_coef * entropy + kl_coef * kl.",
    zh="总损失等于 policy_loss + value_coef * value_loss - entropy_coef * entropy + kl_coef * kl。",
)
@hole(4)
@given(case=cases())
def test_loss_is_the_weighted_sum_of_its_terms(impl: Any, case: Case) -> None:
    got, rule = impl(**case.rule).loss(case.batch), case.rule
    terms = {name: metric.to(torch.float64) for name, metric in got.metrics.items()}
    assert_close(
        got.loss,
        terms["policy_loss"]
        + rule["value_coef"] * terms["value_loss"]
        - rule["entropy_coef"] * terms["entropy"]
        + rule["kl_coef"] * terms["kl"],
        dtype=case.batch.log_prob.dtype,
        tolerance=tolerance("the loss", case.batch),
        what="the loss",
    )


@claim(
    "The metrics are exactly policy_loss, value_loss, entropy, kl and clip_fraction: scalars without gradient, in the "
    "dtype of log_prob, like the loss.",
    zh="指标恰好是 policy_loss、value_loss、entropy、kl 和 clip_fraction：都是不带梯度的标量，dtype 与 log_prob 相同，损失也一样。",
)
@given(case=cases())
def test_metrics_are_five_scalars_without_gradient(impl: Any, case: Case) -> None:
    got = impl(**case.rule).loss(trained(case.batch))
    scalars = {"the loss": got.loss, **got.metrics}
    assert_equal(sorted(scalars), sorted(SIZE), what="the list of metrics")
    for name, scalar in scalars.items():
        what = f"{name}: (shape, dtype, carries gradient)"
        found = (tuple(scalar.shape), str(scalar.dtype), scalar.requires_grad)
        assert_equal(found, ((), str(case.batch.log_prob.dtype), name == "the loss"), what=what)


@claim(
    "The entropy is the mean of the batch's; more of it lowers the loss, by entropy_coef / N a token.",
    zh="熵是批中熵的平均；熵越大损失越小，每个词元的梯度是 -entropy_coef / N。",
)
@hole(4)
@given(case=cases())
def test_entropy_is_a_bonus(impl: Any, case: Case) -> None:
    rule, batch = impl(**case.rule), case.batch
    check_metric(rule.loss(batch), "entropy", mean(token["entropy"] for token in real_tokens(batch)), batch)
    check_gradients(rule, batch, entropy=lambda token: -case.rule["entropy_coef"])


@claim(
    "The clip fraction is the share of real tokens whose ratio is further than clip from 1, on either side.",
    zh="截断比例是比率偏离 1 超过 clip 的真实词元所占的比例，两侧都算。",
)
@hole(4)
@given(case=cases())
def test_clip_fraction_counts_both_sides(impl: Any, case: Case) -> None:
    def outside(token: dict[str, float]) -> float:
        return float(abs(math.exp(token["log_prob"] - token["old_log_prob"]) - 1) > case.rule["clip"])

    expected = mean(map(outside, real_tokens(case.batch)))
    check_metric(impl(**case.rule).loss(case.batch), "clip_fraction", expected, case.batch)


@claim(
    "Every real token weighs the same: joining all sequences, twice over and in reverse, into one changes nothing.",
    zh="每个真实词元的权重相同：把所有序列首尾相接成一条，再倒序并重复一遍，什么都不变。",
)
@hole(4)
@given(case=cases())
def test_tokens_weigh_the_same_in_any_arrangement(impl: Any, case: Case) -> None:
    rule = impl(**case.rule)
    joined = changed(case.batch, lambda _, tensor: torch.cat([tensor, tensor]).flatten().flip(0).unsqueeze(0))
    check_same(rule.loss(joined), rule.loss(case.batch), case.batch)


@claim(
    "Padding is no part of the loss: what it holds and how much of it there is change nothing.",
    zh="填充不属于损失：其中的数值和填充的多少都不改变任何结果。",
)
@hole(4)
@given(case=cases(), noise=tensors((9,), low=0.5))
def test_padding_changes_nothing(impl: Any, case: Case, noise: Tensor) -> None:
    def padded(name: str, tensor: Tensor) -> Tensor:
        """Return the tensor with one more column and one more row, and noise of its own in the padding old and new."""
        if name == "mask":
            return torch.nn.functional.pad(tensor, (0, 1, 0, 1), value=False)
        filling = float(noise[list(FIELDS).index(name)])
        return torch.nn.functional.pad(torch.where(case.batch.mask, tensor, filling), (0, 1, 0, 1), value=filling)

    rule = impl(**case.rule)
    check_same(rule.loss(changed(case.batch, padded)), rule.loss(case.batch), case.batch)


@claim(
    "A batch of padding alone has a loss of 0 with gradients of 0, not NaN.",
    zh="只有填充的批，损失为 0，梯度也为 0，而不是 NaN。",
)
@hole(4)
@given(shape=st.sampled_from([(1, 1), (2, 3), (2, 0)]), dtype=float_dtypes())
def test_padding_alone_gives_zero(impl: Any, shape: tuple[int, int], dtype: torch.dtype) -> None:
    batch = filled(shape, dtype)
    batch = replace(batch, mask=torch.zeros_like(batch.mask))
    rule = impl(kl_coef=0.5)
    check_gradients(rule, batch)
    got = rule.loss(batch)
    for name, scalar in {"the loss": got.loss, **got.metrics}.items():
        zero = torch.zeros(())
        assert_close(scalar, zero, dtype=dtype, tolerance=Tolerance(0.0, 0.0), what=name)


@claim(
    "A rule keeps nothing from one batch to the next: the same batch gets the same loss again.",
    zh="算法不在批与批之间保留任何东西：同一个批再算一次，损失不变。",
)
@given(case=cases())
def test_updates_do_not_remember_each_other(impl: Any, case: Case) -> None:
    rule = impl(**case.rule)
    first = rule.loss(case.batch)
    rule.loss(changed(case.batch, lambda name, tensor: tensor if name == "mask" else tensor - 1))
    check_same(rule.loss(case.batch), first, case.batch)


@claim(
    "Loss, metrics and gradients are the reference's, with the coefficients given and with the defaults.",
    zh="损失、指标和梯度都与参考实现一致，无论给定系数还是使用默认系数。",
)
@given(case=cases(), defaults=st.booleans())
def test_loss_and_gradients_equal_the_reference(impl: Any, reference: Any, case: Case, defaults: bool) -> None:
    rule = {} if defaults else case.rule
    ours, theirs = trained(case.batch), trained(case.batch)
    expected, got = reference(**rule).loss(ours), impl(**rule).loss(theirs)
    check_same(got, expected, case.batch)
    pairs = zip(gradient(got.loss, learned(theirs)), gradient(expected.loss, learned(ours)), LEARNED, strict=True)
    for grad, exact, name in pairs:
        what = f"the gradient to {name}"
        assert_close(grad, exact, dtype=exact.dtype, tolerance=sum_tolerance(exact.dtype, 1, SLOPE), what=what)


# What the properties say in their own words: one token at a time, in Python's floats.

LEARNED = ("log_prob", "value", "entropy")
FIELDS = tuple(f.name for f in fields(RolloutBatch))


def surrogate(token: dict[str, float], clip: float) -> float:
    ratio = math.exp(token["log_prob"] - token["old_log_prob"])
    clipped = min(max(ratio, 1 - clip), 1 + clip)
    return max(-token["advantage"] * ratio, -token["advantage"] * clipped)


def errors(token: dict[str, float], value_clip: float | None) -> tuple[float, float]:
    """Return half the squared error of the value, plain and clipped."""
    step = token["value"] - token["old_value"]
    if value_clip is not None:
        step = min(max(step, -value_clip), value_clip)
    return tuple(0.5 * (v - token["returns"]) ** 2 for v in (token["value"], token["old_value"] + step))  # type: ignore[return-value]


def k3(token: dict[str, float]) -> float:
    away = token["ref_log_prob"] - token["log_prob"]
    return math.exp(away) - away - 1


def real_tokens(batch: RolloutBatch) -> list[dict[str, float]]:
    return [token for token in all_tokens(batch) if token["mask"]]


def all_tokens(batch: RolloutBatch) -> list[dict[str, float]]:
    columns = {f: getattr(batch, f).flatten().tolist() for f in FIELDS if getattr(batch, f) is not None}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def mean(terms: Iterator[float]) -> float:
    numbers = list(terms)
    return math.fsum(numbers) / max(len(numbers), 1)


def filled(shape: tuple[int, int], dtype: torch.dtype) -> RolloutBatch:
    """Return a batch of real tokens, all alike, with the old policy, the old value and the reference a little off."""
    one = torch.ones(shape, dtype=dtype)
    return RolloutBatch(-one, -1.5 * one, 2 * one, one, 0.5 * one, 3 * one, one, one.bool(), -2 * one)


def changed(batch: RolloutBatch, change: Any) -> RolloutBatch:
    return RolloutBatch(**{f: change(f, getattr(batch, f)) for f in FIELDS})


def trained(batch: RolloutBatch) -> RolloutBatch:
    """Return the same batch with gradients wanted for what is being trained."""
    return replace(batch, **{name: getattr(batch, name).detach().requires_grad_() for name in LEARNED})


def learned(batch: RolloutBatch) -> list[Tensor]:
    return [getattr(batch, name) for name in LEARNED]


def tolerance(name: str, batch: RolloutBatch) -> Tolerance:
    return sum_tolerance(batch.log_prob.dtype, batch.mask.numel(), SIZE[name])


def check_metric(got: Loss, name: str, expected: float, batch: RolloutBatch) -> None:
    exact = torch.tensor(expected, dtype=torch.float64)
    assert_close(got.metrics.get(name), exact, dtype=batch.log_prob.dtype, tolerance=tolerance(name, batch), what=name)


def check_same(got: Loss, expected: Loss, batch: RolloutBatch) -> None:
    for name, scalar in {"the loss": expected.loss, **expected.metrics}.items():
        other = got.loss if name == "the loss" else got.metrics.get(name)
        assert_close(other, scalar, dtype=batch.log_prob.dtype, tolerance=tolerance(name, batch), what=name)


def check_not_below(got: Loss, free: Loss, name: str, batch: RolloutBatch) -> None:
    clipped, plain = float(got.metrics[name]), float(free.metrics[name])
    if clipped < plain - tolerance(name, batch).atol:
        raise Mismatch(f"{name} is lower than it is without clipping", f"at least {plain:.6g}", f"{clipped:.6g}")


def check_gradients(rule: Any, batch: RolloutBatch, **slopes: Any) -> None:
    """Check the gradients to the fields named: ``slope(token) / N`` where the mask is True, exactly 0 elsewhere."""
    live = trained(batch)
    grads = dict(zip(LEARNED, gradient(rule.loss(live).loss, learned(live)), strict=True))
    count = max(int(batch.mask.sum()), 1)
    for name, grad in grads.items():
        padding = grad[~batch.mask]
        assert_equal(padding, torch.zeros_like(padding), what=f"the gradient to {name} on padding")
        if name in slopes:
            exact = [slopes[name](token) / count if token["mask"] else 0.0 for token in all_tokens(batch)]
            expected = torch.tensor(exact, dtype=torch.float64).reshape(batch.mask.shape)
            limit = sum_tolerance(grad.dtype, 1, SLOPE / count)
            assert_close(grad, expected, dtype=batch.log_prob.dtype, tolerance=limit, what=f"the gradient to {name}")
