"""Properties of every right MDP.

The processes are drawn in ``drawn.py``, where the slow ways to their values are, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.messages import Message
from groundup.core.testing import (
    Mismatch,
    Tolerance,
    about,
    after,
    assert_close,
    assert_equal,
    assert_form,
    claim,
    float_dtypes,
    hole,
    sum_tolerance,
)
from groundup.plugins.rl.mdp.drawn import GAMMAS, Case, Task, cases, optimum, own_value, slow_q, under

NEAR_ONE = 63 / 64  # where a few hundred sweeps are no solution yet
LARGEST = 16.0  # a value: rewards and values up to 2, and gamma up to 3/4
SLOPE = Tolerance(rtol=0.01, atol=0.01)  # of a finite-difference slope; float32 would lose a tiny step, or double it
HUGE = 64.0  # in places that must not matter
FAR = 2.0**16  # far from 0; the changes of a few sweeps are still exact in float32
DRAWN_POLICIES = 50
STOP = 1e-4  # where value iteration stops
SLACK = 2e-3  # of what the greedy policy then earns: 2 gamma^2 / (1 - gamma)^2 times as much
WAYS = ("evaluate", "solve", "value_iteration")
LONG = 60  # sweeps; enough to stop before, at the largest gamma


@claim("With gamma 0 only the reward counts, and in an end nothing.", zh="gamma 为 0 时只计奖励，终点处什么也不计。")
@hole(1)
@given(case=cases(gammas=(0.0,)))
def test_gamma_zero_leaves_the_reward(impl: Any, case: Case) -> None:
    task = case.task
    check(begin(impl, task).q_values(case.value), torch.where(task.terminal[:, None], 0.0, task.reward))


@claim(
    "Q is the reward plus gamma times the mean of the next states' values, an end counting 0.",
    zh="Q 等于奖励加上 gamma 乘以下一状态价值的均值，终点按 0 计。",
)
@hole(1)
@given(case=cases())
def test_q_is_the_mean_over_the_next_states(impl: Any, case: Case) -> None:
    check(begin(impl, case.task).q_values(case.value), slow_q(case.task, case.value))


@claim(
    "An end is worth nothing: what stands in its rows and in its value changes no Q, and its own Q are 0.",
    zh="终点一文不值：它那几行和它的价值里无论写什么，都不影响任何 Q；它自己的 Q 为 0。",
)
@hole(1)
@given(case=cases())
def test_what_stands_at_an_end_does_not_matter(impl: Any, case: Case) -> None:
    task, end = case.task, case.task.terminal
    looping = torch.eye(len(end), dtype=case.value.dtype)[:, None, :].expand_as(task.transition)
    other = task._replace(
        transition=torch.where(end[:, None, None], looping, task.transition),
        reward=torch.where(end[:, None], HUGE, task.reward),
    )
    first = begin(impl, task).q_values(case.value)
    second = begin(impl, other).q_values(torch.where(end, -HUGE, case.value))
    check(second, first, size=HUGE)
    check(second[end], torch.zeros_like(second[end]), size=HUGE)


@claim("States and actions may be numbered in another order.", zh="状态和动作换一种编号，结果只是跟着换位置。")
@hole(1)
@given(case=cases(sizes=((3, 2), (4, 2), (2, 3))))
def test_numbers_of_states_and_actions_are_names(impl: Any, case: Case) -> None:
    task = case.task
    s, a = torch.arange(len(task.reward)).roll(1), torch.arange(task.reward.shape[1]).flip(0)
    renamed = Task(task.transition[s][:, a][..., s], task.reward[s][:, a], task.terminal[s], task.gamma)
    check(begin(impl, renamed).q_values(case.value[s]), begin(impl, task).q_values(case.value)[s][:, a])


@claim(
    "In float64 nothing is rounded to float32: a change too small for a float32 moves Q as much, for its size, as a "
    "larger one does.",
    zh="float64 时，任何数都不会被舍入成 float32：小到 float32 装不下的改动，按大小折算，对 Q 的影响与较大的改动相同。",
)
@about("dtype")
@hole(1)
@given(of=st.sampled_from(("reward", "gamma", "value")), tiny=st.sampled_from((2.0**-27, 2.0**-28)))
def test_float64_is_carried_through(impl: Any, of: str, tiny: float) -> None:
    slopes_agree(impl, of, tiny, lambda process, value: process.q_values(value)[:, 0])


@claim(
    "After n sweeps the value is what n steps of the policy earn, plus gamma^n times the value of where they lead.",
    zh="n 次扫描之后的价值，等于策略走 n 步所得的奖励，加上 gamma^n 乘以走到之处的价值。",
)
@hole(2)
@given(case=cases(gammas=(*GAMMAS, 1.0)), sweeps=st.sampled_from((1, 2, 3)))
def test_n_sweeps_look_n_steps_ahead(impl: Any, case: Case, sweeps: int) -> None:
    task, value = case.task, case.value.double()
    p, r = under(task, case.policy)
    expected, chance = torch.zeros_like(r), torch.eye(len(r), dtype=torch.float64)
    for step in range(sweeps):
        expected += task.gamma**step * (chance @ r)
        chance = chance @ p
    expected += task.gamma**sweeps * (chance @ torch.where(task.terminal, 0.0, value))
    check(begin(impl, task).evaluate(case.policy, case.value, sweeps=sweeps), expected)


@claim(
    "Each sweep brings the value closer to the policy's own: its largest error shrinks by gamma or more.",
    zh="每次扫描都让价值更接近该策略的真实价值：最大误差至少缩小到原来的 gamma 倍。",
)
@hole(2)
@given(case=cases(), sweeps=st.sampled_from((1, 3, 40)))
def test_each_sweep_shrinks_the_largest_error(impl: Any, case: Case, sweeps: int) -> None:
    true, live = own_value(case.task, case.policy), case.task.live()
    swept = begin(impl, case.task).evaluate(case.policy, case.value, sweeps=sweeps)
    assert_form(swept, case.value.shape, case.value.dtype)
    before, error = ((v.double() - true)[live].abs().max() for v in (case.value, swept))
    what = Message("the largest error after {n} sweeps", n=sweeps)
    at_most(what, error, case.task.gamma**sweeps * before, case.value.dtype)


@claim(
    "The linear solve gives the value that one more look ahead under the policy leaves as it is.",
    zh="解线性方程组得到的价值，按策略再向前看一步也不会改变。",
)
@hole(3)
@given(case=cases())
def test_the_solution_is_the_fixed_point(impl: Any, case: Case) -> None:
    value = begin(impl, case.task).solve(case.policy)
    assert_form(value, case.value.shape, case.value.dtype)
    check(value, (case.policy.double() * slow_q(case.task, value)).sum(1).to(value.dtype))


@claim(
    "In a task without ends, a constant c added to every reward adds c / (1 - gamma) to every value.",
    zh="在没有终点的任务里，给每个奖励都加上常数 c，每个价值就增加 c / (1 - gamma)。",
)
@hole(3)
@given(case=cases(ends=False, gammas=(0.25, NEAR_ONE)), constant=st.sampled_from((-1.0, 2.0)))
def test_a_constant_reward_counts_for_ever(impl: Any, case: Case, constant: float) -> None:
    task = case.task._replace(transition=case.task.transition.double(), reward=case.task.reward.double())
    richer, horizon = task._replace(reward=task.reward + constant), 1 / (1 - task.gamma)
    poorer, policy = begin(impl, task).solve(case.policy.double()), case.policy.double()
    check(begin(impl, richer).solve(policy), poorer + constant * horizon, size=LARGEST * horizon**2)


@claim(
    "With gamma 1, the value of a fair walk between two ends is its chance to reach the end that pays 1.",
    zh="gamma 为 1 时，在两个终点之间公平游走的价值，就是走到奖励为 1 的那一端的概率。",
)
@hole(3)
@given(inner=st.integers(1, 4), dtype=float_dtypes())
def test_a_fair_walk_is_worth_its_place(impl: Any, inner: int, dtype: torch.dtype) -> None:
    states = inner + 2
    step = torch.zeros((states, 1, states), dtype=dtype)
    reward = torch.zeros((states, 1), dtype=dtype)
    for s in range(1, states - 1):
        step[s, 0, s - 1] = step[s, 0, s + 1] = 0.5
    step[0, 0, 1 + inner // 2] = step[-1, 0, 1 + inner // 2] = 1.0  # the next walk begins in the middle
    reward[-2, 0] = 0.5
    terminal = torch.zeros(states, dtype=torch.bool)
    terminal[[0, -1]] = True
    place = torch.arange(states).double() / (states - 1) * ~terminal
    check(begin(impl, Task(step, reward, terminal, 1.0)).solve(torch.ones((states, 1), dtype=dtype)), place)


@claim(
    "The greedy policy takes one action in each state, with probability 1, and no other has a larger Q.",
    zh="贪心策略在每个状态以概率 1 采取一个动作，没有其他动作的 Q 比它更大。",
)
@hole(4)
@given(case=cases())
def test_greedy_takes_a_best_action(impl: Any, case: Case) -> None:
    policy, q = begin(impl, case.task).greedy(case.value), slow_q(case.task, case.value)
    one_action(policy, case)
    check((policy.double() * q).sum(1), q.amax(1), dtype=torch.float64)


@claim(
    "Of equally good actions the greedy policy takes the first, and of nearly equal ones the better.",
    zh="几个动作同样好时，贪心策略取编号最小的；相差极小时，取较好的。",
)
@hole(4)
@after(test_greedy_takes_a_best_action)
@given(case=cases(), worse=st.integers(0, 2))
def test_ties_go_to_the_first_action(impl: Any, case: Case, worse: int) -> None:
    task, dtype = case.task, case.value.dtype
    lost = (torch.arange(4) < worse) * 8 * torch.finfo(dtype).eps  # so many of 4 actions earn a little less
    same = task._replace(transition=task.transition[:, :1].repeat(1, 4, 1), reward=task.reward[:, :1] - lost.to(dtype))
    first = torch.where(task.terminal, 0, worse)
    assert_equal(begin(impl, same).greedy(case.value), torch.nn.functional.one_hot(first, 4).to(dtype))


@claim(
    "Shaping by a potential that is 0 at the ends leaves the greedy policy.",
    zh="用终点处为 0 的势函数塑形，贪心策略不变。",
)
@hole(4)
@after(test_greedy_takes_a_best_action)
@given(case=cases())
def test_a_potential_leaves_the_greedy_policy(impl: Any, case: Case) -> None:
    potential = torch.where(case.task.terminal, 0.0, case.other)
    shaped = begin(impl, shape(case.task, potential)).greedy(case.value - potential)
    assert_equal(shaped, begin(impl, case.task).greedy(case.value))


@claim(
    "After n sweeps that all change something, the value is what the best n choices earn from there.",
    zh="n 次都有变化的扫描之后，价值就是此后 n 步最优选择的所得。",
)
@hole(5)
@given(case=cases(sizes=((2, 2), (3, 2)), gammas=(*GAMMAS, 1.0)), sweeps=st.sampled_from((1, 2, 3)))
def test_n_sweeps_choose_n_times(impl: Any, case: Case, sweeps: int) -> None:
    start = torch.where(case.task.terminal, 0.0, case.value)
    expected = start.double()
    for _ in range(sweeps):
        expected = slow_q(case.task, expected).amax(1)
    check(begin(impl, case.task).value_iteration(start, tolerance=0.0, max_sweeps=sweeps), expected)


@claim(
    "It stops after the first sweep that changes no value by more than the tolerance, up or down.",
    zh="第一次没有任何价值的变化（无论增减）超过容差的扫描，就是最后一次。",
)
@hole(5)
@given(sign=st.sampled_from((1.0, -1.0)), stop=st.integers(1, 5), dtype=float_dtypes(), slow=st.booleans())
def test_it_stops_when_changes_are_small(impl: Any, sign: float, stop: int, dtype: torch.dtype, slow: bool) -> None:
    # Two states that earn for ever: the one changes by 2, 1, 1/2 ..., the other by half or none of it. Far from 0, so
    # that a tolerance relative to the values is another one.
    more = torch.tensor([2.0 * sign, 1.0 * sign if slow else 0.0], dtype=dtype)
    task = Task(torch.eye(2, dtype=dtype)[:, None, :], (FAR / 2 + more)[:, None], torch.zeros(2, dtype=torch.bool), 0.5)
    start = torch.full_like(more, FAR)
    got = begin(impl, task).value_iteration(start, tolerance=4 * 0.5**stop, max_sweeps=20)
    check(got - FAR, more * (2 - 2 * 0.5**stop))


@claim(
    "Where it stopped by itself, no value is off the optimum by more than gamma / (1 - gamma) times the tolerance.",
    zh="自行停止时，每个价值与最优值之差不超过 gamma / (1 - gamma) 乘以容差。",
)
@hole(5)
@given(case=cases(), tolerance=st.sampled_from((0.3, 0.01)))
def test_it_is_as_close_as_the_tolerance_says(impl: Any, case: Case, tolerance: float) -> None:
    start = torch.where(case.task.terminal, 0.0, case.value)
    got = begin(impl, case.task).value_iteration(start, tolerance=tolerance, max_sweeps=LONG)
    assert_form(got, start.shape, start.dtype)
    error = (got.double() - optimum(case.task)).abs().max()
    gamma = case.task.gamma
    at_most(Message("the largest error"), error, torch.tensor(gamma / (1 - gamma) * tolerance), start.dtype)


@claim(
    "Greedy on the optimum is nowhere worse than any of 50 drawn policies.",
    zh="对最优价值取贪心所得的策略，在任何状态都不比随机抽取的 50 个策略差。",
)
@hole(5)
@after(test_n_sweeps_choose_n_times)
@given(case=cases(), seed=st.integers(0, 1000))
def test_greedy_on_the_optimum_is_the_best_policy(impl: Any, case: Case, seed: int) -> None:
    process = begin(impl, case.task)
    best = process.value_iteration(torch.zeros_like(case.value), tolerance=STOP, max_sweeps=LONG)
    found = own_value(case.task, process.greedy(best))
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand((DRAWN_POLICIES, *case.policy.shape), generator=generator, dtype=torch.float64) ** 4
    others = own_value(case.task, drawn / drawn.sum(-1, keepdim=True))
    loss = (others - found).max()
    if loss > SLACK:
        raise Mismatch(Message("a drawn policy is better"), "0", format(float(loss), ".4g"))


@claim(
    "Sweeps and solve round nothing to float32 in float64 either.",
    zh="float64 时，扫描和求解同样不会把任何数舍入成 float32。",
)
@about("dtype")
@after(test_float64_is_carried_through)
@given(of=st.sampled_from(("reward", "gamma")), tiny=st.sampled_from((2.0**-27, 2.0**-28)), way=st.sampled_from(WAYS))
def test_sweeps_and_solve_carry_float64_through(impl: Any, of: str, tiny: float, way: str) -> None:
    policy = torch.ones((3, 1), dtype=torch.float64)
    ways: dict[str, Callable[[Any, Tensor], Tensor]] = {
        "evaluate": lambda process, value: process.evaluate(policy, value, sweeps=2),
        "solve": lambda process, value: process.solve(policy),
        "value_iteration": lambda process, value: process.value_iteration(value, tolerance=0.0, max_sweeps=2),
    }
    slopes_agree(impl, of, tiny, ways[way])


@claim("No answer depends on what was asked before.", zh="任何回答都与之前问过什么无关。")
@given(case=cases())
def test_no_answer_depends_on_earlier_ones(impl: Any, case: Case) -> None:
    used, fresh = begin(impl, case.task), begin(impl, case.task)
    answers(used, case.policy.flip(1), case.other)
    compare(answers(used, case.policy, case.value), answers(fresh, case.policy, case.value))


@claim(
    "In another unit of reward every value is the same multiple of what it was, and the greedy policy stays.",
    zh="奖励换一种单位，每个价值都变为同样的倍数，贪心策略不变。",
)
@after(test_greedy_takes_a_best_action)
@given(case=cases(), unit=st.sampled_from((2.0**-20, 2.0**20)))
def test_the_unit_of_reward_is_free(impl: Any, case: Case, unit: float) -> None:
    other = case.task._replace(reward=case.task.reward * unit)
    *values, policy = answers(begin(impl, other), case.policy, case.value * unit, unit)
    compare((*(value / unit for value in values), policy), answers(begin(impl, case.task), case.policy, case.value))


@claim("It gives what the reference gives.", zh="与参考实现的结果相同。")
@after(test_q_is_the_mean_over_the_next_states)
@given(case=cases(gammas=(0.25, 0.75, 0.875), sizes=((5, 3), (4, 4), (9, 2))))
def test_it_equals_the_reference(impl: Any, reference: Any, case: Case) -> None:
    compare(*(answers(begin(of, case.task), case.policy, case.value) for of in (impl, reference)))


def answers(process: Any, policy: Tensor, value: Tensor, unit: float = 1.0) -> Sequence[Tensor]:
    """Return what each method says; the greedy policy comes last."""
    best = process.value_iteration(torch.zeros_like(value), tolerance=0.3 * unit, max_sweeps=4)
    swept, solved = process.evaluate(policy, value, sweeps=3), process.solve(policy)
    return process.q_values(value), swept, solved, best, process.greedy(value)


def slopes_agree(impl: Any, of: str, tiny: float, ask: Callable[[Any, Tensor], Tensor]) -> None:
    """Check that a tiny change of a process with one action moves an answer as much, for its size, as a larger one."""
    transition = torch.tensor([[[0.25, 0.5, 0.25]], [[0.5, 0.25, 0.25]], [[1.0, 0.0, 0.0]]], dtype=torch.float64)
    reward, value = torch.tensor([[1.5], [-1.25], [0.0]]).double(), torch.tensor([1.75, 1.125, 0.0]).double()
    terminal = torch.tensor([False, False, True])

    def at(step: float) -> Tensor:
        by = {of: step}
        gamma = 0.75 + by.get("gamma", 0.0)
        task = Task(transition, reward + by.get("reward", 0.0), terminal, gamma)
        return ask(begin(impl, task), value + by.get("value", 0.0))

    slopes = [(at(step) - at(-step)) / (2 * step) for step in (tiny, 2.0**-10)]
    what = Message("the slope along {of}", of=of)
    assert_close(slopes[0], slopes[1], dtype=torch.float64, tolerance=SLOPE, what=what)


def compare(got: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    for one, other in zip(got, expected, strict=True):
        check(one, other)


def begin(impl: Any, task: Task) -> Any:
    return impl(task.transition, task.reward, task.terminal, gamma=task.gamma)


def check(got: Tensor, expected: Tensor, *, size: float = LARGEST, dtype: torch.dtype | None = None) -> None:
    """Compare values or Q. Each is a sum over a few sweeps of some states, or the solution of as many equations."""
    assert_form(got, expected.shape, dtype or got.dtype)
    assert_close(got, expected, dtype=got.dtype, tolerance=sum_tolerance(got.dtype, 20, size))


def at_most(what: Message, got: Tensor, bound: Tensor, dtype: torch.dtype) -> None:
    """Check an inequality, up to the rounding of values in ``dtype``."""
    if not got <= bound + sum_tolerance(dtype, 20, LARGEST).atol:
        raise Mismatch(what, "<= " + format(float(bound), ".6g"), format(float(got), ".6g"))


def one_action(policy: Tensor, case: Case) -> None:
    assert_form(policy, case.policy.shape, case.policy.dtype)
    assert_equal(policy.sort(dim=1).values[:, -1], torch.ones_like(case.value), what="the largest probability")
    assert_equal(policy.sum(1), torch.ones_like(case.value), what="the sum of the probabilities")


def shape(task: Task, potential: Tensor) -> Task:
    """Add gamma * Phi(next state), in the mean, minus Phi(state) to each reward."""
    gain = task.gamma * (task.transition @ potential) - potential[:, None]
    return task._replace(reward=task.reward + gain)
