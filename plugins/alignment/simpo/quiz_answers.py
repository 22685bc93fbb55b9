"""Another way to each computed answer of the quiz."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812


def reward_of_an_answer(long: float, often: float, once: float, beta: float) -> float:
    """Write all tokens down and take their mean."""
    return float(torch.tensor([often] * int(long) + [once], dtype=torch.float64).mean() * beta)


def cost_of_a_pair(chosen: float, rejected: float, gamma: float) -> float:
    """Take the logarithm of the probability that the pair is ordered so."""
    return -math.log(1 / (1 + math.exp(-(chosen - rejected - gamma))))


def gradient_of_a_token(tokens: float, beta: float) -> float:
    """Raise one token by little and look at the loss."""
    step, gamma = 1e-6, 0.5

    def cost(rise: float) -> float:
        margin = gamma + beta * rise / tokens
        return math.log1p(math.exp(gamma - margin))

    return (cost(-step) - cost(step)) / (2 * step)


def ratio_to_gamma(beta: float, ratio: float) -> float:
    """Look for the gamma whose loss is that of the ratio, by bisection."""
    low, high = 0.0, 100.0
    wanted = math.log1p(math.exp(-beta * (0 - ratio)))
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if math.log1p(math.exp(middle)) < wanted else (low, middle)
    return low


def what_is_saved(size: float, bits: float) -> float:
    """Count bits."""
    return size * 1e9 * bits / 8 / 1e9


def slope_of_the_loss(m: float, gamma: float) -> float:
    """Let autograd take the derivative."""
    margin = torch.tensor(m, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(-F.logsigmoid(margin - gamma), [margin])
    return float(slope)


def what_gamma_changes() -> list[str]:
    """Compute both, and compare."""

    def all_of(gamma: float) -> dict[str, float]:
        margin = torch.tensor(0.75, dtype=torch.float64, requires_grad=True)
        loss = F.softplus(gamma - margin)
        (slope,) = torch.autograd.grad(loss, [margin])
        return {
            "loss": float(loss.detach()),
            "gradient": abs(float(slope)),
            "accuracy": float(margin.detach() > 0),
            "margin": float(margin.detach()),
            "sign": math.copysign(1, float(slope)),
        }

    before, after = all_of(0.5), all_of(1.0)
    return [name for name in before if before[name] != after[name]]
