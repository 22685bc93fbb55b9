"""Another way to each computed answer of the quiz."""

from __future__ import annotations

import math


def margin_of_a_pair(chosen: float, rejected: float, beta: float) -> float:
    """Take the logarithm of the ratio of two ratios, raised to the power beta."""
    return math.log((math.exp(chosen) / math.exp(rejected)) ** beta)
