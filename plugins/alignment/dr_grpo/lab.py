"""Two prompts, each with three answers that are right more or less often: the policy learns which to give."""

from __future__ import annotations

import torch

from groundup.core.interfaces.rl import GroupBatch
from groundup.core.lab import Bench, Outcome

RIGHT = ((0.2, 0.5, 0.8), (0.3, 0.1, 0.0))  # how often each answer is right: an easy prompt, and a hard one
GROUP, STEPS, QUICK_STEPS, LR = 32, 300, 40, 2.0


def run(bench: Bench) -> Outcome:
    """Draw a group of answers to each prompt, reward them and update."""
    generator = torch.Generator().manual_seed(bench.seed)
    rule = bench.impl("alignment/dr-grpo")()
    right = torch.tensor(RIGHT)
    weights, prompt = torch.zeros_like(right), torch.arange(len(right)).repeat_interleave(GROUP)
    steps = QUICK_STEPS if bench.quick else STEPS
    for step in range(steps):
        weights = weights.detach().requires_grad_()
        log_probs = torch.log_softmax(weights, 1)
        answer = torch.multinomial(log_probs.detach().exp(), GROUP, replacement=True, generator=generator).flatten()
        log_prob = log_probs[prompt, answer][:, None]
        batch = GroupBatch(
            log_prob=log_prob, old_log_prob=log_prob.detach(), group=prompt, mask=torch.ones_like(log_prob).bool(),
            reward=torch.bernoulli(right[prompt, answer], generator=generator),
        )  # fmt: skip
        (slope,) = torch.autograd.grad(rule.loss(batch).loss, weights)
        weights = weights.detach() - LR * slope
        found = float(torch.softmax(weights, 1).gather(1, right.argmax(1, keepdim=True)).mean())
        bench.point("best", step, found)
        bench.progress((step + 1) / steps)
    return Outcome(figures=(bench.figure("best", found),), mark=bench.mark(found >= 0.9))
