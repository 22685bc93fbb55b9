"""A second way to each computed answer of the quiz: the ring is walked message by message."""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def row_received(size: int, rank: int, step: int) -> int:
    """Walk back from the last step, in which each rank receives its own row; the rank before it received it earlier."""
    received = list(range(size))
    for _ in range(size - 1 - step):
        received = received[1:] + received[:1]
    return received[rank]


def bytes_of_a_ring(size: float, ranks: int) -> float:
    """Add up the messages, one chunk each."""
    return float(sum(Fraction(size) / ranks for _half in range(2) for _step in range(1, ranks)))


def against_everything_to_everyone(ranks: int, size: float) -> float:
    """Count chunks: a whole tensor has one for each rank, and goes to all others; a ring's message has one."""
    chunk = Fraction(size) / ranks
    everyone, ring = (ranks - 1) * ranks, 2 * (ranks - 1)
    return float((everyone - ring) * chunk)


def padded_bytes(ranks: int, elements: int) -> int:
    """Let numpy split the tensor; its first part is as long as any."""
    longest = np.array_split(np.zeros(elements, np.float32), ranks)[0]
    return sum(longest.nbytes for _half in range(2) for _step in range(1, ranks))


def bus_bandwidth(size: float, ranks: int, milliseconds: float) -> float:
    """Divide the bytes that one rank sends by the seconds."""
    return bytes_of_a_ring(size, ranks) / (milliseconds / 1000)


def time_with_latency(ranks: int, size: float, latency: float) -> float:
    """Add up the messages' times in seconds, and return milliseconds."""
    seconds = Fraction(0)
    for _ in range(2 * (ranks - 1)):
        seconds += Fraction(latency) / 10**6 + Fraction(size) * 10**6 / ranks / 10**10
    return float(1000 * seconds)


def both_directions(alpha: float, beta: float, n: float, N: float) -> float:  # noqa: N803
    """Run both rings message by message on one clock; each carries half of the tensor, in N chunks."""
    clocks = []
    for _direction in (1, -1):
        clock = 0.0
        for _ in range(2 * (round(N) - 1)):
            clock += alpha + beta * (n / 2 / N)
        clocks.append(clock)
    return max(clocks)


def across_machines(n: float, M: float, G: float) -> float:  # noqa: N803
    """List the messages that a GPU sends to another machine: chunks of its own chunk of the tensor."""
    mine = Fraction(n) / round(G)
    return float(sum(mine / round(M) for _half in range(2) for _step in range(1, round(M))))


def gradients_of_llama() -> float:
    """Add up the parameters of Llama 3.1 8B, and the messages of 8 ranks over 450 GB/s; in milliseconds."""
    hidden, inner, keys, vocabulary = 4096, 14336, 1024, 128256
    layer = 2 * hidden * hidden + 2 * hidden * keys + 3 * hidden * inner + 2 * hidden
    gradients = 2 * (32 * layer + 2 * vocabulary * hidden + hidden) / 1e9
    return bytes_of_a_ring(gradients, 8) / 450 * 1000
