"""Another way to each computed answer of the quiz."""

from __future__ import annotations


def target_of_a_transition(reward: float, first: float, second: float, gamma: float) -> float:
    """Write the larger of two numbers as their mean plus half their distance."""
    return reward + gamma * ((first + second) / 2 + abs(first - second) / 2)
