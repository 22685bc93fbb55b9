"""Another way to each computed answer of the quiz."""

from __future__ import annotations

import math


def probability_of_a_preference(chosen: float, rejected: float) -> float:
    """Give each answer a strength exp(score); the chosen one wins in proportion to its own."""
    return math.exp(chosen) / (math.exp(chosen) + math.exp(rejected))
