"""The trade-off of lambda: bias against variance of the advantage, on a random walk with known values.

The walk is Example 6.2 of Sutton and Barto (Reinforcement Learning, 2nd edition 2018): five states in a row, a start in
the middle, steps to the left or right with equal probability; leaving at the right end earns 1, at the left end 0. The
true values are 1/6 to 5/6. The critic's value is 1/2 for every state, as theirs before learning.
"""

from __future__ import annotations

import torch
from torch import Tensor

from groundup.core.lab import Bench, Outcome

STATES, MIDDLE = 5, 3  # states 1 to 5; 0 and 6 are the ends
STEPS = 64  # longer walks are cut off: fewer than one in a thousand
AVERAGED = 64  # walks per estimate: the estimate is their mean, as a gradient is a mean over its batch
BATCHES, QUICK_BATCHES = 200, 20
LAMBDAS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0)
CRITIC = 0.5
TRUE_ADVANTAGE = 1 / 6  # of a first step to the right: the value of state 4 minus that of state 3


def run(bench: Bench) -> Outcome:
    """Estimate the advantage of the first step many times for each lambda."""
    torch.manual_seed(bench.seed)
    batches = QUICK_BATCHES if bench.quick else BATCHES
    reward, value, done = walks(batches * AVERAGED)
    gae = bench.impl("rl/gae")
    errors: dict[float, tuple[float, float, float]] = {}
    for number, lam in enumerate(LAMBDAS, start=1):
        first = gae(reward, value, done, gamma=1.0, lam=lam)[:, 0]  # (batches * AVERAGED,)
        estimates = first.reshape(batches, AVERAGED).mean(1)
        bias, spread = float(estimates.mean()) - TRUE_ADVANTAGE, float(estimates.std())
        errors[lam] = abs(bias), spread, (bias**2 + spread**2) ** 0.5
        for series, y in zip(("bias", "standard deviation", "both"), errors[lam], strict=True):
            bench.point(series, lam, y)
        bench.progress(number / len(LAMBDAS))
    best = min(LAMBDAS, key=lambda lam: errors[lam][2])
    return Outcome(
        figures=(
            bench.figure("best_lambda", best),
            bench.figure("bias_at_0", errors[0.0][0]),
            bench.figure("bias_at_1", errors[1.0][0]),
            bench.figure("spread_at_0", errors[0.0][1]),
            bench.figure("spread_at_1", errors[1.0][1]),
        ),
        mark=bench.mark(0.0 < best < 1.0 and errors[1.0][0] < errors[0.0][0] and errors[0.0][1] < errors[1.0][1]),
    )


def walks(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return rewards, critic values and done flags of ``count`` walks that begin with a step to the right."""
    position = torch.full((count,), MIDDLE)
    reward, done = torch.zeros(count, STEPS), torch.zeros(count, STEPS, dtype=torch.bool)
    walking = torch.ones(count, dtype=torch.bool)
    for t in range(STEPS):
        right = torch.rand(count) < (0.5 if t else 2.0)
        position = torch.where(walking, position + torch.where(right, 1, -1), position)
        ended = walking & ((position == 0) | (position == STATES + 1))
        reward[:, t] = (ended & (position == STATES + 1)).float()
        done[:, t] = ended | ~walking  # steps after the end are padding
        walking &= ~ended
    return reward, torch.full((count, STEPS + 1), CRITIC), done
