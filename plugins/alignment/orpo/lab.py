"""Three answers of different worth: the policy learns from pairs, of which the better is chosen more often."""

from __future__ import annotations

import torch

from groundup.core.interfaces.rl import PreferenceBatch
from groundup.core.lab import Bench, Outcome

WORTH, BETA = (0.0, 0.5, 1.0), 0.5
PAIRS, STEPS, QUICK_STEPS, LR = 512, 200, 60, 8.0


def run(bench: Bench) -> Outcome:
    """Draw pairs of answers, choose one of each by its worth, and update."""
    generator = torch.Generator().manual_seed(bench.seed)
    rule = bench.impl("alignment/orpo")(beta=BETA)
    worth, weights = torch.tensor(WORTH), torch.zeros(len(WORTH))
    best = torch.softmax(worth / BETA, 0)  # the best policy for this worth that stays near the uniform reference
    reference = torch.log_softmax(weights, 0)
    steps = QUICK_STEPS if bench.quick else STEPS
    for step in range(steps):
        weights = weights.detach().requires_grad_()
        first, second = torch.randint(len(WORTH), (2, PAIRS), generator=generator)
        kept = torch.rand(PAIRS, generator=generator) < torch.sigmoid(worth[first] - worth[second])
        chosen, rejected = torch.where(kept, first, second)[:, None], torch.where(kept, second, first)[:, None]
        log_prob, real = torch.log_softmax(weights, 0), torch.ones(PAIRS, 1, dtype=torch.bool)
        batch = PreferenceBatch(
            chosen_log_prob=log_prob[chosen], ref_chosen_log_prob=reference[chosen], chosen_mask=real,
            rejected_log_prob=log_prob[rejected], ref_rejected_log_prob=reference[rejected], rejected_mask=real,
        )  # fmt: skip
        (slope,) = torch.autograd.grad(rule.loss(batch).loss, weights)
        weights = weights.detach() - LR * slope
        found = float((torch.softmax(weights, 0) - best).abs().max())
        bench.point("distance", step, found)
        bench.progress((step + 1) / steps)
    return Outcome(figures=(bench.figure("distance", found),), mark=bench.mark(found <= 0.1))
