"""A second way to each computed answer of the quiz."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import torch


def cost_of_a_pair(chosen: float, rejected: float, beta: float) -> float:
    """Take the cross-entropy of a classifier whose two scores are the rewards."""
    scores = torch.tensor([[beta * chosen, beta * rejected]], dtype=torch.float64)
    return torch.nn.functional.cross_entropy(scores, torch.tensor([0])).item()


def slope_of_a_token(pairs: int, margin: float, beta: float) -> float:
    """Let torch differentiate a batch of pairs of which one has this margin."""
    rejected = torch.zeros(int(pairs), dtype=torch.float64, requires_grad=True)
    chosen = torch.full((int(pairs),), margin / beta, dtype=torch.float64)
    loss = torch.log1p(torch.exp(-beta * (chosen - rejected))).mean()
    return float(torch.autograd.grad(loss, [rejected])[0][0])


def where_smoothing_stops(wrong: float, beta: float) -> float:
    """Find the zero of the slope by bisection."""
    low, high = 0.0, 1000.0
    for _ in range(200):
        middle = (low + high) / 2
        weight = 1 / (1 + math.exp(min(beta * middle, 700.0))) - wrong
        low, high = (middle, high) if weight > 0 else (low, middle)
    return low


def best_policy(share: float, better: float, beta: float) -> float:
    """Find by bisection where the mean reward less beta times the KL is largest: where its slope is 0."""
    low, high = 1e-12, 1 - 1e-12

    def slope(p: float) -> float:
        return better - beta * (math.log(p / share) - math.log((1 - p) / (1 - share)))

    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return low


def memory(billions: int) -> float:
    """Add up the tensors: weights and gradients in 16 bits, weights and averages in 32, and the reference's weights."""
    held = [np.float16, np.float16, np.float32, np.float32, np.float32, np.float16]
    return sum(billions * np.dtype(kind).itemsize for kind in held)


def slope_with_smoothing(m: float, w: float) -> float:
    """Take a small difference of the cost."""

    def cost(margin: float) -> float:
        return (1 - w) * math.log1p(math.exp(-margin)) + w * math.log1p(math.exp(margin))

    return (cost(m + 1e-5) - cost(m - 1e-5)) / 2e-5


def what_changes_nothing() -> list[str]:
    """Try each change, in fractions: m of two chosen tokens and one rejected."""

    def m(chosen: list[int], ref: list[int], rejected: list[int], ref_rejected: list[int], beta: Fraction) -> Fraction:
        return beta * (sum(chosen) - sum(ref) - sum(rejected) + sum(ref_rejected))

    beta = Fraction(1, 2)
    before = m([-3, -2], [-5, -4], [-6], [-2], beta)
    after = {
        "common-shift": m([-2, -2], [-4, -4], [-6], [-2], beta),
        "both-answers": m([-2, -2], [-5, -4], [-5], [-2], beta),
        "product": m([-3, -2], [-4, -3], [-6], [-4], 2 * beta),
        "padding": m([-3, -2], [-5, -4], [-6] + [0] * 10, [-2] + [0] * 10, beta),
        "longer": m([-3, -2, -1], [-5, -4, -2], [-6], [-2], beta),
        "exchanged": m([-6], [-2], [-3, -2], [-5, -4], beta),
    }
    return [change for change, margin in after.items() if margin == before]


def size_of_the_logits() -> float:
    """Let numpy count the bytes of one row."""
    return 1000 * np.zeros(128_000, dtype=np.float32).nbytes / 1e9
