"""A second way to the computed answers of the quiz."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction

import torch


def slope_of_a_token(answers: float, longest: float, advantage: float) -> float:
    """Let autograd differentiate the sum over all tokens of a padded batch."""
    log_prob = torch.zeros(int(answers), int(longest), dtype=torch.float64, requires_grad=True)
    mask = torch.zeros_like(log_prob)
    mask[0, :7] = 1
    loss = (-advantage * log_prob.exp() * mask).sum(1).mean() / longest
    return float(torch.autograd.grad(loss, [log_prob])[0][0, 0])


def expected_factor(n: float, m: float) -> float:
    """Enumerate how many of n answers are right, with the exact slopes of their log-probabilities."""
    count, p = int(n), Fraction(1, 3)
    total = Fraction(0)
    for right in range(count + 1):
        middle = Fraction(right, count)
        slope = right * (1 - middle) * (1 - p) + (count - right) * middle * p
        total += math.comb(count, right) * p**right * (1 - p) ** (count - right) * slope / count
    return float(total / (p * (1 - p))) / m


def how_much_less(short: float, long: float) -> float:
    """Differentiate both means."""
    slopes = []
    for length in (short, long):
        log_prob = torch.zeros(int(length), dtype=torch.float64, requires_grad=True)
        slopes.append(float(torch.autograd.grad(log_prob.mean(), [log_prob])[0][0]))
    return slopes[0] / slopes[1]


def weight_of_a_prompt(percent: float) -> float:
    """Write out a hundred rewards."""
    rewards = [1.0] * int(percent) + [0.0] * (100 - int(percent))
    return 1 / statistics.pstdev(rewards)


def loss_of_a_group(good: float, bad: float, longest: float) -> float:
    """Add up token by token."""
    rewards, lengths = [1.0, 0.0], [int(good), int(bad)]
    middle = statistics.fmean(rewards)
    tokens = [-(reward - middle) for reward, length in zip(rewards, lengths, strict=True) for _ in range(length)]
    return math.fsum(tokens) / 2 / longest


def which_are_biased() -> list[str]:
    """See which factors are the same for two answers of a batch with other lengths and other prompts."""
    lengths, spreads, size, answers, longest = (2, 5), (0.1, 0.5), 4, 8, 100
    factors = {
        "own-length": [1 / length for length in lengths],
        "spread": [1 / spread for spread in spreads],
        "itself": [(size - 1) / size] * 2,
        "constant": [1 / longest] * 2,
        "count": [1 / answers] * 2,
    }
    return [name for name, (one, other) in factors.items() if one != other]
