"""Pairs of answers for the laws of rules that learn from them: how they are drawn, and as Python's numbers."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import PreferenceBatch
from groundup.core.testing.strategies import tensors

__all__ = ["Pair", "pairs", "pairs_of", "sigmoid", "softplus"]

SIZES = ((1, 1, 2), (1, 3, 1), (2, 2, 3), (3, 4, 2), (4, 1, 3), (2, 3, 4))  # B, T, U; never T = U


class Pair(NamedTuple):
    """The log-probabilities of a pair's tokens, without padding. Those of the reference are empty if there is none."""

    chosen: list[float]
    rejected: list[float]
    ref_chosen: list[float]
    ref_rejected: list[float]


def pairs(*, reference: bool = True) -> st.SearchStrategy[PreferenceBatch]:
    """Draw batches whose answers are of different widths, some tokens masked anywhere in a row, but never all of a row.

    Log-probabilities of the policy are multiples of 1/8 from -4.5 to -0.5, and those of the reference at most 1/2 away,
    in multiples of 1/32: exact in every float dtype, and so are their sums.
    """

    def made(drawn: tuple[Tensor, Tensor]) -> PreferenceBatch:
        (chosen, ref_chosen, real), (rejected, ref_rejected, also_real) = (_answers(one) for one in drawn)
        return PreferenceBatch(
            chosen_log_prob=chosen,
            rejected_log_prob=rejected,
            chosen_mask=real,
            rejected_mask=also_real,
            ref_chosen_log_prob=ref_chosen if reference else None,
            ref_rejected_log_prob=ref_rejected if reference else None,
        )

    return st.one_of(
        [
            st.tuples(tensors((3, rows, chosen), dtype=dtype), tensors((3, rows, rejected), dtype=dtype))
            for rows, chosen, rejected in SIZES
            for dtype in (torch.float32, torch.float64)
        ]
    ).map(made)


def pairs_of(batch: PreferenceBatch) -> list[Pair]:
    """Return the batch's pairs as lists of Python floats, without padding."""

    def rows(log_prob: Tensor | None, mask: Tensor) -> list[list[float]]:
        if log_prob is None:
            return [[] for _ in mask]
        return [row[real].tolist() for row, real in zip(log_prob.detach(), mask, strict=True)]

    columns = (
        rows(batch.chosen_log_prob, batch.chosen_mask),
        rows(batch.rejected_log_prob, batch.rejected_mask),
        rows(batch.ref_chosen_log_prob, batch.chosen_mask),
        rows(batch.ref_rejected_log_prob, batch.rejected_mask),
    )
    return [Pair(*row) for row in zip(*columns, strict=True)]


def softplus(x: float) -> float:
    """Return log(1 + exp(x)), which is -log(sigmoid(-x)), without overflow."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x)) without overflow."""
    return math.exp(-softplus(-x))


def _answers(drawn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-probabilities of policy and reference, and a mask, from three layers of multiples of 1/8."""
    log_prob, step, real = drawn
    mask = real < 1
    mask[:, -1] |= ~mask.any(1)
    return log_prob - 2.5, log_prob - 2.5 + step / 4, mask
