"""What SimPO's reward, an unnormalised one and DPO's owe to the length of an answer, at fixed weights.

A tiny language model learns to sort letters, from 2 to 8 of them. Its training is stopped three times. At each stop it
answers prompts, and the tested ``reward`` scores its own answers: how closely does the score follow their length?
Nothing is trained with the rule, so nothing is said about where such a training would lead.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from groundup.core.lab import Bench, Outcome
from groundup.core.models import Answers, Base, Sorting, base, log_probs, right, sample

TASK = Sorting(length=8, shortest=2)
STOPS = (0.1, 0.25, 0.5)  # shares of right answers
BETA, GAMMA = 2.0, 0.5
PROMPTS, EACH = 512, 4
LONGER = 4  # tokens that an answer may have beyond the longest right one and its end
FAINT = 0.35


def run(bench: Bench) -> Outcome:
    """Score the answers at each stop; judge the correlation at the first one, early in training."""
    rule = bench.impl("alignment/simpo")(beta=BETA, gamma=GAMMA)
    stops = STOPS[:1] if bench.quick else STOPS
    found: list[dict[str, float]] = []
    first = base(TASK, accuracy=stops[0], seed=bench.seed)
    for done, stop in enumerate(stops, start=1):
        model = base(TASK, accuracy=stop, seed=bench.seed)
        found.append(measured(rule, model, first, bench.seed))
        bench.point("correlation", model.accuracy, found[-1]["correlation"])
        bench.progress(done / len(stops))
    figures = [
        bench.figure("correlation", found[0]["correlation"], right=first.accuracy),
        bench.figure("longer_wins", 100 * found[0]["longer_wins"]),
    ]
    if not bench.quick:
        figures += [bench.figure("later", found[-1]["correlation"]), bench.figure("dpo", found[-1]["dpo"])]
    return Outcome(figures=tuple(figures), mark=bench.mark(abs(found[0]["correlation"]) <= FAINT, faint=FAINT))


@torch.no_grad()
def measured(rule: Any, model: Base, first: Base, seed: int) -> dict[str, float]:
    """Return what the rewards of a model's answers owe to their length; ``first`` is the reference of DPO's."""
    generator = torch.Generator().manual_seed(seed)
    prompts = [prompt for prompt in TASK.draw(PROMPTS, generator) for _ in range(EACH)]
    longest = TASK.longest + 1 + LONGER
    answers = sample(model.model, model.params, model.tokenizer, prompts, max_tokens=longest, generator=generator)
    log_prob, reference = (log_probs(one.model, one.params, answers) for one in (model, first))
    reward = rule.reward(log_prob, answers.mask)
    length = answers.mask.sum(1)
    dpo = torch.where(answers.mask, log_prob - reference, 0).sum(1)
    return {
        "correlation": spearman(reward, length),
        "longer_wins": longer_wins(reward, answers, right(model.tokenizer, TASK, answers)),
        "dpo": 0.0 if model.accuracy == first.accuracy else spearman(dpo, length),
    }


def longer_wins(reward: Tensor, answers: Answers, good: Tensor) -> float:
    """Return how often the longer of two answers to one prompt has the larger reward, both right or both wrong."""
    length, reward, good = (each.reshape(-1, EACH) for each in (answers.mask.sum(1), reward, good))
    row, long, short = torch.arange(len(length)), length.argmax(1), length.argmin(1)
    counted = (length[row, long] > length[row, short]) & (good[row, long] == good[row, short])
    return float((reward[row, long] > reward[row, short])[counted].double().mean())


def spearman(first: Tensor, second: Tensor) -> float:
    """Return the rank correlation; equal numbers share their mean rank."""
    return float(torch.corrcoef(torch.stack([ranks(first), ranks(second)]))[0, 1])


def ranks(numbers: Tensor) -> Tensor:
    """Return the rank of each number."""
    _, place, count = torch.unique(numbers, return_inverse=True, return_counts=True)
    mean: Tensor = (count.cumsum(0) - (count - 1) / 2).double()
    return mean[place]
