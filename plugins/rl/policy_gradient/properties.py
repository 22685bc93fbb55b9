"""Properties of every right implementation of REINFORCE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import EpisodeBatch, Loss
from groundup.core.messages import Message
from groundup.core.testing import assert_close, assert_equal, claim, gradient, hole, sum_tolerance, tensors
from groundup.core.testing.laws import rl as laws

SHAPES = ((1, 1), (1, 3), (2, 2), (1, 4), (2, 3))
GAMMAS = (0.5, 0.75, 0.875)  # neither 0 nor 1, which would hide a missing or doubled factor
FAR = 1024.0  # of a number that must not count
LARGEST = 14.0  # |G| of five steps of at most 2, and a bootstrapped 2 behind them

Case = laws.Case[EpisodeBatch]


def episodes(drawn: Tensor) -> EpisodeBatch:
    """Make a batch from multiples of 1/8 in [-2, 2]. A third of the steps end an episode, some of them in both ways.

    Padding stands behind each row's real steps.
    """
    log_prob, entropy, value, next_value, reward, terminated, truncated, mask = drawn
    real = (mask < 1.25).long().cummin(1).values.bool()
    real[0, 0] = True  # a batch with only padding has its own property
    return EpisodeBatch(
        log_prob - 2, entropy.abs(), value, next_value, reward, terminated > 1.25, truncated > 1.25, real
    )


def batches(shapes: tuple[tuple[int, int], ...] = SHAPES) -> st.SearchStrategy[EpisodeBatch]:
    drawn = [tensors((8, *shape), dtype=dtype) for shape in shapes for dtype in (torch.float32, torch.float64)]
    return st.one_of(drawn).map(episodes)


RULE = laws.Setting(
    batches=batches(),
    learned=("log_prob", "value", "entropy"),
    constants=("reward", "next_value"),
    sizes={"loss": 320.0, "policy_loss": 64.0, "value_loss": 128.0, "entropy": 2.0},
    slope=16.0,
    rules=[
        {"gamma": gamma, "value_coef": value_coef, "entropy_coef": entropy_coef}
        for gamma in GAMMAS
        for value_coef, entropy_coef in ((0.25, 0.5), (1.5, 0.125))
    ],
    another={"gamma": 0.25, "value_coef": 2.0, "entropy_coef": 1.0},
    padded_rows=True,
)
# Of one row that holds a single episode without padding: the number of episodes, which is part of hole 4, is 1.
SINGLE = replace(
    RULE, batches=batches(((1, 1), (1, 2), (1, 4))).map(lambda batch: replace(
        batch,
        terminated=last_only(batch.terminated),
        truncated=last_only(batch.truncated),
        mask=torch.ones_like(batch.mask),
    )),
)  # fmt: skip


def last_only(ends: Tensor) -> Tensor:
    """Return the flags with all but each row's last set to False."""
    return torch.cat([torch.zeros_like(ends[:, 1:]), ends[:, -1:]], dim=1)


class Step(NamedTuple):
    """A real step: its place, its number within its episode, and its return."""

    row: int
    column: int
    number: int
    to_go: float


def steps(batch: EpisodeBatch, gamma: float) -> list[Step]:
    """Return the real steps with their returns, each return summed from its own step to the end of the episode."""
    found = []
    for row in range(len(batch.reward)):
        reward, next_value = batch.reward[row].tolist(), batch.next_value[row].tolist()
        terminated, truncated = batch.terminated[row].tolist(), batch.truncated[row].tolist()
        count, start = int(batch.mask[row].sum()), 0
        while start < count:
            stop = next((t for t in range(start, count) if terminated[t] or truncated[t]), count - 1)
            for t in range(start, stop + 1):
                earned = sum(gamma ** (k - t) * reward[k] for k in range(t, stop + 1))
                rest = 0.0 if terminated[stop] else gamma ** (stop + 1 - t) * next_value[stop]
                found.append(Step(row, t, t - start, earned + rest))
            start = stop + 1
    return found


def number_of_episodes(batch: EpisodeBatch) -> int:
    return sum(step.number == 0 for step in steps(batch, 1.0))


def on_steps(batch: EpisodeBatch, gamma: float, term: Callable[[Step], float]) -> Tensor:
    """Return a (B, T) tensor of ``term`` at the real steps, 0 elsewhere."""
    made = torch.zeros(batch.reward.shape, dtype=torch.float64)
    for step in steps(batch, gamma):
        made[step.row, step.column] = term(step)
    return made


def check(got: Tensor, expected: Tensor, batch: EpisodeBatch, what: Any = "the result") -> None:
    """Compare (B, T) tensors at the real steps, in the dtype of the batch."""
    dtype = batch.reward.dtype
    limit = sum_tolerance(dtype, batch.reward.shape[1] + 1, LARGEST)
    assert_equal(tuple(got.shape), tuple(batch.reward.shape), what=Message("the shape"))
    assert_close(got[batch.mask], expected[batch.mask], dtype=dtype, tolerance=limit, what=what)


@claim(
    "A reward counts at its own step and at the steps before it in the same episode, gamma times less for each step "
    "between: not at later steps, and in no other episode.",
    zh="一个奖励计入它自己那一步和同一回合中之前的各步，每隔一步乘一次 gamma；不计入之后的步，也不计入别的回合。",
)
@hole(1)
@given(case=RULE.cases(), at=st.integers(0, 3))
def test_a_reward_counts_only_before_it_and_in_its_episode(impl: Any, case: Case, at: int) -> None:
    batch, gamma = case.batch, case.rule["gamma"]
    at %= batch.reward.shape[1]
    pulse = torch.zeros_like(batch.reward)
    pulse[:, at] = 1.0
    alone = replace(batch, reward=pulse, next_value=torch.zeros_like(batch.next_value))
    expected = on_steps(alone, gamma, lambda step: step.to_go)
    check(impl(**case.rule).returns(alone), expected, alone)


@claim(
    "Behind a terminated step nothing follows, whatever next_value says, and also if it is truncated as well.",
    zh="terminated 的步之后什么都没有，无论 next_value 是多少；即使它同时也是 truncated。",
)
@hole(1)
@given(case=RULE.cases(), both=st.booleans())
def test_nothing_follows_a_terminated_step(impl: Any, case: Case, both: bool) -> None:
    batch = case.batch
    far = torch.where(batch.terminated, FAR, batch.next_value)
    batch = replace(batch, next_value=far, truncated=batch.truncated | (batch.terminated & both))
    expected = on_steps(batch, case.rule["gamma"], lambda step: step.to_go)
    check(impl(**case.rule).returns(batch), expected, batch)


@claim(
    "An episode that is cut off, by a limit or by the end of its row, goes on with next_value; elsewhere next_value is "
    "not used.",
    zh="被截断的回合（因为步数上限，或因为一行到头）用 next_value 代表余下的部分；在别处不使用 next_value。",
)
@hole(1)
@given(case=RULE.cases())
def test_an_episode_that_is_cut_off_goes_on_with_next_value(impl: Any, case: Case) -> None:
    batch = replace(case.batch, terminated=torch.zeros_like(case.batch.terminated))
    behind = torch.cat([batch.mask[:, 1:], torch.zeros_like(batch.mask[:, :1])], dim=1)
    batch = replace(batch, next_value=torch.where(batch.truncated | ~behind, batch.next_value, FAR))
    expected = on_steps(batch, case.rule["gamma"], lambda step: step.to_go)
    check(impl(**case.rule).returns(batch), expected, batch)


@claim("Returns carry no gradient, even where rewards and values do.", zh="即使奖励和价值带梯度，回报也不带梯度。")
@hole(1)
@given(case=RULE.cases())
def test_returns_carry_no_gradient(impl: Any, case: Case) -> None:
    batch = RULE.trained(case.batch, "reward", "next_value")
    got = impl(**case.rule).returns(batch)
    assert_equal(got.requires_grad, False, what=Message("whether the returns carry gradient"))


LONG = 240  # steps; gamma^t underflows in float32 for gamma 1/2


def long_episode(ones: Tensor) -> EpisodeBatch:
    """Return one episode that earns 1 at each step and terminates at the last."""
    never = torch.zeros_like(ones, dtype=torch.bool)
    last = (torch.arange(ones.shape[1]) == ones.shape[1] - 1)[None]
    return EpisodeBatch(-ones, ones, 0 * ones, FAR * ones, ones, last, never, ~never)


@claim(
    "A long episode counts to its end: rewards of 1 give the geometric series, (1 - gamma^n) / (1 - gamma) with n "
    "steps left.",
    zh="长回合也要一直算到结束：每步奖励为 1 时得到等比级数，还剩 n 步时是 (1 - gamma^n) / (1 - gamma)。",
)
@hole(1)
@given(dtype=st.sampled_from((torch.float32, torch.float64)), gamma=st.sampled_from((0.5, 0.875, 0.96875)))
def test_a_long_episode_counts_to_its_end(impl: Any, dtype: torch.dtype, gamma: float) -> None:
    batch = long_episode(torch.ones(1, LONG, dtype=dtype))
    left = torch.arange(LONG, 0, -1, dtype=torch.float64)[None]
    got, series = impl(gamma=gamma).returns(batch), (1 - gamma**left) / (1 - gamma)
    limit = sum_tolerance(dtype, LONG, 1 / (1 - gamma))
    assert_close(got, series, dtype=dtype, tolerance=limit, what=Message("the returns"))


@claim(
    "The factor is 1 at the first step of each episode, and gamma times smaller from each step to the next.",
    zh="每个回合第一步的因子是 1，之后每一步都是前一步的 gamma 倍。",
)
@hole(2)
@given(case=RULE.cases(), both=st.booleans())
def test_discounts_start_anew_with_each_episode(impl: Any, case: Case, both: bool) -> None:
    gamma = case.rule["gamma"]
    batch = replace(case.batch, truncated=case.batch.truncated | (case.batch.terminated & both))
    expected = on_steps(batch, gamma, lambda step: gamma**step.number)
    check(impl(**case.rule).discounts(batch), expected, batch)


@claim(
    "In a single episode the gradient to log_prob of step t is -gamma^t (G_t - V(s_t)): towards what went better than "
    "the baseline.",
    zh="只有一个回合时，第 t 步 log_prob 的梯度是 -gamma^t (G_t - V(s_t))：朝着结果比基线好的方向。",
)
@hole(3)
@given(case=SINGLE.cases(value_coef=1.0, entropy_coef=0.0))
def test_each_action_is_weighed_by_its_discounted_advantage(impl: Any, case: Case) -> None:
    batch, gamma = RULE.trained(case.batch), case.rule["gamma"]
    value = batch.value.tolist()
    expected = on_steps(batch, gamma, lambda step: -(gamma**step.number) * (step.to_go - value[0][step.column]))
    (grad,) = gradient(impl(**case.rule).loss(batch).loss, [batch.log_prob])
    check(grad, expected, batch, what=Message("the gradient to {name}", name="log_prob"))


@claim(
    "In a single episode, with value_coef 1, the gradient to the value of each step is V(s_t) - G_t: the baseline "
    "learns from the returns, and the policy's part sends it nothing.",
    zh="只有一个回合且 value_coef 为 1 时，每一步价值的梯度是 V(s_t) - G_t：基线从回报学习，策略那一项不给它任何梯度。",
)
@hole(3)
@given(case=SINGLE.cases(value_coef=1.0, entropy_coef=0.0))
def test_the_baseline_learns_from_the_returns_alone(impl: Any, case: Case) -> None:
    batch, gamma = RULE.trained(case.batch), case.rule["gamma"]
    value = batch.value.tolist()
    expected = on_steps(batch, gamma, lambda step: value[0][step.column] - step.to_go)
    (grad,) = gradient(impl(**case.rule).loss(batch).loss, [batch.value])
    check(grad, expected, batch, what=Message("the gradient to {name}", name="value"))


@claim(
    "The unit of the rewards does not matter: with rewards and values 1024 times as large the gradients are 1024 times "
    "as large. Nothing is bounded or normalised.",
    zh="奖励的单位无关紧要：奖励和价值放大 1024 倍，梯度也放大 1024 倍。没有裁剪，也没有归一化。",
)
@hole(3)
@given(case=SINGLE.cases(value_coef=1.0, entropy_coef=0.0))
def test_gradients_scale_with_the_unit(impl: Any, case: Case) -> None:
    found = []
    for unit in (1.0, FAR):
        scaled = {name: unit * getattr(case.batch, name) for name in ("reward", "value", "next_value")}
        batch = RULE.trained(replace(case.batch, **scaled))
        grads = gradient(impl(**case.rule).loss(batch).loss, [batch.log_prob, batch.value])
        found.append([grad.double() / unit for grad in grads])
    for name, small, large in zip(("log_prob", "value"), *found, strict=True):
        check(large.to(case.batch.reward.dtype), small, case.batch, what=Message("the gradient to {name}", name=name))


# A task whose every trajectory can be written down. In each of two states one of four equally likely slots is drawn.
# The first few take action 0, the others action 1, and each has its own reward and next state. An episode ends at OVER,
# or after two steps or three. So all 16 or 64 sequences of slots, once each, are what the policy does on average.
OVER = 2
SLOTS = {2: torch.cartesian_prod(*[torch.arange(4)] * 2), 3: torch.cartesian_prod(*[torch.arange(4)] * 3)}


class Task(NamedTuple):
    first: Tensor
    """(2,): how many of a state's slots take action 0: 1, 2 or 3."""
    next: Tensor
    """(2, 4): the state after each slot, or OVER."""
    reward: Tensor
    """(2, 4)"""
    gamma: float
    baseline: Tensor
    """(2,): one number for each state."""
    steps: int = 2
    """After so many steps every episode ends."""


def task(drawn: Tensor, gamma: float) -> Task:
    """Make a task from multiples of 1/8 in [-2, 2]: a third of the slots lead to each state, and a third to the end."""
    numbers = drawn.double()
    return Task(
        first=(numbers[0, :2] + 3).floor().clamp(1, 3).long() - (numbers[0, :2] > 1).long(),
        next=((numbers[1] + 2) * 0.7).floor().long().reshape(2, 4),
        reward=numbers[2].reshape(2, 4),
        gamma=gamma,
        baseline=numbers[0, 2:4],
    )


TASKS = st.builds(task, tensors((3, 8)), st.sampled_from((0.5, 0.75, 1.0)))


def logits(task: Task) -> Tensor:
    """Return the parameters of the policy, (2, 2): its softmax gives each action the share of its slots."""
    share = torch.stack([task.first, 4 - task.first], dim=1).double() / 4
    return share.log().requires_grad_()


def every_trajectory(task: Task, theta: Tensor, baseline: Tensor) -> EpisodeBatch:
    """Return a batch with each trajectory in it as often as the policy takes it."""
    slots, columns = SLOTS[task.steps], []
    state = torch.zeros(len(slots), dtype=torch.long)
    for t, slot in enumerate(slots.unbind(1)):
        real = state != OVER
        at = state.clamp(max=1)
        action = (slot >= task.first[at]).long()
        log_prob = theta.log_softmax(-1)[at, action]
        after = torch.where(real, task.next[at, slot], OVER)
        ended = real & ((after == OVER) | (t == task.steps - 1))
        columns.append((log_prob, baseline[at], task.reward[at, slot], ended, real))
        state = after
    log_prob, value, reward, terminated, mask = (torch.stack(column, dim=1) for column in zip(*columns, strict=True))
    zeros = torch.zeros_like(reward)
    return EpisodeBatch(log_prob, zeros, value, zeros, reward, terminated, torch.zeros_like(terminated), mask)


def exact_gradient(task: Task) -> Tensor:
    """Return the gradient of the expected discounted return, from the Bellman equation of the last steps first."""
    theta, worth = logits(task), torch.zeros(3, dtype=torch.float64)
    is_first = torch.arange(4) < task.first[:, None]  # (2, 4)
    among = torch.where(is_first, task.first[:, None], 4 - task.first[:, None])  # slots with the same action
    for _ in range(task.steps):
        chosen = torch.where(is_first, theta.softmax(-1)[:, :1], theta.softmax(-1)[:, 1:]) / among
        states = (chosen * (task.reward + task.gamma * worth[task.next])).sum(1)
        worth = torch.cat([states, torch.zeros(1, dtype=torch.float64)])
    return torch.autograd.grad(worth[0], [theta])[0]


def expected_gradient(impl: Any, task: Task, baseline: Tensor) -> Tensor:
    """Return minus the gradient of the policy loss of every trajectory, which is to be the expected return's."""
    theta = logits(task)
    got: Loss = impl(gamma=task.gamma, value_coef=0.0, entropy_coef=0.0).loss(every_trajectory(task, theta, baseline))
    return -gradient(got.loss, [theta])[0]


NONE = torch.zeros(2, dtype=torch.float64)  # no baseline
EXPECTED = sum_tolerance(torch.float64, 64 * 3, LARGEST)


def check_expected(got: Tensor, expected: Tensor) -> None:
    assert_close(got, expected, dtype=torch.float64, tolerance=EXPECTED, what=Message("the expected gradient"))


@claim(
    "Over all trajectories of a task, each as often as the policy takes it, the update is exactly the gradient of the "
    "expected discounted return.",
    zh="对一个任务的所有轨迹（每条出现的频率等于策略走它的概率），更新恰好是期望折扣回报的梯度。",
)
@hole(4)
@given(case=TASKS)
def test_the_expected_update_is_the_exact_gradient(impl: Any, case: Task) -> None:
    longer = case._replace(steps=3)
    check_expected(expected_gradient(impl, longer, NONE), exact_gradient(longer))


@claim(
    "A baseline that depends on the state alone, whichever it is, leaves the mean over all trajectories as it is.",
    zh="只取决于状态的基线，无论取什么值，都不改变对所有轨迹取的均值。",
)
@hole(4)
@given(case=TASKS)
def test_any_baseline_of_the_state_leaves_the_mean(impl: Any, case: Task) -> None:
    check_expected(expected_gradient(impl, case, 4 * case.baseline), exact_gradient(case))


@claim(
    "Reward-to-go and the whole discounted return have the same mean over all trajectories.",
    zh="对所有轨迹取平均，未来回报（reward-to-go）与整个回合的折扣回报给出同样的梯度。",
)
@hole(4)
@given(case=TASKS)
def test_reward_to_go_has_the_mean_of_the_whole_return(impl: Any, case: Task) -> None:
    theta, fade = logits(case), case.gamma ** torch.arange(case.steps, dtype=torch.float64)
    batch = every_trajectory(case, theta, NONE)
    whole = torch.where(batch.mask, batch.reward * fade, 0).sum(1)
    taken = torch.where(batch.mask, batch.log_prob, 0).sum(1)
    expected = torch.autograd.grad((whole * taken).mean(), [theta])[0]
    check_expected(expected_gradient(impl, case, NONE), expected)


@claim(
    "Every episode weighs the same, wherever it stands: rows of finished episodes, joined into one row, give the same.",
    zh="每个回合的权重相同，放在哪里都一样：把若干行已结束的回合接成一行，结果不变。",
)
@hole(4)
@given(case=RULE.cases(), turned=st.booleans())
def test_episodes_weigh_the_same_in_any_row(impl: Any, case: Case, turned: bool) -> None:
    batch = replace(case.batch, mask=torch.ones_like(case.batch.mask))
    batch = replace(batch, terminated=torch.cat([batch.terminated[:, :-1], batch.mask[:, -1:]], dim=1))
    joined = laws.changed(batch, lambda _, t: (t.flip(0) if turned else t).flatten()[None])
    RULE.check_same(impl(**case.rule).loss(joined), impl(**case.rule).loss(batch), batch)


@claim(
    "The entropy is summed over an episode's steps and averaged over episodes, without gamma^t; more of it lowers the "
    "loss, by entropy_coef / N a step, with N the number of episodes.",
    zh="熵在回合内各步求和、对回合取平均，不乘 gamma^t；熵越大损失越小，每一步的梯度是 -entropy_coef / N，N 是回合数。",
)
@hole(4)
@given(case=RULE.cases())
def test_entropy_is_a_bonus(impl: Any, case: Case) -> None:
    batch = RULE.trained(case.batch)
    count, got = number_of_episodes(batch), impl(**case.rule).loss(batch)
    total = batch.entropy.detach().double()[batch.mask].sum() / count
    RULE.check(got, "entropy", total, batch)
    (grad,) = gradient(got.loss, [batch.entropy])
    expected = on_steps(batch, 1.0, lambda step: -case.rule["entropy_coef"] / count)
    check(grad, expected, batch, what=Message("the gradient to {name}", name="entropy"))


@claim(
    "The loss is policy_loss + value_coef * value_loss - entropy_coef * entropy. These three are the metrics: scalars "
    "like the loss, in the dtype of log_prob, but without gradient.",
    zh="总损失等于 policy_loss + value_coef * value_loss - entropy_coef * entropy。指标就是这三项："
    "与损失一样是标量，dtype 与 log_prob 相同，但不带梯度。",
)
@hole(4)
@given(case=RULE.cases())
def test_loss_is_the_weighted_sum_of_its_metrics(impl: Any, case: Case) -> None:
    got, rule = impl(**case.rule).loss(RULE.trained(case.batch)), case.rule
    laws.check_metrics(RULE, got, case.batch)
    terms = {name: metric.to(torch.float64) for name, metric in got.metrics.items()}
    total = terms["policy_loss"] + rule["value_coef"] * terms["value_loss"] - rule["entropy_coef"] * terms["entropy"]
    RULE.check(got, "loss", total, case.batch)


# What holds of every learning rule.

test_a_constant_gets_no_gradient = laws.test_a_constant_gets_no_gradient(RULE, hole=2)
test_padding_changes_nothing = laws.test_padding_changes_nothing(RULE, hole=4)
test_padding_alone_gives_zero = laws.test_padding_alone_gives_zero(RULE, hole=4)
test_the_batch_is_left_as_it_was = laws.test_the_batch_is_left_as_it_was(RULE)
test_loss_equals_the_reference_whatever_came_before = laws.test_loss_equals_the_reference_whatever_came_before(RULE)
