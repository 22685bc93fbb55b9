"""Another way to each computed answer of the quiz."""

from __future__ import annotations


def position_of_a_share(parts: int) -> int:
    """Walk from the first token on until so many are seen."""
    seen, position = 1, 0
    while seen < parts:
        seen, position = seen + 1, position + 1
    return position


def neighbours(position: int) -> float:
    """Take the difference of the two shares."""
    return 1000 * (1 / (position + 1) - 1 / (position + 2))
