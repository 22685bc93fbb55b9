"""A second way to the computed answers of the quiz."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction


def leave_one_out(own: float, second: float, third: float) -> float:
    """Stretch the distance from the mean of all."""
    return (own - statistics.mean([own, second, third])) * 3 / 2


def stretch(d: float, n: float) -> float:
    """Put the answer beside n - 1 others whose rewards make the mean of all 0."""
    others = [-d / (n - 1)] * int(n - 1)
    return d - statistics.fmean(others)


def bias_of_the_mean(n: float) -> float:
    """Enumerate how many of n answers are right, with the exact slopes of their log-probabilities."""
    count, p = int(n), Fraction(1, 3)
    total = Fraction(0)
    for right in range(count + 1):
        middle = Fraction(right, count)
        slope = right * (1 - middle) * (1 - p) + (count - right) * middle * p
        total += math.comb(count, right) * p**right * (1 - p) ** (count - right) * slope / count
    return float(100 * (1 - total / (p * (1 - p))))


def what_a_token_does(length: float, percent: float) -> float:
    """Add logarithms."""
    return math.exp(length * math.log1p(percent / 100))


def penalised(reward: float, length: float, coef: float) -> float:
    """Pay token by token."""
    for _ in range(int(length)):
        reward -= coef * math.log(math.e)
    return reward


def two_answers() -> list[str]:
    """Try three pairs of rewards."""
    found = {"opposite", "double", "unit", "one", "never"}
    for first, second in ((1.0, 0.0), (3.0, 0.5), (2.0, 2.0)):
        scores, middle = (first - second, second - first), (first + second) / 2
        holds = {
            "opposite": scores[0] == -scores[1],
            "double": scores == (2 * (first - middle), 2 * (second - middle)),
            "unit": scores == tuple(s / 10 for s in (10 * first - 10 * second, 10 * second - 10 * first)),
            "one": first == second or {abs(s) for s in scores} == {1.0},
            "never": 0.0 not in scores,
        }
        found &= {name for name, held in holds.items() if held}
    return sorted(found)
