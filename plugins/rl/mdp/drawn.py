"""Drawn processes for the properties of MDP, and slow ways to the values of their states.

Probabilities are multiples of 1/4, gammas of 1/4, rewards and values of 1/8: one look ahead is exact in every dtype.
Whatever stands in the rows of an end is drawn like all other rows, as recorded data has it after an automatic reset.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

SIZES = ((2, 2), (3, 2), (2, 3), (4, 2))  # states, actions
GAMMAS = (0.25, 0.75)  # neither 0 nor 1 nor 1/2, where gamma and 1 - gamma are the same


class Task(NamedTuple):
    """The tables of one process."""

    transition: Tensor
    reward: Tensor
    terminal: Tensor
    gamma: float

    def live(self) -> Tensor:
        """Return which states are no ends."""
        return ~self.terminal


class Case(NamedTuple):
    """A process with a policy and two values, of which the second is another start."""

    task: Task
    policy: Tensor
    value: Tensor
    other: Tensor


def chances(drawn: Tensor, actions: int, strided: bool) -> Tensor:
    """Return distributions over so many outcomes, in quarters, from four numbers each; strided or not."""
    quarters = torch.nn.functional.one_hot(drawn.reshape(len(drawn), -1, 4) % actions, actions).sum(-2) / 4
    return quarters.mT.contiguous().mT if strided else quarters


def built(size: tuple[int, int], dtype: torch.dtype, gamma: float, drawn: bytes, ends: bool) -> Case:
    """Make a case of bytes: four for a distribution, one for a number in eighths from -2 to 2, one for an end."""
    (states, actions), strided = size, drawn[0] % 2 == 1
    chance, several, end, numbers = torch.tensor(list(drawn[1:])).split_with_sizes(
        (n := 4 * states * actions, 4 * states, states, len(drawn) - 1 - n - 5 * states)
    )
    transition = chances(chance.reshape(states, -1), states, strided)
    policy = chances(several.reshape(states, -1), actions, strided).squeeze(1)
    eighths = ((numbers + 16) % 33 - 16).to(dtype) / 8
    reward, rest = eighths[: states * actions].reshape(states, actions), eighths[states * actions :]
    value, other = rest[:states], rest[states : 2 * states]
    terminal = (end % 2 == 1) & (torch.arange(states) != drawn[0] // 2 % states) & torch.tensor(ends)
    return Case(Task(transition.to(dtype), reward, terminal, gamma), policy.to(dtype), value, other)


def cases(
    *, gammas: tuple[float, ...] = GAMMAS, ends: bool = True, sizes: tuple[tuple[int, int], ...] = SIZES
) -> st.SearchStrategy[Case]:
    """Draw processes; if ``ends``, about every second state is an end, but never all of them."""
    length = max(1 + states * (5 * actions + 7) for states, actions in sizes)
    return st.builds(
        built,
        st.sampled_from(sizes),
        st.sampled_from((torch.float32, torch.float64)),
        st.sampled_from(gammas),
        st.binary(min_size=length, max_size=length),
        st.just(ends),
    )


def slow_q(task: Task, value: Tensor) -> Tensor:
    """Return Q, one number after the other, in Python floats."""
    p, r, ends, v = task.transition.tolist(), task.reward.tolist(), task.terminal.tolist(), value.tolist()
    rows = [
        [
            0.0
            if ends[s]
            else r[s][a] + task.gamma * sum(p[s][a][t] * (0.0 if ends[t] else v[t]) for t in range(len(v)))
            for a in range(len(r[s]))
        ]
        for s in range(len(v))
    ]
    return torch.tensor(rows, dtype=torch.float64)


def under(task: Task, policy: Tensor) -> tuple[Tensor, Tensor]:
    """Return the chances and rewards of a policy or of several, in float64; an end leads nowhere and earns nothing."""
    live = task.live().double()
    p = live[:, None] * torch.einsum("...sa,sat->...st", policy.double(), task.transition.double())
    return p, live * (policy.double() * task.reward.double()).sum(-1)


def own_value(task: Task, policy: Tensor) -> Tensor:
    """Return the value of a policy or of several as the geometric series of its steps, by doubling."""
    p, value = under(task, policy)
    p = task.gamma * p
    for _ in range(8):  # 256 steps
        value = value + (p @ value[..., None])[..., 0]
        p = p @ p
    return value


def optimum(task: Task) -> Tensor:
    """Return the best value of each state over every policy that always takes the same action in a state."""
    states, actions = task.reward.shape
    every = torch.tensor(list(itertools.product(range(actions), repeat=states)))
    return own_value(task, torch.nn.functional.one_hot(every, actions)).amax(0)
