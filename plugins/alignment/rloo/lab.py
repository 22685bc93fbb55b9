"""How long is the mean of many gradients, against the exact gradient, at a frozen policy?

The policy is the first token that a tiny language model answers to a prompt. There are so few that the exact gradient
of the expected reward can be summed over all. The tested ``RLOO`` gets groups of sampled tokens, many times over.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from groundup.core.interfaces.rl import GroupBatch
from groundup.core.lab import Bench, Outcome
from groundup.core.models import Addition, Answers, Base, base, sample

PROMPTS = 64
SIZES = (2, 3, 4, 8)
DRAWS, QUICK_DRAWS = 1500, 100
ACCURACY = 0.45
OFFSET = 1.0  # added to each reward: a reward model's scores have no zero
NEAR = 0.1


def run(bench: Bench) -> Outcome:
    """Measure the mean and the variance of the gradient for several sizes of a group."""
    torch.manual_seed(bench.seed)
    start = base(Addition(), accuracy=0.1 if bench.quick else ACCURACY, seed=bench.seed)
    generator = torch.Generator().manual_seed(3000 + bench.seed)
    logits, right = first_tokens(start, generator)
    draws = QUICK_DRAWS if bench.quick else DRAWS
    rule = bench.impl("alignment/rloo")(kl_coef=0.0)
    p = logits.softmax(-1)
    rewards = OFFSET + torch.nn.functional.one_hot(right, logits.shape[1]).double()
    exact = p * (rewards - (p * rewards).sum(1, keepdim=True)) / PROMPTS  # the gradient of the mean expected reward
    scales, noises = [], []
    for done, size in enumerate(SIZES):
        found = gradients(rule, logits, rewards, size, draws, generator)
        mean = found.mean(0)
        scales.append(float((mean * exact).sum() / exact.square().sum()))
        noises.append(float((found - mean).square().sum((1, 2)).mean() / exact.square().sum()))
        bench.point("scale", size, scales[-1])
        bench.progress((done + 1) / (len(SIZES) + 1))
    plain = gradients(None, logits, rewards, SIZES[0], draws, generator)
    without = float((plain - plain.mean(0)).square().sum((1, 2)).mean() / exact.square().sum())
    bench.progress(1.0)
    near = all(abs(scale - 1) < NEAR for scale in scales)
    return Outcome(
        figures=(
            bench.figure("scale", scales[0]),
            bench.figure("noise", noises[0]),
            bench.figure("without", without),
        ),
        mark=bench.mark(near, sizes=", ".join(map(str, SIZES)), draws=DRAWS, near=NEAR),
    )


def first_tokens(start: Base, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the logits of the first token of the answers to some prompts, (P, V), and the right tokens."""
    task, words = Addition(), start.tokenizer
    prompts = task.draw(PROMPTS, generator)
    given: Answers = sample(start.model, start.params, words, prompts, max_tokens=1, generator=generator)
    with torch.no_grad():
        logits = start.model.forward(start.params, given.batch())[:, given.prompt.shape[1] - 1]
    right = torch.tensor([words.encode(task.answer(prompt))[0] for prompt in prompts])
    return logits.double(), right


def gradients(
    rule: Any, logits: Tensor, rewards: Tensor, size: int, draws: int, generator: torch.Generator
) -> Tensor:  # fmt: skip
    """Return ``draws`` estimates of the gradient, from ``size`` answers a prompt each; None: without a baseline."""
    group = torch.arange(PROMPTS).repeat_interleave(size)
    found = []
    for _ in range(draws):
        token = torch.multinomial(logits.softmax(-1), size, replacement=True, generator=generator).flatten()
        leaf = logits.clone().requires_grad_()
        log_prob = leaf.log_softmax(-1)[group, token][:, None]
        reward = rewards[group, token]
        if rule is None:
            loss = -(reward[:, None] * log_prob).mean()
        else:
            mask = torch.ones_like(log_prob, dtype=torch.bool)
            loss = rule.loss(GroupBatch(log_prob, log_prob.detach(), reward, group, mask)).loss
        (slope,) = torch.autograd.grad(loss, [leaf])
        found.append(-slope)
    return torch.stack(found)
