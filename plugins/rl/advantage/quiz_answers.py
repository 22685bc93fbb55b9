"""A second way to each computed answer of the quiz: repeated cases, exact fractions, numpy and small simulations."""

from __future__ import annotations

import itertools
import statistics
from fractions import Fraction

import numpy as np


def advantage_of_an_action(p: float, q_a: float, q_b: float) -> float:
    """Let a hundred decisions be made, and compare with the average of what they are worth."""
    times = round(100 * p)
    decisions = [q_a] * times + [q_b] * (100 - times)
    return q_a - statistics.fmean(decisions)


def two_step_advantage(v0: float, r0: float, r1: float, v2: float, gamma: float) -> float:
    """Look back from the end: what each state turned out to be worth."""
    worth = Fraction(v2)
    for reward in (r1, r0):
        worth = Fraction(reward) + Fraction(str(gamma)) * worth
    return float(worth - Fraction(v0))


def leave_one_out(own: float, second: float, third: float, fourth: float) -> float:
    """Average the differences to each of the others."""
    return statistics.fmean(own - other for other in (second, third, fourth))


def whitened_number(a: float, b: float, c: float) -> float:
    """Ask numpy for the deviation of a sample."""
    tokens = np.array([a, b, c], dtype=np.float64)
    return float(((tokens - tokens.mean()) / tokens.std(ddof=1))[0])


def padding_in_the_mean(rows: float, width: float, counted: float, mean: float) -> float:
    """Fill an array with tokens that are all equal to the mean, and take the mean of all."""
    places = np.zeros(int(rows) * int(width))
    places[: int(counted)] = mean
    return float(places.mean())


def share_of_the_gradient(K: float) -> float:  # noqa: N803
    """Take the mean over all equally likely groups of K signs, each of which is its own score and its own return."""
    samples = int(K)
    groups = itertools.product((-1, 1), repeat=samples)
    return statistics.fmean(group[0] * (group[0] - sum(group) / samples) for group in groups)


def size_of_a_whitened_pair(x: float, y: float, eps: float) -> float:
    """Take the root after adding eps to numpy's variance of the sample."""
    pair = np.array([x, y], dtype=np.float64)
    return float(((pair - pair.mean()) / np.sqrt(pair.var(ddof=1) + eps))[0])


def what_a_shift_changes() -> list[str]:
    """Add 10 to two episodes of one step each, in rows of two places."""
    before, after = (_estimates([1.0 + added, 3.0 + added], 2.0 + added) for added in (0.0, 10.0))
    return [name for name in before if np.allclose(before[name], after[name])]


def _estimates(returns: list[float], value: float) -> dict[str, np.ndarray]:
    earned, padded = np.array(returns), np.array([*returns, 0.0, 0.0])
    return {
        "return": earned,
        "mean": earned - earned.mean(),
        "critic": earned - value,
        "whitened": (earned - earned.mean()) / earned.std(ddof=1),
        "padded": (earned - padded.mean()) / earned.std(ddof=1),
    }
