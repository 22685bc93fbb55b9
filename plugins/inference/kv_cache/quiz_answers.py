"""A second way to each computed answer of the quiz: numpy counts the bytes, loops count the steps."""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def long_texts_on_one_card() -> float:
    """Let numpy count the bytes of one token, and fill the room with texts of such tokens."""
    token = np.zeros((28, 2, 4, 128), np.float16).nbytes
    return float(Fraction(60 * 10**9, token * 2**15))


def bytes_a_token(layers: int, heads: int, size: int, bytes: int) -> float:
    """Let numpy count the bytes of one token's entries."""
    return np.zeros((layers, 2, heads, size), dtype=f"V{bytes}").nbytes / 2**10


def work_without_a_cache(prompt: int, new: int) -> int:
    """Run the steps one by one, each over the whole sequence so far."""
    positions, length = 0, prompt
    for _ in range(new):
        positions += length
        length += 1
    return positions


def scores_with_a_cache(p: float, n: float) -> int:
    """Count the ones of the causal mask of the prefill, and then the keys that each decoding step looks at."""
    count, cached = int(np.tri(int(p)).sum()), int(p)
    for _ in range(int(n) - 1):
        cached += 1
        count += cached
    return count


def shortest_step(sequences: int, tokens: int, bandwidth: int) -> float:
    """Add up the bytes that are read: the weights once, then the cache of each sequence."""
    read = 26 * 10**9
    for _ in range(sequences):
        read += tokens * 40 * 2 * 5120 * 2
    return float(Fraction(1000 * read, bandwidth * 10**9))


def how_many_fit(room: int, kib: int, capacity: int) -> int:
    """Set aside one sequence's places after another until the next does not fit."""
    left, count = room * 1000**3, 0
    while left >= capacity * kib * 1024:
        left -= capacity * kib * 1024
        count += 1
    return count


def used_of_reserved(capacity: int, first: int, second: int, third: int) -> float:
    """Mark the filled places of three slots, and take the mean of all marks."""
    filled = np.arange(capacity) < np.array([[first], [second], [third]])
    return 100 * float(filled.mean())


def mask_with_a_past(cached: int, new: int, which: int) -> int:
    """Count the ones in that row of the causal mask."""
    return int(np.tri(new, cached + new, cached)[which - 1].sum())


def fork_a_sequence(tokens: int, samples: int, kib: int) -> float:
    """Copy sample by sample; 1 KiB is 1.024 kB."""
    return float(sum(tokens * kib * Fraction("1.024") for _ in range(samples)) / 1000)
