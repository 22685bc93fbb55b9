"""CartPole-v1 of gymnasium (``gymnasium/envs/classic_control/cartpole.py``), all poles at once, for labs."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["LONGEST", "Poles"]

LONGEST = 500  # an episode is cut off after so many steps


class Poles:
    """Carts with a pole each, pushed to the left (action 0) or right (1). Each step earns 1."""

    def __init__(self, count: int) -> None:
        self.state = _start(count)  # position, its velocity, angle, its velocity
        self.age = torch.zeros(count, dtype=torch.long)

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the state reached, whether the pole fell, whether time ran out, and the age; begin anew after both."""
        _, speed, angle, turning = self.state.unbind(1)
        cos, sin = angle.cos(), angle.sin()
        push = (torch.where(action == 1, 10.0, -10.0) + 0.05 * turning**2 * sin) / 1.1
        turn = (9.8 * sin - cos * push) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
        pull = push - 0.05 * turn * cos / 1.1
        step = torch.stack([speed, pull, turning, turn], dim=1)
        reached, age = self.state + 0.02 * step, self.age + 1
        fell = (reached[:, 0].abs() > 2.4) | (reached[:, 2].abs() > 12 / 180 * torch.pi)
        timed_out = ~fell & (age >= LONGEST)
        over = fell | timed_out
        self.state = torch.where(over[:, None], _start(len(age)), reached)
        self.age = torch.where(over, 0, age)
        return reached, fell, timed_out, age


def _start(count: int) -> Tensor:
    return torch.rand(count, 4) * 0.1 - 0.05
