"""Does the mean gradient point where the exact one points, when answers have different lengths?

The policy is a table: at each of six places it writes +, writes -, or ends the answer. There are so few answers that
the exact gradient of the expected reward can be summed over all of them. The tested ``DrGRPO`` gets groups of sampled
answers, many times over. Then it trains the table from samples, and the length of wrong answers is watched.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import torch
from torch import Tensor

from groundup.core.interfaces.rl import GroupBatch
from groundup.core.lab import Bench, Outcome

PLACES, END = 6, 2
GROUPS, ANSWERS = 64, 4
DRAWS, QUICK_DRAWS = 1000, 50
STEPS, QUICK_STEPS, EVERY, STRIDE = 60, 5, 5, 0.1
NEAR = 0.1


class Table(NamedTuple):
    """All answers: their tokens (A, T), which of them are real, and what each earns."""

    token: Tensor
    mask: Tensor
    reward: Tensor


def run(bench: Bench) -> Outcome:
    """Compare the mean gradient with the exact one, then train."""
    generator = torch.Generator().manual_seed(bench.seed)
    rule = bench.impl("alignment/dr-grpo")(max_tokens=PLACES)
    table = answers()
    logits = 0.5 * torch.randn(PLACES, 3, generator=generator, dtype=torch.float64)
    exact = exact_gradient(logits, table)
    draws, steps = (QUICK_DRAWS, QUICK_STEPS) if bench.quick else (DRAWS, STEPS)
    mean = torch.zeros_like(exact)
    for draw in range(draws):
        mean += sampled_gradient(rule, logits, table, generator) / draws
        bench.progress(0.7 * (draw + 1) / draws)
    expected = exact * (ANSWERS - 1) / ANSWERS / PLACES
    away = float((mean - expected).norm() / expected.norm())
    cosine = float((mean * exact).sum() / (mean.norm() * exact.norm()))
    begun = wrong_length(logits, table)
    for step in range(steps + 1):
        if step % EVERY == 0:
            bench.point("wrong", step, wrong_length(logits, table))
        slope = sampled_gradient(rule, logits, table, generator)
        logits = logits + STRIDE * slope / slope.norm().clamp(min=1e-9)  # strides of one length, whatever the divisor
        bench.progress(0.7 + 0.3 * step / steps)
    bench.progress(1.0)
    return Outcome(
        figures=(
            bench.figure("away", 100 * away, draws=draws),
            bench.figure("cosine", cosine),
            bench.figure("begun", begun),
            bench.figure("ended", wrong_length(logits, table), steps=steps),
        ),
        mark=bench.mark(away < NEAR, near=NEAR, draws=DRAWS, answers=ANSWERS),
    )


def answers() -> Table:
    """List all answers. Right are those with two more + than -, at whatever length they end."""
    rows, masks, rewards = [], [], []
    for length in range(PLACES + 1):
        for signs in itertools.product((0, 1), repeat=length):
            tokens = [*signs, END][:PLACES]
            rows.append(tokens + [END] * (PLACES - len(tokens)))
            masks.append([t < len(tokens) for t in range(PLACES)])
            rewards.append(float(signs.count(0) - signs.count(1) == 2))
    return Table(torch.tensor(rows), torch.tensor(masks), torch.tensor(rewards, dtype=torch.float64))


def log_probs(logits: Tensor, table: Table) -> Tensor:
    """Return log p of each token of each answer, 0 on padding, (A, T)."""
    log_p = logits.log_softmax(-1)[torch.arange(PLACES), table.token]
    return torch.where(table.mask, log_p, 0)


def exact_gradient(logits: Tensor, table: Table) -> Tensor:
    """Return the gradient of the expected reward, summed over all answers."""
    leaf = logits.clone().requires_grad_()
    earned = (log_probs(leaf, table).sum(1).exp() * table.reward).sum()
    return torch.autograd.grad(earned, [leaf])[0]


def sampled_gradient(rule: Any, logits: Tensor, table: Table, generator: torch.Generator) -> Tensor:
    """Return what the rule says from groups of sampled answers, sign turned: uphill."""
    often = log_probs(logits, table).sum(1).exp()
    drawn = torch.multinomial(often, GROUPS * ANSWERS, replacement=True, generator=generator)
    own = Table(*(part[drawn] for part in table))
    leaf = logits.clone().requires_grad_()
    log_prob = log_probs(leaf, own)
    group = torch.arange(GROUPS).repeat_interleave(ANSWERS)
    batch = GroupBatch(log_prob, log_prob.detach(), own.reward, group, own.mask)
    return -torch.autograd.grad(rule.loss(batch).loss, [leaf])[0]


def wrong_length(logits: Tensor, table: Table) -> float:
    """Return the expected length of an answer, given that it is wrong."""
    often = log_probs(logits, table).sum(1).exp() * (1 - table.reward)
    return float((often * table.mask.sum(1)).sum() / often.sum())
