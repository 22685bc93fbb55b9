"""Properties of every right implementation of the discrete BCQ loss."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import TransitionBatch
from groundup.core.messages import Message
from groundup.core.testing import assert_close, claim, gradient, hole
from groundup.core.testing.laws import rl as laws

Case = laws.Case[TransitionBatch]

SIZES = [{"B": 1, "A": 3}, {"B": 2, "A": 4}, {"B": 3, "A": 2}, {"B": 3, "A": 3}]
FIELDS = ("behaviour_log_prob", "next_online_q_value", "current_behaviour_log_prob")
# Log-probabilities are multiples of 0.1, and no threshold but 0 and 1 is exp of one: no action lies on the edge.
RULES = [{"gamma": gamma, "threshold": share} for gamma in (0.625, 0.875) for share in (0.3, 0.12, 0.75)]
HUGE = 1024.0


def settled(batch: TransitionBatch) -> TransitionBatch:
    """Spread rewards and next values, and break ties in what selects, where more than one answer would be right."""
    online = batch.next_online_q_value
    if online is not None:
        online = online + 0.013 * torch.arange(online.shape[1])
    return replace(
        batch,
        reward=2 * batch.reward,
        next_q_value=2 * batch.next_q_value,
        next_online_q_value=None if online is None else online.to(batch.reward.dtype),
    )


def drawn(*also: str) -> st.SearchStrategy[TransitionBatch]:
    return laws.batches(TransitionBatch, SIZES, also=also, below={"action": "A"}).map(settled)


BCQ = laws.Setting(
    batches=st.one_of(drawn(*FIELDS), drawn(*FIELDS), drawn("behaviour_log_prob", "current_behaviour_log_prob")),
    learned=("q_value", "current_behaviour_log_prob"),
    constants=("next_q_value", "behaviour_log_prob"),
    sizes={"loss": 64.0, "td_loss": 64.0, "behaviour_loss": 4.0, "kept": 1.0},
    slope=8.0,
    rules=RULES,
    another={"gamma": 0.25, "threshold": 0.5},
)


@claim(
    "kept is the share of the actions of s' that the behaviour policy makes at least threshold times as likely as its "
    "likeliest one.",
    zh="kept 是 s' 中满足下述条件的动作所占的比例：行为策略给它的概率，至少是最可能动作的概率的 threshold 倍。",
)
@hole(1)
@given(case=BCQ.cases())
def test_kept_is_the_share_of_likely_actions(impl: Any, case: Case) -> None:
    kept = laws.mean(float(ok) for row in allowed(case) for ok in row)
    BCQ.check(impl(**case.rule).loss(case.batch), "kept", scalar(kept), case.batch)


@claim(
    "Threshold 0 allows every action. Threshold 1 allows the likeliest of each state, and all that are as likely.",
    zh="threshold 为 0 时允许所有动作；为 1 时只允许每个状态中最可能的动作，以及与它同样可能的动作。",
)
@hole(1)
@given(case=BCQ.cases(), coarse=st.booleans(), bound=st.sampled_from((0.0, 1.0)))
def test_both_ends_of_the_threshold(impl: Any, case: Case, coarse: bool, bound: float) -> None:
    log_prob = behaviour(case.batch)
    log_prob = log_prob.round() if coarse else log_prob  # ties are common among whole numbers
    batch = replace(case.batch, behaviour_log_prob=log_prob)
    best = [row.count(max(row)) / len(row) for row in listed(log_prob)]
    got = impl(gamma=case.rule["gamma"], threshold=bound).loss(batch)
    BCQ.check(got, "kept", scalar(laws.mean(best) if bound else 1.0), batch)


@claim(
    "What the networks say about actions that are not allowed changes nothing: they may be worth anything.",
    zh="网络对不允许的动作怎么估值都不影响结果：它们可以值任何数。",
)
@hole(1)
@given(case=BCQ.cases(), extra=st.sampled_from((-HUGE, HUGE)))
def test_actions_that_are_filtered_out_do_not_count(impl: Any, case: Case, extra: float) -> None:
    out = ~torch.tensor(allowed(case))
    batch, online = case.batch, case.batch.next_online_q_value
    other = replace(
        batch,
        next_q_value=torch.where(out, batch.next_q_value + extra, batch.next_q_value),
        next_online_q_value=None if online is None else torch.where(out, online + extra, online),
    )
    BCQ.check_same(impl(**case.rule).loss(other), impl(**case.rule).loss(batch), batch)


@claim(
    "Only ratios of the behaviour's probabilities count: a number added to all its logarithms of a state changes "
    "nothing, and a state does not depend on the others.",
    zh="只有行为策略的概率之比起作用：给一个状态的所有对数概率加上同一个数，结果不变；各状态之间互不影响。",
)
@hole(1)
@given(case=BCQ.cases(), shift=st.sampled_from((-3.0, 2.0)))
def test_only_ratios_of_the_behaviour_count(impl: Any, case: Case, shift: float) -> None:
    by = shift * torch.arange(1, len(case.batch.action) + 1).to(case.batch.reward.dtype)
    moved = replace(case.batch, behaviour_log_prob=behaviour(case.batch) + by[:, None])
    BCQ.check_same(impl(**case.rule).loss(moved), impl(**case.rule).loss(case.batch), case.batch)


@claim(
    "The filter is about s' and the behaviour policy alone: kept depends on nothing else in the batch.",
    zh="过滤只与 s' 和行为策略有关：kept 不取决于批里的其他任何东西。",
)
@hole(1)
@given(case=BCQ.cases())
def test_the_filter_depends_on_the_behaviour_in_the_next_state_alone(impl: Any, case: Case) -> None:
    kept = behaviour(case.batch)
    turned = laws.changed(case.batch, lambda name, t: t if name == "behaviour_log_prob" else t.flip(t.dim() - 1))
    other = replace(turned, next_q_value=-turned.next_q_value, action=kept.argmin(1))
    expected = impl(**case.rule).loss(case.batch).metrics.get("kept")
    BCQ.check(impl(**case.rule).loss(other), "kept", expected, case.batch)


@claim(
    "The names of the actions in s' mean nothing: renumbering them in all three fields of s' changes nothing.",
    zh="s' 中动作的编号没有意义：在 s' 的三个字段里同样地重新编号，结果不变。",
)
@hole(1)
@given(case=BCQ.cases())
def test_the_actions_of_the_next_state_may_be_renumbered(impl: Any, case: Case) -> None:
    names = ("next_q_value", "behaviour_log_prob", "next_online_q_value")
    turned = laws.changed(case.batch, lambda name, tensor: tensor.flip(1) if name in names else tensor)
    BCQ.check_same(impl(**case.rule).loss(turned), impl(**case.rule).loss(case.batch), case.batch)


@claim(
    "The target is reward + gamma * the target network's value of the allowed action that the trained network rates "
    "highest: an episode that ends with that as its last reward gives the same loss and gradients.",
    zh="目标是 reward + gamma * 目标网络对下述动作的估值：允许的动作中，正在训练的网络评价最高的那个。"
    "把这个数当作最后一步的奖励并结束回合，损失和梯度不变。",
)
@hole(2)
@given(case=BCQ.cases())
def test_the_target_is_the_best_allowed_action(impl: Any, case: Case) -> None:
    check_target(impl, case)


@claim(
    "Without next_online_q_value the target network both selects among the allowed actions and values its choice.",
    zh="没有 next_online_q_value 时，由目标网络在允许的动作中选择，也由它估值。",
)
@hole(2)
@given(case=BCQ.cases())
def test_without_an_online_network_the_target_network_selects(impl: Any, case: Case) -> None:
    check_target(impl, Case(case.rule, replace(case.batch, next_online_q_value=None)))


@claim(
    "Only the order of what the trained network says selects: a number added to all its values of a state changes "
    "nothing.",
    zh="选择只取决于正在训练的网络给出的次序：给它对一个状态的所有估值加上同一个数，结果不变。",
)
@hole(2)
@given(case=BCQ.cases(), shift=st.sampled_from((-HUGE, HUGE)))
def test_only_the_order_of_the_trained_network_selects(impl: Any, case: Case, shift: float) -> None:
    online = settled(replace(case.batch, next_online_q_value=case.batch.next_q_value.flip(1))).next_online_q_value
    assert online is not None
    plain, moved = (replace(case.batch, next_online_q_value=values) for values in (online, online + shift))
    BCQ.check_same(impl(**case.rule).loss(moved), impl(**case.rule).loss(plain), case.batch)


@claim(
    "After an end nothing is bootstrapped, whatever the networks say of s'. The reward of that step counts in full.",
    zh="回合结束之后不再自举，无论网络对 s' 怎么估值。那一步的奖励照常全额计算。",
)
@hole(2)
@given(case=BCQ.cases(), sign=st.sampled_from((-HUGE, HUGE)))
def test_nothing_is_bootstrapped_after_an_end(impl: Any, case: Case, sign: float) -> None:
    ended = replace(case.batch, done=torch.ones_like(case.batch.done))
    other = replace(ended, next_q_value=ended.next_q_value + sign, reward=ended.reward)
    nothing = replace(ended, next_q_value=0 * ended.next_q_value)
    going_on = replace(nothing, done=torch.zeros_like(ended.done))  # nothing follows, and the episode goes on
    expected = impl(**case.rule).loss(going_on)
    BCQ.check_same(impl(**case.rule).loss(other), expected, case.batch)


test_a_constant_gets_no_gradient = laws.test_a_constant_gets_no_gradient(BCQ, hole=2)


@claim(
    "td_loss is the mean of Huber's loss: half the squared error up to 1, the absolute error minus 1/2 beyond.",
    zh="td_loss 是 Huber 损失的平均：误差不超过 1 时是平方的一半，超过时是绝对值减 1/2。",
)
@hole(3)
@given(case=BCQ.cases())
def test_td_loss_is_hubers_of_the_action_taken(impl: Any, case: Case) -> None:
    terms = [error**2 / 2 if abs(error) <= 1 else abs(error) - 0.5 for error in errors(case)]
    BCQ.check(impl(**case.rule).loss(case.batch), "td_loss", scalar(laws.mean(terms)), case.batch)


@claim(
    "The gradient to Q(s, .) is the error, kept within -1 and 1, over the number of transitions at the action taken, "
    "and 0 elsewhere.",
    zh="对 Q(s, .) 的梯度：在所采取的动作处是限制在 -1 和 1 之间的误差除以转移条数，别处为 0。",
)
@hole(3)
@given(case=BCQ.cases())
def test_the_gradient_of_an_error_is_at_most_one(impl: Any, case: Case) -> None:
    expected = torch.zeros(case.batch.q_value.shape, dtype=torch.float64)
    for row, (action, error) in enumerate(zip(case.batch.action.tolist(), errors(case), strict=True)):
        expected[row, action] = min(max(error, -1.0), 1.0) / len(expected)
    check_gradient(impl, case, "q_value", expected)


@claim(
    "behaviour_loss is the mean of -log-probability of the action taken in s. It trains the behaviour model, by -1 "
    "over the number of transitions at that action. Without the model's output in s it is 0.",
    zh="behaviour_loss 是 s 中所采取动作的负对数概率的平均。它训练行为模型：该动作处的梯度是 -1 除以转移条数。"
    "没有模型在 s 的输出时为 0。",
)
@hole(3)
@given(case=BCQ.cases())
def test_behaviour_loss_is_the_negative_log_likelihood(impl: Any, case: Case) -> None:
    batch, expected = case.batch, torch.zeros(case.batch.q_value.shape, dtype=torch.float64)
    log_prob = batch.current_behaviour_log_prob
    assert log_prob is not None
    picked = [row[action] for row, action in zip(listed(log_prob), batch.action.tolist(), strict=True)]
    BCQ.check(impl(**case.rule).loss(batch), "behaviour_loss", scalar(-laws.mean(picked)), batch)
    expected[torch.arange(len(expected)), batch.action] = -1 / len(expected)
    check_gradient(impl, case, "current_behaviour_log_prob", expected)
    bare = impl(**case.rule).loss(replace(batch, current_behaviour_log_prob=None))
    BCQ.check(bare, "behaviour_loss", scalar(0.0), batch)


@claim(
    "Without the model's output in s the loss is td_loss alone, and trains Q(s, .) as it does with it.",
    zh="没有模型在 s 的输出时，损失就是 td_loss，对 Q(s, .) 的训练与有它时相同。",
)
@hole(3)
@given(case=BCQ.cases())
def test_without_the_model_in_s_the_error_is_trained_alone(impl: Any, case: Case) -> None:
    full = BCQ.trained(case.batch)
    bare = replace(full, current_behaviour_log_prob=None)
    expected, got = (impl(**case.rule).loss(batch) for batch in (full, bare))
    BCQ.check(got, "loss", expected.metrics.get("td_loss"), bare)
    slopes = [gradient(loss.loss, [full.q_value])[0] for loss in (expected, got)]
    BCQ.check_same_gradients({"q_value": slopes[1]}, {"q_value": slopes[0]}, bare)


@claim(
    "The loss is td_loss + behaviour_loss. These two and kept are the metrics: scalars like the loss, in the dtype of "
    "q_value, but without gradient.",
    zh="损失等于 td_loss + behaviour_loss。指标就是这两项和 kept："
    "与损失一样是标量，dtype 与 q_value 相同，但不带梯度。",
)
@hole(3)
@given(case=BCQ.cases())
def test_loss_is_the_sum_of_both(impl: Any, case: Case) -> None:
    got = impl(**case.rule).loss(BCQ.trained(case.batch))
    laws.check_metrics(BCQ, got, case.batch)
    terms = {name: metric.to(torch.float64) for name, metric in got.metrics.items()}
    BCQ.check(got, "loss", terms["td_loss"] + terms["behaviour_loss"], case.batch)


@claim(
    "With threshold 0 this is Q-learning with double targets: the behaviour policy has no say in td_loss.",
    zh="threshold 为 0 时就是双重目标的 Q-learning：行为策略对 td_loss 没有影响。",
)
@hole(3)
@given(case=BCQ.cases(threshold=0.0))
def test_threshold_zero_is_double_q_learning(impl: Any, case: Case) -> None:
    unlikely = replace(case.batch, behaviour_log_prob=6 * behaviour(case.batch).flip(1))  # ratios down to exp(-24)
    terms = [min(error**2 / 2, abs(error) - 0.5 if abs(error) > 1 else math.inf) for error in errors(case)]
    for batch in (unlikely, case.batch):
        BCQ.check(impl(**case.rule).loss(batch), "td_loss", scalar(laws.mean(terms)), batch)


@claim(
    "With threshold 1 the target bootstraps from the behaviour policy's own choice, whatever Q says of the others.",
    zh="threshold 为 1 时，目标从行为策略自己的选择自举，无论 Q 对其他动作怎么看。",
)
@hole(3)
@given(case=BCQ.cases(threshold=1.0))
def test_threshold_one_follows_the_behaviour(impl: Any, case: Case) -> None:
    steps = 0.013 * torch.arange(case.batch.q_value.shape[1]).to(case.batch.reward.dtype)
    batch = replace(case.batch, behaviour_log_prob=behaviour(case.batch) + steps)  # without ties
    choices = batch.behaviour_log_prob
    assert choices is not None
    following = batch.next_q_value.gather(1, choices.argmax(1, keepdim=True))[:, 0]
    known = replace(
        batch,
        reward=batch.reward + case.rule["gamma"] * torch.where(batch.done, 0, following),
        done=torch.ones_like(batch.done),
    )
    BCQ.check(impl(**case.rule).loss(batch), "td_loss", impl(**case.rule).loss(known).metrics.get("td_loss"), batch)


@claim(
    "Loss and metrics are means over the transitions: the same batch twice over gives the same.",
    zh="损失和指标都是对转移取平均：同一批数据重复一遍，结果不变。",
)
@hole(3)
@given(case=BCQ.cases())
def test_the_batch_twice_over_gives_the_same(impl: Any, case: Case) -> None:
    twice = laws.changed(case.batch, lambda _, tensor: torch.cat([tensor, tensor]))
    BCQ.check_same(impl(**case.rule).loss(twice), impl(**case.rule).loss(case.batch), case.batch)


test_loss_equals_the_reference_whatever_came_before = laws.test_loss_equals_the_reference_whatever_came_before(BCQ)


# The slow way: one transition at a time, in Python floats.


def listed(tensor: Tensor) -> Any:
    return tensor.detach().double().tolist()


def scalar(number: float) -> Tensor:
    return torch.tensor(number, dtype=torch.float64)


def behaviour(batch: TransitionBatch) -> Tensor:
    assert batch.behaviour_log_prob is not None
    return batch.behaviour_log_prob


def allowed(case: Case) -> list[list[bool]]:
    """Return which actions of each s' the filter leaves."""
    share = case.rule["threshold"]
    return [[math.exp(log_prob - max(row)) >= share for log_prob in row] for row in listed(behaviour(case.batch))]


def targets(case: Case) -> list[float]:
    """Return the target of each transition."""
    batch, found = case.batch, []
    online = batch.next_q_value if batch.next_online_q_value is None else batch.next_online_q_value
    for row, passed in enumerate(allowed(case)):
        choices = list(
            itertools.compress(zip(listed(online[row]), listed(batch.next_q_value[row]), strict=True), passed)
        )
        following = 0.0 if batch.done[row] else max(choices)[1]
        found.append(float(batch.reward[row]) + case.rule["gamma"] * following)
    return found


def errors(case: Case) -> list[float]:
    """Return Q(s, a) minus its target, transition by transition."""
    rows = zip(listed(case.batch.q_value), case.batch.action.tolist(), targets(case), strict=True)
    return [values[action] - target for values, action, target in rows]


def check_target(impl: Any, case: Case) -> None:
    """Compare a batch with one in which each step ends its episode, and earns what was its target."""
    reward = torch.tensor(targets(case), dtype=torch.float64).to(case.batch.reward.dtype)
    known = replace(case.batch, reward=reward, done=torch.ones_like(case.batch.done))
    trained = [replace(batch, q_value=batch.q_value.detach().requires_grad_()) for batch in (case.batch, known)]
    got, expected = (impl(**case.rule).loss(batch) for batch in trained)
    BCQ.check_same(got, expected, case.batch)
    slopes = [gradient(loss.loss, [batch.q_value])[0] for loss, batch in zip((got, expected), trained, strict=True)]
    BCQ.check_same_gradients({"q_value": slopes[0]}, {"q_value": slopes[1]}, case.batch)


def check_gradient(impl: Any, case: Case, field: str, expected: Tensor) -> None:
    """Check the gradient to a field."""
    batch = BCQ.trained(case.batch)
    found = BCQ.gradients(impl(**case.rule).loss(batch), batch)[field]
    what = Message("the gradient to {name}", name=field)
    assert_close(found, expected, dtype=found.dtype, tolerance=BCQ.tolerance("gradient", batch), what=what)
