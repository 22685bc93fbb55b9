"""Properties of every right implementation of the PPO loss."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import RolloutBatch
from groundup.core.messages import Message
from groundup.core.testing import assert_close, claim, float_dtypes, hole, sum_tolerance, tensors
from groundup.core.testing.laws import rl as laws

# Log-ratios and distances between values are multiples of 1/8. No clip is, and no ratio exp(n / 8) equals 1 - clip or
# 1 + clip: so no example lies on a kink of the loss, where more than one gradient is right.
CLIPS = (0.2, 0.12, 0.27)
RULES = [
    {"clip": clip, "value_clip": value_clip, "value_coef": value_coef, "entropy_coef": entropy_coef, "kl_coef": kl_coef}
    for clip, value_clip in product(CLIPS, (*CLIPS, None))
    if clip != value_clip
    for value_coef, entropy_coef, kl_coef in product((0.5, 0.75), (0.25, 0.5), (0.25, 1.5))
]
SHAPES = ((1, 1), (1, 6), (5, 2), (3, 5), (4, 4))

Case = laws.Case[RolloutBatch]
Token = laws.Token


def rollout(drawn: Tensor) -> RolloutBatch:
    """Make a batch from multiples of 1/8 in [-2, 2]. Ratios are in [0.2, 4.5], about a third within the clip."""
    log_prob, advantage, value, returns, entropy, reference, mask, ratio, step = drawn
    log_prob = log_prob - 4
    mask = mask < 1
    mask[0, 0] = True  # a batch with only padding has its own property
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


PPO = laws.Setting(
    batches=st.one_of(
        [tensors((9, *shape), dtype=dtype) for shape in SHAPES for dtype in (torch.float32, torch.float64)]
    ).map(rollout),
    learned=("log_prob", "value", "entropy"),
    sizes={"loss": 40.0, "policy_loss": 10.0, "value_loss": 16.0, "entropy": 4.0, "kl": 8.0, "clip_fraction": 1.0},
    slope=10.0,
    rules=RULES,
    another={"clip": 0.4, "value_clip": 0.6, "value_coef": 0.1, "entropy_coef": 0.1, "kl_coef": 0.1},
    padded_rows=True,
)


# Properties of the earlier holes use batches without padding: masking is part of hole 4.
REAL = replace(PPO, batches=PPO.batches.map(lambda batch: replace(batch, mask=torch.ones_like(batch.mask))))


@claim(
    "The policy loss is the mean over tokens of the worse of two surrogates: advantage times ratio, and advantage "
    "times clipped ratio, both negated.",
    zh="策略损失是各词元的平均；每个词元取两个代理损失中较差的一个：优势乘比率，优势乘裁剪后的比率，二者都取负。",
)
@hole(1)
@given(case=REAL.cases())
def test_policy_loss_is_the_clipped_surrogate(impl: Any, case: Case) -> None:
    def surrogate(token: Token) -> float:
        clip: float = case.rule["clip"]
        clipped = min(max(ratio(token), 1 - clip), 1 + clip)
        return max(-token["advantage"] * ratio(token), -token["advantage"] * clipped)

    PPO.check_mean(impl(**case.rule).loss(case.batch), "policy_loss", surrogate, case.batch)


@claim(
    "A token's policy gradient is -A * ratio / N, before the first step -A / N. It is zero where the clip binds: A > 0 "
    "and the ratio above 1 + clip, or A < 0 and the ratio below 1 - clip.",
    zh="每个词元的策略梯度是 -A * ratio / N，第一步之前就是 -A / N。"
    "裁剪起作用时为零：A > 0 且比率高于 1 + clip，或 A < 0 且比率低于 1 - clip。",
)
@hole(1)
@given(case=REAL.cases(value_coef=0.0, entropy_coef=0.0, kl_coef=0.0))
def test_clip_stops_the_gradient_only_where_the_policy_would_leave(impl: Any, case: Case) -> None:
    def slope(token: Token) -> float:
        rises, clip = token["advantage"] > 0, case.rule["clip"]
        leaves = ratio(token) > 1 + clip if rises else ratio(token) < 1 - clip
        return 0.0 if leaves else -token["advantage"] * ratio(token)

    batch = PPO.trained(replace(case.batch, ref_log_prob=None))
    PPO.check_gradients(impl(**case.rule).loss(batch), batch, log_prob=slope)


@claim(
    "A token's value loss is half the squared error of V against R, or of V kept within value_clip of old_value, "
    "whichever is larger; with value_coef 1 its gradient is (V - R) / N, or zero where the clipped error is larger.",
    zh="每个词元的价值损失是 V 对 R 的平方误差的一半，或把 V 限制在 old_value 上下 value_clip 之内后的误差，取较大者；"
    "value_coef 为 1 时梯度是 (V - R) / N，裁剪后的误差更大时为零。",
)
@hole(2)
@given(case=REAL.cases(value_coef=1.0))
def test_value_loss_is_half_the_larger_squared_error(impl: Any, case: Case) -> None:
    def errors(token: Token) -> tuple[float, float]:
        step, most = token["value"] - token["old_value"], case.rule["value_clip"]
        kept = token["old_value"] + (step if most is None else min(max(step, -most), most))
        return 0.5 * (token["value"] - token["returns"]) ** 2, 0.5 * (kept - token["returns"]) ** 2

    def slope(token: Token) -> float:
        plain, clipped = errors(token)
        return 0.0 if clipped > plain else token["value"] - token["returns"]

    batch = PPO.trained(case.batch)
    got = impl(**case.rule).loss(batch)
    PPO.check_mean(got, "value_loss", lambda token: max(errors(token)), batch)
    PPO.check_gradients(got, batch, value=slope)


# Counts of three actions among eight tokens, proportional to the policy: a mean over tokens is then its expectation.
EIGHTHS = [(a, b, 8 - a - b) for a in range(1, 7) for b in range(1, 8 - a)]


@claim(
    "Over tokens that occur exactly as often as the policy draws them, the mean penalty is KL(policy || reference).",
    zh="词元出现的频率恰好等于策略的概率时，惩罚的平均值就是 KL(策略 || 参考策略)。",
)
@hole(3)
@given(
    policy=st.sampled_from(EIGHTHS),
    shift=st.integers(1, len(EIGHTHS) - 1),
    kl_coef=st.sampled_from((0.0, 0.5)),  # the metric is computed even if it is not in the loss
    dtype=float_dtypes(),
)
def test_kl_is_the_divergence_in_expectation(
    impl: Any, policy: tuple[int, int, int], shift: int, kl_coef: float, dtype: torch.dtype
) -> None:
    reference = EIGHTHS[(EIGHTHS.index(policy) + shift) % len(EIGHTHS)]  # never the policy itself
    taken = [(math.log(p / 8), math.log(q / 8)) for p, q in zip(policy, reference, strict=True) for _ in range(p)]
    log_prob, ref_log_prob = torch.tensor(taken, dtype=dtype).T.reshape(2, 2, 4)
    batch = replace(plain_batch((2, 4), dtype), log_prob=log_prob, ref_log_prob=ref_log_prob)
    PPO.check_mean(
        impl(kl_coef=kl_coef).loss(batch), "kl", lambda token: token["log_prob"] - token["ref_log_prob"], batch
    )


@claim(
    "The penalty pulls the policy back to the reference, with kl_coef 1 by (1 - exp(log pi_ref - log pi)) / N a token. "
    "It is zero where the two agree, and where there is no reference.",
    zh="惩罚把策略拉回参考策略：kl_coef 为 1 时，每个词元的梯度是 (1 - exp(log pi_ref - log pi)) / N。"
    "二者一致时，或没有参考策略时，惩罚为零。",
)
@hole(3)
@given(case=REAL.cases(entropy_coef=0.0, kl_coef=1.0), relation=st.sampled_from(["apart", "apart", "equal", "none"]))
def test_kl_pulls_the_policy_back(impl: Any, case: Case, relation: str) -> None:
    ref_log_prob = {"apart": case.batch.ref_log_prob, "equal": case.batch.log_prob, "none": None}[relation]
    silent = torch.zeros_like(case.batch.advantage)  # removes the surrogate's gradient
    batch = PPO.trained(replace(case.batch, ref_log_prob=ref_log_prob, advantage=silent))

    def ref_log_ratio(token: Token) -> float:
        return token["ref_log_prob"] - token["log_prob"] if relation == "apart" else 0.0

    def kl(token: Token) -> float:
        return math.exp(ref_log_ratio(token)) - ref_log_ratio(token) - 1

    def slope(token: Token) -> float:
        return 1 - math.exp(ref_log_ratio(token))

    rule = impl(**case.rule)
    rule.loss(case.batch)  # its ref_log_prob must not be remembered
    got = rule.loss(batch)
    PPO.check_mean(got, "kl", kl, batch)
    PPO.check_gradients(got, batch, log_prob=slope)


@claim(
    "The entropy is the mean of the batch's; more of it lowers the loss, by entropy_coef / N a token.",
    zh="熵是批中各词元熵的平均；熵越大损失越小，每个词元的梯度是 -entropy_coef / N。",
)
@hole(4)
@given(case=REAL.cases())
def test_entropy_is_a_bonus(impl: Any, case: Case) -> None:
    batch = PPO.trained(case.batch)
    got = impl(**case.rule).loss(batch)
    PPO.check_mean(got, "entropy", lambda token: token["entropy"], batch)
    PPO.check_gradients(got, batch, entropy=lambda token: -case.rule["entropy_coef"])


@claim(
    "The clip fraction is the share of real tokens whose ratio is further than clip from 1, on either side.",
    zh="裁剪比例是比率偏离 1 超过 clip 的真实词元所占的比例，两侧都算。",
)
@hole(4)
@given(case=PPO.cases())
def test_clip_fraction_counts_both_sides(impl: Any, case: Case) -> None:
    def outside(token: Token) -> float:
        return float(abs(ratio(token) - 1) > case.rule["clip"])

    # Near the edge, |ratio - 1| and the log-ratio, or 1/ratio - 1, are on different sides of the clip.
    near = replace(case.batch, old_log_prob=case.batch.log_prob - case.batch.advantage / 4)
    for batch in (near, case.batch):
        PPO.check_mean(impl(**case.rule).loss(batch), "clip_fraction", outside, batch)


@claim(
    "The loss is policy_loss + value_coef * value_loss - entropy_coef * entropy + kl_coef * kl. These four and "
    "clip_fraction are the metrics: scalars like the loss, in the dtype of log_prob, but without gradient.",
    zh="总损失等于 policy_loss + value_coef * value_loss - entropy_coef * entropy + kl_coef * kl。"
    "指标就是这四项和 clip_fraction：与损失一样是标量，dtype 与 log_prob 相同，但不带梯度。",
)
@hole(4)
@given(case=PPO.cases())
def test_loss_is_the_weighted_sum_of_its_metrics(impl: Any, case: Case) -> None:
    got, rule = impl(**case.rule).loss(PPO.trained(case.batch)), case.rule
    laws.check_metrics(PPO, got, case.batch)
    terms = {name: metric.to(torch.float64) for name, metric in got.metrics.items()}
    bonus = rule["entropy_coef"] * terms["entropy"]
    total = terms["policy_loss"] + rule["value_coef"] * terms["value_loss"] - bonus + rule["kl_coef"] * terms["kl"]
    PPO.check(got, "loss", total, case.batch)


@claim(
    "Every real token weighs the same: joining all sequences into one, twice over and in reverse, changes nothing.",
    zh="每个真实词元的权重相同：把所有序列接成一条、重复一遍再倒序，什么都不变。",
)
@hole(4)
@given(case=PPO.cases())
def test_tokens_weigh_the_same_in_any_arrangement(impl: Any, case: Case) -> None:
    joined = laws.changed(case.batch, lambda _, tensor: torch.cat([tensor, tensor]).flatten().flip(0).unsqueeze(0))
    PPO.check_same(impl(**case.rule).loss(joined), impl(**case.rule).loss(case.batch), case.batch)


test_padding_changes_nothing = laws.test_padding_changes_nothing(PPO, hole=4)
test_padding_alone_gives_zero = laws.test_padding_alone_gives_zero(PPO, hole=4)

FAR = (-5.0, -3.0, 3.0, 5.0)


@claim(
    "However far the policy and the critic have moved, nothing else is clipped: not the surrogate of a negative "
    "advantage, not the squared error, not the penalty.",
    zh="无论策略和价值移动了多远，别的都不裁剪：优势为负时的代理损失、平方误差和惩罚都不裁剪。",
)
@given(
    log_ratio=st.sampled_from(FAR),
    advantage=st.sampled_from((-2.0, -0.5)),
    error=st.sampled_from((-16.0, 16.0)),
    ref_log_ratio=st.sampled_from((3.0, 5.0)),
    dtype=float_dtypes(),
)
def test_nothing_else_is_clipped(
    impl: Any, log_ratio: float, advantage: float, error: float, ref_log_ratio: float, dtype: torch.dtype
) -> None:
    one = torch.ones((1, 1), dtype=dtype)
    batch = PPO.trained(
        RolloutBatch(-6 * one, (-6 - log_ratio) * one, advantage * one, one, one, (1 - error) * one, one, one.bool(),
                     (ref_log_ratio - 6) * one)
    )  # fmt: skip
    got = impl(clip=0.2, value_clip=None, value_coef=0.5, entropy_coef=0.0, kl_coef=0.5).loss(batch)
    rising, kl = -advantage * math.exp(log_ratio), math.exp(ref_log_ratio) - ref_log_ratio - 1
    for name, number in {"policy_loss": max(rising, -advantage * 0.8), "value_loss": 0.5 * error**2, "kl": kl}.items():
        exact, limit = torch.tensor(number, dtype=torch.float64), sum_tolerance(dtype, 1, 300.0)
        assert_close(got.metrics.get(name), exact, dtype=dtype, tolerance=limit, what=name)
    slopes = {
        "log_prob": (rising if log_ratio > 0 else 0.0) + 0.5 * (1 - math.exp(ref_log_ratio)),
        "value": 0.5 * error,
    }
    found = PPO.gradients(got, batch)
    for name, number in slopes.items():
        exact, limit = torch.tensor([[number]], dtype=torch.float64), sum_tolerance(dtype, 1, 400.0)
        assert_close(
            found[name], exact, dtype=dtype, tolerance=limit, what=Message("the gradient to {name}", name=name)
        )


@claim(
    "A coefficient of 0 is a number like any other: value_clip 0 keeps V at old_value, and a term with coefficient 0 "
    "leaves the loss but not the metrics.",
    zh="系数 0 和其他数一样：value_clip 为 0 时 V 保持在 old_value；系数为 0 的项不计入损失，但仍在指标里。",
)
@given(case=PPO.cases(value_clip=0.0, value_coef=0.0, entropy_coef=0.0, kl_coef=0.0))
def test_zero_is_a_number(impl: Any, case: Case) -> None:
    def error(token: Token) -> float:
        return max(0.5 * (token[name] - token["returns"]) ** 2 for name in ("value", "old_value"))

    got = impl(**case.rule).loss(case.batch)
    PPO.check_mean(got, "value_loss", error, case.batch)
    PPO.check_mean(got, "entropy", lambda token: token["entropy"], case.batch)
    PPO.check_mean(got, "kl", penalty, case.batch)
    limit = PPO.tolerance("policy_loss", case.batch)
    what = Message("the loss of the surrogate alone")
    assert_close(got.loss, got.metrics["policy_loss"], dtype=case.batch.log_prob.dtype, tolerance=limit, what=what)


test_loss_equals_the_reference_whatever_came_before = laws.test_loss_equals_the_reference_whatever_came_before(PPO)


def ratio(token: Token) -> float:
    return math.exp(token["log_prob"] - token["old_log_prob"])


def penalty(token: Token) -> float:
    ref_log_ratio = token["ref_log_prob"] - token["log_prob"]
    return math.exp(ref_log_ratio) - ref_log_ratio - 1


def plain_batch(shape: tuple[int, int], dtype: torch.dtype) -> RolloutBatch:
    """Return a batch of identical tokens without padding; old policy, old value and reference differ slightly."""
    one = torch.ones(shape, dtype=dtype)
    return RolloutBatch(-one, -1.5 * one, 2 * one, one, 0.5 * one, 3 * one, one, one.bool(), -2 * one)
