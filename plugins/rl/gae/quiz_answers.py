"""A second way to each computed answer of the quiz: sums over the definitions, many of them in exact fractions."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction


def one_step_error(reward: float, value: float, next_value: float, gamma: float) -> float:
    """Compare two estimates of the same return: before the step was taken, and after it."""
    before = _exact(value)
    after = sum(_exact(amount) * _exact(gamma) ** delay for delay, amount in enumerate((reward, next_value)))
    return float(after - before)


def error_at_an_end(reward: float, value: float) -> float:
    """Read the row up to the first ``done``; the 4 stands behind it."""
    estimate = 0.0
    for amount, done in ((reward, True), (0.9 * 4, False)):
        estimate += amount
        if done:
            break
    return estimate - value


def two_steps(first: float, second: float, gamma: float, lam: float) -> float:
    """Mix the 1-step advantage with the 2-step one, which all longer ones are equal to: the episode has ended."""
    one_step = _exact(first)
    all_steps = _exact(first) + _exact(gamma) * _exact(second)
    return float((1 - _exact(lam)) * one_step + _exact(lam) * all_steps)


def weight_of_an_error(gamma: float, lam: float, steps: int) -> float:
    """Add the weights (1 - lambda) * lambda^(k - 1) of all k-step advantages that contain the error."""
    containing = math.fsum((1 - lam) * lam ** (k - 1) for k in range(int(steps) + 1, 3000))
    return 100 * gamma**steps * containing


def weight_of_the_longest_estimate(lam: float, n: float) -> float:
    """Give each shorter estimate in turn the share 1 - lambda of what was left; the last gets the rest."""
    left = 1.0
    for _ in range(int(n) - 1):
        left -= (1 - lam) * left
    return left


def critic_off_by_a_constant(c: float, gamma: float, lam: float) -> float:
    """Add the weighted errors of a world without rewards, in which every true value and advantage is 0."""
    return math.fsum((gamma * lam) ** later * (0 + gamma * c - c) for later in range(3000))


def how_far_it_looks(gamma: float, lam: float) -> float:
    """Add the weights one by one, until they no longer count."""
    total, weight = 0.0, 1.0
    while weight > 1e-16:
        total += weight
        weight *= gamma * lam
    return total


def critic_target(advantage: float, value: float) -> float:
    """Add in decimals."""
    return float(Decimal(str(advantage)) + Decimal(str(value)))


def answer_of_a_language_model(reward: float, value: float) -> float:
    """Add the one-step errors of three tokens; what the critic says of the later two does not matter."""
    rewards, values = (0, 0, reward), (value, 9, -3, 0)
    return sum(r + after - before for r, before, after in zip(rewards, values, values[1:], strict=False))


def _exact(number: float) -> Fraction:
    return Fraction(str(number))
