"""Properties of every right implementation of gae."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
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
    assert_form,
    booleans,
    claim,
    float_dtypes,
    hole,
    sum_tolerance,
    tensors,
)

DTYPES = (torch.float32, torch.float64)
SHAPES = ((1, 1), (1, 2), (2, 2), (1, 4), (2, 3), (3, 4))
LARGER = ((1, 3), (2, 7), (5, 6), (9, 3))
GAMMAS = (0.5, 0.75, 0.875)  # neither 0 nor 1, which would hide a missing or doubled factor
LAMS = (0.25, 0.625, 0.9375)  # also no gamma and not 1/2, which would hide a swap with gamma or with 1 - lambda
LARGEST = 24.0  # one-step error: |reward| + |next value| + |value|, each up to 8
LONG = 400  # steps: 0.125 to that power is 0 even in float64
SLOPE = Tolerance(rtol=0.01, atol=0.01)  # of a finite-difference slope; float32 would lose a tiny step, or double it
HUGE = 32.0  # a factor for numbers that must not affect the result


class Rollout(NamedTuple):
    """The arguments of one call."""

    reward: Tensor
    value: Tensor
    done: Tensor
    gamma: float
    lam: float

    def steps(self, start: int, stop: int) -> Rollout:
        """Return the steps from ``start`` to ``stop`` - 1 as a rollout."""
        reward, value, done = self.reward[:, start:stop], self.value[:, start : stop + 1], self.done[:, start:stop]
        return self._replace(reward=reward, value=value, done=done)


def rollouts(
    *,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    gammas: Sequence[float] = GAMMAS,
    lams: Sequence[float] = LAMS,
) -> st.SearchStrategy[Rollout]:
    """Draw rewards and values from -8 to 8; on average every second step ends its episode."""
    return st.one_of(
        [
            st.builds(
                Rollout,
                reward=tensors((batch, steps), dtype=dtype, low=-8, high=8),
                value=tensors((batch, steps + 1), dtype=dtype, low=-8, high=8),
                done=booleans((batch, steps)),
                gamma=st.sampled_from(gammas),
                lam=st.sampled_from(lams),
            )
            for batch, steps in shapes
            for dtype in DTYPES
        ]
    )


class Shaped(NamedTuple):
    """A rollout, and a potential for each of its states."""

    rollout: Rollout
    potential: Tensor


def shaped_rollouts() -> st.SearchStrategy[Shaped]:
    return st.one_of(
        [
            st.builds(Shaped, rollouts(shapes=[(batch, steps)]), tensors((batch, steps + 1), low=-8, high=8))
            for batch, steps in SHAPES
        ]
    )


class Parted(NamedTuple):
    """A rollout in which every row's episode ends at step ``steps`` - 1, followed by huge numbers."""

    rollout: Rollout
    steps: int


def parted_rollouts() -> st.SearchStrategy[Parted]:
    places = ((1, 2, 1), (1, 3, 1), (1, 3, 2), (2, 3, 1), (2, 4, 2))
    return st.one_of(
        [rollouts(shapes=[(batch, length)]).map(partial(parted, steps=steps)) for batch, length, steps in places]
    )


def parted(rollout: Rollout, steps: int) -> Parted:
    reward, value, done = (t.clone() for t in rollout[:3])
    reward[:, steps:] *= HUGE
    value[:, steps:] *= HUGE
    done[:, steps - 1] = True
    return Parted(rollout._replace(reward=reward, value=value, done=done), steps)


class Pulse(NamedTuple):
    """A single episode with zero rewards and values, except for one unit at step ``at``."""

    rollout: Rollout
    at: int


def pulses(field: str, places: Sequence[tuple[int, int]]) -> st.SearchStrategy[Pulse]:
    """Draw a pulse in ``field`` (the reward or the value); ``places`` are pairs of row length and step."""
    coefficients = (st.sampled_from(GAMMAS), st.sampled_from(LAMS), float_dtypes())
    return st.builds(partial(pulse, field), st.sampled_from(places), *coefficients)


def pulse(field: str, place: tuple[int, int], gamma: float, lam: float, dtype: torch.dtype) -> Pulse:
    steps, at = place
    reward, value = torch.zeros((1, steps), dtype=dtype), torch.zeros((1, steps + 1), dtype=dtype)
    rollout = Rollout(reward, value, torch.zeros((1, steps), dtype=torch.bool), gamma, lam)
    getattr(rollout, field)[0, at] = 1.0
    return Pulse(rollout, at)


@claim("With gamma 0 the advantage is the reward minus the value.", zh="gamma 为 0 时，优势就是奖励减去价值。")
@hole(1)
@given(rollout=rollouts(shapes=SHAPES[1:], gammas=(0.0,)))  # normalising a single advantage would give NaN
def test_gamma_zero_is_the_reward_minus_the_value(impl: Any, rollout: Rollout) -> None:
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
    "The value after the last step stands for the rest of an episode that the row leaves unfinished.",
    zh="一行若停在回合中间，最后一步之后的价值就代表回合剩下的部分。",
)
@hole(2)
@given(case=pulses("value", ((1, 1), (2, 2), (3, 3), (5, 5))))
def test_an_unfinished_episode_is_bootstrapped(impl: Any, case: Pulse) -> None:
    rollout, after_last = case
    fade = rollout.gamma * rollout.lam
    expected = [rollout.gamma * fade ** (after_last - 1 - t) for t in range(after_last)]
    check(run(impl, rollout), torch.tensor([expected], dtype=torch.float64))


@claim(
    "Adding a potential's gain to each reward, and taking the potential off the values, changes no advantage.",
    zh="每步奖励加上势函数的增量，价值相应减去势函数，优势不变。",
)
@hole(2)
@given(case=shaped_rollouts())
def test_shaping_by_a_potential_changes_nothing(impl: Any, case: Shaped) -> None:
    rollout, potential = case.rollout, case.potential.to(case.rollout.reward.dtype)
    after_step = torch.where(rollout.done, 0.0, potential[:, 1:])  # 0 after the end of an episode
    reward = rollout.reward + rollout.gamma * after_step - potential[:, :-1]
    shaped = rollout._replace(reward=reward, value=rollout.value - potential)
    check(run(impl, shaped), run(impl, rollout), size=2 * LARGEST)


@claim(
    "A reward k steps away counts (gamma * lambda)^k, and nothing for the steps after it.",
    zh="k 步之后的奖励占 (gamma * lambda)^k，对它之后的步没有影响。",
)
@hole(2)
@given(case=pulses("reward", ((2, 1), (3, 1), (3, 2), (5, 2), (5, 4))))
def test_a_reward_fades_with_its_distance(impl: Any, case: Pulse) -> None:
    rollout, at = case
    fade = rollout.gamma * rollout.lam
    expected = [fade ** (at - t) if t <= at else 0.0 for t in range(rollout.reward.shape[1])]
    check(run(impl, rollout), torch.tensor([expected], dtype=torch.float64))


@claim(
    "With lambda 1 the advantage is the episode's discounted return minus the value.",
    zh="lambda 为 1 时，优势是该回合的折扣回报减去价值。",
)
@hole(2)
@after(test_lambda_zero_is_the_one_step_error)
@given(rollout=rollouts(gammas=(0.5, 0.75, 1.0), lams=(1.0,)))
def test_lambda_one_is_the_return_minus_the_value(impl: Any, rollout: Rollout) -> None:
    check(run(impl, rollout), slowly(rollout, lambda row, t: k_step(row, t, horizon(row, t))))


@claim(
    "The advantage is the average of the k-step advantages, with weights (1 - lambda) * lambda^(k-1).",
    zh="优势是各 k 步优势以 (1 - lambda) * lambda^(k-1) 为权重的平均。",
)
@hole(2)
@after(test_lambda_zero_is_the_one_step_error)
@given(rollout=rollouts())
def test_it_averages_the_k_step_advantages(impl: Any, rollout: Rollout) -> None:
    check(run(impl, rollout), slowly(rollout, average))


@claim(
    "What stands before an episode's end and what stands behind it, padding included, do not affect each other.",
    zh="回合结束之前与之后的内容（包括填充）互不影响。",
)
@hole(2)
@given(case=parted_rollouts())
def test_an_end_parts_what_is_before_it_from_what_is_behind(impl: Any, case: Parted) -> None:
    rollout, steps = case
    before, behind = rollout.steps(0, steps), rollout.steps(steps, rollout.done.shape[1])
    nothing_behind = before.value.clone()
    nothing_behind[:, -1] = 0.0
    whole, size = run(impl, rollout), HUGE * LARGEST  # rounding may be relative to the largest number of the row
    check(whole[:, :steps], run(impl, before._replace(value=nothing_behind)), size=size)
    check(whole[:, steps:], run(impl, behind), size=size)


@claim("A row's advantages do not depend on the rows beside it.", zh="一行的优势与其他行无关。")
@hole(1)
@given(rollout=rollouts(shapes=((2, 2), (2, 3), (3, 4))))
def test_rows_are_independent(impl: Any, rollout: Rollout) -> None:
    last = rollout._replace(reward=rollout.reward[-1:], value=rollout.value[-1:], done=rollout.done[-1:])
    check(run(impl, rollout)[-1:], run(impl, last))


@claim("With no steps, or no rows, the result is empty.", zh="没有步或没有行时，结果为空。")
@hole(2)
@given(shape=st.sampled_from(((1, 0), (2, 0), (0, 3))), dtype=float_dtypes())
def test_nothing_in_nothing_out(impl: Any, shape: tuple[int, int], dtype: torch.dtype) -> None:
    reward, value = torch.zeros(shape, dtype=dtype), torch.zeros((shape[0], shape[1] + 1), dtype=dtype)
    rollout = Rollout(reward, value, torch.zeros(shape, dtype=torch.bool), 0.9, 0.95)
    check(run(impl, rollout), reward)


@claim(
    "Over hundreds of steps, equal errors still add up to a geometric series.",
    zh="几百步相等的误差，累加后仍是等比级数。",
)
@hole(2)
@given(dtype=float_dtypes(), gamma=st.sampled_from((0.5, 1.0)), lam=st.sampled_from((0.25, 0.9375, 1.0)))
def test_long_rows_stay_exact(impl: Any, dtype: torch.dtype, gamma: float, lam: float) -> None:
    # A vectorised sum that scales every error by (gamma * lambda)^t and back underflows here, even in float64. With
    # gamma * lambda = 1 errors from hundreds of steps away count in full, so the sum must not be truncated.
    reward, value = torch.ones((1, LONG), dtype=dtype), torch.zeros((1, LONG + 1), dtype=dtype)
    fade, advantages = gamma * lam, [0.0]
    for _ in range(LONG):
        advantages.append(1 + fade * advantages[-1])
    got = run(impl, Rollout(reward, value, torch.zeros((1, LONG), dtype=torch.bool), gamma, lam))
    check(got, torch.tensor([advantages[:0:-1]], dtype=torch.float64), size=1.0)


@claim(
    "In float64 nothing is rounded to float32, gamma and lambda included: a change that is too small for a float32 "
    "moves the advantages as much, for its size, as a larger one does.",
    zh="float64 时，任何数都不会被舍入成 float32，包括 gamma 和 lambda："
    "小到 float32 装不下的改动，按大小折算，对优势的影响与较大的改动相同。",
)
@about("dtype")
@hole(1)
@given(of=st.sampled_from(("gamma", "lam", "reward", "value")), tiny=st.sampled_from((2.0**-27, 2.0**-28, 2.0**-29)))
def test_float64_is_carried_through(impl: Any, of: str, tiny: float) -> None:
    reward, value = torch.tensor([[1.5, -1.25]]).double(), torch.tensor([[1.75, -1.125, 1.625]]).double()
    at = Rollout(reward, value, torch.tensor([[False, False]]), 0.75, 0.625)

    def slope(step: float) -> Tensor:
        there, back = (run(impl, at._replace(**{of: getattr(at, of) + way * step})) for way in (1, -1))
        return (there - back) / (2 * step)

    assert_close(
        slope(tiny), slope(2.0**-10), dtype=torch.float64, tolerance=SLOPE, what=Message("the slope along {of}", of=of)
    )


@claim("It gives what the reference gives.", zh="与参考实现的结果相同。")
@after(test_lambda_zero_is_the_one_step_error)
@given(rollout=rollouts(shapes=LARGER, gammas=(*GAMMAS, 1.0), lams=(*LAMS, 1.0)))
def test_it_equals_the_reference(impl: Any, reference: Any, rollout: Rollout) -> None:
    check(run(impl, rollout), run(reference, rollout))


def run(impl: Any, rollout: Rollout) -> Tensor:
    """Return the result of ``impl`` for ``rollout``: one number per step, in the dtype of the rewards."""
    reward, value, done, gamma, lam = rollout
    result: Tensor = impl(reward, value, done, gamma=gamma, lam=lam)
    assert_form(result, reward.shape, reward.dtype)
    return result


def check(got: Tensor, expected: Tensor, *, size: float = LARGEST) -> None:
    """Compare advantages. Each is a sum of at most one error per step of its row, none larger than ``size``."""
    assert_close(got, expected, dtype=got.dtype, tolerance=sum_tolerance(got.dtype, got.shape[1], size))


Row = tuple[list[float], list[float], list[bool], float, float]


def slowly(rollout: Rollout, estimate: Callable[[Row, int], float]) -> Tensor:
    """Return ``estimate`` for each step of each row, computed in Python floats."""
    reward, value, done = (t.tolist() for t in rollout[:3])
    rows = [(r, v, d, rollout.gamma, rollout.lam) for r, v, d in zip(reward, value, done, strict=True)]
    return torch.tensor([[estimate(row, t) for t in range(len(row[0]))] for row in rows], dtype=torch.float64)


def horizon(row: Row, t: int) -> int:
    """Return the number of steps from ``t`` to the end of its episode or of the row."""
    done = row[2]
    return done.index(True, t) + 1 - t if True in done[t:] else len(done) - t


def k_step(row: Row, t: int, k: int) -> float:
    """Return the k-step advantage: k discounted rewards plus the value after them, minus the value at ``t``."""
    reward, value, done, gamma, _ = row
    earned = sum(gamma**i * reward[t + i] for i in range(k))
    return earned + (0.0 if done[t + k - 1] else gamma**k * value[t + k]) - value[t]


def average(row: Row, t: int) -> float:
    """Return eq. 16. Estimates beyond the last step equal the longest one, which therefore gets their weights."""
    longest, lam = horizon(row, t), row[4]
    shorter = sum((1 - lam) * lam ** (k - 1) * k_step(row, t, k) for k in range(1, longest))
    return shorter + lam ** (longest - 1) * k_step(row, t, longest)
