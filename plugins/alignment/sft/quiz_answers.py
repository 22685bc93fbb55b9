"""A second way to each computed answer of the quiz."""

from __future__ import annotations

import math

import numpy as np
import torch


def predictions_in_a_batch(rows: int, length: int, prompt: int) -> int:
    """Count the outputs whose next token is not part of the prompt."""
    return sum(at + 1 >= prompt for _ in range(int(rows)) for at in range(int(length) - 1))


def loss_of_knowing_nothing(words: int) -> float:
    """Let torch compute the loss of equal logits."""
    logits = torch.zeros(1, int(words), dtype=torch.float64)
    return torch.nn.functional.cross_entropy(logits, torch.tensor([0])).item()


def two_micro_batches(first: int, second: int, a: float, b: float) -> float:
    """Write every token's loss down, and average."""
    return float(np.mean([a] * int(first) + [b] * int(second)))


def weight_of_a_token(K: float, N: float, n: float) -> float:  # noqa: N803
    """Differentiate the mean of the means by one token's loss, and divide by its share of the whole."""
    losses = torch.ones(round(n), dtype=torch.float64, requires_grad=True)
    (weights,) = torch.autograd.grad(losses.mean() / K, losses)
    return weights[0].item() / (1 / N)


def smoothed_loss(V: float, p: float, e: float) -> float:  # noqa: N803
    """Let torch smooth."""
    words = round(V)
    log_probs = torch.tensor([math.log(p)] + [math.log((1 - p) / (words - 1))] * (words - 1), dtype=torch.float64)
    loss = torch.nn.functional.cross_entropy(log_probs[None], torch.tensor([0]), label_smoothing=e)
    return loss.item()


def entries_of_the_mask(room: int, first: int, second: int) -> int:
    """Count the pairs, one by one."""
    owner = [0] * int(first) + [1] * int(second) + list(range(2, 2 + int(room - first - second)))
    return sum(owner[i] == owner[j] for i in range(int(room)) for j in range(i + 1))


def rows_of_equal_examples(count: int, length: int, room: int) -> int:
    """Fill one row after the other."""
    rows, space = 0, 0
    for _ in range(int(count)):
        if length > space:
            rows, space = rows + 1, int(room)
        space -= int(length)
    return rows


def bytes_of_logits(rows: int, length: int, words: int) -> float:
    """Ask torch for the size of a tensor that takes no memory."""
    logits = torch.empty(int(rows), int(length), int(words), device="meta")
    return logits.nbytes / 1e9
