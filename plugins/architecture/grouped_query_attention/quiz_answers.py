"""A second way to each computed answer of the quiz: heads, masks and weights are laid out and counted."""

from __future__ import annotations

import math

import numpy as np
import torch


def which_key_head(heads: int, groups: int, head: int) -> int:
    """Repeat each key/value head for its group, and look up the query head's."""
    return int(np.repeat(np.arange(groups), heads // groups)[head])


def llama_3_405b() -> float:
    """Let numpy count the bytes of one token's entries; float16 has the size of bf16."""
    return np.zeros((126, 2, 8, 128), np.float16).nbytes / 2**10


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


def last_row_averaged(heads: int, size: int, groups: int) -> int:
    """Number all rows, and read the first row of the last head in the first group."""
    rows = np.arange(heads * size).reshape(groups, heads // groups, size)
    return int(rows[0, -1, 0])
