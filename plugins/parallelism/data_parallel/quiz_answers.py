"""A second way to each computed answer of the quiz: every example, message and bucket is counted by itself."""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def mean_over_ranks(first: float, second: float, third: float) -> float:
    """Average over all 48 examples, 16 of each rank."""
    return float(np.mean(np.repeat([first, second, third], 16)))


def unequal_parts(few: int, many: int, first: float, second: float) -> float:
    """Write every example down; average each rank, then the ranks; and all examples at once."""
    ranks = [[first] * int(few), [second] * int(many)]
    of_ranks = np.mean([np.mean(rank) for rank in ranks])
    return float(of_ranks - np.mean(ranks[0] + ranks[1]))


def sent_each_step(billions: float, ranks: int) -> float:
    """Add up the messages: one chunk in each step, in two halves of ranks - 1 steps."""
    chunk = Fraction(str(billions)) * 2 / int(ranks)
    return float(sum(chunk for _half in range(2) for _step in range(1, int(ranks))))


def count_the_buckets(layers: int, size: int, limit: int) -> int:
    """Fill the buckets layer by layer."""
    filled = [0]
    for _ in range(layers):
        if filled[-1] and filled[-1] + size > limit:
            filled.append(0)
        filled[-1] += size
    return len(filled)


def head_of_one_task(users: int, ranks: int, grad: float) -> float:
    """Average the gradients of all ranks, zeros included."""
    return float(np.mean([grad] * users + [0] * (ranks - users)))


def the_last_sum(L: float, t: float, u: float) -> float:  # noqa: N803
    """Let the link take the buckets one after the other, each when it is complete and the link is free."""
    arrived = 0.0
    for layer in range(1, round(L) + 1):
        arrived = max(layer * t, arrived) + u
    return arrived


def buckets_of_llama() -> int:
    """Fill the buckets with the tensors of Llama 3.1 8B, from the last to the first."""
    hidden, inner, keys, vocabulary = 4096, 14336, 1024, 128256
    layer = [hidden * hidden, hidden * keys, hidden * keys, hidden * hidden, *3 * [hidden * inner], hidden, hidden]
    sizes = [vocabulary * hidden, *32 * layer, hidden, vocabulary * hidden]
    filled = [0]
    for size in reversed(sizes):
        if filled[-1] and filled[-1] + 2 * size > 25 * 2**20:
            filled.append(0)
        filled[-1] += 2 * size
    return len(filled)
