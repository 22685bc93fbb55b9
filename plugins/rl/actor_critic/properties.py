"""Properties of every right implementation of the one-step actor-critic."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import EpisodeBatch
from groundup.core.messages import Message
from groundup.core.testing import assert_close, assert_equal, claim, gradient, hole, sum_tolerance, tensors
from groundup.core.testing.laws import rl as laws

SHAPES = ((1, 1), (1, 4), (2, 2), (3, 2))
GAMMAS = (0.5, 0.75, 0.875)  # neither 0 nor 1, which would hide a missing or doubled factor
FAR = 1024.0  # a number that must not count
LARGEST = 6.0  # |TD error|: |reward| + |next value| + |value|, each up to 2

Case = laws.Case[EpisodeBatch]
Token = laws.Token


def steps(drawn: Tensor) -> EpisodeBatch:
    """Make a batch from multiples of 1/8 in [-2, 2]; a third of the steps terminate, a third are truncated."""
    log_prob, entropy, value, next_value, reward, terminated, truncated, mask = drawn
    real = mask < 1.125
    real[0, 0] = True  # a batch with only padding has its own property
    return EpisodeBatch(
        log_prob - 2, entropy.abs(), value, next_value, reward, terminated > 0.75, truncated > 0.75, real
    )


RULE = laws.Setting(
    batches=st.one_of(
        [tensors((8, *shape), dtype=dtype) for shape in SHAPES for dtype in (torch.float32, torch.float64)]
    ).map(steps),
    learned=("log_prob", "value", "entropy"),
    constants=("reward", "next_value"),
    sizes={"loss": 52.0, "policy_loss": 24.0, "value_loss": 18.0, "entropy": 2.0},
    slope=9.0,
    rules=[
        {"gamma": gamma, "value_coef": value_coef, "entropy_coef": entropy_coef}
        for gamma in GAMMAS
        for value_coef, entropy_coef in ((0.25, 0.5), (1.5, 0.125))
    ],
    another={"gamma": 0.25, "value_coef": 2.0, "entropy_coef": 1.0},
    padded_rows=True,
)
# Properties of the earlier holes use batches without padding: masking is part of hole 3.
REAL = replace(RULE, batches=RULE.batches.map(lambda batch: replace(batch, mask=torch.ones_like(batch.mask))))


def worth(token: Token, gamma: float) -> float:
    """Return a step's target."""
    return token["reward"] + (0.0 if token["terminated"] else gamma * token["next_value"])


def check(got: Tensor, expected: list[float], batch: EpisodeBatch, what: Any) -> None:
    """Compare numbers of all steps, those of padding left out."""
    exact = torch.tensor(expected, dtype=torch.float64).reshape(batch.reward.shape)
    assert_equal(tuple(got.shape), tuple(batch.reward.shape), what=Message("the shape"))
    limit = sum_tolerance(batch.reward.dtype, 3, LARGEST)
    assert_close(got[batch.mask], exact[batch.mask], dtype=batch.reward.dtype, tolerance=limit, what=what)


@claim(
    "The target is the reward plus gamma times the value of the state after the step.",
    zh="目标是奖励加上 gamma 乘这一步之后的状态的价值。",
)
@hole(1)
@given(case=RULE.cases())
def test_the_target_looks_one_step_ahead(impl: Any, case: Case) -> None:
    batch = replace(case.batch, terminated=torch.zeros_like(case.batch.terminated))
    expected = [worth(token, case.rule["gamma"]) for token in laws.tokens(batch)]
    check(impl(**case.rule).target(batch), expected, batch, Message("the target"))


@claim(
    "After a terminated step nothing is bootstrapped: the target is the reward, whatever next_value says.",
    zh="terminated 的步之后不自举：目标就是奖励，无论 next_value 是多少。",
)
@hole(1)
@given(case=RULE.cases())
def test_nothing_is_bootstrapped_after_an_end(impl: Any, case: Case) -> None:
    everywhere = torch.ones_like(case.batch.terminated)
    batch = replace(case.batch, terminated=everywhere, next_value=case.batch.next_value + FAR)
    check(impl(**case.rule).target(batch), batch.reward.flatten().tolist(), batch, Message("the target"))


@claim(
    "Whether a step was truncated changes nothing: a time limit is no end of the task, and a terminated step stays "
    "one.",
    zh="一步是否被截断没有任何影响：步数上限不是任务的结束，而 terminated 的步依然是结束。",
)
@hole(1)
@given(case=RULE.cases())
def test_a_time_limit_is_no_end(impl: Any, case: Case) -> None:
    expected = [worth(token, case.rule["gamma"]) for token in laws.tokens(case.batch)]
    for truncated in (~case.batch.truncated, case.batch.truncated):
        batch = replace(case.batch, truncated=truncated)
        check(impl(**case.rule).target(batch), expected, batch, Message("the target"))


@claim(
    "Targets carry no gradient, even where rewards and values do.",
    zh="即使奖励和价值带梯度，目标也不带梯度。",
)
@hole(1)
@given(case=RULE.cases())
def test_targets_carry_no_gradient(impl: Any, case: Case) -> None:
    got = impl(**case.rule).target(RULE.trained(case.batch, "reward", "next_value"))
    assert_equal(got.requires_grad, False, what=Message("whether the targets carry gradient"))


@claim(
    "The gradient to log_prob is minus the TD error over the number of steps: better than expected, more likely.",
    zh="log_prob 的梯度是 TD 误差取负再除以步数：比预期好，就更可能出现。",
)
@hole(2)
@given(case=REAL.cases(value_coef=1.0, entropy_coef=0.0))
def test_the_actor_follows_the_td_error(impl: Any, case: Case) -> None:
    batch = RULE.trained(case.batch)
    got = impl(**case.rule).loss(batch)
    RULE.check_gradients(got, batch, log_prob=lambda token: token["value"] - worth(token, case.rule["gamma"]))


@claim(
    "With value_coef 1 the gradient to value is minus the TD error over the number of steps: the critic moves towards "
    "its target, and the actor's part sends it nothing.",
    zh="value_coef 为 1 时，value 的梯度是 TD 误差取负再除以步数："
    "Critic 朝着它的目标移动，Actor 那一项不给它任何梯度。",
)
@hole(2)
@given(case=REAL.cases(value_coef=1.0, entropy_coef=0.0))
def test_the_critic_moves_towards_its_target_alone(impl: Any, case: Case) -> None:
    batch = RULE.trained(case.batch)
    got = impl(**case.rule).loss(batch)
    RULE.check_gradients(got, batch, value=lambda token: token["value"] - worth(token, case.rule["gamma"]))


@claim(
    "The unit of the rewards does not matter: with rewards and values 1024 times as large the gradients are 1024 times "
    "as large. No error is bounded.",
    zh="奖励的单位无关紧要：奖励和价值放大 1024 倍，梯度也放大 1024 倍。任何误差都不设上限。",
)
@hole(2)
@given(case=REAL.cases(value_coef=1.0, entropy_coef=0.0))
def test_gradients_scale_with_the_unit(impl: Any, case: Case) -> None:
    found = []
    for unit in (1.0, FAR):
        scaled = {name: unit * getattr(case.batch, name) for name in ("reward", "value", "next_value")}
        batch = RULE.trained(replace(case.batch, **scaled))
        grads = gradient(impl(**case.rule).loss(batch).loss, [batch.log_prob, batch.value])
        found.append([(grad.double() / unit).flatten().tolist() for grad in grads])
    dtype, limit = case.batch.reward.dtype, sum_tolerance(case.batch.reward.dtype, 3, LARGEST)
    for name, small, large in zip(("log_prob", "value"), *found, strict=True):
        what = Message("the gradient to {name}", name=name)
        got, expected = (torch.tensor(grad, dtype=torch.float64) for grad in (large, small))
        assert_close(got.to(dtype), expected, dtype=dtype, tolerance=limit, what=what)


FEATURES = torch.tensor([[1.0, 0.0], [0.5, 0.5], [-0.25, 1.0]], dtype=torch.float64)  # of three states


@claim(
    "The critic's gradient is a semi-gradient: one network values both states, and only the value before the step is "
    "moved, by the TD error times its own features.",
    zh="Critic 的梯度是半梯度：同一个网络给两个状态估值，只移动这一步之前的价值，移动量是 TD 误差乘它自己的特征。",
)
@hole(2)
@given(
    weights=tensors((2,)),
    rewards=tensors((3,)),
    to=st.permutations((0, 1, 2)),
    gamma=st.sampled_from(GAMMAS),
    ended=st.booleans(),
)
def test_the_critics_gradient_is_semi(
    impl: Any, weights: Tensor, rewards: Tensor, to: list[int], gamma: float, ended: bool
) -> None:
    parameters, reward = weights.double().requires_grad_(), rewards.double()[None]
    value, next_value = (FEATURES @ parameters)[None], (FEATURES[to] @ parameters)[None]
    terminated = torch.tensor([[False, False, ended]])
    never, zeros = torch.zeros_like(terminated), torch.zeros_like(reward)
    batch = EpisodeBatch(zeros, zeros, value, next_value, reward, terminated, never, ~never)
    got = impl(gamma=gamma, value_coef=1.0, entropy_coef=0.0).loss(batch)
    error = reward + gamma * torch.where(terminated, 0.0, next_value.detach()) - value.detach()
    (found,) = gradient(got.loss, [parameters])
    assert_close(
        found,
        -(error @ FEATURES)[0] / 3,
        dtype=torch.float64,
        tolerance=sum_tolerance(torch.float64, 9, LARGEST),
        what=Message("the gradient to the critic's weights"),
    )


@claim(
    "The weight of each action is GAE's advantage with lambda 0, along rows that hold several episodes.",
    zh="每个动作的权重就是 lambda 为 0 的 GAE 优势，一行里有几个回合时也是如此。",
)
@hole(2)
@given(drawn=tensors((3, 2, 5)), ends=tensors((2, 4)), gamma=st.sampled_from(GAMMAS))
def test_it_is_gae_with_lambda_zero(impl: Any, drawn: Tensor, ends: Tensor, gamma: float) -> None:
    column, done = drawn.double(), ends > 0.75
    value, reward, lam = column[0], column[1, :, :4], 0.0
    advantage, later = torch.zeros_like(reward), torch.zeros(2, dtype=torch.float64)
    for t in (3, 2, 1, 0):  # the recursion of GAE
        live = (~done[:, t]).double()
        later = reward[:, t] + gamma * live * value[:, t + 1] - value[:, t] + gamma * lam * live * later
        advantage[:, t] = later
    log_prob = (column[2, :, :4] - 2).requires_grad_()
    never, zeros = torch.zeros_like(done), torch.zeros_like(reward)
    batch = EpisodeBatch(log_prob, zeros, value[:, :4], value[:, 1:], reward, done, never, ~never)
    (found,) = gradient(impl(gamma=gamma, value_coef=0.0, entropy_coef=0.0).loss(batch).loss, [log_prob])
    limit = sum_tolerance(torch.float64, 3, LARGEST)
    assert_close(-8 * found, advantage, dtype=torch.float64, tolerance=limit, what=Message("the weight of each action"))


@claim(
    "With a critic that knows the values the actor gets the true gradient on average: over every action and outcome of "
    "a state, each as often as it happens, the update is the gradient of the expected Q.",
    zh="若 Critic 知道真实价值，Actor 平均而言得到真实梯度："
    "对一个状态的每个动作和结果（频率等于其概率）取平均，更新就是期望 Q 的梯度。",
)
@hole(3)
@given(drawn=tensors((4, 4)), first=st.integers(1, 3), gamma=st.sampled_from(GAMMAS))
def test_with_true_values_the_mean_is_the_policys_gradient(impl: Any, drawn: Tensor, first: int, gamma: float) -> None:
    """One state, four equally likely slots; the first few take action 0, each leads to a state of its own value."""
    reward, next_value = drawn[0].double(), drawn[1].double()
    ended, action = drawn[2] > 0.75, (torch.arange(4) >= first).long()
    theta = torch.tensor([first / 4, 1 - first / 4], dtype=torch.float64).log().requires_grad_()
    outcome = reward + gamma * torch.where(ended, 0.0, next_value)
    q = torch.stack([outcome[:first].mean(), outcome[first:].mean()])
    value = outcome.mean().expand(4)
    chosen, none, never = theta.log_softmax(0)[action], torch.zeros(1, 4, dtype=torch.float64), torch.zeros(1, 4).bool()
    batch = EpisodeBatch(
        chosen[None], none, value[None], next_value[None], reward[None], ended[None], never, ~never
    )  # fmt: skip
    (found,) = gradient(impl(gamma=gamma, value_coef=0.0, entropy_coef=0.0).loss(batch).loss, [theta])
    (exact,) = torch.autograd.grad((theta.softmax(0) * q).sum(), [theta])
    limit = sum_tolerance(torch.float64, 12, LARGEST)
    assert_close(-found, exact, dtype=torch.float64, tolerance=limit, what=Message("the expected update"))


@claim(
    "The entropy is the mean of the batch's; more of it lowers the loss, by entropy_coef / N a step.",
    zh="熵是批中各步熵的平均；熵越大损失越小，每一步的梯度是 -entropy_coef / N。",
)
@hole(3)
@given(case=RULE.cases())
def test_entropy_is_a_bonus(impl: Any, case: Case) -> None:
    batch = RULE.trained(case.batch)
    got = impl(**case.rule).loss(batch)
    RULE.check_mean(got, "entropy", lambda token: token["entropy"], batch)
    RULE.check_gradients(got, batch, entropy=lambda token: -case.rule["entropy_coef"])


@claim(
    "The policy loss and the value loss are means over the real steps: of minus the TD error times log_prob, and of "
    "half the squared TD error.",
    zh="策略损失和价值损失都是对真实步取的平均：前者是 TD 误差乘 log_prob 再取负，后者是 TD 误差平方的一半。",
)
@hole(3)
@given(case=RULE.cases())
def test_losses_are_means_over_real_steps(impl: Any, case: Case) -> None:
    def error(token: Token) -> float:
        return worth(token, case.rule["gamma"]) - token["value"]

    got = impl(**case.rule).loss(case.batch)
    RULE.check_mean(got, "policy_loss", lambda token: -error(token) * token["log_prob"], case.batch)
    RULE.check_mean(got, "value_loss", lambda token: 0.5 * error(token) ** 2, case.batch)


@claim(
    "The loss is policy_loss + value_coef * value_loss - entropy_coef * entropy. These three are the metrics: scalars "
    "like the loss, in the dtype of log_prob, but without gradient.",
    zh="总损失等于 policy_loss + value_coef * value_loss - entropy_coef * entropy。指标就是这三项："
    "与损失一样是标量，dtype 与 log_prob 相同，但不带梯度。",
)
@hole(3)
@given(case=RULE.cases())
def test_loss_is_the_weighted_sum_of_its_metrics(impl: Any, case: Case) -> None:
    got, rule = impl(**case.rule).loss(RULE.trained(case.batch)), case.rule
    laws.check_metrics(RULE, got, case.batch)
    parts = {name: metric.to(torch.float64) for name, metric in got.metrics.items()}
    total = parts["policy_loss"] + rule["value_coef"] * parts["value_loss"]
    RULE.check(got, "loss", total - rule["entropy_coef"] * parts["entropy"], case.batch)


# What holds of every learning rule.

test_a_constant_gets_no_gradient = laws.test_a_constant_gets_no_gradient(RULE, hole=2)
test_padding_changes_nothing = laws.test_padding_changes_nothing(RULE, hole=3)
test_padding_alone_gives_zero = laws.test_padding_alone_gives_zero(RULE, hole=3)
test_the_batch_is_left_as_it_was = laws.test_the_batch_is_left_as_it_was(RULE)
test_loss_equals_the_reference_whatever_came_before = laws.test_loss_equals_the_reference_whatever_came_before(RULE)
