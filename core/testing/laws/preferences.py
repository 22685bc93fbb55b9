"""Laws of rules that learn from pairs of answers (``PreferenceBatch``): DPO, IPO, SimPO, ORPO.

They stand beside the laws of every learning rule, ``laws.rl``, and take the same kind of ``Setting`` with three more
entries: what a pair costs, the slopes of that cost, and the rewards that it reports, all in Python's floats. The slow
way and the limits are written once here::

    from groundup.core.testing.laws import preferences as pair_laws
    from groundup.core.testing.laws import rl as laws

    def cost(rule, pair):
        return softplus(-rule["beta"] * (sum(pair.chosen) - sum(pair.ref_chosen) - ...))

    DPO = pair_laws.Setting(
        batches=pair_laws.pairs(), sizes={"loss": 4.0, "margin": 4.0, ...}, slope=1.0, rules=[{"beta": 0.125}, ...],
        cost=cost, slopes=slopes, rewards=rewards, constants=pair_laws.REFERENCE,
    )
    test_loss_is_the_mean_over_pairs = pair_laws.test_loss_is_the_mean_over_pairs(DPO, hole=2)
    test_padding_changes_nothing = laws.test_padding_changes_nothing(DPO, hole=1)

A rule of this family reports ``chosen_reward``, ``rejected_reward``, ``margin`` and ``accuracy``, each a mean over the
pairs; a rule that reports others as well names them in ``sizes``. Equal rewards count as no success.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import Loss, PreferenceBatch
from groundup.core.messages import Message
from groundup.core.testing.compare import Tolerance, assert_close, assert_equal
from groundup.core.testing.laws import Property, law
from groundup.core.testing.laws import rl_setting as base
from groundup.core.testing.laws.preferences_drawing import Pair, pairs, pairs_of, sigmoid, softplus
from groundup.core.testing.laws.rl_setting import Case, changed, mean, tensors_of
from groundup.core.testing.marks import about
from groundup.core.testing.strategies import tensors

__all__ = [
    "REFERENCE",
    "Pair",
    "Setting",
    "pairs",
    "pairs_of",
    "sigmoid",
    "softplus",
    "test_a_common_shift_changes_nothing",
    "test_an_empty_answer_has_log_probability_zero",
    "test_bfloat16_is_cast_up",
    "test_each_token_gets_the_slope_of_its_pair",
    "test_extreme_pairs_stay_finite",
    "test_long_answers_do_not_underflow",
    "test_loss_is_the_mean_over_pairs",
    "test_rewards_are_reported",
    "test_swapping_the_answers_swaps_what_is_reported",
    "test_the_place_of_a_token_does_not_matter",
]

REFERENCE = ("ref_chosen_log_prob", "ref_rejected_log_prob")
FAR = 16384.0  # nats: beyond what exp can hold in any dtype, multiplied with any beta above 1/20
LONG = (300, 700)  # tokens: at 3 nats each, the probability of the answer is 0 in float64


@dataclass(frozen=True, kw_only=True)
class Setting(base.Setting[PreferenceBatch]):
    """How to test a rule over pairs. ``slope`` is the largest magnitude of one of ``slopes``."""

    cost: Callable[[Mapping[str, Any], Pair], float]
    """What one pair adds to the loss, before the mean over the pairs, from the rule's coefficients and the pair."""
    slopes: Callable[[Mapping[str, Any], Pair], tuple[float, float]]
    """The derivatives of ``cost`` by the log-probability of any one chosen token, and of any one rejected token."""
    rewards: Callable[[Mapping[str, Any], Pair], tuple[float, float]]
    """The rewards of the chosen and of the rejected answer that the rule reports."""
    swap_costs: Callable[[Mapping[str, Any], float], float] | None = None
    """By how much the loss grows if all answers are exchanged, from the mean margin; None where it is no function."""
    learned: tuple[str, ...] = ("chosen_log_prob", "rejected_log_prob")


@law("The loss is the mean over the pairs of what each pair costs.", zh="损失是每一对的代价对所有对的平均。")
def test_loss_is_the_mean_over_pairs(setting: Setting) -> Property:
    @given(case=setting.cases())
    def holds(impl: Any, case: Case[PreferenceBatch]) -> None:
        _check_loss(setting, impl(**case.rule).loss(case.batch), case)

    return holds


@law(
    "Each token of an answer gets the same slope, that of its pair divided by the number of pairs; what is no token of "
    "an answer gets none.",
    zh="同一回答的每个词元得到相同的梯度，即该对的斜率除以对数；不属于回答的位置得不到梯度。",
)
def test_each_token_gets_the_slope_of_its_pair(setting: Setting) -> Property:
    @given(case=setting.cases())
    def holds(impl: Any, case: Case[PreferenceBatch]) -> None:
        batch = setting.trained(case.batch)
        _check_slopes(setting, impl(**case.rule).loss(batch), Case(case.rule, batch))

    return holds


@law(
    "The reported rewards are the means over the chosen and over the rejected answers; margin is their difference, "
    "and accuracy the share of pairs whose chosen answer has the larger one. Equal ones are no success.",
    zh="报告的奖励分别是优选回答和劣选回答的平均奖励；margin 是二者之差，accuracy 是优选回答奖励更大的对所占的比例。"
    "相等不算成功。",
)
def test_rewards_are_reported(setting: Setting) -> Property:
    @given(case=setting.cases(), same=st.sampled_from((False, False, True)))
    def holds(impl: Any, case: Case[PreferenceBatch], same: bool) -> None:
        batch = _both_chosen(case.batch) if same else case.batch
        rewards = [setting.rewards(case.rule, pair) for pair in pairs_of(batch)]
        exact = {
            "chosen_reward": mean(chosen for chosen, _ in rewards),
            "rejected_reward": mean(rejected for _, rejected in rewards),
            "margin": mean(chosen - rejected for chosen, rejected in rewards),
            "accuracy": mean(float(chosen > rejected) for chosen, rejected in rewards),
        }
        got = impl(**case.rule).loss(batch)
        for name, number in exact.items():
            setting.check(got, name, torch.tensor(number, dtype=torch.float64), batch)

    return holds


@law(
    "Exchanging chosen and rejected answers exchanges their rewards, turns the sign of the margin, and makes each "
    "success a failure.",
    zh="互换优选与劣选回答，二者的奖励随之互换，margin 变号，原先成功的对变成失败。",
)
def test_swapping_the_answers_swaps_what_is_reported(setting: Setting) -> Property:
    @given(case=setting.cases())
    def holds(impl: Any, case: Case[PreferenceBatch]) -> None:
        turned = _swapped(case.batch)
        before, after = impl(**case.rule).loss(case.batch), impl(**case.rule).loss(turned)
        rewards = [setting.rewards(case.rule, pair) for pair in pairs_of(case.batch)]
        ties = mean(float(chosen == rejected) for chosen, rejected in rewards)
        metrics = {name: metric.to(torch.float64) for name, metric in before.metrics.items()}
        setting.check(after, "chosen_reward", metrics["rejected_reward"], turned)
        setting.check(after, "rejected_reward", metrics["chosen_reward"], turned)
        setting.check(after, "margin", -metrics["margin"], turned)
        setting.check(after, "accuracy", 1 - ties - metrics["accuracy"], turned)
        if setting.swap_costs is not None:
            grown = setting.swap_costs(case.rule, float(metrics["margin"]))
            setting.check(after, "loss", before.loss.detach().to(torch.float64) + grown, turned)

    return holds


@law(
    "Only log-ratios count: the same shift of policy and reference, token by token, changes nothing.",
    zh="只有对数比率起作用：策略与参考策略逐词元做同样的平移，什么都不变。",
)
def test_a_common_shift_changes_nothing(setting: Setting) -> Property:
    @given(case=setting.cases(), shifts=tensors((2, 8), low=-4.0, high=-0.5))
    def holds(impl: Any, case: Case[PreferenceBatch], shifts: Tensor) -> None:
        def moved(name: str, tensor: Tensor) -> Tensor:
            shift = shifts[int("rejected" in name), : tensor.shape[1]].to(tensor.dtype)
            return tensor + shift if tensor.is_floating_point() else tensor

        shifted = setting.trained(changed(case.batch, moved))
        batch = setting.trained(case.batch)
        expected, got = impl(**case.rule).loss(batch), impl(**case.rule).loss(shifted)
        setting.check_same(got, expected, batch)
        setting.check_same_gradients(setting.gradients(got, shifted), setting.gradients(expected, batch), batch)

    return holds


@law(
    "It does not matter in which columns an answer's tokens stand, if its mask moves with them.",
    zh="回答的词元在哪些列无关紧要，只要掩码跟着一起移动。",
)
def test_the_place_of_a_token_does_not_matter(setting: Setting) -> Property:
    @given(case=setting.cases(), side=st.sampled_from(("chosen", "rejected")))
    def holds(impl: Any, case: Case[PreferenceBatch], side: str) -> None:
        def turned(name: str, tensor: Tensor) -> Tensor:
            return tensor.flip(1) if side in name else tensor

        batch, moved = setting.trained(case.batch), setting.trained(changed(case.batch, turned))
        expected, got = impl(**case.rule).loss(batch), impl(**case.rule).loss(moved)
        setting.check_same(got, expected, batch)
        back = {name: turned(name, grad) for name, grad in setting.gradients(got, moved).items()}
        setting.check_same_gradients(back, setting.gradients(expected, batch), batch)

    return holds


@law(
    "An answer without tokens has the log-probability 0, under policy and reference alike, and not 0 / 0.",
    zh="没有词元的回答，其对数概率在策略和参考策略下都是 0，而不是 0 / 0。",
)
def test_an_empty_answer_has_log_probability_zero(setting: Setting) -> Property:
    @given(case=setting.cases(), side=st.sampled_from(("chosen_mask", "rejected_mask")))
    def holds(impl: Any, case: Case[PreferenceBatch], side: str) -> None:
        mask = getattr(case.batch, side).clone()
        mask[0] = False
        batch = setting.trained(replace(case.batch, **{side: mask}))
        got = impl(**case.rule).loss(batch)
        _check_loss(setting, got, Case(case.rule, batch))
        _check_slopes(setting, got, Case(case.rule, batch))

    return holds


@law(
    "The probability of a long answer is smaller than any float: only its logarithm can be computed with.",
    zh="长回答的概率小于任何浮点数能表示的值：只能用它的对数来计算。",
)
def test_long_answers_do_not_underflow(setting: Setting) -> Property:
    @given(
        rule=st.sampled_from(setting.rules),
        dtype=st.sampled_from((torch.float32, torch.float64)),
        lengths=st.permutations(LONG),
        steps=st.tuples(st.integers(-4, 4), st.integers(-4, 4)),
    )
    def holds(impl: Any, rule: dict[str, Any], dtype: torch.dtype, lengths: list[int], steps: tuple[int, int]) -> None:
        sides = [torch.full((1, length), -3.0, dtype=dtype) for length in lengths]
        moved = [side + step / 1024 for side, step in zip(sides, steps, strict=True)]
        batch = setting.trained(_batch(setting, moved, sides))
        got = impl(**rule).loss(batch)
        _check_loss(setting, got, Case(rule, batch))
        _check_slopes(setting, got, Case(rule, batch))

    return holds


@law(
    "However far policy and reference are apart, loss and gradient are those of the formula, neither inf nor nan.",
    zh="无论策略与参考策略相差多远，损失和梯度都与公式一致，不会是 inf 或 nan。",
)
def test_extreme_pairs_stay_finite(setting: Setting) -> Property:
    @given(
        rule=st.sampled_from(setting.rules),
        dtype=st.sampled_from((torch.float32, torch.float64)),
        chosen=st.sampled_from((-FAR, FAR, 0.0)),
        rejected=st.sampled_from((-FAR, 0.0)),
    )
    def holds(impl: Any, rule: dict[str, Any], dtype: torch.dtype, chosen: float, rejected: float) -> None:
        base = [torch.full((1, length), -FAR - 1, dtype=dtype) for length in (1, 2)]
        policy = [side + part / side.shape[1] for side, part in zip(base, (chosen, rejected), strict=True)]
        batch = setting.trained(_batch(setting, policy, base))
        (pair,) = pairs_of(batch)
        got, cost = impl(**rule).loss(batch), setting.cost(rule, pair)
        limit = Tolerance(rtol=64 * torch.finfo(dtype).eps, atol=64 * torch.finfo(dtype).eps)  # a few operations
        exact = torch.tensor(cost, dtype=torch.float64)
        assert_close(got.loss, exact, dtype=dtype, tolerance=limit, what=Message("the loss"))
        for (name, grad), slope in zip(setting.gradients(got, batch).items(), setting.slopes(rule, pair), strict=True):
            what = Message("the gradient to {name}", name=name)
            assert_close(grad, torch.full_like(grad, slope), dtype=dtype, tolerance=limit, what=what)

    return holds


@law(
    "Log-probabilities in bfloat16 are cast to float32 before anything else: loss and metrics are float32, and those "
    "of the same numbers in float32.",
    zh="bfloat16 的对数概率先转成 float32 再做任何计算：损失和指标是 float32，且与同样的数以 float32 给出时相同。",
)
@about("dtype")
def test_bfloat16_is_cast_up(setting: Setting) -> Property:
    @given(case=setting.cases())
    def holds(impl: Any, case: Case[PreferenceBatch]) -> None:
        narrow, wide = (
            setting.trained(changed(case.batch, lambda _, t: t.to(dtype) if t.is_floating_point() else t))  # noqa: B023
            for dtype in (torch.bfloat16, torch.float32)
        )
        got, expected = impl(**case.rule).loss(narrow), impl(**case.rule).loss(wide)
        for name, scalar in {Message("the loss"): got.loss, **got.metrics}.items():
            assert_equal(str(scalar.dtype), "torch.float32", what=Message("the dtype of {name}", name=name))
        setting.check_same(got, expected, wide)
        exact = setting.gradients(expected, wide)
        for name, grad in setting.gradients(got, narrow).items():
            limit = Tolerance(rtol=2.0**-8, atol=2.0**-8 * 0.01 * setting.slope)  # one rounding to bfloat16
            what = Message("the gradient to {name}", name=name)
            assert_close(grad, exact[name], dtype=torch.bfloat16, tolerance=limit, what=what)

    return holds


def _check_loss(setting: Setting, got: Loss, case: Case[PreferenceBatch]) -> None:
    costs = [setting.cost(case.rule, pair) for pair in pairs_of(case.batch)]
    setting.check(got, "loss", torch.tensor(mean(costs), dtype=torch.float64), case.batch)


def _check_slopes(setting: Setting, got: Loss, case: Case[PreferenceBatch]) -> None:
    """Check the slope of each token, and that there is none on padding."""
    slopes = torch.tensor([setting.slopes(case.rule, pair) for pair in pairs_of(case.batch)], dtype=torch.float64)
    masks = {name: getattr(case.batch, f"{name.removesuffix('_log_prob')}_mask") for name in setting.learned}
    for column, (name, grad) in enumerate(setting.gradients(got, case.batch).items()):
        padding = grad[~masks[name]]
        assert_equal(padding, torch.zeros_like(padding), what=Message("the gradient to {name} on padding", name=name))
        exact = torch.where(masks[name], slopes[:, column : column + 1] / len(slopes), 0)
        limit = setting.tolerance("gradient", case.batch)
        what = Message("the gradient to {name}", name=name)
        assert_close(grad, exact, dtype=grad.dtype, tolerance=limit, what=what)


def _swapped(batch: PreferenceBatch) -> PreferenceBatch:
    return PreferenceBatch(
        batch.rejected_log_prob,
        batch.chosen_log_prob,
        batch.rejected_mask,
        batch.chosen_mask,
        batch.ref_rejected_log_prob,
        batch.ref_chosen_log_prob,
    )


def _both_chosen(batch: PreferenceBatch) -> PreferenceBatch:
    """Return pairs of one answer with itself in the first row; the others are left."""
    own, other = batch.chosen_log_prob.shape[1], batch.rejected_log_prob.shape[1]
    width = max(own, other)

    def as_wide(name: str, tensor: Tensor) -> Tensor:
        return torch.nn.functional.pad(tensor, (0, width - tensor.shape[1]), value=0.0)

    wide = changed(batch, as_wide)
    fields = tensors_of(wide)
    same = {
        name: torch.cat([fields[name.replace("rejected", "chosen")][:1], tensor[1:]])
        for name, tensor in fields.items()
        if "rejected" in name
    }
    return replace(wide, **same)


def _batch(setting: Setting, policy: list[Tensor], reference: list[Tensor]) -> PreferenceBatch:
    """Return one pair without padding; its reference is left out if the constants of the rule have none."""
    masks = [torch.ones(side.shape, dtype=torch.bool) for side in policy]
    return PreferenceBatch(*policy, *masks, *(reference if REFERENCE[0] in setting.constants else (None, None)))
