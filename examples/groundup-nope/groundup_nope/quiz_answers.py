"""A second computation of each computed answer of the quiz, as a check."""

from __future__ import annotations


def position_of_a_share(parts: int) -> int:
    """Count positions from the first token until a token sees ``parts`` tokens."""
    seen, position = 1, 0
    while seen < parts:
        seen, position = seen + 1, position + 1
    return position


def neighbours(position: int) -> float:
    """Return 1000 times the difference between the weights at two adjacent positions."""
    return 1000 * (1 / (position + 1) - 1 / (position + 2))
