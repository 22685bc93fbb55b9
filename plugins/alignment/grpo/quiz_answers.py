"""A second way to the computed answers of the quiz."""

from __future__ import annotations

import statistics
from fractions import Fraction

import numpy as np
import torch


def advantage_of_an_answer(first: float, second: float, third: float) -> float:
    """Let the standard library find mean and standard deviation."""
    rewards = [first, second, third]
    return (first - statistics.mean(rewards)) / statistics.stdev(rewards)


def weight_of_a_token(answers: float, length: float, advantage: float) -> float:
    """Let autograd differentiate the mean over answers, in which only one depends on the token."""
    log_prob = torch.zeros(int(length), dtype=torch.float64, requires_grad=True)
    own = (-advantage * log_prob.exp()).mean()
    others = torch.zeros(int(answers) - 1, dtype=torch.float64)
    (slope,) = torch.autograd.grad(torch.cat([own[None], others]).mean(), [log_prob])
    return float(slope[0])


def expected_gradient(n: float) -> float:
    """Enumerate all groups of n answers to a prompt with two answers, one of them right; compare exact gradients.

    With p the probability of the right answer, its log-probability's slope by the logit is 1 - p, that of the other -p.
    """
    count, p = int(n), Fraction(1, 4)
    total = Fraction(0)
    for right in range(count + 1):
        ways = Fraction(1)
        for k in range(right):
            ways = ways * (count - k) / (k + 1)
        middle = Fraction(right, count)
        slope = right * (1 - middle) * (1 - p) + (count - right) * (0 - middle) * (-p)
        total += ways * p**right * (1 - p) ** (count - right) * slope / count
    return float(total / (p * (1 - p)))


def rare_success(n: float) -> float:
    """Let numpy's standard deviation, with one degree of freedom less, divide."""
    rewards = np.array([1.0] + [0.0] * (int(n) - 1))
    return float((rewards[0] - rewards.mean()) / rewards.std(ddof=1))


def memory_without_a_critic(size: float) -> float:
    """Add up what each holds."""
    ppo = 2 * 16 * size + 2 * 2 * size
    return ppo - 16 * size


def shift_and_scale() -> list[str]:
    """Try each change on two groups."""

    def scores(groups: dict[int, list[float]]) -> list[float]:
        found = []
        for number in sorted(groups):
            rewards = groups[number]
            found += [(r - statistics.mean(rewards)) / statistics.stdev(rewards) for r in rewards]
        return [round(score, 9) for score in sorted(found)]

    one, two = [1.0, 2.0, 5.0], [0.0, 0.5, 0.25]
    changes = {
        "shift-one": {0: [r + 5 for r in one], 1: two},
        "scale-one": {0: [r * 5 for r in one], 1: two},
        "rename": {1: one, 0: two},
        "shift-answer": {0: [1.0, 2.0, 10.0], 1: two},
        "negate": {0: [-r for r in one], 1: [-r for r in two]},
    }
    before = scores({0: one, 1: two})
    return [name for name, groups in changes.items() if scores(groups) == before]
