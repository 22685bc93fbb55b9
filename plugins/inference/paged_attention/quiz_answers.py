"""A second way to each computed answer of the quiz: memory and tables are laid out and counted."""

from __future__ import annotations

import math

import numpy as np


def blocks_of_a_sequence(tokens: int, size: int) -> int:
    """Count the positions at which a block begins."""
    return len(range(0, tokens, size))


def average_waste(size: int, tokens: int) -> float:
    """Average the empty places over all remainders."""
    empty = float(np.mean([-length % size for length in range(size)]))
    return 100 - 100 * tokens / (tokens + empty)


def slot_of_a_token(first: int, second: int, third: int, position: int) -> int:
    """Number the places of a memory of 64 blocks, and read those of the table's blocks in a row."""
    places = np.arange(64 * 16).reshape(64, 16)
    return int(places[[first, second, third]].ravel()[position])


def bytes_of_a_block(layers: int, heads: int, size: int) -> float:
    """Let numpy count the bytes, layer by layer."""
    return sum(np.zeros((2, heads, size, 128), np.float16).nbytes for _ in range(layers)) / 2**20


def copies_after_forks(tokens: int, branches: int) -> int:
    """Append to one branch after another: a shared block that is not full is copied, and loses an owner."""
    owners, copies = branches, 0
    for _ in range(branches):
        if tokens % 16 and owners > 1:
            owners -= 1
            copies += 1
    return copies


def blocks_with_samples(prompt: int, samples: int, answer_tokens: int) -> int:
    """Name every block by its owner, 'all' for a full one of the prompt, and count the different names."""
    blocks = math.ceil((prompt + answer_tokens) / 16)
    names = {
        ("all" if (block + 1) * 16 <= prompt else sample, block) for sample in range(samples) for block in range(blocks)
    }
    return len(names)


def empty_over_a_lifetime(M: float, P: float, A: float) -> float:  # noqa: N803
    """Average over the states, one by one."""
    return float(np.mean([(M - P - decoded) / M for decoded in range(1, round(A) + 1)]))


def share_saved_by_samples(n: float, P: float, A: float) -> float:  # noqa: N803
    """Name every block of 16 tokens by its owner, 'all' in the prompt, and count the different names."""
    prompt, tokens = round(P), round(P + A)
    listed = [
        ("all" if first < prompt else sample, first) for sample in range(round(n)) for first in range(0, tokens, 16)
    ]
    return 1 - len(set(listed)) / len(listed)


def tokens_that_fit() -> float:
    """Let numpy count the bytes of a token; the weights are those of Llama 3.1 8B, tensor by tensor."""
    hidden, inner, keys, vocabulary = 4096, 14336, 1024, 128256
    layer = 2 * hidden * hidden + 2 * hidden * keys + 3 * hidden * inner + 2 * hidden
    weights = 2 * (32 * layer + 2 * vocabulary * hidden + hidden)
    token = sum(np.zeros((2, 8, 128), np.float16).nbytes for _layer in range(32))
    return (0.9 * 80e9 - weights) / token
