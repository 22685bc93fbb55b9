"""Properties of every right implementation of a reward model's Bradley-Terry loss."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import pad

from groundup.core.interfaces.rl import Loss, RewardPairBatch
from groundup.core.messages import Message
from groundup.core.testing import (
    Tolerance,
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
from groundup.core.testing.laws import rl as laws
from groundup.core.testing.laws.preferences import sigmoid, softplus

Case = laws.Case[RewardPairBatch]

COEFS = (0.0, 0.125, 0.75)  # neither 1 nor 1/2
SIZES = ((1, 1, 2), (1, 3, 1), (2, 2, 3), (3, 4, 4), (4, 1, 3), (2, 3, 3))  # B, T, U
LARGEST = 4.0  # of a drawn score, or of a difference


def answers(shape: tuple[int, int], dtype: torch.dtype) -> st.SearchStrategy[tuple[Tensor, Tensor]]:
    """Draw scores by token, from -2 to 2, and a mask with padding anywhere, but a real token in each row."""

    def made(drawn: Tensor) -> tuple[Tensor, Tensor]:
        mask = drawn[1] < 0
        mask[:, shape[1] // 2] |= ~mask.any(1)
        return drawn[0], mask

    return tensors((2, *shape), dtype=dtype).map(made)


def pairs(*, margin: bool | None = None, masks: bool | None = None) -> st.SearchStrategy[RewardPairBatch]:
    """Draw batches with or without margins (0 to 3) and masks, of either kind where it is None."""

    def made(drawn: tuple[Tensor, tuple[int, int, int], int]) -> RewardPairBatch:
        numbers, (_, width, other), kind = drawn
        chosen, real, rejected, also_real, last = torch.split(numbers, [width, width, other, other, 1], dim=1)
        wanted = 1.5 * last[:, 0].abs() if (kind > 2 if margin is None else margin) else None
        if not (kind % 3 > 0 if masks is None else masks):
            return RewardPairBatch(chosen[:, 0], rejected[:, 0], wanted)
        found = [side < 0 for side in (real, also_real)]
        for mask in found:
            mask[:, mask.shape[1] // 2] |= ~mask.any(1)
        return RewardPairBatch(chosen, rejected, wanted, *found)

    return st.one_of(
        [
            st.tuples(tensors((size[0], 2 * size[1] + 2 * size[2] + 1), dtype=dtype), st.just(size), st.integers(0, 5))
            for size in SIZES
            for dtype in (torch.float32, torch.float64)
        ]
    ).map(made)


class Pair(NamedTuple):
    """A pair as Python's numbers."""

    chosen: float
    rejected: float
    margin: float


def scores_of(reward: Tensor, mask: Tensor | None) -> list[float]:
    """Return the score of each answer, token by token: the last real one counts, 0 without any."""
    if mask is None:
        return [float(number) for number in reward.tolist()]
    return [[0.0, *row[real].tolist()][-1] for row, real in zip(reward, mask, strict=True)]


def pairs_of(batch: RewardPairBatch) -> list[Pair]:
    chosen = scores_of(batch.chosen_reward.detach(), batch.chosen_mask)
    margins = [0.0] * len(chosen) if batch.margin is None else batch.margin.tolist()
    rejected = scores_of(batch.rejected_reward.detach(), batch.rejected_mask)
    return [Pair(*row) for row in zip(chosen, rejected, margins, strict=True)]


def all_but_the_last(batch: RewardPairBatch) -> dict[str, Tensor]:
    """Return where each field holds what no score is read from."""
    found: dict[str, Tensor] = {}
    for side in ("chosen", "rejected"):
        mask = getattr(batch, f"{side}_mask")
        if mask is not None:
            after = mask.flip(1).int().cumsum(1).flip(1)  # how many real tokens there are from here on
            found[f"{side}_reward"] = ~(mask & (after == 1))
    return found


def cost(coef: float, pair: Pair) -> float:
    return softplus(pair.margin - pair.chosen + pair.rejected) + coef * (pair.chosen + pair.rejected) ** 2


def slopes(coef: float, pair: Pair) -> tuple[float, float]:
    weight, centred = sigmoid(pair.margin - pair.chosen + pair.rejected), 2 * coef * (pair.chosen + pair.rejected)
    return centred - weight, centred + weight


RULE = laws.Setting(
    batches=pairs(),
    learned=("chosen_reward", "rejected_reward"),
    sizes={"loss": 20.0, "accuracy": 1.0, "margin": LARGEST, "mean_reward": LARGEST},
    slope=7.0,
    rules=[{"center_coef": coef} for coef in COEFS],
    another={"center_coef": 0.3},
    padding=all_but_the_last,
)


def check_loss(got: Any, case: Case) -> None:
    costs = [cost(case.rule["center_coef"], pair) for pair in pairs_of(case.batch)]
    RULE.check(got, "loss", torch.tensor(laws.mean(costs), dtype=torch.float64), case.batch)


def check_slopes(got: Any, case: Case) -> None:
    """Check the gradient at the last real token, and that there is none elsewhere."""
    found, where = pairs_of(case.batch), all_but_the_last(case.batch)
    exact = torch.tensor([slopes(case.rule["center_coef"], pair) for pair in found], dtype=torch.float64) / len(found)
    for column, (name, grad) in enumerate(RULE.gradients(got, case.batch).items()):
        expected = exact[:, column]
        if name in where:
            expected = torch.where(where[name], 0, expected[:, None])
        what, limit = Message("the gradient to {name}", name=name), RULE.tolerance("gradient", case.batch)
        assert_close(grad, expected, dtype=grad.dtype, tolerance=limit, what=what)


# Hole 1: the score of an answer.

SHAPES = ((1, 1), (1, 4), (2, 3), (3, 5))
ANSWERS = float_dtypes().flatmap(lambda dtype: st.sampled_from(SHAPES).flatmap(lambda shape: answers(shape, dtype)))


def check_score(got: Any, expected: Any, dtype: torch.dtype) -> None:
    exact = expected if isinstance(expected, Tensor) else torch.tensor(expected, dtype=torch.float64)
    assert_close(got, exact, dtype=dtype, tolerance=sum_tolerance(dtype, 1, LARGEST), what=Message("the score"))


@claim(
    "The score of an answer is the one at its last real token, wherever padding stands.",
    zh="回答的分数是它最后一个真实词元处的分数，无论填充在哪里。",
)
@hole(1)
@given(drawn=ANSWERS, scale=st.sampled_from((1, 64)))
def test_the_last_real_token_gives_the_score(impl: Any, drawn: tuple[Tensor, Tensor], scale: int) -> None:
    reward, mask = drawn[0] * scale, drawn[1]
    check_score(impl().score(reward, mask), scores_of(reward, mask), reward.dtype)


@claim(
    "Padding on the left, on the right or on both sides of an answer gives the same score.",
    zh="填充在回答的左边、右边还是两边，分数都一样。",
)
@hole(1)
@given(drawn=ANSWERS, left=st.integers(0, 3), right=st.integers(0, 3))
def test_the_side_of_the_padding_does_not_matter(
    impl: Any, drawn: tuple[Tensor, Tensor], left: int, right: int
) -> None:
    reward, real = drawn[0], torch.ones_like(drawn[1])
    padded = pad(pad(reward, (left, 0), value=5.0), (0, right), value=7.0)
    check_score(impl().score(padded, pad(real, (left, right))), reward[:, -1], reward.dtype)


@claim(
    "An answer alone has the score that it has beside others.",
    zh="一个回答单独打分，与同别的回答一起打分，分数相同。",
)
@hole(1)
@given(drawn=ANSWERS)
def test_an_answer_alone_has_the_same_score(impl: Any, drawn: tuple[Tensor, Tensor]) -> None:
    reward, mask = drawn
    real = mask[0]
    alone = impl().score(reward[:1, real], mask[:1, real])
    check_score(alone, impl().score(reward, mask)[:1], reward.dtype)


@claim(
    "The last real token gets all of the gradient of its answer's score; no other token and no padding gets any.",
    zh="最后一个真实词元得到本回答分数的全部梯度；其他词元和填充都没有梯度。",
)
@hole(1)
@given(drawn=ANSWERS)
def test_the_gradient_goes_to_the_last_real_token(impl: Any, drawn: tuple[Tensor, Tensor]) -> None:
    reward, mask = drawn
    reward = reward.clone().requires_grad_()
    weights = torch.tensor([1.0, -2.0, 4.0], dtype=reward.dtype)[: len(mask)]
    (grad,) = gradient((impl().score(reward, mask) * weights).sum(), [reward])
    elsewhere = all_but_the_last(RewardPairBatch(reward, reward, None, mask, mask))["chosen_reward"]
    expected = torch.where(elsewhere, 0, weights[:, None])
    assert_equal(grad, expected, what=Message("the gradient to reward"))


@claim(
    "An answer without real tokens has the score 0 and no gradient; those beside it keep theirs.",
    zh="没有真实词元的回答分数为 0，也没有梯度；旁边的回答不受影响。",
)
@hole(1)
@given(drawn=ANSWERS, beside=st.booleans())
def test_no_tokens_score_zero(impl: Any, drawn: tuple[Tensor, Tensor], beside: bool) -> None:
    reward, mask = drawn
    rows = len(reward) if beside else 0
    both = torch.cat([torch.full_like(reward[:1], 5.0), reward[:rows]]).requires_grad_()
    real = torch.cat([torch.zeros_like(mask[:1]), mask[:rows]])
    got = impl().score(both, real)
    check_score(got, [0.0, *scores_of(reward[:rows], mask[:rows])], reward.dtype)
    (grad,) = gradient(got.sum(), [both])
    assert_equal(grad[:1], torch.zeros_like(grad[:1]), what=Message("the gradient to an answer without real tokens"))


@claim(
    "Scores in bfloat16 or float16 are float32 afterwards, the same numbers, with a mask and without one.",
    zh="bfloat16 或 float16 的分数之后是 float32，数值不变，有没有掩码都一样。",
)
@hole(1)
@about("dtype")
@given(
    drawn=st.sampled_from(SHAPES).flatmap(lambda shape: answers(shape, torch.float32)),
    dtype=st.sampled_from((torch.bfloat16, torch.float16)),
    masked=st.booleans(),
)
def test_narrow_scores_become_float32(
    impl: Any, drawn: tuple[Tensor, Tensor], dtype: torch.dtype, masked: bool
) -> None:
    reward, mask = drawn[0] if masked else drawn[0][:, 0], drawn[1] if masked else None
    check_score(impl().score(reward.to(dtype), mask), impl().score(reward, mask), torch.float32)


# Hole 2: the ranking loss.


@claim(
    "Without a margin, two answers of the same score cost log 2, whatever the score is.",
    zh="没有间隔时，两个分数相同的回答代价是 log 2，无论分数是多少。",
)
@hole(2)
@given(case=RULE.cases(center_coef=0.0))
def test_equal_scores_cost_log_2(impl: Any, case: Case) -> None:
    batch = case.batch
    twin = RewardPairBatch(batch.chosen_reward, batch.chosen_reward, None, batch.chosen_mask, batch.chosen_mask)
    RULE.check(impl(**case.rule).loss(twin), "loss", torch.tensor(math.log(2), dtype=torch.float64), twin)


@claim(
    "With a centring coefficient of 0, the same number added to all scores changes neither loss nor gradients.",
    zh="居中系数为 0 时，给所有分数加上同一个数，损失和梯度都不变。",
)
@hole(2)
@given(case=RULE.cases(center_coef=0.0), shift=st.sampled_from((-3.0, -0.5, 1.0, 4.0)))
def test_the_scale_has_no_zero(impl: Any, case: Case, shift: float) -> None:
    batch = RULE.trained(case.batch)
    moved = RULE.trained(laws.changed(case.batch, lambda name, t: t + shift if name in RULE.learned else t))
    expected, got = impl(**case.rule).loss(batch), impl(**case.rule).loss(moved)
    RULE.check(got, "loss", expected.loss.detach(), batch)
    RULE.check_same_gradients(RULE.gradients(got, moved), RULE.gradients(expected, batch), batch)


@claim(
    "A margin costs what a chosen score lower by as much would cost, in each pair its own.",
    zh="间隔的代价等于把优选分数降低同样多，每一对各用自己的间隔。",
)
@hole(2)
@given(batch=pairs(margin=True, masks=False))
def test_a_margin_lowers_the_chosen_score(impl: Any, batch: RewardPairBatch) -> None:
    assert batch.margin is not None
    lowered = RULE.trained(replace(batch, chosen_reward=batch.chosen_reward - batch.margin, margin=None))
    batch, rule = RULE.trained(batch), impl(center_coef=0.0)
    expected, got = rule.loss(lowered), rule.loss(batch)
    RULE.check(got, "loss", expected.loss.detach(), batch)
    RULE.check_same_gradients(RULE.gradients(got, batch), RULE.gradients(expected, lowered), batch)


@claim(
    "The odds of a preference are e to the difference of the scores: exchanging the answers of all pairs adds the mean "
    "difference to the loss.",
    zh="偏好的几率是 e 的分数差次方：把每一对的两个回答互换，损失增加的正好是平均分数差。",
)
@hole(2)
@given(batch=pairs(margin=False, masks=False))
def test_exchanged_answers_cost_the_difference_more(impl: Any, batch: RewardPairBatch) -> None:
    rule = impl(center_coef=0.0)
    there, back = rule.loss(batch).loss, rule.loss(RewardPairBatch(batch.rejected_reward, batch.chosen_reward)).loss
    exact = laws.mean(pair.chosen - pair.rejected for pair in pairs_of(batch))
    RULE.check(Loss(back - there), "loss", torch.tensor(exact, dtype=torch.float64), batch)


@claim(
    "The ranking loss is the mean over the pairs of log(1 + exp(margin - chosen + rejected)).",
    zh="排序损失是 log(1 + exp(margin - chosen + rejected)) 对所有对的平均。",
)
@hole(2)
@given(case=RULE.cases(center_coef=0.0))
def test_the_ranking_loss_is_the_mean_over_pairs(impl: Any, case: Case) -> None:
    check_loss(impl(**case.rule).loss(case.batch), case)


@claim(
    "Each pair pulls its scores apart with the probability of the other order, over the number of pairs.",
    zh="每一对把自己的两个分数拉开，力度是相反次序的概率除以对数。",
)
@hole(2)
@given(case=RULE.cases(center_coef=0.0))
def test_a_pair_pulls_with_the_probability_of_the_other_order(impl: Any, case: Case) -> None:
    batch = RULE.trained(case.batch)
    check_slopes(impl(**case.rule).loss(batch), laws.Case(case.rule, batch))


@claim(
    "However far two scores are apart, ranking loss and gradient are those of the formula, neither inf nor nan.",
    zh="无论两个分数相差多远，排序损失和梯度都与公式一致，不会是 inf 或 nan。",
)
@hole(2)
@given(
    dtype=float_dtypes(),
    chosen=st.sampled_from((-3.0e4, -1000.0, -8.0, 0.0, 200.0)),
    rejected=st.sampled_from((0.0, 1000.0)),
    margin=st.sampled_from((None, 3.0)),
)
def test_scores_may_be_far_apart(
    impl: Any, dtype: torch.dtype, chosen: float, rejected: float, margin: float | None
) -> None:
    one, other = (torch.tensor([score], dtype=dtype) for score in (chosen, rejected))
    asked = None if margin is None else torch.tensor([margin], dtype=dtype)
    batch = RULE.trained(RewardPairBatch(one, other, asked))
    got, (pair,) = impl(center_coef=0.0).loss(batch), pairs_of(batch)
    limit = Tolerance(rtol=64 * torch.finfo(dtype).eps, atol=64 * torch.finfo(dtype).eps)  # a few operations
    exact = torch.tensor(cost(0.0, pair), dtype=torch.float64)
    assert_close(got.loss, exact, dtype=dtype, tolerance=limit, what=Message("the loss"))
    for (name, grad), slope in zip(RULE.gradients(got, batch).items(), slopes(0.0, pair), strict=True):
        what = Message("the gradient to {name}", name=name)
        assert_close(grad, torch.full_like(grad, slope), dtype=dtype, tolerance=limit, what=what)


# Hole 3: the centring term.


@claim(
    "Centring adds the coefficient times the mean over the pairs of the squared sum of their two scores.",
    zh="居中项是系数乘以每一对两个分数之和的平方，再对所有对取平均。",
)
@hole(3)
@given(case=RULE.cases())
def test_centring_adds_the_squared_sums(impl: Any, case: Case) -> None:
    check_loss(impl(**case.rule).loss(case.batch), case)


@claim(
    "Centring pulls both scores of a pair the same way, by twice the coefficient times their sum, over the number of "
    "pairs.",
    zh="居中项把一对的两个分数往同一方向拉，力度是系数的两倍乘以二者之和，再除以对数。",
)
@hole(3)
@given(case=RULE.cases())
def test_centring_pulls_both_scores_the_same_way(impl: Any, case: Case) -> None:
    batch = RULE.trained(case.batch)
    check_slopes(impl(**case.rule).loss(batch), laws.Case(case.rule, batch))


@claim(
    "Centring costs nothing where the two scores of a pair add up to 0, however far apart they are.",
    zh="一对的两个分数之和为 0 时，无论相差多远，居中项都不产生代价。",
)
@hole(3)
@given(reward=float_dtypes().flatmap(lambda dtype: tensors((3,), dtype=dtype)), coef=st.sampled_from(COEFS[1:]))
def test_opposite_scores_are_centred(impl: Any, reward: Tensor, coef: float) -> None:
    batch = RewardPairBatch(reward, -reward)
    exact = laws.mean(softplus(-2 * score) for score in reward.tolist())
    RULE.check(impl(center_coef=coef).loss(batch), "loss", torch.tensor(exact, dtype=torch.float64), batch)


@claim(
    "With a coefficient of 0 there is no centring term, not even for scores whose square is infinite.",
    zh="系数为 0 时没有居中项，即使分数的平方已是无穷大。",
)
@hole(3)
@given(size=st.sampled_from((-1e30, 1e25, 2e30)))
def test_no_coefficient_no_term(impl: Any, size: float) -> None:
    batch = RULE.trained(RewardPairBatch(torch.tensor([size]), torch.tensor([size])))
    got, case = impl(center_coef=0.0).loss(batch), laws.Case({"center_coef": 0.0}, batch)
    check_loss(got, case)
    check_slopes(got, case)


# Hole 4: the metrics. Then what holds of every learning rule.


@claim(
    "accuracy is the share of pairs whose chosen score is the larger one, margin the mean difference of the scores and "
    "mean_reward the mean of all scores; the margins that were asked for have no part in them.",
    zh="accuracy 是优选分数更大的对的比例，margin 是平均分数差，mean_reward 是所有分数的平均；都与要求的间隔无关。",
)
@hole(4)
@given(batch=pairs(margin=True), coef=st.sampled_from(COEFS))
def test_metrics_are_about_the_scores(impl: Any, batch: RewardPairBatch, coef: float) -> None:
    got, found = impl(center_coef=coef).loss(batch), pairs_of(batch)
    exact = {
        "accuracy": laws.mean(float(pair.chosen > pair.rejected) for pair in found),
        "margin": laws.mean(pair.chosen - pair.rejected for pair in found),
        "mean_reward": laws.mean((pair.chosen + pair.rejected) / 2 for pair in found),
    }
    for name, number in exact.items():
        RULE.check(got, name, torch.tensor(number, dtype=torch.float64), batch)


@claim("Equal scores are no success.", zh="分数相等不算成功。")
@hole(4)
@given(case=RULE.cases())
def test_equal_scores_are_no_success(impl: Any, case: Case) -> None:
    batch = case.batch
    twin = replace(batch, rejected_reward=batch.chosen_reward, rejected_mask=batch.chosen_mask)
    RULE.check(impl(**case.rule).loss(twin), "accuracy", torch.zeros((), dtype=torch.float64), twin)


@claim(
    "Scores in bfloat16 or float16 are cast to float32 first: loss and metrics are float32, and those of the same "
    "numbers in float32.",
    zh="bfloat16 或 float16 的分数先转成 float32：损失和指标是 float32，且与同样的数以 float32 给出时相同。",
)
@about("dtype")
@given(case=RULE.cases(), dtype=st.sampled_from((torch.bfloat16, torch.float16)))
def test_narrow_scores_are_cast_up(impl: Any, case: Case, dtype: torch.dtype) -> None:
    def cast(to: torch.dtype) -> RewardPairBatch:
        return RULE.trained(laws.changed(case.batch, lambda _, t: t.to(to) if t.is_floating_point() else t))

    narrow, wide = cast(dtype), cast(torch.float32)
    got, expected = impl(**case.rule).loss(narrow), impl(**case.rule).loss(wide)
    for name, scalar in {Message("the loss"): got.loss, **got.metrics}.items():
        assert_equal(str(scalar.dtype), "torch.float32", what=Message("the dtype of {name}", name=name))
    RULE.check_same(got, expected, wide)


test_padding_changes_nothing = laws.test_padding_changes_nothing(RULE, hole=2)
test_metrics_are_detached_scalars = laws.test_metrics_are_detached_scalars(RULE)
test_loss_equals_the_reference_whatever_came_before = laws.test_loss_equals_the_reference_whatever_came_before(RULE)
