"""Properties of every right implementation of the six parts of an advantage."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.messages import Message
from groundup.core.testing import (
    about,
    after,
    assert_form,
    booleans,
    claim,
    float_dtypes,
    gradient,
    hole,
)
from groundup.plugins.rl.advantage.cases import (
    LARGEST,
    LONG,
    MOVED,
    NUMBERS,
    SHORT,
    Choice,
    Masked,
    Rows,
    alone,
    by_definition,
    choices,
    close,
    few,
    formed,
    groups,
    masked,
    numbers,
    plainly,
    rows,
    same_slopes,
)

EPSILONS = (0.25, 3.0)  # as large as a variance here, so that it shows where it stands; neither is its own root
TINY = st.sampled_from((2.0**-27, 2.0**-28, 2.0**-29))
NAN = float("nan")
FAR = 1024.0  # a shift: its square leaves a float32 no digits for a variance of 1
HUGE = 32.0  # a factor for numbers that must not affect the result
# Hole 1: A = Q - V.


@claim("In each state the mean advantage under the policy is 0.", zh="在每个状态下，优势按策略取的均值为 0。")
@hole(1)
@given(case=choices())
def test_the_policy_is_no_better_than_itself(impl: Any, case: Choice) -> None:
    advantage = formed(impl().from_q(case.q, case.policy), case.q)
    mean = (case.policy.double() * advantage.double()).sum(-1).to(case.q.dtype)
    close(mean, torch.zeros(case.q.shape[:-1]), case.q, what=Message("the mean advantage under the policy"))


@claim(
    "One action's advantage exceeds another's by as much as its Q does.", zh="两个动作的优势之差，等于它们的 Q 之差。"
)
@hole(1)
@given(case=choices())
def test_advantages_differ_as_q_does(impl: Any, case: Choice) -> None:
    advantage = formed(impl().from_q(case.q, case.policy), case.q)
    what = Message("the difference to the first action's advantage")
    close(advantage - advantage[..., :1], case.q.double() - case.q[..., :1].double(), case.q, what=what)


# Hole 2: n steps.


def n_step(impl: Any, case: Rows) -> Tensor:
    return formed(impl(gamma=case.gamma).n_step(case.reward, case.value, case.done, n=case.n), case.reward)


@claim(
    "With n = 1 it is reward + gamma * next value - value, without a next value where the episode ends.",
    zh="n = 1 时，它等于奖励 + gamma × 下一个价值 - 价值；回合结束处没有下一个价值。",
)
@hole(2)
@given(case=rows(lengths=(1,)))
def test_one_step_is_the_td_error(impl: Any, case: Rows) -> None:
    close(n_step(impl, case), by_definition(case), case.value)


@claim(
    "With n as long as the row, or longer, it is the discounted return less the value.",
    zh="n 等于或超过一行的长度时，它等于折扣回报减去价值。",
)
@hole(2)
@given(case=rows(lengths=(5, 9), gammas=(0.5, 0.75, 1.0)))
def test_many_steps_are_the_return_less_the_value(impl: Any, case: Rows) -> None:
    close(n_step(impl, case), by_definition(case), case.value, size=3 * LARGEST)


@claim(
    "A reward k steps later counts gamma^k if k is less than n, and nothing from n on or for the steps after it.",
    zh="k 步之后的奖励：k 小于 n 时占 gamma^k；k 达到 n，或者对它之后的步，则不计。",
)
@hole(2)
@given(case=st.one_of(SHORT, LONG), dtype=float_dtypes())
def test_the_nth_reward_is_not_counted(impl: Any, case: tuple[int, int, int, float], dtype: torch.dtype) -> None:
    steps, at, n, gamma = case
    reward, value = torch.zeros((1, steps), dtype=dtype), torch.zeros((1, steps + 1), dtype=dtype)
    reward[0, at] = 1.0
    expected = [gamma ** (at - t) if 0 <= at - t < n else 0.0 for t in range(steps)]
    row = Rows(reward, value, torch.zeros_like(reward, dtype=torch.bool), gamma, n)
    close(n_step(impl, row), torch.tensor([expected], dtype=torch.float64), value, size=1.0)


@claim(
    "If every value is the reward plus gamma times the next value, every advantage is 0, whatever n is.",
    zh="若每个价值都等于奖励加 gamma 乘下一个价值，则不论 n 是多少，所有优势都是 0。",
)
@hole(2)
@given(case=rows())
def test_what_was_expected_has_no_advantage(impl: Any, case: Rows) -> None:
    value = case.value.clone()
    for t in reversed(range(case.reward.shape[1])):
        value[:, t] = case.reward[:, t] + case.gamma * torch.where(case.done[:, t], 0.0, value[:, t + 1])
    close(n_step(impl, case._replace(value=value)), torch.zeros(case.reward.shape), value, size=4 * LARGEST)


@claim(
    "What stands behind an episode's end does not matter to the steps before it.",
    zh="回合结束之后的内容，不影响结束之前的各步。",
)
@hole(2)
@given(case=rows(((1, 3), (2, 3), (1, 4))), at=st.integers(0, 1))
def test_nothing_crosses_an_end(impl: Any, case: Rows, at: int) -> None:
    reward, value, done = case.reward.clone(), case.value.clone(), case.done.clone()
    done[:, at] = True
    ended = case._replace(done=done)
    reward[:, at + 1 :] *= HUGE
    value[:, at + 1 :] *= -HUGE
    other = ended._replace(reward=reward, value=value)
    before = n_step(impl, ended)[:, : at + 1]
    close(n_step(impl, other)[:, : at + 1], before, case.value, size=HUGE * LARGEST)


@claim(
    "Each advantage is n discounted rewards and a discounted value, less V, in its own episode and row.",
    zh="每个优势都是本行本回合之内 n 个折扣奖励加一个折扣后的价值，再减去 V。",
)
@hole(2)
@after(test_one_step_is_the_td_error)
@given(case=rows(((1, 3), (2, 3), (3, 4), (1, 6)), lengths=(2, 3, 4)))
def test_it_is_n_rewards_and_a_value(impl: Any, case: Rows) -> None:
    close(n_step(impl, case), by_definition(case), case.value, size=2 * LARGEST)


@claim("With no steps, or no rows, the result is empty.", zh="没有步或没有行时，结果为空。")
@hole(2)
@given(shape=st.sampled_from(((1, 0), (2, 0), (0, 3))), dtype=float_dtypes(), n=st.integers(1, 2))
def test_no_steps_have_no_advantages(impl: Any, shape: tuple[int, int], dtype: torch.dtype, n: int) -> None:
    reward, value = torch.zeros(shape, dtype=dtype), torch.zeros((shape[0], shape[1] + 1), dtype=dtype)
    n_step(impl, Rows(reward, value, torch.zeros(shape, dtype=torch.bool), 0.5, n))


@claim("In float64 gamma is not rounded to float32.", zh="float64 时，gamma 不会被舍入成 float32。")
@about("dtype")
@hole(2)
@given(tiny=TINY)
def test_gamma_keeps_its_digits(impl: Any, tiny: float) -> None:
    same_slopes(impl, "n_step, gamma", tiny)


# Holes 3 and 4: baselines of a group.


SEVERAL = groups((2,), (3,), (2, 2), (2, 3), (3, 4), (2, 2, 3))
ALONE = alone()


@claim("Over the mean, the advantages of each group add up to 0.", zh="以均值为基线时，每组的优势之和为 0。")
@hole(3)
@given(returns=st.one_of(SEVERAL, ALONE))
def test_over_the_mean_a_group_adds_up_to_zero(impl: Any, returns: Tensor) -> None:
    advantage = formed(impl().minus_mean(returns), returns)
    what = Message("the sum of a group's advantages")
    close(advantage.double().sum(-1).to(returns.dtype), torch.zeros(returns.shape[:-1]), returns, what=what)


@claim(
    "Over the mean, advantages of one group differ as its returns do.",
    zh="以均值为基线时，同组优势之差等于回报之差。",
)
@hole(3)
@given(returns=SEVERAL)
def test_over_the_mean_differences_stay(impl: Any, returns: Tensor) -> None:
    advantage = formed(impl().minus_mean(returns), returns)
    what = Message("the difference to the first sample's advantage")
    close(advantage - advantage[..., :1], returns.double() - returns[..., :1].double(), returns, what=what)


@claim(
    "If a sample's return rises, its advantage over the others rises by as much: it is no part of its own baseline.",
    zh="一个样本的回报升高多少，它相对其余样本的优势就升高多少：它不参与自己的基线。",
)
@hole(4)
@given(returns=groups((2,), (2, 3), (3, 4)), which=st.integers(0, 1), by=st.sampled_from((-6.0, 3.0)))
def test_nobody_is_in_their_own_baseline(impl: Any, returns: Tensor, which: int, by: float) -> None:
    raised = returns.clone()
    raised[..., which] += by
    after_it, before = (formed(impl().leave_one_out(group), group)[..., which] for group in (raised, returns))
    expected = torch.full(returns.shape[:-1], by)
    close(after_it - before, expected, returns, size=12.0, what=Message("the change of the advantage"))


@claim("The baseline of each sample is the mean of the others of its group.", zh="每个样本的基线是同组其余样本的均值。")
@hole(4)
@given(returns=SEVERAL)
def test_the_baseline_is_the_mean_of_the_others(impl: Any, returns: Tensor) -> None:
    slow = []
    for group in returns.reshape(-1, returns.shape[-1]).tolist():
        others = [group[:k] + group[k + 1 :] for k in range(len(group))]
        slow.append([own - sum(rest) / len(rest) for own, rest in zip(group, others, strict=True)])
    expected = torch.tensor(slow, dtype=torch.float64).reshape(returns.shape)
    close(impl().leave_one_out(returns), expected, returns, size=2 * LARGEST)


@claim(
    "Without others to compare with, leaving one out gives 0, not NaN.",
    zh="没有其余样本可比时，留一法给出 0，而不是 NaN。",
)
@hole(4)
@given(returns=ALONE)
def test_without_others_the_advantage_is_zero(impl: Any, returns: Tensor) -> None:
    close(impl().leave_one_out(returns), torch.zeros(returns.shape), returns)


# Holes 5 and 6: statistics of what is counted.


ANY = masked((4,), (1, 3), (2, 3), (3, 4), (2, 2, 2), least=2)


def moments(impl: Any, case: Masked) -> tuple[Tensor, Tensor]:
    mean, var = impl().masked_moments(case.x, case.mask)
    for number, what in ((mean, Message("the mean")), (var, Message("the variance"))):
        assert_form(number, (), case.x.dtype, what=what)
    return mean, var


@claim("The mean is that of the counted numbers, all rows together.", zh="均值是所有计入的数的均值，各行合在一起算。")
@hole(5)
@given(case=ANY)
def test_the_mean_is_of_what_counts(impl: Any, case: Masked) -> None:
    slow = case.counted().tolist()
    close(
        moments(impl, case)[0],
        torch.tensor(sum(slow) / len(slow), dtype=torch.float64),
        case.x,
        what=Message("the mean"),
    )


@claim(
    "The variance is the squared deviations of the counted numbers, summed and divided by their count less 1.",
    zh="方差是计入的数与均值之差的平方和，除以其个数减 1。",
)
@hole(5)
@given(case=ANY)
def test_the_variance_is_the_samples(impl: Any, case: Masked) -> None:
    slow = case.counted().tolist()
    mean = sum(slow) / len(slow)
    var = sum((number - mean) ** 2 for number in slow) / (len(slow) - 1)
    close(
        moments(impl, case)[1], torch.tensor(var, dtype=torch.float64), case.x, size=32.0, what=Message("the variance")
    )


@claim(
    "Mean and variance do not depend on what stands where the mask is False, not even on NaN.",
    zh="均值和方差与掩码为 False 处的内容无关，哪怕那里是 NaN。",
)
@hole(5)
@given(case=masked((3,), (2, 2), (2, 3), least=2), filling=st.sampled_from((NAN, float("inf"), -100.0)))
def test_moments_do_not_see_padding(impl: Any, case: Masked, filling: float) -> None:
    seen, plain = (moments(impl, case._replace(x=case.padded(value))) for value in (filling, 0.0))
    for got, expected in zip(seen, plain, strict=True):
        close(got, expected, case.x, size=32.0)


@claim(
    "A single counted number is the mean, and its variance is 0; if nothing is counted, both are 0.",
    zh="只有一个数计入时，均值就是它，方差为 0；没有数计入时，两者都是 0。",
)
@hole(5)
@given(case=few())
def test_one_number_has_no_variance(impl: Any, case: Masked) -> None:
    mean, var = moments(impl, case)
    close(mean, case.counted().sum(), case.x, what=Message("the mean"))
    close(var, torch.tensor(0.0), case.x, what=Message("the variance"))


@claim(
    "A large number added to all leaves the variance as it was: nothing is lost to rounding.",
    zh="给所有数加上一个大数，方差不变：不会因舍入而丢失。",
)
@hole(5)
@given(case=masked((4,), (2, 2), least=4, dtypes=(torch.float32,)), way=st.sampled_from((-1, 1)))
def test_a_far_mean_costs_no_digits(impl: Any, case: Masked, way: int) -> None:
    far = moments(impl, case._replace(x=case.x + way * FAR))[1]
    close(far, moments(impl, case)[1], case.x, size=FAR, what=Message("the variance"))


@claim(
    "Gradient reaches the counted numbers through mean and variance, and is 0 for padding, NaN or not.",
    zh="梯度经由均值和方差传到计入的数；填充处的梯度为 0，不论那里是不是 NaN。",
)
@hole(5)
@given(case=masked((3,), (2, 3), least=2), filling=st.sampled_from((NAN, 1.0)))
def test_gradient_of_the_moments(impl: Any, case: Masked, filling: float) -> None:
    x = case.padded(filling).requires_grad_()
    mean, var = impl().masked_moments(x, case.mask)
    (found,) = gradient(3 * mean + var, [x])
    count = float(case.mask.sum())
    deviation = torch.where(case.mask, case.x.double() - case.counted().mean(), 0.0)
    expected = torch.where(case.mask, 3.0 / count + 2 * deviation / (count - 1), 0.0)
    close(found, expected, case.x, what=Message("the gradient to x"))


def whiten(impl: Any, case: Masked, eps: float) -> Tensor:
    return formed(impl(eps=eps).whiten(case.x, case.mask), case.x)


@claim("Whitened, the counted numbers have the mean 0.", zh="白化之后，计入的数均值为 0。")
@hole(6)
@given(case=ANY, eps=st.sampled_from(EPSILONS))
def test_whitened_numbers_have_mean_zero(impl: Any, case: Masked, eps: float) -> None:
    mean = whiten(impl, case, eps).double()[case.mask].mean().to(case.x.dtype)
    close(mean, torch.tensor(0.0), case.x, what=Message("the mean of the whitened numbers"))


@claim("A number added to all of them changes nothing.", zh="给所有数加上同一个数，结果不变。")
@hole(6)
@given(case=ANY, by=st.sampled_from((-8.0, 5.0)), eps=st.sampled_from(EPSILONS))
def test_whitening_ignores_a_shift(impl: Any, case: Masked, by: float, eps: float) -> None:
    close(whiten(impl, case._replace(x=case.x + by), eps), whiten(impl, case, eps), case.x, size=16.0)


@claim(
    "A factor changes only the sign, if eps is multiplied by its square.",
    zh="乘上一个因子、同时把 eps 乘上它的平方，结果最多只变正负号。",
)
@hole(6)
@given(case=ANY, factor=st.sampled_from((-2.0, 2.0**-9, 0.5, 4.0)), eps=st.sampled_from(EPSILONS))
def test_whitening_ignores_a_scale(impl: Any, case: Masked, factor: float, eps: float) -> None:
    scaled = whiten(impl, case._replace(x=case.x * factor), eps * factor**2)
    sign = 1.0 if factor > 0 else -1.0
    close(scaled, sign * whiten(impl, case, eps), case.x)


@claim(
    "Padding becomes 0, and what stands there changes no result, not even NaN.",
    zh="填充处的结果为 0，那里的内容不影响任何结果，哪怕是 NaN。",
)
@hole(6)
@given(case=masked((3,), (2, 2), (2, 3), least=2), filling=st.sampled_from((NAN, float("inf"), -100.0)))
def test_whitening_does_not_see_padding(impl: Any, case: Masked, filling: float) -> None:
    expected = torch.where(case.mask, whiten(impl, case._replace(x=case.padded(0)), 0.25), 0.0)
    close(whiten(impl, case._replace(x=case.padded(filling)), 0.25), expected, case.x)


@claim(
    "A single counted number becomes 0, not NaN, and no gradient reaches it; with none, all is 0.",
    zh="只有一个数计入时，结果是 0 而不是 NaN，也没有梯度；没有数计入时全为 0。",
)
@hole(6)
@given(case=few())
def test_one_number_alone_becomes_zero(impl: Any, case: Masked) -> None:
    x = case.x.clone().requires_grad_()
    whitened = impl().whiten(x, case.mask)
    close(whitened, torch.zeros(case.x.shape), case.x)
    (found,) = gradient(whitened, [x])
    close(found, torch.zeros(case.x.shape), case.x, what=Message("the gradient to x"))


@claim("Equal numbers become 0.", zh="相等的数都变成 0。")
@hole(6)
@given(number=NUMBERS, shape=st.sampled_from(((2, 1), (2, 4), (4, 3))), dtype=float_dtypes())
def test_equal_numbers_become_zero(impl: Any, number: float, shape: tuple[int, int], dtype: torch.dtype) -> None:
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[:, 0] = True  # 2 or 4 of them: their mean is exact in any order, and 1e-8 would magnify its rounding
    case = Masked(torch.full(shape, 7.0, dtype=dtype).masked_fill(mask, number), mask)
    close(impl().whiten(case.x, case.mask), torch.zeros(shape), case.x)


@claim(
    "It is the deviation over the root of variance plus eps; the mean is not added back.",
    zh="结果是与均值之差除以“方差加 eps”的平方根；均值不加回去。",
)
@hole(6)
@given(case=ANY, eps=st.sampled_from(EPSILONS))
def test_eps_stands_inside_the_root(impl: Any, case: Masked, eps: float) -> None:
    close(whiten(impl, case, eps), plainly(case, eps), case.x)


@claim(
    "Gradient flows as through the formula, mean and variance included, and is 0 for padding, NaN or not.",
    zh="梯度按公式流动，包括经由均值和方差的部分；填充处的梯度为 0，不论那里是不是 NaN。",
)
@hole(6)
@given(case=masked((3,), (2, 3), least=2), weight=numbers((2, 3), torch.float64), filling=st.sampled_from((NAN, 1.0)))
def test_gradient_of_whitening(impl: Any, case: Masked, weight: Tensor, filling: float) -> None:
    x, slow = case.padded(filling).requires_grad_(), case.x.double().requires_grad_()
    weight = weight[0] if case.x.dim() == 1 else weight
    (found,) = gradient(impl(eps=0.25).whiten(x, case.mask) * weight.to(x.dtype), [x])
    (expected,) = torch.autograd.grad((plainly(Masked(slow, case.mask), 0.25) * weight).sum(), [slow])
    close(found, expected, case.x, size=32.0, what=Message("the gradient to x"))


# All together.


@claim(
    "In float64 nothing is rounded to float32: a change that is too small for a float32 moves the result as much, for "
    "its size, as a larger one does.",
    zh="float64 时，任何数都不会被舍入成 float32："
    "小到 float32 装不下的改动，按大小折算，对结果的影响与较大的改动相同。",
)
@about("dtype")
@given(of=st.sampled_from(tuple(MOVED)), tiny=TINY)
def test_float64_is_kept_throughout(impl: Any, of: str, tiny: float) -> None:
    same_slopes(impl, of, tiny)


@claim("It gives what the reference gives.", zh="与参考实现的结果相同。")
@after(test_it_is_n_rewards_and_a_value, test_eps_stands_inside_the_root)
@given(case=masked((16, 16), (7, 3), least=2), ends=booleans((16, 16)), n=st.integers(1, 7))
def test_it_equals_the_reference(impl: Any, reference: Any, case: Masked, ends: Tensor, n: int) -> None:
    batch, steps = case.x.shape
    case.x[0, 0] = 64.0  # whitened it is larger than any number of a small batch can be
    value = torch.cat([case.x.flip(0), case.x[:, :1]], dim=1)
    policy = torch.softmax(case.x.flip(1), dim=-1)
    calls: dict[str, tuple[Any, ...]] = {"from_q": (case.x, policy), "whiten": (case.x, case.mask)}
    calls |= {"minus_mean": (case.x,), "leave_one_out": (case.x,)}
    got, expected = impl(gamma=0.75), reference(gamma=0.75)
    for name, args in calls.items():
        close(getattr(got, name)(*args), getattr(expected, name)(*args), case.x)
    many = (case.x, value, ends[:batch, :steps])
    close(got.n_step(*many, n=n), expected.n_step(*many, n=n), case.x)
