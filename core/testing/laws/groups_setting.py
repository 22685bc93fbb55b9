"""Groups of answers for the laws of rules that compare them: how they are drawn, and the slow way to what is exact."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import GroupBatch
from groundup.core.testing.compare import Tolerance
from groundup.core.testing.laws import rl_setting as base
from groundup.core.testing.strategies import tensors

__all__ = [
    "CONSTANTS",
    "Answer",
    "Setting",
    "Term",
    "answers_of",
    "clipped",
    "groups",
    "k3",
    "slow_advantages",
    "standing",
]

CONSTANTS = ("old_log_prob", "reward", "ref_log_prob")
LAYOUTS = (  # the group of each answer: uneven groups, interleaved, numbered with gaps, some of one answer
    (3, 3),
    (1, 1, 1),
    (0, 1, 0, 1, 1),
    (5, 2, 5, 5),
    (7, 4, 4, 7, 4),
    (0, 0, 2, 2, 2, 2),
)
WIDTHS = (1, 2, 4)


class Answer(NamedTuple):
    """One answer: the log-probabilities of its tokens, without padding, and its reward. ``ref`` may be empty."""

    log_prob: list[float]
    old: list[float]
    ref: list[float]
    reward: float
    group: int


class Term(NamedTuple):
    """What one token adds, before the weights: to the policy loss, to ``kl``, and its slope in the whole loss."""

    policy: float
    slope: float
    kl: float = 0.0
    outside: bool = False
    """Whether ``clip_fraction`` counts it."""


@dataclass(frozen=True, kw_only=True)
class Setting(base.Setting[GroupBatch]):
    """How to test a rule over groups. ``slope`` is the largest magnitude of a term's slope."""

    advantages: Callable[[Mapping[str, Any], Sequence[Answer]], list[float]]
    """The advantages of the answers of one group, from the rule's coefficients."""
    terms: Callable[[Mapping[str, Any], Answer, float], list[Term]]
    """The term of each token of an answer, from the rule's coefficients, the answer and its advantage."""
    weights: Callable[[Mapping[str, Any], list[int]], list[float]]
    """The weight of each token of an answer in the loss, for all answers of a batch, from their numbers of tokens."""
    kl_in_the_loss: bool = True
    """Whether ``kl_coef`` times ``kl`` is added to the policy loss; otherwise it is part of the rewards, say."""
    answers_are_clipped: bool = False
    """Whether ``clip_fraction`` counts answers, and not tokens."""
    tallest: float = 4.0
    """The largest magnitude of an advantage."""
    without_kl: Mapping[str, Any] = field(default_factory=lambda: {"kl_coef": 0.0})
    """Coefficients that leave the rewards alone to decide."""
    learned: tuple[str, ...] = ("log_prob",)
    constants: tuple[str, ...] = CONSTANTS
    relative: bool = False
    """Whether tolerances are in proportion to what is expected, beside that of sums of about 1; ``sizes`` is not used.

    This is for batches in which one term is much larger than all others, or in which all are small.
    """

    def tolerance(self, name: str, batch: GroupBatch) -> Tolerance:
        """Return the tolerance of "loss", of a metric or of the "gradient"."""
        if not self.relative:
            return super().tolerance(name, batch)
        share = 8 * torch.finfo(self.dtype(batch)).eps * batch.mask.numel()
        return Tolerance(rtol=share, atol=share)


def groups(
    *, reference: bool = True, furthest: float = 1.5, layouts: Sequence[tuple[int, ...]] = LAYOUTS
) -> st.SearchStrategy[GroupBatch]:
    """Draw batches of two or more answers, some tokens masked anywhere in a row, but never all of a row.

    Rewards are multiples of 1/8 from -2 to 2. Log-ratios to the old policy and to the reference are multiples of 1/8,
    the first at most ``furthest``, the others 1: no ratio lies on the edge of a clip of 0.2, 0.12 or 0.27.
    """

    def made(layout: tuple[int, ...], drawn: Tensor) -> GroupBatch:
        log_prob, ratio, ref, real, rewards = drawn
        mask = real < 1
        mask[:, -1] |= ~mask.any(1)
        steps = (ratio * ratio.abs() * 2 * furthest).round() / 8  # 0 and the furthest are both drawn often
        return GroupBatch(
            log_prob=log_prob - 4,
            old_log_prob=log_prob - 4 - steps,
            reward=rewards[:, 0].clone(),
            group=torch.tensor(layout),
            mask=mask,
            ref_log_prob=log_prob - 4 + ref / 2 if reference else None,
        )

    return st.one_of(
        [
            tensors((5, len(layout), width), dtype=dtype).map(partial(made, layout))
            for layout in layouts
            for width in WIDTHS
            for dtype in (torch.float32, torch.float64)
        ]
    )


def answers_of(batch: GroupBatch) -> list[Answer]:
    """Return the batch's answers as lists of Python floats, without padding."""

    def rows(log_prob: Tensor | None) -> list[list[float]]:
        if log_prob is None:
            return [[] for _ in batch.mask]
        return [row[real].tolist() for row, real in zip(log_prob.detach(), batch.mask, strict=True)]

    columns = rows(batch.log_prob), rows(batch.old_log_prob), rows(batch.ref_log_prob)
    constants = batch.reward.detach().tolist(), batch.group.tolist()
    return [Answer(*row) for row in zip(*columns, *constants, strict=True)]


def slow_advantages(setting: Setting, rule: Mapping[str, Any], answers: Sequence[Answer]) -> list[float]:
    """Return the advantage of each answer, one group after the other."""
    found = [0.0] * len(answers)
    for group in {answer.group for answer in answers}:
        own = [i for i, answer in enumerate(answers) if answer.group == group]
        for i, advantage in zip(own, setting.advantages(rule, [answers[i] for i in own]), strict=True):
            found[i] = advantage
    return found


def clipped(advantage: float, ratio: float, low: float, high: float) -> tuple[float, float]:
    """Return the clipped surrogate to be minimised, and its slope by the logarithm of the ratio."""
    plain, held = -advantage * ratio, -advantage * min(max(ratio, low), high)
    return max(plain, held), plain if plain >= held else 0.0


def k3(ref_log_ratio: float) -> tuple[float, float]:
    """Return exp(d) - d - 1 for d = log pi_ref - log pi, and its slope by log pi."""
    return math.exp(ref_log_ratio) - ref_log_ratio - 1, 1 - math.exp(ref_log_ratio)


def standing(setting: Setting, log_prob: Tensor, reward: Tensor) -> GroupBatch:
    """Return answers to one prompt without padding, from a policy that is still the old one, and the reference."""
    group, mask = torch.zeros(len(reward), dtype=torch.long), torch.ones_like(log_prob, dtype=torch.bool)
    reference = log_prob if "ref_log_prob" in setting.constants else None
    return GroupBatch(log_prob, log_prob, reward, group, mask, reference)
