"""What holds of every right implementation of the PPO loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from itertools import product
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import Loss, RolloutBatch
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

# Log-ratios and distances between values lie on a grid of 1/8. None of these clips does, and no power of e reaches
# 1 - clip or 1 + clip from there: no example sits on a kink, where more than one gradient is right.
CLIPS = (0.2, 0.12, 0.27)
RULES = [
    {"clip": clip, "value_clip": value_clip, "value_coef": value_coef, "entropy_coef": entropy_coef, "kl_coef": kl_coef}
    for clip, value_clip in product(CLIPS, (*CLIPS, None))
    if clip != value_clip
    for value_coef, entropy_coef, kl_coef in product((0.5, 0.75), (0.25, 0.5), (0.25, 1.5))
]
SHAPES = ((1, 1), (1, 6), (5, 2), (3, 5), (4, 4))

# How large one token's term can be, with what is drawn below, and its slope before it is divided by N.
SIZE = {"the loss": 40.0, "policy_loss": 10.0, "value_loss": 16.0, "entropy": 4.0, "kl": 8.0, "clip_fraction": 1.0}
SLOPE = 10.0


class Case(NamedTuple):
    """One update: a rule's coefficients, by name, and its batch."""

    rule: dict[str, Any]
    batch: RolloutBatch


def cases(**fixed: float) -> st.SearchStrategy[Case]:
    """Draw a rule, with the coefficients in ``fixed`` as they are, and a rollout."""
    numbers = [tensors((9, *shape), dtype=dtype) for shape in SHAPES for dtype in (torch.float32, torch.float64)]
    return st.builds(lambda rule, drawn: Case(rule | fixed, rollout(drawn)), st.sampled_from(RULES), st.one_of(numbers))


def rollout(drawn: Tensor) -> RolloutBatch:
    """Make a batch from multiples of 1/8 in [-2, 2]; ratios lie between 0.2 and 4.5, about a third within the clip."""
    log_prob, advantage, value, returns, entropy, reference, mask, ratio, step = drawn
    log_prob = log_prob - 4
    mask = mask < 1
    mask[0, 0] = True  # a batch of padding alone has its own property
    return RolloutBatch(
        log_prob=log_prob,
        old_log_prob=log_prob - (ratio * ratio.abs() * 3).round() / 8,  # 0 and 1.5 nats are both drawn often
        advantage=advantage,
        value=value,
        old_value=value - (step * 2).round() / 8,
        returns=returns,
        entropy=entropy + 2,
        mask=mask,
        ref_log_prob=log_prob + reference,
    )


@claim(
    "The policy loss is the mean over real tokens of the worse of two surrogates: advantage times ratio, and advantage "
    "times clipped ratio, both negated.",
    zh="策略损失是真实词元上的平均；每个词元取两个代理损失中较差的一个：优势乘比率，优势乘截断后的比率，二者都取负。",
)
@hole(1)
@given(case=cases())
def test_policy_loss_is_the_clipped_surrogate(impl: Any, case: Case) -> None:
    def surrogate(token: Token) -> float:
        clip: float = case.rule["clip"]
        clipped = min(max(ratio(token), 1 - clip), 1 + clip)
        return max(-token["advantage"] * ratio(token), -token["advantage"] * clipped)

    check_metric(impl(**case.rule).loss(case.batch), "policy_loss", surrogate, case.batch)


@claim(
    "A token's policy gradient is -A * ratio / N, before the first step -A / N. It is zero where the clip binds: A > 0 "
    "and the ratio above 1 + clip, or A < 0 and the ratio below 1 - clip.",
    zh="每个词元的策略梯度是 -A * ratio / N，第一步之前就是 -A / N。"
    "截断起作用时为零：A > 0 且比率高于 1 + clip，或 A < 0 且比率低于 1 - clip。",
)
@hole(1)
@given(case=cases(value_coef=0.0, entropy_coef=0.0, kl_coef=0.0))
def test_clip_stops_the_gradient_only_where_the_policy_would_leave(impl: Any, case: Case) -> None:
    def slope(token: Token) -> float:
        rises, clip = token["advantage"] > 0, case.rule["clip"]
        leaves = ratio(token) > 1 + clip if rises else ratio(token) < 1 - clip
        return 0.0 if leaves else -token["advantage"] * ratio(token)

    batch = trained(case.batch)
    check_gradients(impl(**case.rule).loss(batch), batch, log_prob=slope)


@claim(
    "A token's value loss is half the squared error of V against R, or of V kept within value_clip of old_value, "
    "whichever is larger; its gradient is value_coef * (V - R) / N, or zero where the clipped error is larger.",
    zh="每个词元的价值损失是 V 对 R 的平方误差的一半，或把 V 限制在 old_value 上下 value_clip 之内后的误差，取较大者；"
    "梯度是 value_coef * (V - R) / N，截断后的误差更大时为零。",
)
@hole(2)
@given(case=cases())
def test_value_loss_is_half_the_larger_squared_error(impl: Any, case: Case) -> None:
    def errors(token: Token) -> tuple[float, float]:
        step, most = token["value"] - token["old_value"], case.rule["value_clip"]
        kept = token["old_value"] + (step if most is None else min(max(step, -most), most))
        return 0.5 * (token["value"] - token["returns"]) ** 2, 0.5 * (kept - token["returns"]) ** 2

    def slope(token: Token) -> float:
        plain, clipped = errors(token)
        return 0.0 if clipped > plain else case.rule["value_coef"] * (token["value"] - token["returns"])

    batch = trained(case.batch)
    got = impl(**case.rule).loss(batch)
    check_metric(got, "value_loss", lambda token: max(errors(token)), batch)
    check_gradients(got, batch, value=slope)


# Eight tokens, spread over three actions as often as the policy takes each: their mean is the policy's expectation.
EIGHTHS = [(a, b, 8 - a - b) for a in range(1, 7) for b in range(1, 8 - a)]


@claim(
    "Over tokens that occur exactly as often as the policy draws them, the mean penalty is KL(policy || reference).",
    zh="词元出现的频率恰好等于策略的概率时，惩罚的平均值就是 KL(策略 || 参考策略)。",
)
@hole(3)
@given(policy=st.sampled_from(EIGHTHS), shift=st.integers(1, len(EIGHTHS) - 1), dtype=float_dtypes())
def test_kl_is_the_divergence_in_expectation(
    impl: Any, policy: tuple[int, int, int], shift: int, dtype: torch.dtype
) -> None:
    reference = EIGHTHS[(EIGHTHS.index(policy) + shift) % len(EIGHTHS)]  # never the policy itself
    taken = [(math.log(p / 8), math.log(q / 8)) for p, q in zip(policy, reference, strict=True) for _ in range(p)]
    log_prob, ref_log_prob = torch.tensor(taken, dtype=dtype).T.reshape(2, 2, 4)
    batch = replace(plain_batch((2, 4), dtype), log_prob=log_prob, ref_log_prob=ref_log_prob)
    check_metric(impl(kl_coef=0.5).loss(batch), "kl", lambda token: token["log_prob"] - token["ref_log_prob"], batch)


@claim(
    "The penalty pulls the policy back to the reference, by kl_coef * (1 - exp(log pi_ref - log pi)) / N a token. It "
    "is zero where the two agree, and where there is no reference.",
    zh="惩罚把策略拉回参考策略：每个词元的梯度是 kl_coef * (1 - exp(log pi_ref - log pi)) / N。"
    "二者一致时，或没有参考策略时，惩罚为零。",
)
@hole(3)
@given(case=cases(), relation=st.sampled_from(["apart", "apart", "equal", "none"]))
def test_kl_pulls_the_policy_back(impl: Any, case: Case, relation: str) -> None:
    ref_log_prob = {"apart": case.batch.ref_log_prob, "equal": case.batch.log_prob, "none": None}[relation]
    silent = torch.zeros_like(case.batch.advantage)  # takes the surrogate's gradient away
    batch = trained(replace(case.batch, ref_log_prob=ref_log_prob, advantage=silent))

    def away(token: Token) -> float:
        return token["ref_log_prob"] - token["log_prob"] if relation == "apart" else 0.0

    rule = impl(**case.rule)
    rule.loss(case.batch)  # its reference is not to be remembered
    got = rule.loss(batch)
    check_metric(got, "kl", lambda token: math.exp(away(token)) - away(token) - 1, batch)
    check_gradients(got, batch, log_prob=lambda token: case.rule["kl_coef"] * (1 - math.exp(away(token))))


@claim(
    "The entropy is the mean of the batch's; more of it lowers the loss, by entropy_coef / N a token.",
    zh="熵是批中各词元熵的平均；熵越大损失越小，每个词元的梯度是 -entropy_coef / N。",
)
@hole(4)
@given(case=cases())
def test_entropy_is_a_bonus(impl: Any, case: Case) -> None:
    batch = trained(case.batch)
    got = impl(**case.rule).loss(batch)
    check_metric(got, "entropy", lambda token: token["entropy"], batch)
    check_gradients(got, batch, entropy=lambda token: -case.rule["entropy_coef"])


@claim(
    "The clip fraction is the share of real tokens whose ratio is further than clip from 1, on either side.",
    zh="截断比例是比率偏离 1 超过 clip 的真实词元所占的比例，两侧都算。",
)
@hole(4)
@given(case=cases())
def test_clip_fraction_counts_both_sides(impl: Any, case: Case) -> None:
    def outside(token: Token) -> float:
        return float(abs(ratio(token) - 1) > case.rule["clip"])

    # Beside the edge |ratio - 1| and the log-ratio, or 1/ratio - 1, are on different sides of the clip.
    near = replace(case.batch, old_log_prob=case.batch.log_prob - case.batch.advantage / 4)
    rule = impl(**case.rule)
    for batch in (near, case.batch):
        check_metric(rule.loss(batch), "clip_fraction", outside, batch)


@claim(
    "The loss is policy_loss + value_coef * value_loss - entropy_coef * entropy + kl_coef * kl. These four and "
    "clip_fraction are the metrics: scalars like the loss, in the dtype of log_prob, but without gradient.",
    zh="总损失等于 policy_loss + value_coef * value_loss - entropy_coef * entropy + kl_coef * kl。"
    "指标就是这四项和 clip_fraction：与损失一样是标量，dtype 与 log_prob 相同，但不带梯度。",
)
@hole(4)
@given(case=cases())
def test_loss_is_the_weighted_sum_of_its_metrics(impl: Any, case: Case) -> None:
    got, rule, dtype = impl(**case.rule).loss(trained(case.batch)), case.rule, case.batch.log_prob.dtype
    assert_equal(sorted(got.metrics), sorted(SIZE.keys() - {"the loss"}), what="the list of metrics")
    for name, metric in got.metrics.items():
        found = (tuple(metric.shape), str(metric.dtype), metric.requires_grad)
        assert_equal(found, ((), str(dtype), False), what=f"(shape, dtype, whether it carries gradient) of {name}")
    terms = {name: metric.to(torch.float64) for name, metric in got.metrics.items()}
    bonus = rule["entropy_coef"] * terms["entropy"]
    total = terms["policy_loss"] + rule["value_coef"] * terms["value_loss"] - bonus + rule["kl_coef"] * terms["kl"]
    assert_close(got.loss, total, dtype=dtype, tolerance=tolerance("the loss", case.batch), what="the loss")


@claim(
    "Every real token weighs the same: joining all sequences into one, twice over and in reverse, changes nothing.",
    zh="每个真实词元的权重相同：把所有序列接成一条、重复一遍再倒序，什么都不变。",
)
@hole(4)
@given(case=cases())
def test_tokens_weigh_the_same_in_any_arrangement(impl: Any, case: Case) -> None:
    rule = impl(**case.rule)
    joined = changed(case.batch, lambda _, tensor: torch.cat([tensor, tensor]).flatten().flip(0).unsqueeze(0))
    check_same(rule.loss(joined), rule.loss(case.batch), case.batch)


@claim(
    "Padding is no part of the loss: neither what it holds nor how much of it there is changes anything.",
    zh="填充不属于损失：无论其中是什么数值、填充有多少，结果都不变。",
)
@hole(4)
@given(case=cases(), noise=tensors((len(fields(RolloutBatch)),), low=0.5))
def test_padding_changes_nothing(impl: Any, case: Case, noise: Tensor) -> None:
    def padded(name: str, tensor: Tensor) -> Tensor:
        """Return ``tensor`` with one more column and one more row, and noise in the padding, old and new."""
        filling = 0.0 if name == "mask" else float(noise[FIELDS.index(name)])
        kept = tensor if name == "mask" else torch.where(case.batch.mask, tensor, filling)
        return torch.nn.functional.pad(kept, (0, 1, 0, 1), value=filling)

    rule = impl(**case.rule)
    check_same(rule.loss(changed(case.batch, padded)), rule.loss(case.batch), case.batch)


@claim(
    "A batch of padding alone has a loss of 0 and gradients of 0, not NaN.",
    zh="只有填充的批，损失为 0，梯度也为 0，而不是 NaN。",
)
@hole(4)
@given(shape=st.sampled_from([(1, 1), (2, 3), (2, 0)]), dtype=float_dtypes())
def test_padding_alone_gives_zero(impl: Any, shape: tuple[int, int], dtype: torch.dtype) -> None:
    batch = trained(plain_batch(shape, dtype))
    batch = replace(batch, mask=torch.zeros_like(batch.mask))
    got = impl(kl_coef=0.5).loss(batch)
    for name, scalar in {"the loss": got.loss, **got.metrics}.items():
        assert_equal(scalar, torch.zeros((), dtype=dtype), what=name)
    check_gradients(got, batch)


FAR = (-5.0, -3.0, 3.0, 5.0)


@claim(
    "However far the policy and the critic have moved, nothing else is clipped: not the surrogate of a negative "
    "advantage, not the squared error, not the penalty.",
    zh="无论策略和价值移动了多远，别的都不截断：优势为负时的代理损失、平方误差和惩罚都不截断。",
)
@given(
    moved=st.sampled_from(FAR),
    advantage=st.sampled_from((-2.0, -0.5)),
    missed=st.sampled_from((-16.0, 16.0)),
    away=st.sampled_from((3.0, 5.0)),
    dtype=float_dtypes(),
)
def test_nothing_else_is_clipped(
    impl: Any, moved: float, advantage: float, missed: float, away: float, dtype: torch.dtype
) -> None:
    one = torch.ones((1, 1), dtype=dtype)
    batch = trained(
        RolloutBatch(-6 * one, (-6 - moved) * one, advantage * one, one, one, (1 - missed) * one, one, one.bool(),
                     (away - 6) * one)
    )  # fmt: skip
    got = impl(clip=0.2, value_clip=None, value_coef=0.5, entropy_coef=0.0, kl_coef=0.5).loss(batch)
    rising = -advantage * math.exp(moved)
    expected = {
        "policy_loss": max(rising, -advantage * 0.8), "value_loss": 0.5 * missed**2, "kl": math.exp(away) - away - 1
    }  # fmt: skip
    for name, number in expected.items():
        exact, limit = torch.tensor(number, dtype=torch.float64), sum_tolerance(dtype, 1, 300.0)
        assert_close(got.metrics.get(name), exact, dtype=dtype, tolerance=limit, what=name)
    slope = (rising if moved > 0 else 0.0) + 0.5 * (1 - math.exp(away))
    expected_slopes = torch.tensor([[slope]], dtype=torch.float64), torch.tensor([[0.5 * missed]], dtype=torch.float64)
    names = ("log_prob", "value")
    for name, grad, exact in zip(names, gradient(got.loss, learned(batch)[:2]), expected_slopes, strict=True):
        assert_close(grad, exact, dtype=dtype, tolerance=sum_tolerance(dtype, 1, 400.0), what=f"the gradient to {name}")


@claim(
    "A coefficient of 0 is a number like any other: value_clip 0 keeps V at old_value, and a term with coefficient 0 "
    "leaves the loss but not the metrics.",
    zh="系数 0 和其他数一样：value_clip 为 0 时 V 保持在 old_value；系数为 0 的项不计入损失，但仍在指标里。",
)
@given(case=cases(value_clip=0.0, value_coef=0.0, entropy_coef=0.0, kl_coef=0.0))
def test_zero_is_a_number(impl: Any, case: Case) -> None:
    def error(token: Token) -> float:
        return max(0.5 * (token[name] - token["returns"]) ** 2 for name in ("value", "old_value"))

    got = impl(**case.rule).loss(case.batch)
    check_metric(got, "value_loss", error, case.batch)
    check_metric(got, "entropy", lambda token: token["entropy"], case.batch)
    check_metric(got, "kl", penalty, case.batch)
    limit = tolerance("policy_loss", case.batch)
    what = "the loss of the surrogate alone"
    assert_close(got.loss, got.metrics["policy_loss"], dtype=case.batch.log_prob.dtype, tolerance=limit, what=what)


@claim(
    "Loss, metrics and gradients are the reference's, with coefficients given or by default, and whatever batches came "
    "before, to this rule or to another: nothing is kept from one update to the next.",
    zh="损失、指标和梯度都与参考实现一致，无论系数是给定的还是默认的，也无论之前（用这个或别的实例）算过什么批：两次更新之间不保留任何东西。",
)
@given(case=cases(), defaults=st.booleans())
def test_loss_equals_the_reference_whatever_came_before(impl: Any, reference: Any, case: Case, defaults: bool) -> None:
    ours, theirs = trained(case.batch), trained(case.batch)
    expected = reference(**{} if defaults else case.rule).loss(ours)
    rule = impl(**{} if defaults else case.rule)
    earlier = changed(case.batch, lambda name, tensor: ~tensor if name == "mask" else tensor + 0.5)
    for other in (rule, impl(clip=0.4, value_clip=0.6, value_coef=0.1, entropy_coef=0.1, kl_coef=0.1)):
        other.loss(earlier)
    got = rule.loss(theirs)
    check_same(got, expected, case.batch)
    grads = gradient(got.loss, learned(theirs)), gradient(expected.loss, learned(ours))
    for grad, exact, name in zip(*grads, LEARNED, strict=True):
        limit = sum_tolerance(exact.dtype, 1, SLOPE)
        assert_close(grad, exact, dtype=exact.dtype, tolerance=limit, what=f"the gradient to {name}")


# The slow way, which the properties compare with: one token at a time, in Python's floats.

Token = dict[str, float]
FIELDS = tuple(f.name for f in fields(RolloutBatch))
LEARNED = ("log_prob", "value", "entropy")


def tokens(batch: RolloutBatch) -> list[Token]:
    columns = {f: getattr(batch, f).flatten().tolist() for f in FIELDS if getattr(batch, f) is not None}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def ratio(token: Token) -> float:
    return math.exp(token["log_prob"] - token["old_log_prob"])


def penalty(token: Token) -> float:
    away = token["ref_log_prob"] - token["log_prob"]
    return math.exp(away) - away - 1


def mean(terms: Iterable[float]) -> float:
    numbers = list(terms)
    return math.fsum(numbers) / max(len(numbers), 1)


def tolerance(name: str, batch: RolloutBatch) -> Tolerance:
    return sum_tolerance(batch.log_prob.dtype, batch.mask.numel(), SIZE[name])


def check_metric(got: Loss, name: str, term: Callable[[Token], float], batch: RolloutBatch) -> None:
    """Check that a metric is the mean of ``term`` over the tokens whose mask is True."""
    exact = torch.tensor(mean(term(token) for token in tokens(batch) if token["mask"]), dtype=torch.float64)
    assert_close(got.metrics.get(name), exact, dtype=batch.log_prob.dtype, tolerance=tolerance(name, batch), what=name)


def check_gradients(got: Loss, batch: RolloutBatch, **slopes: Callable[[Token], float]) -> None:
    """Check the gradients to the fields named: ``slope(token) / N`` where the mask is True. Elsewhere all are 0."""
    count = max(int(batch.mask.sum()), 1)
    for name, grad in zip(LEARNED, gradient(got.loss, learned(batch)), strict=True):
        padding = grad[~batch.mask]
        assert_equal(padding, torch.zeros_like(padding), what=f"the gradient to {name} on padding")
        if name in slopes:
            exact = [slopes[name](token) / count if token["mask"] else 0.0 for token in tokens(batch)]
            expected = torch.tensor(exact, dtype=torch.float64).reshape(batch.mask.shape)
            limit = sum_tolerance(grad.dtype, 1, SLOPE / count)
            assert_close(grad, expected, dtype=batch.log_prob.dtype, tolerance=limit, what=f"the gradient to {name}")


def check_same(got: Loss, expected: Loss, batch: RolloutBatch) -> None:
    """Check that two losses of the same real tokens are the same, and their metrics."""
    for name, scalar in {"the loss": expected.loss, **expected.metrics}.items():
        other = got.loss if name == "the loss" else got.metrics.get(name)
        assert_close(other, scalar, dtype=batch.log_prob.dtype, tolerance=tolerance(name, batch), what=name)


def plain_batch(shape: tuple[int, int], dtype: torch.dtype) -> RolloutBatch:
    """Return a batch of real tokens, all alike; old policy, old value and reference are a little off."""
    one = torch.ones(shape, dtype=dtype)
    return RolloutBatch(-one, -1.5 * one, 2 * one, one, 0.5 * one, 3 * one, one, one.bool(), -2 * one)


def changed(batch: RolloutBatch, change: Callable[[str, Tensor], Tensor]) -> RolloutBatch:
    return RolloutBatch(**{f: change(f, getattr(batch, f)) for f in FIELDS})


def trained(batch: RolloutBatch) -> RolloutBatch:
    """Return the same batch with gradients wanted for what is being trained."""
    return replace(batch, **{name: getattr(batch, name).detach().requires_grad_() for name in LEARNED})


def learned(batch: RolloutBatch) -> list[Tensor]:
    return [getattr(batch, name) for name in LEARNED]
