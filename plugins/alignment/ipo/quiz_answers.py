"""A second way to each computed answer of the quiz."""

from __future__ import annotations

import numpy as np
import torch


def cost_of_a_pair(chosen: float, rejected: float, beta: float) -> float:
    """Average both orders of the pair, with the targets 1 / beta and 0, and take off what is left at the minimum."""
    h = chosen - rejected
    return 0.5 * (h - 1 / beta) ** 2 + 0.5 * (-h) ** 2 - 0.25 / beta**2


def slope_of_a_rejected_token(pairs: int, h: float, beta: float) -> float:
    """Let torch differentiate a batch of which one pair differs by h."""
    rejected = torch.zeros(int(pairs), dtype=torch.float64, requires_grad=True)
    chosen = torch.full((int(pairs),), float(h), dtype=torch.float64)
    loss = torch.nn.functional.mse_loss(chosen - rejected, torch.full_like(chosen, 0.5 / beta))
    return float(torch.autograd.grad(loss, [rejected])[0][0])


def divided_votes(count: int, agreed: int, beta: float) -> float:
    """Take the mean of the votes' targets: that is where a sum of squares is least."""
    return float(np.mean([0.5 / beta] * int(agreed) + [-0.5 / beta] * int(count - agreed)))


def per_token_or_not(length: int, beta: float) -> float:
    """Add the target of each token."""
    return float(np.full(int(length), 0.5 / beta).sum())


def best_difference(p: float, beta: float) -> float:
    """Solve the parabola through three points of the mean loss for its lowest point."""

    def loss(h: float) -> float:
        return p * (h - 0.5 / beta) ** 2 + (1 - p) * (h + 0.5 / beta) ** 2

    low, middle, high = loss(-1.0), loss(0.0), loss(1.0)
    return float((low - high) / (2 * (low - 2 * middle + high)))


def what_is_true_of_the_loss() -> list[str]:
    """Try each statement in numbers, at beta 0.1."""
    target, beta = 5.0, 0.1

    def weight(h: float) -> float:
        return 2 * (target - h)

    pairs = np.array([target - 3, target + 3])
    holds = {
        "sign": weight(target - 1) > 0 > weight(target + 1),
        "start": bool(np.isclose((0 - target) ** 2, 1 / (4 * beta**2))),
        "unbounded": weight(-1e9) > 1e9,
        "mean-enough": bool(((pairs - target) ** 2).mean() == 0),
        "chosen-rises": -1.0 > 0,  # log-ratios -1 and -6 are at the target
        "same-rate": bool(np.isclose(weight(0), beta * 0.5)),
    }
    return [key for key, true in holds.items() if true]
