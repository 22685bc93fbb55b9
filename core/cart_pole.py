"""CartPole for labs, all poles at once in torch; for offline learning also data of simple controllers, and a judge.

The task is CartPole-v1 of gymnasium (``gymnasium/envs/classic_control/cartpole.py``): each step earns 1. An episode
ends when the pole falls, and is cut off after ``LONGEST`` steps. With a discount of 0.99 no state is worth more
than 100.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["LONGEST", "Poles", "Transitions", "collect", "competent", "judge", "poor", "q_network", "start", "step"]
__contract__ = ("Poles", "Transitions", "collect", "competent", "judge", "poor", "q_network", "start", "step")

LONGEST = 500

Policy = Callable[[Tensor], Tensor]
"""Maps states, (N, 4), to actions, (N,): 0 pushes to the left, 1 to the right."""


@dataclass(frozen=True, eq=False)
class Transitions:
    """A fixed data set, one row a step. ``done`` says that the pole fell; an episode that was cut off is not done."""

    state: Tensor
    action: Tensor
    next_state: Tensor
    done: Tensor


def start(count: int) -> Tensor:
    """Return random upright states, (count, 4): position, its velocity, angle, its velocity."""
    return torch.rand(count, 4) * 0.1 - 0.05


def step(state: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
    """Return the states after 0.02 s, and whether each pole fell."""
    _, speed, angle, turning = state.unbind(1)
    cos, sin = angle.cos(), angle.sin()
    push = (torch.where(action == 1, 10.0, -10.0) + 0.05 * turning**2 * sin) / 1.1
    turn = (9.8 * sin - cos * push) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
    pull = push - 0.05 * turn * cos / 1.1
    reached = state + 0.02 * torch.stack([speed, pull, turning, turn], dim=1)
    return reached, (reached[:, 0].abs() > 2.4) | (reached[:, 2].abs() > 12 / 180 * torch.pi)


class Poles:
    """Carts with a pole each, pushed to the left (action 0) or right (1), for learners that play."""

    def __init__(self, count: int) -> None:
        self.state = start(count)
        self.age = torch.zeros(count, dtype=torch.long)

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the state reached, whether the pole fell, whether time ran out, and the age; begin anew after both."""
        reached, fell = step(self.state, action)
        age = self.age + 1
        timed_out = ~fell & (age >= LONGEST)
        over = fell | timed_out
        self.state = torch.where(over[:, None], start(len(age)), reached)
        self.age = torch.where(over, 0, age)
        return reached, fell, timed_out, age


def competent(state: Tensor) -> Tensor:
    """Push by a weighted sum of all four numbers of the state: this balances until time runs out."""
    return ((state * torch.tensor([0.1, 0.3, 3.0, 1.0])).sum(1) > 0).long()


def poor(state: Tensor) -> Tensor:
    """Push to the side to which the pole leans, whatever its speed: it swings ever further, and falls."""
    return (state[:, 2] > 0).long()


def collect(policy: Policy, poles: int, steps: int) -> Transitions:
    """Return ``poles`` * ``steps`` transitions of the policy; each fall begins a new episode."""
    state, age, rows = start(poles), torch.zeros(poles), []
    for _ in range(steps):
        action = policy(state)
        reached, fell = step(state, action)
        rows.append((state, action, reached, fell))
        age += 1
        over = fell | (age >= LONGEST)
        state, age = torch.where(over[:, None], start(poles), reached), torch.where(over, 0, age)
    return Transitions(*(torch.cat(column) for column in zip(*rows, strict=True)))


@torch.no_grad()
def judge(policy: Policy, begun: Tensor, gamma: float) -> tuple[float, float]:
    """Play an episode from each state; return the mean discounted return and the mean number of steps."""
    state, running = begun, torch.ones(len(begun), dtype=torch.bool)
    worth, lasted = torch.zeros(len(begun)), torch.zeros(len(begun))
    for t in range(LONGEST):
        worth += running * gamma**t
        lasted += running
        state, fell = step(state, policy(state))
        running &= ~fell
        if not running.any():
            break
    return float(worth.mean()), float(lasted.mean())


def q_network() -> nn.Sequential:
    """Return a small network from a state to the values of its two actions."""
    return nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
