"""Laws of rules that compare several answers to the same prompt (``GroupBatch``): GRPO, RLOO, Dr. GRPO, DAPO, GSPO.

They stand beside the laws of every learning rule, ``laws.rl``, and take the same kind of ``Setting`` with three more
entries, all in Python's floats: the advantages of a group, the terms of an answer's tokens, and how much a token of
each answer counts. The slow way and the limits are written once here::

    from groundup.core.testing.laws import groups as group_laws
    from groundup.core.testing.laws import rl as laws

    GRPO = group_laws.Setting(
        batches=group_laws.groups(), sizes={"loss": 10.0, "policy_loss": 10.0, ...}, slope=10.0, rules=[...],
        advantages=advantages, terms=terms, weights=weights,
    )
    test_loss_is_the_weighted_sum_over_tokens = group_laws.test_loss_is_the_weighted_sum_over_tokens(GRPO, hole=4)
    test_padding_changes_nothing = laws.test_padding_changes_nothing(GRPO, hole=4)

A rule of this family has a method ``advantages(batch)``, one number an answer, beside ``loss(batch)``. It reports
``policy_loss``, ``kl`` and ``clip_fraction``; a rule that reports others as well names them in ``sizes``.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import GroupBatch, Loss
from groundup.core.messages import Message
from groundup.core.testing.compare import Tolerance, assert_close, assert_equal, sum_tolerance
from groundup.core.testing.laws import Property, law
from groundup.core.testing.laws.groups_advantages import (
    test_a_large_group_has_the_same_formula,
    test_a_lone_answer_teaches_nothing,
    test_advantages_are_those_of_the_group,
    test_advantages_are_wide_constants,
    test_advantages_of_a_group_sum_to_zero,
    test_equal_rewards_teach_nothing,
    test_group_numbers_are_names,
    test_groups_do_not_touch_each_other,
    test_shifting_a_groups_rewards_changes_nothing,
)
from groundup.core.testing.laws.groups_setting import (
    CONSTANTS,
    Answer,
    Setting,
    Term,
    answers_of,
    clipped,
    groups,
    k3,
    slow_advantages,
    standing,
)
from groundup.core.testing.laws.rl_setting import Case, changed
from groundup.core.testing.marks import about

__all__ = [
    "CONSTANTS",
    "Answer",
    "Setting",
    "Term",
    "answers_of",
    "clipped",
    "groups",
    "k3",
    "slow_advantages",
    "test_a_large_group_has_the_same_formula",
    "test_a_lone_answer_teaches_nothing",
    "test_advantages_are_those_of_the_group",
    "test_advantages_are_wide_constants",
    "test_advantages_of_a_group_sum_to_zero",
    "test_answers_may_stand_in_any_order",
    "test_at_the_old_policy_it_is_the_policy_gradient",
    "test_bfloat16_is_cast_up",
    "test_each_token_gets_its_slope",
    "test_equal_rewards_teach_nothing",
    "test_group_numbers_are_names",
    "test_groups_do_not_touch_each_other",
    "test_long_answers_are_counted_in_full",
    "test_loss_is_the_weighted_sum_over_tokens",
    "test_metrics_are_those_of_the_tokens",
    "test_padding_may_hold_any_finite_number",
    "test_shifting_a_groups_rewards_changes_nothing",
    "test_what_moved_far_counts_in_full",
]

LONG = (300, 130)  # tokens
MOVED = (  # which policy a token has left, how far, and the reward of its answer; all others have 0
    ("old_log_prob", 24.0, -1.0),
    ("old_log_prob", 24.0, -1.0),  # the only one that no clip holds: twice, so that each grading has it
    ("old_log_prob", 24.0, 1.0),
    ("old_log_prob", -24.0, 1.0),
    ("ref_log_prob", 24.0, -1.0),
    ("ref_log_prob", -24.0, 1.0),
)


@law(
    "The loss is the sum over the tokens of what each costs, times the weight of a token of its answer.",
    zh="损失是各词元的代价之和，每个代价先乘以所属回答中一个词元的权重。",
)
def test_loss_is_the_weighted_sum_over_tokens(setting: Setting) -> Property:
    @given(case=setting.cases())
    def holds(impl: Any, case: Case[GroupBatch]) -> None:
        _check_loss(setting, impl(**case.rule).loss(case.batch), case)

    return holds


@law(
    "Each token gets its own slope, times the weight of a token of its answer; padding gets none.",
    zh="每个词元得到自己的斜率，乘以所属回答中一个词元的权重；填充得不到梯度。",
)
def test_each_token_gets_its_slope(setting: Setting) -> Property:
    @given(case=setting.cases())
    def holds(impl: Any, case: Case[GroupBatch]) -> None:
        batch = setting.trained(case.batch)
        _check_slopes(setting, impl(**case.rule).loss(batch), Case(case.rule, batch))

    return holds


@law(
    "At the old policy, where every ratio is 1, the gradient is that of the policy gradient: each token of an answer "
    "gets minus its advantage, times its weight.",
    zh="策略还等于旧策略（比率都是 1）时，梯度就是策略梯度：回答的每个词元得到负的优势乘以它的权重。",
)
def test_at_the_old_policy_it_is_the_policy_gradient(setting: Setting) -> Property:
    @given(case=setting.cases(**setting.without_kl))
    def holds(impl: Any, case: Case[GroupBatch]) -> None:
        batch = setting.trained(replace(case.batch, old_log_prob=case.batch.log_prob.clone()))
        answers = answers_of(batch)
        weights = setting.weights(case.rule, [len(answer.log_prob) for answer in answers])
        advantages = slow_advantages(setting, case.rule, answers)
        rows = [[-a * w] * batch.mask.shape[1] for a, w in zip(advantages, weights, strict=True)]
        exact = torch.where(batch.mask, torch.tensor(rows, dtype=torch.float64), 0)
        _check_gradient(setting, impl(**case.rule).loss(batch), exact, batch)

    return holds


@law(
    "``policy_loss`` and ``kl`` are summed with the same weights as the loss; ``clip_fraction`` is the share that the "
    "text names.",
    zh="policy_loss 和 kl 用与损失相同的权重求和；clip_fraction 是说明所指的比例。",
)
def test_metrics_are_those_of_the_tokens(setting: Setting) -> Property:
    @given(case=setting.cases())
    def holds(impl: Any, case: Case[GroupBatch]) -> None:
        _check_metrics(setting, impl(**case.rule).loss(case.batch), case)

    return holds


@law(
    "Answers may stand in any order, also with the groups mixed: each keeps its gradient, and the loss is the same.",
    zh="回答可以按任何次序排列，各组混在一起也行：每段回答的梯度不变，损失也不变。",
)
def test_answers_may_stand_in_any_order(setting: Setting) -> Property:
    @given(case=setting.cases(), order=st.permutations(range(6)))
    def holds(impl: Any, case: Case[GroupBatch], order: list[int]) -> None:
        rows = torch.tensor([row for row in order if row < len(case.batch.group)])
        batch, mixed = setting.trained(case.batch), setting.trained(changed(case.batch, lambda _, t: t[rows]))
        expected, got = impl(**case.rule).loss(batch), impl(**case.rule).loss(mixed)
        setting.check_same(got, expected, batch)
        (found,), (own,) = setting.gradients(got, mixed).values(), setting.gradients(expected, batch).values()
        setting.check_same_gradients({"log_prob": found}, {"log_prob": own[rows]}, batch)

    return holds


@law(
    "Padding may hold any finite number: where exp overflows there, loss and gradient stay the same, and finite.",
    zh="填充处可以是任何有限的数：即使 exp 在那里溢出，损失和梯度也不变，而且有限。",
)
def test_padding_may_hold_any_finite_number(setting: Setting) -> Property:
    @given(case=setting.cases(), far=st.sampled_from((-2000.0, 2000.0)))
    def holds(impl: Any, case: Case[GroupBatch], far: float) -> None:
        def wider(name: str, tensor: Tensor) -> Tensor:
            filling = {"log_prob": far, "mask": False}.get(name, -1.0)
            more = torch.full((len(tensor), 1), filling, dtype=tensor.dtype)
            return torch.cat([tensor, more], dim=1) if tensor.dim() == 2 else tensor

        batch, wide = setting.trained(case.batch), setting.trained(changed(case.batch, wider))
        expected, got = impl(**case.rule).loss(batch), impl(**case.rule).loss(wide)
        setting.check_same(got, expected, batch)
        (own,) = setting.gradients(expected, batch).values()
        (found,) = setting.gradients(got, wide).values()
        exact = torch.cat([own, torch.zeros_like(own[:, :1])], dim=1)
        setting.check_same_gradients({"log_prob": found}, {"log_prob": exact}, batch)

    return holds


@law(
    "An answer of hundreds of tokens counts in full, and as exactly as a short one.",
    zh="几百个词元的回答同样完整地计入，并且与短回答一样精确。",
)
def test_long_answers_are_counted_in_full(setting: Setting) -> Property:
    @given(
        rule=st.sampled_from(setting.rules),
        dtype=st.sampled_from((torch.float32, torch.float64)),
        steps=st.tuples(st.integers(-4, 4), st.integers(-4, 4)),
        better=st.sampled_from((0, 1)),
    )
    def holds(impl: Any, rule: dict[str, Any], dtype: torch.dtype, steps: tuple[int, int], better: int) -> None:
        log_prob = torch.full((2, max(LONG)), -3.0, dtype=dtype)
        mask = torch.arange(max(LONG)) < torch.tensor(LONG)[:, None]
        old = log_prob + torch.tensor(steps, dtype=dtype)[:, None] / 4096
        reward = torch.tensor([1 - better, better], dtype=dtype)
        reference = log_prob if "ref_log_prob" in setting.constants else None
        batch = setting.trained(GroupBatch(log_prob, old, reward, torch.zeros(2, dtype=torch.long), mask, reference))
        got, costs = impl(**rule).loss(batch), _costs(setting, Case(rule, batch))
        limit = sum_tolerance(dtype, 64, math.fsum(map(abs, costs)))
        exact = torch.tensor(math.fsum(costs), dtype=torch.float64)
        assert_close(got.loss, exact, dtype=dtype, tolerance=limit, what=Message("the loss"))
        _check_slopes(setting, got, Case(rule, batch))

    return holds


@law(
    "A token that has moved far counts in full, up or down, in an answer far better or worse than many others: no "
    "ratio, log-ratio or distance is capped but by the clip.",
    zh="移动很远的词元同样完整地计入，无论变大还是变小，也无论所在回答比许多其他回答好得多还是差得多："
    "除了裁剪，比率、对数比率和距离都不受限制。",
)
def test_what_moved_far_counts_in_full(setting: Setting) -> Property:
    @given(
        rule=st.sampled_from(setting.rules),
        dtype=st.sampled_from((torch.float32, torch.float64)),
        move=st.sampled_from([move for move in MOVED if move[0] in setting.constants]),
        count=st.sampled_from((2, 60)),
    )
    def holds(impl: Any, rule: dict[str, Any], dtype: torch.dtype, move: tuple[str, float, float], count: int) -> None:
        other, far, odd = move
        reward = torch.zeros(count, dtype=dtype)
        reward[-1] = odd
        log_prob = torch.full((count, 2), -30.0, dtype=dtype)
        moved = log_prob.clone()
        moved[-1, 0] -= far
        batch = replace(standing(setting, log_prob, reward), **{other: moved})
        case = Case(rule, setting.trained(batch))
        near = replace(setting, relative=True)
        got = impl(**rule).loss(case.batch)
        _check_loss(near, got, case)
        _check_metrics(near, got, case)
        _check_slopes(near, got, case)

    return holds


@law(
    "Log-probabilities and rewards in bfloat16 are cast to float32 before anything else: loss and metrics are float32, "
    "and those of the same numbers in float32.",
    zh="bfloat16 的对数概率和奖励先转成 float32 再做任何计算：损失和指标是 float32，"
    "且与同样的数以 float32 给出时相同。",
)
@about("dtype")
def test_bfloat16_is_cast_up(setting: Setting) -> Property:
    @given(case=setting.cases(**setting.without_kl))
    def holds(impl: Any, case: Case[GroupBatch]) -> None:
        together = replace(case.batch, group=torch.zeros_like(case.batch.group))  # no answer is alone
        narrow, wide = (
            setting.trained(changed(together, lambda _, t: t.to(dtype) if t.is_floating_point() else t))  # noqa: B023
            for dtype in (torch.bfloat16, torch.float32)
        )
        got = impl(**case.rule).loss(narrow)
        wide = setting.trained(changed(narrow, lambda _, t: t.detach().float() if t.is_floating_point() else t))
        expected = impl(**case.rule).loss(wide)
        for name, scalar in {Message("the loss"): got.loss, **got.metrics}.items():
            assert_equal(str(scalar.dtype), "torch.float32", what=Message("the dtype of {name}", name=name))
        setting.check_same(got, expected, wide)
        exact = setting.gradients(expected, wide)
        for name, grad in setting.gradients(got, narrow).items():
            # One rounding to bfloat16. A penalty in the loss may be rounded by itself: it is left out.
            limit = Tolerance(rtol=2.0**-8, atol=2.0**-8 * 0.01 * setting.slope)
            what = Message("the gradient to {name}", name=name)
            assert_close(grad, exact[name], dtype=torch.bfloat16, tolerance=limit, what=what)

    return holds


def _slow(setting: Setting, case: Case[GroupBatch]) -> list[tuple[float, list[Term]]]:
    """Return each answer's weight of a token, and the terms of its tokens."""
    answers = answers_of(case.batch)
    weights = setting.weights(case.rule, [len(answer.log_prob) for answer in answers])
    advantages = slow_advantages(setting, case.rule, answers)
    terms = [setting.terms(case.rule, *row) for row in zip(answers, advantages, strict=True)]
    return list(zip(weights, terms, strict=True))


def _costs(setting: Setting, case: Case[GroupBatch]) -> list[float]:
    """Return what each token adds to the loss."""
    coefficient = case.rule.get("kl_coef", 0.0) if setting.kl_in_the_loss else 0.0
    return [weight * (term.policy + coefficient * term.kl) for weight, terms in _slow(setting, case) for term in terms]


def _check_loss(setting: Setting, got: Loss, case: Case[GroupBatch]) -> None:
    exact = torch.tensor(math.fsum(_costs(setting, case)), dtype=torch.float64)
    setting.check(got, "loss", exact, case.batch)


def _check_metrics(setting: Setting, got: Loss, case: Case[GroupBatch]) -> None:
    slow = _slow(setting, case)
    outside = [term.outside for _, terms in slow for term in terms]
    if setting.answers_are_clipped:
        outside = [any(term.outside for term in terms) for _, terms in slow]
    exact = {
        "policy_loss": math.fsum(weight * term.policy for weight, terms in slow for term in terms),
        "kl": math.fsum(weight * term.kl for weight, terms in slow for term in terms),
        "clip_fraction": sum(outside) / len(outside),
    }
    for name, number in exact.items():
        setting.check(got, name, torch.tensor(number, dtype=torch.float64), case.batch)


def _check_slopes(setting: Setting, got: Loss, case: Case[GroupBatch]) -> None:
    exact = torch.zeros(case.batch.mask.shape, dtype=torch.float64)
    slopes = [weight * term.slope for weight, terms in _slow(setting, case) for term in terms]
    exact[case.batch.mask] = torch.tensor(slopes, dtype=torch.float64)
    _check_gradient(setting, got, exact, case.batch)


def _check_gradient(setting: Setting, got: Loss, exact: Tensor, batch: GroupBatch) -> None:
    """Compare the gradient to ``log_prob``; on padding it is 0 exactly."""
    (grad,) = setting.gradients(got, batch).values()
    padding = grad[~batch.mask]
    what = Message("the gradient to {name} on padding", name="log_prob")
    assert_equal(padding, torch.zeros_like(padding), what=what)
    size = max(float(exact.abs().max()), 2.0**-10)
    limit = sum_tolerance(grad.dtype, 16, size)
    if setting.relative:
        limit = Tolerance(rtol=sum_tolerance(grad.dtype, 16).atol, atol=sum_tolerance(grad.dtype, 1).atol)
    what = Message("the gradient to {name}", name="log_prob")
    assert_close(grad, exact, dtype=grad.dtype, tolerance=limit, what=what)
