"""Properties of every right TDLearning.

Rewards, values and step sizes are small multiples of 1/8, so that a few corrections are exact in every dtype. Steps are
drawn independently of each other: states repeat, and what stands behind an end is a state like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.messages import Message
from groundup.core.testing import (
    Tolerance,
    about,
    after,
    assert_close,
    assert_equal,
    assert_form,
    claim,
    each,
    hole,
    sum_tolerance,
)

ALPHAS = (0.25, 0.625)  # neither 0 nor 1 nor 1/2, where alpha and 1 - alpha are the same
GAMMAS = (0.375, 0.75)
LARGEST = 8.0  # a target: a reward up to 2 and a value up to 2, or 3 after a few corrections
HUGE = 64.0  # of a value that must not matter
SLOPE = Tolerance(rtol=0.01, atol=0.01)  # of a finite-difference slope; float32 would lose a tiny step, or double it
STATES, ACTIONS = 4, 3
MANY = 24  # steps
METHODS = ("td0", "sarsa", "q_learning", "expected_sarsa")


class Steps(NamedTuple):
    """What was experienced, in order."""

    state: Tensor
    action: Tensor
    reward: Tensor
    next_state: Tensor
    next_action: Tensor
    terminated: Tensor
    truncated: Tensor

    def some(self, start: int, stop: int) -> Steps:
        return Steps(*(column[start:stop] for column in self))


class Case(NamedTuple):
    """Steps, the tables before them, and the constants."""

    steps: Steps
    value: Tensor
    q: Tensor
    policy: Tensor
    alpha: float
    gamma: float


def built(dtype: torch.dtype, alpha: float, gamma: float, count: int, drawn: bytes, strided: bool) -> Case:
    """Make a case of bytes, one for each number: a draw of bytes is far quicker than one of tensors."""
    numbers = torch.tensor(list(drawn))
    columns = numbers[: 6 * count].reshape(count, 6).T if strided else numbers[: 6 * count].reshape(6, count)
    state, action, reward, next_state, next_action, ending = columns
    eighths = ((numbers[6 * count :] + 16) % 33 - 16).to(dtype) / 8
    value, q = eighths[:STATES], eighths[STATES : STATES * (ACTIONS + 1)].reshape(STATES, ACTIONS)
    quarters = torch.nn.functional.one_hot(numbers[: 4 * STATES].reshape(STATES, 4) % ACTIONS, ACTIONS).sum(1)
    steps = Steps(
        state % STATES, action % ACTIONS, ((reward + 16) % 33 - 16).to(dtype) / 8, next_state % STATES,
        next_action % ACTIONS, ending % 2 == 1, ending % 4 >= 2,
    )  # fmt: skip
    return Case(steps, value, q.T.contiguous().T if strided else q, quarters.to(dtype) / 4, alpha, gamma)


def cases(
    *,
    counts: tuple[int, ...] = (2, 3, 4),
    alphas: tuple[float, ...] = ALPHAS,
    gammas: tuple[float, ...] = GAMMAS,
) -> st.SearchStrategy[Case]:
    """Draw steps: half of them end their episodes, half are cut off, and a quarter are both."""
    length = 6 * max(*counts, 3) + STATES * (ACTIONS + 1)
    return st.builds(
        built,
        st.sampled_from((torch.float32, torch.float64)),
        st.sampled_from(alphas),
        st.sampled_from(gammas),
        st.sampled_from(counts),
        st.binary(min_size=length, max_size=length),
        st.booleans(),
    )


ONE = cases(counts=(1,))


@claim("With gamma 0 the target is the reward, at every step.", zh="gamma 为 0 时，每一步的目标都是奖励。")
@hole(1)
@given(case=cases(gammas=(0.0,)))
def test_gamma_zero_leaves_the_reward(impl: Any, case: Case) -> None:
    check(target(impl, case, case.value[case.steps.next_state]), case.steps.reward)


@claim(
    "The target is the reward plus gamma times the next value, and the reward alone at an end.",
    zh="目标是奖励加上 gamma 乘以下一价值；在回合终止处只有奖励。",
)
@hole(1)
@given(case=cases())
def test_the_target_looks_one_step_ahead(impl: Any, case: Case) -> None:
    steps, follows = case.steps, case.value[case.steps.next_state]
    columns = zip(steps.reward.tolist(), follows.tolist(), steps.terminated.tolist(), strict=True)
    expected = [r if ended else r + case.gamma * v for r, v, ended in columns]
    check(target(impl, case, follows), torch.tensor(expected, dtype=torch.float64))


@claim("What stands behind an end changes no target.", zh="回合终止之后写着什么，都不影响任何目标。")
@hole(1)
@given(case=cases())
def test_nothing_is_bootstrapped_after_an_end(impl: Any, case: Case) -> None:
    follows = case.value[case.steps.next_state]
    changed = torch.where(case.steps.terminated, -HUGE, follows)
    check(target(impl, case, changed), target(impl, case, follows), size=HUGE)


@claim(
    "A time limit changes no target: what was cut off is still to come.",
    zh="时间限制不改变任何目标：被截断的部分本来还会到来。",
)
@hole(1)
@given(case=cases())
def test_a_time_limit_is_no_end(impl: Any, case: Case) -> None:
    follows, never = case.value[case.steps.next_state], torch.zeros_like(case.steps.truncated)
    unlimited = case._replace(steps=case.steps._replace(truncated=never))
    check(target(impl, case, follows), target(impl, unlimited, follows))


@claim("The targets of a table of steps are those of its rows.", zh="一张步的表，其目标就是各行的目标。")
@hole(1)
@given(case=cases(counts=(4,)))
def test_steps_have_any_shape(impl: Any, case: Case) -> None:
    learner, follows = begin(impl, case), case.value[case.steps.next_state]
    columns = (case.steps.reward, follows, case.steps.terminated, case.steps.truncated)
    square = learner.target(*(c.reshape(2, 2) for c in columns))
    assert_form(square, (2, 2), case.value.dtype)
    check(square.flatten(), learner.target(*columns))
    single = learner.target(*(c[0] for c in columns))
    assert_form(single, (), case.value.dtype)


@claim(
    "In float64 nothing is rounded to float32: a change too small for a float32 moves the target as much, for its "
    "size, as a larger one does.",
    zh="float64 时，任何数都不会被舍入成 float32：小到 float32 装不下的改动，按大小折算，对目标的影响与大的改动相同。",
)
@about("dtype")
@hole(1)
@given(of=st.sampled_from(("reward", "gamma", "value")), tiny=st.sampled_from((2.0**-27, 2.0**-28)))
def test_float64_is_carried_through(impl: Any, of: str, tiny: float) -> None:
    no = torch.zeros(2, dtype=torch.bool)
    reward, value = torch.tensor([1.5, -1.25]).double(), torch.tensor([1.75, 1.125]).double()

    def slope(step: float) -> Tensor:
        def moved(name: str, x: Any, way: int) -> Any:
            return x + way * step if of == name else x

        def at(way: int) -> Tensor:
            learner = impl(alpha=0.25, gamma=moved("gamma", 0.75, way))
            result: Tensor = learner.target(moved("reward", reward, way), moved("value", value, way), no, no)
            return result

        return (at(1) - at(-1)) / (2 * step)

    assert_close(
        slope(tiny), slope(2.0**-10), dtype=torch.float64, tolerance=SLOPE, what=Message("the slope along {of}", of=of)
    )


@claim(
    "One step moves the value of its state by the share alpha of the way to the target: with 0 it stays, with 1 it is "
    "the target.",
    zh="一步让它所在状态的价值朝目标移动 alpha 这么大的比例：alpha 为 0 时不动，为 1 时就等于目标。",
)
@hole(2)
@given(case=cases(counts=(1,), alphas=(0.0, 0.25, 0.625, 1.0)))
def test_a_step_goes_the_share_alpha_of_the_way(impl: Any, case: Case) -> None:
    got, s = td0(impl, case), int(case.steps.state[0])
    aim = target(impl, case, case.value[case.steps.next_state])[0].double()
    before = case.value[s].double()
    check(got[s], before + case.alpha * (aim - before))


@claim("Only visited states change.", zh="只有到访过的状态才会改变。")
@hole(2)
@given(case=cases())
def test_only_visited_states_move(impl: Any, case: Case) -> None:
    got, visited = td0(impl, case), torch.zeros(STATES, dtype=torch.bool)
    visited[case.steps.state] = True
    assert_equal(got[~visited], case.value[~visited])


@claim(
    "The steps are used in order, one update each: together they give what they give one call after the other.",
    zh="各步按顺序使用，每步更新一次：一次给出所有步，与逐步分次调用的结果相同。",
)
@hole(2)
@given(case=cases(counts=(3, 4)))
def test_steps_follow_each_other(impl: Any, case: Case) -> None:
    value = case.value
    for t in range(len(case.steps.state)):
        value = td0(impl, case._replace(value=value, steps=case.steps.some(t, t + 1)))
    check(td0(impl, case), value)
    check(td0(impl, case), slow(case, lambda q, s, t: q[s][0], case.value[:, None])[:, 0])


@claim(
    "At the true values of a process the mean correction is 0, state by state.",
    zh="在过程的真实价值处，每个状态的平均修正为 0。",
)
@hole(2)
@after(test_a_step_goes_the_share_alpha_of_the_way)
@given(case=cases(counts=(4,)))
def test_the_true_values_need_no_correction(impl: Any, case: Case) -> None:
    # Each state leads with equal chances to its two successors, with a reward for each; one way may end.
    steps, unit = case.steps, torch.eye(STATES, dtype=torch.float64)
    ways = torch.stack((steps.next_state, steps.next_state.roll(-1)), 1)
    earned = torch.stack((steps.reward, steps.reward.roll(1)), 1).double()
    ends = torch.stack((steps.terminated, steps.terminated.roll(2)), 1)
    true = torch.linalg.solve(unit - case.gamma * (unit[ways] * ~ends[..., None]).mean(1), earned.mean(1))
    value = true.to(case.value.dtype)
    state, way = torch.arange(STATES).repeat_interleave(2), ways.flatten()
    reward, no = earned.flatten().to(value.dtype), torch.zeros(1, dtype=torch.bool)
    calls = [
        (value, state[k : k + 1], reward[k : k + 1], way[k : k + 1], ends.flatten()[k : k + 1], no)
        for k in range(2 * STATES)
    ]
    moved = torch.stack(each(begin(impl, case).td0, calls)) - value
    check(moved.double().reshape(STATES, 2, STATES).mean(1), torch.zeros(STATES, STATES), dtype=value.dtype)


@claim(
    "SARSA corrects the pair of state and action that was taken, towards the reward and the next pair.",
    zh="SARSA 修正所采取的状态-动作对，目标是奖励加上下一个状态-动作对的价值。",
)
@hole(3)
@given(case=cases())
def test_sarsa_looks_at_the_next_action(impl: Any, case: Case) -> None:
    following = case.steps.next_action.tolist()
    check(sarsa(impl, case), slow(case, lambda q, s, t: q[s][following[t]]))


@claim("Only pairs of state and action that were taken change.", zh="只有采取过的状态-动作对才会改变。")
@hole(3)
@given(case=cases())
def test_only_visited_pairs_move(impl: Any, case: Case) -> None:
    taken = torch.zeros(STATES, ACTIONS, dtype=torch.bool)
    taken[case.steps.state, case.steps.action] = True
    got = sarsa(impl, case)
    assert_equal(got[~taken], case.q[~taken])


@claim(
    "Q-learning is SARSA on greedy next actions, each greedy on the table as the steps before have left it.",
    zh="Q-learning 就是下一动作取贪心的 SARSA，每次都对此前各步留下的表取贪心。",
)
@hole(4)
@given(case=cases())
def test_q_learning_is_sarsa_on_greedy_actions(impl: Any, case: Case) -> None:
    greedy, q = case.steps.next_action.clone(), case.q
    for t in range(len(greedy)):
        greedy[t] = q[case.steps.next_state[t]].argmax()
        q = q_learning(impl, case._replace(q=q, steps=case.steps.some(t, t + 1)))
    check(q_learning(impl, case), sarsa(impl, case._replace(steps=case.steps._replace(next_action=greedy))))


@claim(
    "Q-learning corrects towards the reward and the best next action.",
    zh="Q-learning 的目标是奖励加上下一状态最好动作的价值。",
)
@hole(4)
@given(case=cases())
def test_q_learning_looks_at_the_best_action(impl: Any, case: Case) -> None:
    check(q_learning(impl, case), slow(case, lambda q, s, t: max(q[s])))


@claim(
    "Expected SARSA is the mean of SARSA over the next actions that the policy may take.",
    zh="期望 SARSA 是 SARSA 对策略可能采取的下一动作的平均。",
)
@hole(5)
@given(case=ONE)
def test_expected_sarsa_averages_sarsa(impl: Any, case: Case) -> None:
    chances = case.policy[case.steps.next_state[0]].double()
    following = [torch.tensor([a]) for a in range(ACTIONS)]
    parts = [sarsa(impl, case._replace(steps=case.steps._replace(next_action=a))).double() for a in following]
    mean = (chances[:, None, None] * torch.stack(parts)).sum(0)
    check(expected_sarsa(impl, case), mean)


@claim(
    "Expected SARSA under the greedy policy is Q-learning.",
    zh="在贪心策略下，期望 SARSA 就是 Q-learning。",
)
@hole(5)
@given(case=ONE)
def test_expected_sarsa_on_the_greedy_policy_is_q_learning(impl: Any, case: Case) -> None:
    greedy = torch.nn.functional.one_hot(case.q.argmax(1), ACTIONS).to(case.q.dtype)
    check(expected_sarsa(impl, case._replace(policy=greedy)), q_learning(impl, case))


@claim(
    "Expected SARSA corrects towards the reward and the policy's mean over the next actions, step by step.",
    zh="期望 SARSA 逐步修正，目标是奖励加上下一状态各动作按策略的平均。",
)
@hole(5)
@given(case=cases())
def test_expected_sarsa_looks_at_the_mean(impl: Any, case: Case) -> None:
    policy = case.policy.tolist()
    mean = slow(case, lambda q, s, t: sum(p * x for p, x in zip(policy[s], q[s], strict=True)))
    check(expected_sarsa(impl, case), mean)


@claim("Without steps the table stays as it was.", zh="没有任何步时，表保持原样。")
@hole(2)
@given(case=cases(counts=(0,)))
def test_no_steps_change_nothing(impl: Any, case: Case) -> None:
    assert_equal(td0(impl, case), case.value)


@claim(
    "However many steps there are, they may be split between two calls of the same object.",
    zh="无论有多少步，都可以分两次交给同一个对象。",
)
@given(case=cases(counts=(MANY,)), cut=st.integers(1, MANY - 1), method=st.sampled_from(METHODS))
def test_steps_may_be_split_between_calls(impl: Any, case: Case, cut: int, method: str) -> None:
    learner, run = begin(impl, case), RUN[method]
    first = run(impl, case._replace(steps=case.steps.some(0, cut)), learner)
    rest = case._replace(value=first, q=first, steps=case.steps.some(cut, MANY))  # td0 reads value, the others read q
    check(run(impl, rest, learner), run(impl, case))


@claim(
    "In another unit of reward every entry is the same multiple of what it was.",
    zh="奖励换一种单位，表中每一项都变为同样的倍数。",
)
@given(case=cases(), unit=st.sampled_from((2.0**-20, 2.0**20)), method=st.sampled_from(METHODS))
def test_the_unit_of_reward_is_free(impl: Any, case: Case, unit: float, method: str) -> None:
    steps = case.steps._replace(reward=case.steps.reward * unit)
    other = case._replace(steps=steps, value=case.value * unit, q=case.q * unit)
    check(RUN[method](impl, other) / unit, RUN[method](impl, case))


@claim(
    "In float64 no table is rounded to float32: a tiny change of the reward moves an entry as much, for its size, as a "
    "larger one does.",
    zh="float64 时，表中的数不会被舍入成 float32：奖励的微小改动按大小折算，对表中各项的影响与较大的改动相同。",
)
@about("dtype")
@given(case=ONE, tiny=st.sampled_from((2.0**-32, 2.0**-34)), method=st.sampled_from(METHODS))
def test_tables_stay_in_float64(impl: Any, case: Case, tiny: float, method: str) -> None:
    wide = case._replace(value=case.value.double(), q=case.q.double(), policy=case.policy.double())

    def slope(step: float) -> Tensor:
        rewards = (case.steps.reward.double() + way * step for way in (-1, 1))
        low, high = (RUN[method](impl, wide._replace(steps=case.steps._replace(reward=reward))) for reward in rewards)
        return (high - low) / (2 * step)

    what = Message("the slope along {of}", of="reward")
    assert_close(slope(tiny), slope(2.0**-10), dtype=torch.float64, tolerance=SLOPE, what=what)


@claim("It gives what the reference gives.", zh="与参考实现的结果相同。")
@after(test_the_target_looks_one_step_ahead)
@given(case=cases(counts=(0, 6, 9), gammas=(0.75, 1.0)))
def test_it_equals_the_reference(impl: Any, reference: Any, case: Case) -> None:
    steps = case.steps._replace(state=case.steps.state + 2 * STATES, next_state=case.steps.next_state + 2 * STATES)
    tables = {name: getattr(case, name).repeat(3, *[1] * (name != "value")) for name in ("value", "q", "policy")}
    wider = case._replace(steps=steps, **tables)  # no limit of states is met by the small tables of the others
    for run in RUN.values():
        check(run(impl, wider), run(reference, wider))


def begin(impl: Any, case: Case, learner: Any = None) -> Any:
    return impl(alpha=case.alpha, gamma=case.gamma) if learner is None else learner


def target(impl: Any, case: Case, follows: Tensor) -> Tensor:
    found: Tensor = begin(impl, case).target(case.steps.reward, follows, case.steps.terminated, case.steps.truncated)
    assert_form(found, case.steps.reward.shape, case.steps.reward.dtype)
    return found


def td0(impl: Any, case: Case, learner: Any = None) -> Tensor:
    s = case.steps
    return table(
        begin(impl, case, learner).td0(case.value, s.state, s.reward, s.next_state, s.terminated, s.truncated),
        case.value,
    )


def sarsa(impl: Any, case: Case, learner: Any = None) -> Tensor:
    s = case.steps
    before = (case.q, s.state, s.action, s.reward, s.next_state)
    return table(begin(impl, case, learner).sarsa(*before, s.next_action, s.terminated, s.truncated), case.q)


def q_learning(impl: Any, case: Case, learner: Any = None) -> Tensor:
    s = case.steps
    before = (case.q, s.state, s.action, s.reward, s.next_state)
    return table(begin(impl, case, learner).q_learning(*before, s.terminated, s.truncated), case.q)


def expected_sarsa(impl: Any, case: Case, learner: Any = None) -> Tensor:
    s = case.steps
    before = (case.q, case.policy, s.state, s.action, s.reward, s.next_state)
    return table(begin(impl, case, learner).expected_sarsa(*before, s.terminated, s.truncated), case.q)


RUN = {"td0": td0, "sarsa": sarsa, "q_learning": q_learning, "expected_sarsa": expected_sarsa}


def table(found: Tensor, before: Tensor) -> Tensor:
    assert_form(found, before.shape, before.dtype)
    return found


def check(got: Tensor, expected: Tensor, *, size: float = LARGEST, dtype: torch.dtype | None = None) -> None:
    """Compare entries. Each is the result of up to 9 corrections of a few operations."""
    assert_close(got, expected, dtype=got.dtype, tolerance=sum_tolerance(dtype or got.dtype, 10, size))


def slow(case: Case, follows: Callable[[list[list[float]], int, int], float], start: Tensor | None = None) -> Tensor:
    """Return the table after all steps, in Python floats; ``follows`` is the value of the next state at a step."""
    q = (case.q if start is None else start).tolist()
    steps = [column.tolist() for column in case.steps]
    for t, (s, a, r, next_s, _, ended, _) in enumerate(zip(*steps, strict=True)):
        a = a if start is None else 0
        aim = r if ended else r + case.gamma * follows(q, next_s, t)
        q[s][a] = (1 - case.alpha) * q[s][a] + case.alpha * aim
    return torch.tensor(q, dtype=torch.float64)
