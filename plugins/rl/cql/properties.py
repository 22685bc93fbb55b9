"""Properties of every right implementation of the CQL loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import TransitionBatch
from groundup.core.messages import Message
from groundup.core.testing import Tolerance, assert_close, assert_equal, claim, hole, sum_tolerance
from groundup.core.testing.laws import rl as laws

Case = laws.Case[TransitionBatch]

SIZES = [{"B": 1, "A": 2}, {"B": 2, "A": 3}, {"B": 3, "A": 3}, {"B": 4, "A": 2}, {"B": 3, "A": 1}]
OPTIONAL = ("behaviour_log_prob", "next_online_q_value", "current_behaviour_log_prob")
# No gamma is 1 or 1/2, which would hide a missing factor or a swap with the half; no alpha is 1.
RULES = [{"gamma": gamma, "alpha": alpha} for gamma in (0.625, 0.875) for alpha in (0.25, 3.0)]


def spread(batch: TransitionBatch) -> TransitionBatch:
    """Spread rewards and next values, so that errors beyond 1 are common; about half of the steps end an episode."""
    return replace(batch, reward=2 * batch.reward, next_q_value=2 * batch.next_q_value)


CQL = laws.Setting(
    batches=st.one_of(
        laws.batches(TransitionBatch, SIZES, also=OPTIONAL, below={"action": "A"}),
        laws.batches(TransitionBatch, SIZES, below={"action": "A"}),
    ).map(spread),
    learned=("q_value",),
    constants=("next_q_value",),
    sizes={"loss": 80.0, "td_loss": 50.0, "conservative_loss": 8.0},  # errors up to 2 + 4 + 4
    slope=13.0,  # an error, and alpha
    rules=RULES,
    another={"gamma": 0.25, "alpha": 7.0},
)


@claim(
    "td_loss is the mean over transitions of half the squared error of the action taken, against reward + gamma * "
    "max Q(s', .) of the target network.",
    zh="td_loss 是各条转移的平均：所采取动作的价值对 reward + gamma * max Q(s', .)（目标网络）的平方误差的一半。",
)
@hole(1)
@given(case=CQL.cases())
def test_td_loss_is_half_the_squared_error_of_the_action_taken(impl: Any, case: Case) -> None:
    exact = laws.mean(error**2 / 2 for error in errors(case))
    CQL.check(impl(**case.rule).loss(case.batch), "td_loss", scalar(exact), case.batch)


HUGE = 1024.0


@claim(
    "After an end nothing is bootstrapped: Q(s', .) may be anything there. The reward of that step counts in full.",
    zh="回合结束之后不再自举：那里的 Q(s', .) 可以是任意值。那一步的奖励照常全额计算。",
)
@hole(1)
@given(case=CQL.cases(), sign=st.sampled_from((-HUGE, HUGE)))
def test_nothing_is_bootstrapped_after_an_end(impl: Any, case: Case, sign: float) -> None:
    ended = replace(case.batch, done=torch.ones_like(case.batch.done))
    other = replace(ended, next_q_value=ended.next_q_value + sign)
    exact = laws.mean(
        (value - reward) ** 2 / 2 for value, reward in zip(taken(ended), listed(ended.reward), strict=True)
    )
    for batch in (other, ended):
        CQL.check(impl(**case.rule).loss(batch), "td_loss", scalar(exact), ended)


@claim(
    "Of Q(s', .) only the largest value counts: neither the order of the actions in s' nor the values of the others.",
    zh="Q(s', .) 中只有最大值起作用：s' 中各动作的次序、其余动作的值，都不影响结果。",
)
@hole(1)
@given(case=CQL.cases())
def test_only_the_largest_next_value_counts(impl: Any, case: Case) -> None:
    best = case.batch.next_q_value.amax(1, keepdim=True)
    lower = torch.where(case.batch.next_q_value == best, best, case.batch.next_q_value - HUGE)
    expected = impl(**case.rule).loss(case.batch)
    for values in (case.batch.next_q_value.flip(1), lower):
        CQL.check_same(impl(**case.rule).loss(replace(case.batch, next_q_value=values)), expected, case.batch)


@claim(
    "The target network both selects and values the next action. What the network being trained and the behaviour "
    "policy say is not used.",
    zh="下一个动作由目标网络选出，也由它估值。正在训练的网络和行为策略在 s' 的输出都不使用。",
)
@hole(1)
@given(case=CQL.cases())
def test_the_optional_fields_are_not_used(impl: Any, case: Case) -> None:
    numbers = case.batch.next_q_value.flip(1)
    bare = replace(case.batch, behaviour_log_prob=None, next_online_q_value=None, current_behaviour_log_prob=None)
    full = replace(bare, **dict.fromkeys(OPTIONAL, numbers - 5))
    CQL.check_same(impl(**case.rule).loss(full), impl(**case.rule).loss(bare), case.batch)


@claim(
    "A reward raised by c lowers the gradient of the action taken by c over the number of transitions, and no other.",
    zh="奖励提高 c，所采取动作的梯度就降低 c 除以转移条数；其他动作的梯度不变。",
)
@hole(1)
@given(case=CQL.cases(), extra=st.sampled_from((-3.0, 0.5, 4.0)))
def test_the_reward_moves_only_the_action_taken(impl: Any, case: Case, extra: float) -> None:
    before = CQL.trained(case.batch)
    after = CQL.trained(replace(case.batch, reward=case.batch.reward + extra))
    old, new = (CQL.gradients(impl(**case.rule).loss(batch), batch)["q_value"] for batch in (before, after))
    change = -extra / len(case.batch.action)
    check_gradient(new - old, lambda row, action: change * hot(case.batch, row, action), case.batch)


test_a_constant_gets_no_gradient = laws.test_a_constant_gets_no_gradient(CQL, hole=1)


@claim(
    "conservative_loss is the mean over transitions of log sum exp Q(s, .) - Q(s, a).",
    zh="conservative_loss 是各条转移的 log sum exp Q(s, .) - Q(s, a) 的平均。",
)
@hole(2)
@given(case=CQL.cases())
def test_conservative_loss_is_logsumexp_minus_the_action_taken(impl: Any, case: Case) -> None:
    gaps = [
        math.log(math.fsum(math.exp(q) for q in row)) - value
        for row, value in zip(listed(case.batch.q_value), taken(case.batch), strict=True)
    ]
    CQL.check(impl(**case.rule).loss(case.batch), "conservative_loss", scalar(laws.mean(gaps)), case.batch)


@claim(
    "conservative_loss is never negative, and log A where all A actions are worth the same: 0 with a single one.",
    zh="conservative_loss 从不为负；A 个动作价值全都相同时等于 log A，只有一个动作时为 0。",
)
@hole(2)
@given(case=CQL.cases())
def test_conservative_loss_is_never_negative(impl: Any, case: Case) -> None:
    found = impl(**case.rule).loss(case.batch).metrics.get("conservative_loss")
    limit = CQL.tolerance("conservative_loss", case.batch).atol
    at_least = found is not None and bool(found >= -limit)
    assert_equal(at_least, True, what=Message("whether conservative_loss is at least 0"))
    equal = replace(case.batch, q_value=0 * case.batch.q_value + 0.5)
    CQL.check(impl(**case.rule).loss(equal), "conservative_loss", scalar(math.log(equal.q_value.shape[1])), equal)


@claim(
    "However far apart the values are, conservative_loss is at least the mean of max Q(s, .) - Q(s, a), and at most "
    "log A more.",
    zh="无论各个价值相差多远，conservative_loss 都不小于 max Q(s, .) - Q(s, a) 的平均，且至多比它大 log A。",
)
@hole(2)
@given(case=CQL.cases())
def test_conservative_loss_follows_values_far_apart(impl: Any, case: Case) -> None:
    far = replace(case.batch, q_value=64 * case.batch.q_value)
    least = laws.mean(max(row) - value for row, value in zip(listed(far.q_value), taken(far), strict=True))
    found = impl(**case.rule).loss(far).metrics.get("conservative_loss")
    slack = sum_tolerance(CQL.dtype(far), far.q_value.numel(), 256.0).atol
    within = found is not None and -slack <= float(found) - least <= math.log(far.q_value.shape[1]) + slack
    assert_equal(within, True, what=Message("whether conservative_loss is between its bounds"))


@claim(
    "A number added to all Q(s, .) of a state changes neither conservative_loss nor the gradient of a state whose "
    "error stays as it was, however large the number is.",
    zh="给一个状态的所有 Q(s, .) 加上同一个数，无论多大，conservative_loss 都不变；若误差也保持不变，梯度也不变。",
)
@hole(2)
@given(case=CQL.cases(), shift=st.sampled_from((-HUGE, HUGE)), ramp=st.sampled_from((0.0, 64.0)))
def test_a_shift_of_q_changes_nothing(impl: Any, case: Case, shift: float, ramp: float) -> None:
    grid = replace(case.batch, q_value=(case.batch.q_value * 8).round() / 8)  # the shift is exact on this grid
    by = (shift + ramp * torch.arange(len(grid.action))).to(grid.q_value.dtype)
    ended = replace(grid, done=torch.ones_like(grid.done))  # reward and value move together: the error stays
    moved = replace(ended, q_value=ended.q_value + by[:, None], reward=ended.reward + by)
    trained = [CQL.trained(batch) for batch in (ended, moved)]
    expected, got = (impl(**case.rule).loss(batch) for batch in trained)
    slack = sum_tolerance(CQL.dtype(grid), grid.q_value.numel(), 2 * HUGE)
    what = "conservative_loss"
    assert_close(got.metrics.get(what), expected.metrics.get(what), dtype=CQL.dtype(grid), tolerance=slack, what=what)
    old, new = (CQL.gradients(loss, batch)["q_value"] for loss, batch in zip((expected, got), trained, strict=True))
    assert_close(new, old, dtype=old.dtype, tolerance=slack, what=Message("the gradient to {name}", name="q_value"))


@claim(
    "Where the error is 0, the gradient with alpha 1 is softmax Q(s, .) minus 1 at the action taken, over the number "
    "of transitions: it pushes all actions down, and the one in the data up.",
    zh="误差为 0 且 alpha 为 1 时，梯度是 softmax Q(s, .) 在所采取动作处减 1，再除以转移条数："
    "压低所有动作，抬高数据中的那个。",
)
@hole(2)
@given(case=CQL.cases(alpha=1.0), ends=st.booleans())
def test_gradient_of_the_penalty_is_softmax_minus_one_hot(impl: Any, case: Case, ends: bool) -> None:
    batch = replace(case.batch, done=torch.full_like(case.batch.done, ends))
    following = 0 if ends else case.rule["gamma"] * batch.next_q_value.amax(1)
    values = batch.q_value.gather(1, batch.action[:, None])[:, 0]
    batch = CQL.trained(replace(batch, reward=values - following))
    found = CQL.gradients(impl(**case.rule).loss(batch), batch)["q_value"]
    rows = [[math.exp(q) for q in row] for row in listed(batch.q_value.detach())]

    def slope(row: int, action: int) -> float:
        return (rows[row][action] / math.fsum(rows[row]) - hot(batch, row, action)) / len(rows)

    check_gradient(found, slope, batch)


@claim(
    "The loss is td_loss + alpha * conservative_loss. These two are the metrics: scalars like the loss, in the dtype "
    "of q_value, but without gradient.",
    zh="损失等于 td_loss + alpha * conservative_loss。指标就是这两项："
    "与损失一样是标量，dtype 与 q_value 相同，但不带梯度。",
)
@hole(3)
@given(case=CQL.cases())
def test_loss_is_the_weighted_sum_of_its_metrics(impl: Any, case: Case) -> None:
    got = impl(**case.rule).loss(CQL.trained(case.batch))
    laws.check_metrics(CQL, got, case.batch)
    terms = {name: metric.to(torch.float64) for name, metric in got.metrics.items()}
    CQL.check(got, "loss", terms["td_loss"] + case.rule["alpha"] * terms["conservative_loss"], case.batch)


@claim(
    "With alpha 0 this is Q-learning: the gradient is the error over the number of transitions at the action taken, "
    "and 0 elsewhere.",
    zh="alpha 为 0 时就是 Q-learning：所采取动作的梯度是误差除以转移条数，其他动作的梯度为 0。",
)
@hole(3)
@given(case=CQL.cases(alpha=0.0))
def test_alpha_zero_is_q_learning(impl: Any, case: Case) -> None:
    batch, wrong = CQL.trained(case.batch), errors(case)
    got = impl(**case.rule).loss(batch)
    CQL.check(got, "loss", scalar(laws.mean(error**2 / 2 for error in wrong)), batch)
    found = CQL.gradients(got, batch)["q_value"]
    check_gradient(found, lambda row, action: hot(batch, row, action) * wrong[row] / len(wrong), batch)


@claim(
    "Loss and metrics are means over the transitions: the same batch twice over gives the same.",
    zh="损失和指标都是对转移取平均：同一批数据重复一遍，结果不变。",
)
@hole(3)
@given(case=CQL.cases())
def test_the_batch_twice_over_gives_the_same(impl: Any, case: Case) -> None:
    twice = laws.changed(case.batch, lambda _, tensor: torch.cat([tensor, tensor]))
    CQL.check_same(impl(**case.rule).loss(twice), impl(**case.rule).loss(case.batch), case.batch)


test_loss_equals_the_reference_whatever_came_before = laws.test_loss_equals_the_reference_whatever_came_before(CQL)


# The slow way: one transition at a time, in Python floats.


def listed(tensor: Tensor) -> Any:
    return tensor.detach().double().tolist()


def taken(batch: TransitionBatch) -> list[float]:
    return [row[action] for row, action in zip(listed(batch.q_value), batch.action.tolist(), strict=True)]


def errors(case: Case) -> list[float]:
    """Return Q(s, a) minus its target, transition by transition."""
    batch, found = case.batch, []
    for row, value in enumerate(taken(batch)):
        best = 0.0 if batch.done[row] else max(listed(batch.next_q_value[row]))
        found.append(value - float(batch.reward[row]) - case.rule["gamma"] * best)
    return found


def hot(batch: TransitionBatch, row: int, action: int) -> float:
    """Return 1 at the action taken, and 0 at the others."""
    return float(int(batch.action[row]) == action)


def scalar(number: float) -> Tensor:
    return torch.tensor(number, dtype=torch.float64)


def check_gradient(found: Tensor, slope: Callable[[int, int], float], batch: TransitionBatch) -> None:
    """Compare a gradient with its exact value, given by row and action."""
    rows, actions = batch.q_value.shape
    exact = torch.tensor([[slope(r, a) for a in range(actions)] for r in range(rows)], dtype=torch.float64)
    limit: Tolerance = CQL.tolerance("gradient", batch)
    what = Message("the gradient to {name}", name="q_value")
    assert_close(found, exact, dtype=CQL.dtype(batch), tolerance=limit, what=what)
