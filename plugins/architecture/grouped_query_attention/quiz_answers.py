"""A second way to each computed answer of the quiz: heads, masks and weights are laid out and counted."""

from __future__ import annotations

import math

import numpy as np
import torch


def which_key_head(heads: int, groups: int, head: int) -> int:
    """Repeat each key/value head for its group, and look up the query head's."""
    return int(np.repeat(np.arange(groups), heads // groups)[head])


def llama_3_70b_in_full() -> float:
    """Let torch count the bytes of such a cache, without any memory."""
    return torch.empty(80, 2, 8, 131_072, 128, dtype=torch.bfloat16, device="meta").nbytes / 1e9


def operations_a_byte(H: float, G: float, T: float, b: float) -> float:  # noqa: N803
    """Count both products over 1000 tokens with heads of 64 numbers, head by head, and the bytes of the cache."""
    tokens, size = 1000, 64
    operations = sum(2 * T * tokens * size for _ in range(int(H)) for _ in ("scores", "mix"))
    return operations / sum(tokens * size * b for _ in range(int(G)) for _ in ("keys", "values"))


def saved_by_groups(layers: int, heads: int, groups: int, tokens: int) -> float:
    """Count the bytes of a token with all heads and with the groups alone, and subtract."""
    whole, left = (np.zeros((layers, 2, h, 128), np.float16).nbytes for h in (heads, groups))
    return (whole - left) * tokens / 10**6


def weights_of_the_projections(heads: int, groups: int, size: int) -> float:
    """Let torch make both layers, and count their weights."""
    layers = [torch.nn.Linear(heads * size, groups * size, bias=False, device="meta") for _ in ("key", "value")]
    return sum(layer.weight.numel() for layer in layers) / 10**6


def keys_that_a_query_sees(keys: int, queries: int, padding: int, which: int) -> int:
    """Count the ones in that row of the causal mask, behind the padding."""
    return int(np.tri(queries, keys, keys - queries)[which - 1, padding:].sum())


def weight_of_two_keys(size: int, first: float, second: float) -> float:
    """Let torch take the softmax."""
    scores = torch.tensor([first, second], dtype=torch.float64) / math.sqrt(size)
    return 100 * torch.softmax(scores, 0)[0].item()


def heads_over_gpus(layers: int, groups: int, size: int, gpus: int) -> float:
    """Deal 64 query heads out, and count the bytes of the key/value heads that the last GPU's read."""
    mine = np.array_split(np.arange(64) // (64 // groups), gpus)[-1]
    return np.zeros((layers, 2, len(set(mine.tolist())), size), np.float16).nbytes / 2**10


def last_row_averaged(heads: int, size: int, groups: int) -> int:
    """Number all rows, and read the first row of the last head in the first group."""
    rows = np.arange(heads * size).reshape(groups, heads // groups, size)
    return int(rows[0, -1, 0])
