"""What holds of every right implementation of gae."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.testing import (
    Mismatch,
    after,
    assert_close,
    booleans,
    claim,
    float_dtypes,
    hole,
    sum_tolerance,
    tensors,
)

SHAPES = ((1, 1), (1, 2), (2, 2), (1, 4), (2, 3), (3, 4))
GAMMAS = (0.5, 0.8, 0.9)  # neither 0 nor 1, where a factor lost or doubled would not show
LAMS = (0.25, 0.6, 0.95)  # nor a gamma, nor 1/2: swapped for it, or for 1 - lambda, it would not show
SIZE = 6.0  # of a one-step error at most: |reward| + |next value| + |value|, each up to 2


class Rollout(NamedTuple):
    """The arguments of one call."""

    reward: Tensor
    value: Tensor
    done: Tensor
    gamma: float
    lam: float

    def steps(self, start: int, stop: int) -> Rollout:
        """Return the steps from ``start`` to before ``stop``, as a rollout of their own."""
        reward, value, done = self.reward[:, start:stop], self.value[:, start : stop + 1], self.done[:, start:stop]
        return self._replace(reward=reward, value=value, done=done)


@st.composite
def rollouts(
    draw: st.DrawFn,
    *,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    gammas: Sequence[float] = GAMMAS,
    lams: Sequence[float] = LAMS,
) -> Rollout:
    """Draw rewards and values from -2 to 2; every other step ends its episode."""
    batch, steps = draw(st.sampled_from(shapes))
    dtype = draw(float_dtypes())
    return Rollout(
        reward=draw(tensors((batch, steps), dtype=dtype)),
        value=draw(tensors((batch, steps + 1), dtype=dtype)),
        done=draw(booleans((batch, steps))),
        gamma=draw(st.sampled_from(gammas)),
        lam=draw(st.sampled_from(lams)),
    )


class Shaped(NamedTuple):
    """A rollout, and a potential of each of its states."""

    rollout: Rollout
    potential: Tensor


@st.composite
def shaped_rollouts(draw: st.DrawFn) -> Shaped:
    rollout = draw(rollouts())
    return Shaped(rollout, draw(tensors(tuple(rollout.value.shape), dtype=rollout.value.dtype)))


class Split(NamedTuple):
    """A rollout in which every row has an episode end at the last of its first ``steps`` steps."""

    rollout: Rollout
    steps: int


@st.composite
def split_rollouts(draw: st.DrawFn) -> Split:
    rollout = draw(rollouts(shapes=((1, 2), (1, 3), (2, 3), (2, 4))))
    steps = draw(st.integers(1, rollout.done.shape[1] - 1))
    done = rollout.done.clone()
    done[:, steps - 1] = True
    return Split(rollout._replace(done=done), steps)


@st.composite
def padded_rollouts(draw: st.DrawFn) -> Split:
    rollout, steps = draw(split_rollouts())
    filler = draw(st.sampled_from((1000.0, -1000.0)))
    reward, value = rollout.reward.clone(), rollout.value.clone()
    reward[:, steps:] = value[:, steps:] = filler
    return Split(rollout._replace(reward=reward, value=value), steps)


class Pulse(NamedTuple):
    """An unbroken episode in which nothing is earned or expected but one unit, at ``at``."""

    steps: int
    at: int
    gamma: float
    lam: float
    dtype: torch.dtype

    def rollout(self) -> Rollout:
        reward, value = (
            torch.zeros((1, self.steps), dtype=self.dtype),
            torch.zeros((1, self.steps + 1), dtype=self.dtype),
        )
        return Rollout(reward, value, torch.zeros((1, self.steps), dtype=torch.bool), self.gamma, self.lam)


@st.composite
def pulses(draw: st.DrawFn, places: Sequence[tuple[int, int]]) -> Pulse:
    """Draw a pulse at one of ``places``: the number of steps, and at which of them it comes."""
    steps, at = draw(st.sampled_from(places))
    return Pulse(steps, at, draw(st.sampled_from(GAMMAS)), draw(st.sampled_from(LAMS)), draw(float_dtypes()))


@claim(
    "With gamma 0 an action is worth its reward, less what was expected.",
    zh="gamma 为 0 时，动作的优势就是奖励减去预期。",
)
@hole(1)
@given(rollout=rollouts(gammas=(0.0,)))
def test_gamma_zero_is_reward_minus_value(impl: Any, rollout: Rollout) -> None:
    check(run(impl, rollout), rollout.reward - rollout.value[:, :-1])


@claim(
    "With lambda 0 the advantage is the one-step error; nothing is bootstrapped across an episode's end.",
    zh="lambda 为 0 时，优势就是单步误差；不跨回合结束自举。",
)
@hole(1)
@given(rollout=rollouts(lams=(0.0,)))
def test_lambda_zero_is_the_one_step_error(impl: Any, rollout: Rollout) -> None:
    check(run(impl, rollout), slowly(rollout, lambda row, t: k_step(row, t, 1)))


@claim(
    "Paying out a potential's gain at each step, and expecting it, changes no advantage.",
    zh="每步奖励加上势函数的增量，价值相应减去势函数，优势不变。",
)
@hole(1)
@given(case=shaped_rollouts())
def test_shaping_by_a_potential_changes_nothing(impl: Any, case: Shaped) -> None:
    rollout, potential = case
    after_step = torch.where(rollout.done, 0.0, potential[:, 1:])  # an episode's end has no potential
    reward = rollout.reward + rollout.gamma * after_step - potential[:, :-1]
    shaped = rollout._replace(reward=reward, value=rollout.value - potential)
    check(run(impl, shaped), run(impl, rollout), size=2 * SIZE)


@claim(
    "A reward k steps later counts (gamma * lambda)^k in this step's advantage, and nothing in later ones.",
    zh="k 步之后的奖励在这一步的优势里占 (gamma * lambda)^k，对更晚的步没有影响。",
)
@hole(2)
@given(pulse=pulses(((2, 1), (3, 1), (3, 2), (5, 2), (5, 4))))
def test_a_reward_fades_with_its_distance(impl: Any, pulse: Pulse) -> None:
    rollout = pulse.rollout()
    rollout.reward[0, pulse.at] = 1.0
    fade = pulse.gamma * pulse.lam
    expected = [fade ** (pulse.at - t) if t <= pulse.at else 0.0 for t in range(pulse.steps)]
    check(run(impl, rollout), torch.tensor([expected], dtype=torch.float64))


@claim(
    "The value of the state after the last step stands for the rest of an unfinished episode.",
    zh="最后一步之后的状态价值，代表未结束回合剩下的部分。",
)
@hole(1)
@given(pulse=pulses(((1, 1), (2, 2), (3, 3), (5, 5))))
def test_an_unfinished_episode_is_bootstrapped(impl: Any, pulse: Pulse) -> None:
    rollout = pulse.rollout()
    rollout.value[0, pulse.at] = 1.0
    fade = pulse.gamma * pulse.lam
    expected = [pulse.gamma * fade ** (pulse.steps - 1 - t) for t in range(pulse.steps)]
    check(run(impl, rollout), torch.tensor([expected], dtype=torch.float64))


@claim(
    "With lambda 1 the advantage is the discounted return of the episode, bootstrapped where it is unfinished, "
    "less the value.",
    zh="lambda 为 1 时，优势是该回合的折扣回报（未结束则自举）减去价值。",
)
@hole(2)
@after(test_lambda_zero_is_the_one_step_error)
@given(rollout=rollouts(gammas=(0.5, 0.8, 1.0), lams=(1.0,)))
def test_lambda_one_is_the_return_minus_the_value(impl: Any, rollout: Rollout) -> None:
    check(run(impl, rollout), slowly(rollout, lambda row, t: k_step(row, t, horizon(row, t))))


@claim(
    "The advantage is the average of the k-step advantages with weights (1 - lambda) * lambda^(k-1).",
    zh="优势是各 k 步优势以 (1 - lambda) * lambda^(k-1) 为权重的平均。",
)
@hole(2)
@after(test_lambda_zero_is_the_one_step_error)
@given(rollout=rollouts())
def test_it_averages_the_k_step_advantages(impl: Any, rollout: Rollout) -> None:
    check(run(impl, rollout), slowly(rollout, average))


@claim(
    "Whatever stands behind an episode's end, huge padding included, leaves its advantages as they are.",
    zh="回合结束之后不论是什么，哪怕是很大的填充值，都不影响该回合的优势。",
)
@given(case=padded_rollouts())
def test_padding_behind_an_end_changes_nothing_before_it(impl: Any, case: Split) -> None:
    alone = case.rollout.steps(0, case.steps)
    value = alone.value.clone()
    value[:, -1] = 0.0
    whole = run(impl, case.rollout)[:, : case.steps]
    check(whole, run(impl, alone._replace(value=value)), size=1000.0)  # rounding of the padding is no mistake


@claim("Two episodes in one row are as good as each on its own.", zh="一行里的两个回合，与各自单独计算结果相同。")
@hole(2)
@given(case=split_rollouts())
def test_two_episodes_in_a_row_are_two_episodes(impl: Any, case: Split) -> None:
    rollout, steps = case
    first, second = rollout.steps(0, steps), rollout.steps(steps, rollout.done.shape[1])
    check(run(impl, rollout), torch.cat([run(impl, first), run(impl, second)], dim=1))


@claim("A row's advantages do not depend on the rows beside it.", zh="一行的优势与其他行无关。")
@given(rollout=rollouts(shapes=((2, 2), (2, 3), (3, 4))))
def test_rows_are_independent(impl: Any, rollout: Rollout) -> None:
    row = rollout._replace(reward=rollout.reward[-1:], value=rollout.value[-1:], done=rollout.done[-1:])
    check(run(impl, rollout)[-1:], run(impl, row))


@claim(
    "Advantages are in the unit of the reward: double and turn round rewards and values, and so are they.",
    zh="优势的单位与奖励相同：奖励和价值乘以 -2，优势也乘以 -2。",
)
@given(rollout=rollouts(shapes=SHAPES[1:]))
def test_advantages_are_in_the_unit_of_the_reward(impl: Any, rollout: Rollout) -> None:
    other = rollout._replace(reward=-2 * rollout.reward, value=-2 * rollout.value)
    check(run(impl, other), -2 * run(impl, rollout), size=2 * SIZE)


@claim("With no steps, or no trajectories, the result is empty.", zh="没有步或没有轨迹时，结果为空。")
@given(shape=st.sampled_from(((1, 0), (2, 0), (0, 3))), dtype=float_dtypes())
def test_nothing_in_nothing_out(impl: Any, shape: tuple[int, int], dtype: torch.dtype) -> None:
    reward, value = torch.zeros(shape, dtype=dtype), torch.zeros((shape[0], shape[1] + 1), dtype=dtype)
    rollout = Rollout(reward, value, torch.zeros(shape, dtype=torch.bool), 0.9, 0.95)
    check(run(impl, rollout), reward)


@claim("It stays exact over hundreds of steps.", zh="几百步之后依然精确。")
@after(test_lambda_zero_is_the_one_step_error)
@given(dtype=float_dtypes(), lam=st.sampled_from((0.25, 0.95)))
def test_long_rows_stay_exact(impl: Any, dtype: torch.dtype, lam: float) -> None:
    # Dividing by (gamma * lambda)^t, as one may to vectorise the sum, has no digits left by the end of this row.
    steps = torch.arange(301, dtype=torch.float64)
    value = torch.round(8 * torch.sin(steps)) / 4
    rollout = Rollout(value[None, 1:].to(dtype), value[None].to(dtype), (steps[None, :-1] == 150), 0.9, lam)
    check(run(impl, rollout), slowly(rollout, average))


@claim("It gives what the reference gives.", zh="与参考实现的结果相同。")
@after(test_lambda_zero_is_the_one_step_error)
@given(rollout=rollouts(gammas=(*GAMMAS, 1.0), lams=(*LAMS, 1.0)))
def test_it_equals_the_reference(impl: Any, reference: Any, rollout: Rollout) -> None:
    check(run(impl, rollout), run(reference, rollout))


def run(impl: Any, rollout: Rollout) -> Tensor:
    """Return what ``impl`` makes of ``rollout``: one number a step, in its rewards' dtype."""
    reward, value, done, gamma, lam = rollout
    result = impl(reward, value, done, gamma=gamma, lam=lam)
    got = (result.shape, result.dtype) if isinstance(result, Tensor) else type(result).__name__
    if got != (reward.shape, reward.dtype):
        raise Mismatch("the result has another shape or dtype", f"{tuple(reward.shape)}, {reward.dtype}", f"{got}")
    return result


def check(got: Tensor, expected: Tensor, size: float = SIZE) -> None:
    """Compare two rows' advantages, each a sum of at most as many errors, none above ``size``, as the row has steps."""
    assert_close(got, expected, dtype=got.dtype, tolerance=sum_tolerance(got.dtype, got.shape[1], size))


Row = tuple[list[float], list[float], list[bool], float, float]


def slowly(rollout: Rollout, estimate: Callable[[Row, int], float]) -> Tensor:
    """Return ``estimate`` of each step of each row, in Python's floats."""
    reward, value, done = (t.tolist() for t in rollout[:3])
    rows = [(r, v, d, rollout.gamma, rollout.lam) for r, v, d in zip(reward, value, done, strict=True)]
    return torch.tensor([[estimate(row, t) for t in range(len(row[0]))] for row in rows], dtype=torch.float64)


def horizon(row: Row, t: int) -> int:
    """Return how many steps there are from ``t`` on, to the end of its episode or of the row."""
    done = row[2]
    return done.index(True, t) + 1 - t if True in done[t:] else len(done) - t


def k_step(row: Row, t: int, k: int) -> float:
    """Return eq. 14: k discounted rewards and then the critic, less the value of the state at ``t``."""
    reward, value, done, gamma, _ = row
    earned = sum(gamma**i * reward[t + i] for i in range(k))
    return earned + (0.0 if done[t + k - 1] else gamma**k * value[t + k]) - value[t]


def average(row: Row, t: int) -> float:
    """Return eq. 16; estimates that would reach beyond the last step equal the longest, which gets their weights."""
    longest, lam = horizon(row, t), row[4]
    mixed = sum((1 - lam) * lam ** (k - 1) * k_step(row, t, k) for k in range(1, longest))
    return mixed + lam ** (longest - 1) * k_step(row, t, longest)
