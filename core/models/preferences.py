"""Preferences without people: what a task's verifier says about a model's own samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from groundup.core.models.answers import Answers, joined, sample
from groundup.core.models.specification import Params
from groundup.core.models.tasks import Task
from groundup.core.models.trained import Base, right

__all__ = ["Pairs", "Thumbs", "pairs", "thumbs"]

PROMPTS, ROUNDS = 256, 200


@dataclass(frozen=True, eq=False)
class Pairs:
    """A right and a wrong answer to each prompt, row by row."""

    chosen: Answers
    rejected: Answers

    def rows(self, index: Tensor) -> Pairs:
        """Return the pairs of these rows: numbers, or a mask."""
        return Pairs(self.chosen.rows(index), self.rejected.rows(index))


@dataclass(frozen=True, eq=False)
class Thumbs:
    """Single answers, each marked good or bad."""

    answers: Answers
    desirable: Bool[Tensor, "B"]

    def rows(self, index: Tensor) -> Thumbs:
        """Return the answers of these rows: numbers, or a mask."""
        return Thumbs(self.answers.rows(index), self.desirable[index])


def pairs(start: Base, task: Task, count: int, *, generator: torch.Generator, params: Params | None = None) -> Pairs:
    """Return ``count`` pairs of sampled answers, each to a prompt of its own draw.

    Each prompt gets 4 answers, at temperature 1, from ``params`` or the start's. A prompt with right and wrong ones
    makes one pair, of the first of each; the others are dropped. Raises RuntimeError if too few prompts have both.
    """
    chosen, rejected, found = [], [], 0
    for _ in range(ROUNDS):
        prompts = [prompt for prompt in task.draw(PROMPTS, generator) for _ in range(4)]
        given, good = _sampled(start, task, prompts, generator, params)
        good = good.reshape(-1, 4)
        both = (good.any(1) & ~good.all(1)).nonzero()[:, 0]
        first = both * 4
        chosen.append(given.rows(first + good[both].int().argmax(1)))
        rejected.append(given.rows(first + (~good[both]).int().argmax(1)))
        found += len(both)
        if found >= count:
            wanted = torch.arange(count)
            pad = start.tokenizer.pad
            return Pairs(joined(chosen, pad).rows(wanted), joined(rejected, pad).rows(wanted))
    raise RuntimeError(f"only {found} of {ROUNDS * PROMPTS} prompts had a right and a wrong answer, not {count}")


def thumbs(
    start: Base,
    task: Task,
    count: int,
    *,
    generator: torch.Generator,
    share: float | None = None,
    params: Params | None = None,
) -> Thumbs:
    """Return ``count`` sampled answers with the verifier's word on each, in the order in which they were sampled.

    ``share`` is the share of good ones, rounded to a whole number of answers: superfluous answers of either kind are
    dropped. None takes all as they come. Raises RuntimeError if the model gives too few of one kind.
    """
    wanted = None if share is None else {True: round(share * count), False: count - round(share * count)}
    taken, marks = [], []
    left = dict(wanted or {})
    for _ in range(ROUNDS):
        given, good = _sampled(start, task, task.draw(PROMPTS, generator), generator, params)
        keep = []
        for row, is_good in enumerate(good.tolist()):
            if wanted is None or left[is_good]:
                keep.append(row)
                if wanted is not None:
                    left[is_good] -= 1
        taken.append(given.rows(torch.tensor(keep, dtype=torch.long)))
        marks.append(good[keep])
        if sum(map(len, marks)) >= count:
            return Thumbs(joined(taken, start.tokenizer.pad), torch.cat(marks)).rows(torch.arange(count))
    raise RuntimeError(f"{ROUNDS * PROMPTS} answers had {sum(map(len, marks))} of the {count} that were wanted")


def _sampled(
    start: Base, task: Task, prompts: list[str], generator: torch.Generator, params: Params | None
) -> tuple[Answers, Tensor]:
    given = sample(
        start.model, params or start.params, start.tokenizer, prompts, max_tokens=task.longest + 1, generator=generator
    )
    return given, right(start.tokenizer, task, given)
