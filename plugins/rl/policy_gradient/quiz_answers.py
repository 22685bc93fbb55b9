"""A second way to each computed answer of the quiz: loops, enumerations and small differences."""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import pvariance


def reward_to_go(first: float, second: float, third: float, gamma: float) -> float:
    """Add each reward times gamma as often as it is away."""
    total = Fraction(0)
    for away, reward in enumerate((first, second, third)):
        faded = Fraction(reward)
        for _ in range(away):
            faded *= Fraction(str(gamma))
        total += faded
    return float(total)


def weight_of_an_action(t: float, to_go: float, value: float, gamma: float) -> float:
    """Fade the advantage once for each step before it."""
    advantage = Fraction(str(to_go)) - Fraction(str(value))
    for _ in range(int(t)):
        advantage *= Fraction(str(gamma))
    return float(advantage)


def cut_off_return(reward: float, next_value: float, gamma: float) -> float:
    """Let the state in which it was cut off pay its value one step later, and end there."""
    pays, total, factor = [(reward, False), (next_value, True), (7, True)], Fraction(0), Fraction(1)
    for amount, over in pays:
        total += factor * Fraction(str(amount))
        factor *= Fraction(str(gamma))
        if over:
            break
    return float(total)


def variance_of_two_doors(left: float, right: float, b: float) -> float:
    """Take the variance of the two equally likely gradients."""
    return pvariance([(left - b) * 0.5, (right - b) * -0.5])


def gradient_of_a_logit(p: float, x: float, z: float) -> float:
    """Take a small difference of the expected reward."""
    theta = math.log(p / (1 - p))

    def expected(at: float) -> float:
        taken = 1 / (1 + math.exp(-at))
        return taken * x + (1 - taken) * z

    return (expected(theta + 1e-5) - expected(theta - 1e-5)) / 2e-5
