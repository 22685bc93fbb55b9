"""A second way to the answers of the quiz on batch-constrained Q-learning."""

from __future__ import annotations

import torch


def smallest_allowed(largest: float, threshold: float) -> float:
    """Search for the probability at which an action begins to pass."""
    low, high = 0.0, float(largest)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if middle / largest >= threshold else (middle, high)
    return high


def constrained_target(reward: float, second: float) -> float:
    """Sort the allowed actions by what the trained network says, and take what the target network says of the last."""
    allowed = sorted([(3, 9), (5, second)])
    return reward + allowed[-1][1] / 2


def loss_of_an_error(value: float, target: float) -> float:
    """Let torch compute it."""
    pair = torch.tensor([value, target], dtype=torch.float64)
    return torch.nn.functional.smooth_l1_loss(pair[0], pair[1]).item()


def chain_of_hope(hope: float, gamma: float) -> float:
    """Sweep until nothing changes."""
    value = 0.0
    for _ in range(2000):
        value = gamma * (value + hope)
    return value
