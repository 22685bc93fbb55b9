"""A second way to each computed answer of the quiz: exact fractions, sums over definitions, sweeps that are counted."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

_Table = list[list[float]]


def one_look_ahead(reward: float, chance: float, first: float, second: float, gamma: float) -> float:
    """Average the returns of the two outcomes."""
    p = _exact(chance)
    returns = [_exact(reward) + _exact(gamma) * _exact(value) for value in (first, second)]
    return float(p * returns[0] + (1 - p) * returns[1])


def a_step_that_may_end(reward: float, chance: float, next: float) -> float:
    """Average the episode that ends with the one that goes on."""
    p = _exact(chance)
    ends, goes_on = _exact(reward), _exact(reward) + Fraction(4, 5) * _exact(next)
    return float(p * ends + (1 - p) * goes_on)


def more_for_every_step(more: float, gamma: float) -> float:
    """Sweep a state that earns nothing else, until nothing changes."""
    value = 0.0
    for _ in range(3000):
        value = more + gamma * value
    return value


def error_after_sweeps(error: float, gamma: float, sweeps: int) -> float:
    """Sweep a state that earns nothing and loops, in fractions; its true value is 0."""
    value = _exact(error)
    for _ in range(int(sweeps)):
        value *= _exact(gamma)
    return float(value)


def sweeps_to_a_share(gamma: float, factor: float) -> float:
    """Search between a number of sweeps that is too small and one that is too large."""
    low, high = 0.0, 10_000.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if gamma**middle > 1 / factor else (low, middle)
    return low


def how_far_after_the_last_change(c: float, gamma: float) -> float:
    """Add up the changes that may follow."""
    return math.fsum(c * gamma**k for k in range(1, 6000))


def one_for_n_steps(gamma: float, n: float) -> float:
    """Sweep."""
    value = 0.0
    for _ in range(int(n)):
        value = 1 + gamma * value
    return value


def bytes_of_the_table() -> float:
    """Count rows first, then bits."""
    rows = 100_000 * 20
    return rows * 100_000 * 32 / 8 / 1e6


def what_leaves_the_greedy_policy() -> list[str]:
    """Try each change on three small tasks and compare the best policies."""
    changes: dict[str, Callable[[_Table, float, float], tuple[_Table, float, float]]] = {
        "doubled": lambda r, g, e: ([[2 * x for x in row] for row in r], g, e),
        "potential": _shaped,
        "bonus": lambda r, g, e: ([[x + 1 for x in row] for row in r], g, e),
        "far": lambda r, g, e: (r, 0.9, e),
        "row": lambda r, g, e: (r, g, 7.0),
    }
    tasks = ([[1.0, 0.0], [0.2, 1.5]], [[0.5, 0.2], [0.4, 0.9]], [[1.0, 0.6], [0.3, 0.2]])
    return [
        name
        for name, change in changes.items()
        if all(_best(r, 0.5, 0.0) == _best(*change(r, 0.5, 0.0)) for r in tasks)
    ]


def _shaped(reward: _Table, gamma: float, end: float) -> tuple[_Table, float, float]:
    """Shape by the potentials 3 and -2 of the two states, 0 in the end."""
    phi = (3.0, -2.0, 0.0)
    leads = ((2, 1), (2, 0))
    return (
        [[reward[s][a] + gamma * phi[leads[s][a]] - phi[s] for a in (0, 1)] for s in (0, 1)],
        gamma,
        end,
    )


def _best(reward: _Table, gamma: float, end: float) -> list[int]:
    """Return the best actions of two states: action 0 ends, action 1 leads to the other state. ``end`` is not read."""
    value = [0.0, 0.0]
    for _ in range(400):
        q = [[reward[s][0], reward[s][1] + gamma * value[1 - s]] for s in (0, 1)]
        value = [max(row) for row in q]
    return [row.index(max(row)) for row in q]


def _exact(number: float) -> Fraction:
    return Fraction(str(number))
