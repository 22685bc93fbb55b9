"""Another way to each computed answer of the quiz."""

from __future__ import annotations

import math

import torch


def _log_odds(p: float) -> float:
    return math.log(p) - math.log(1 - p)


def odds_ratio_loss(chosen: float, rejected: float) -> float:
    """Use the sigmoid itself."""
    return -math.log(1 / (1 + math.exp(-(_log_odds(chosen) - _log_odds(rejected)))))


def whole_loss(mean: float, odds: float, lam: float) -> float:
    """Begin with the probability."""
    return -math.log(math.exp(mean)) + lam * odds


def slope_of_a_rejected_token(p: float, tokens: float, lam: float) -> float:
    """Let autograd go from one token to the loss; the chosen answer keeps the log-odds that the rejected one has."""
    rise = torch.zeros((), dtype=torch.float64, requires_grad=True)
    moved = torch.exp(math.log(p) + rise / tokens)
    (slope,) = torch.autograd.grad(lam * torch.log1p(torch.exp(torch.logit(moved) - _log_odds(p))), [rise])
    return float(slope)


def operations_of_a_pass(pairs: float, tokens: float) -> float:
    """Count forward and backward passes of each model."""
    forward, backward = 2 * tokens, 4 * tokens
    fine_tuning = forward + backward
    dpo = 2 * (forward + backward) + 2 * forward
    return pairs * (fine_tuning + dpo - 2 * (forward + backward)) / 1000


def slope_of_the_log_odds(x: float) -> float:
    """Let autograd take the derivative."""
    mean = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(torch.logit(mean.exp()), [mean])
    return float(slope)


def lam_zero() -> list[str]:
    """Look at each statement: true by the formula, the last two refuted by a number."""
    lam, lengths = 0.0, (4, 1)
    weights = [1 / (2 * length) for length in lengths]
    found = {
        "sft": lam * 0.7 == 0,
        "rejected": lam * 0.5 == 0,
        "reported": True,
        "fall": False,
        "same": weights[0] == weights[1],
    }
    return [name for name, holds in found.items() if holds]


def logit_lead() -> float:
    """Use the odds themselves."""
    return math.log((1 - 1e-6) / 1e-6)
