"""How far a step looks ahead: one reward at the end of an episode, seen from every step before it."""

from __future__ import annotations

import torch

from groundup.core.lab import Bench, Outcome

STEPS = 50
GAMMAS = (0.5, 0.8, 0.9, 0.95)


def run(bench: Bench) -> Outcome:
    """Take the returns of an episode that earns 1 in its last step, with one gamma after the other."""
    returns = bench.impl("rl/advantage")
    reward = torch.zeros((1, STEPS), dtype=torch.float64)
    reward[0, -1] = 1.0
    seen = {}
    for number, gamma in enumerate(GAMMAS, start=1):
        result = returns(reward, gamma=gamma)[0]
        for away in range(STEPS):
            bench.point(f"gamma {gamma}", away, float(result[STEPS - 1 - away]))
        seen[gamma] = float(returns(torch.ones((1, STEPS), dtype=torch.float64), gamma=gamma)[0, 0])
        bench.progress(number / len(GAMMAS))
    return Outcome(
        figures=tuple(bench.figure("returns", value, gamma=g, expected=1 / (1 - g)) for g, value in seen.items()),
        mark=bench.mark(
            all(abs(value - (1 - g**STEPS) / (1 - g)) < 1e-9 for g, value in seen.items()),
            steps=STEPS,
        ),
    )
