"""What holds of every right implementation of gae."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.testing import (
    Tolerance,
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
GAMMAS = (0.5, 0.8, 0.9)  # never 0 or 1 unless a property is about that: a lost factor would not show
LAMS = (0.25, 0.6, 0.95)  # nor equal to a gamma, nor 1/2: swapped with it, or with 1 - lambda, it would not show
LARGEST_ERROR = 6.0  # |reward| + |next value| + |value|, each at most 2


class Rollout(NamedTuple):
    """The arguments of one call."""

    reward: Tensor
    value: Tensor
    done: Tensor
    gamma: float
    lam: float


@st.composite
def rollouts(
    draw: st.DrawFn,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    gammas: Sequence[float] = GAMMAS,
    lams: Sequence[float] = LAMS,
) -> Rollout:
    """Draw rewards and values from -2 to 2, with every other step the last of its episode."""
    batch, steps = draw(st.sampled_from(shapes))
    dtype = draw(float_dtypes())
    return Rollout(
        draw(tensors((batch, steps), dtype=dtype)),
        draw(tensors((batch, steps + 1), dtype=dtype)),
        draw(booleans((batch, steps))),
        draw(st.sampled_from(gammas)),
        draw(st.sampled_from(lams)),
    )


@claim(
    "With gamma 0 an action is worth its reward, less what was expected.",
    zh="gamma 为 0 时，动作只值它的奖励减去预期。",
)
@hole(1)
@given(rollout=rollouts(gammas=[0.0]))
def test_gamma_zero_is_reward_minus_value(impl: Any, rollout: Rollout) -> None:
    check(run(impl, rollout), rollout, rollout.reward - rollout.value[:, :-1])


@claim(
    "With lambda 0 the advantage is the one-step error, and nothing is bootstrapped across an episode's end.",
    zh="lambda 为 0 时，优势就是单步误差，且不跨回合结束自举。",
)
@hole(1)
@given(rollout=rollouts(lams=[0.0]))
def test_lambda_zero_is_the_one_step_error(impl: Any, rollout: Rollout) -> None:
    check(run(impl, rollout), rollout, slowly(one_step_error, rollout))


@claim(
    "Paying a potential's gain at each step, and expecting it, changes no advantage.",
    zh="每一步多付势函数的增量，同时从价值里减去势函数，所有优势都不变。",
)
@hole(1)
@given(rollout=rollouts(), seed=st.integers(1, 7))
def test_shaping_by_a_potential_changes_nothing(impl: Any, rollout: Rollout, seed: int) -> None:
    reward, value, done, gamma, _ = rollout
    potential = torch.arange(value.numel(), dtype=value.dtype).reshape(value.shape) * seed % 8 - 2
    gain = torch.where(done, 0.0, gamma * potential[:, 1:]) - potential[:, :-1]
    shaped = rollout._replace(reward=reward + gain, value=value - potential)
    check(run(impl, shaped), rollout, run(impl, rollout), size=3 * LARGEST_ERROR)
