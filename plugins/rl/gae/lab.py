"""The trade-off of lambda: bias against spread of the advantage, on a random walk with known values.

The walk is Example 6.2 of Sutton and Barto (Reinforcement Learning, 2nd edition 2018): five states in a row, a start in
the middle, steps to the left or right with equal probability; leaving at the right end earns 1, at the left end 0. The
true values are 1/6 to 5/6. One critic knows them. The other says 1/2 everywhere, as theirs does before learning.

A row of the rollout goes on after an end: the next walk begins in the middle.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from groundup.core.lab import Bench, Outcome

MIDDLE, RIGHT_END = 3, 6  # states 1 to 5; 0 and 6 are the ends
STEPS = 64  # a first walk that is longer is cut off: fewer than one in a thousand
ROWS, QUICK_ROWS = 20_000, 1_000
LAMBDAS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0)
AVERAGED = (1, 1024)  # numbers of walks that an estimate may be the mean of
TRUE_ADVANTAGE = 1 / 6  # of a first step to the right: the value of state 4 minus that of state 3
NOISE = 0.02  # six standard errors of the mean of 20,000 returns that are 0 or 1
CRITICS = {
    "wrong": torch.tensor([0.0, *[1 / 2] * 5, 0.0]),
    "right": torch.tensor([0.0, *[state / 6 for state in range(1, 6)], 0.0]),
}


def run(bench: Bench) -> Outcome:
    """Estimate the advantage of the first step of every row, with both critics and each lambda."""
    torch.manual_seed(bench.seed)
    state, reward, done = walks(QUICK_ROWS if bench.quick else ROWS)
    gae = bench.impl("rl/gae")
    bias: dict[str, list[float]] = {}
    spread: dict[str, list[float]] = {}
    for number, (critic, values) in enumerate(CRITICS.items()):
        value = values[state]
        bias[critic], spread[critic] = [], []
        for done_so_far, lam in enumerate(LAMBDAS, start=number * len(LAMBDAS) + 1):
            first = gae(reward, value, done, gamma=1.0, lam=lam)[:, 0].double()
            bias[critic].append(abs(float(first.mean()) - TRUE_ADVANTAGE))
            spread[critic].append(float(first.std()))
            bench.point(f"bias_{critic}", lam, bias[critic][-1])
            bench.progress(done_so_far / len(LAMBDAS) / len(CRITICS))
    for lam, y in zip(LAMBDAS, spread["wrong"], strict=True):
        bench.point("spread_wrong", lam, y)
    return Outcome(
        figures=(
            bench.figure("bias_at_0", bias["wrong"][0]),
            bench.figure("bias_at_1", bias["wrong"][-1]),
            bench.figure("spread_at_0", spread["wrong"][0]),
            bench.figure("spread_at_1", spread["wrong"][-1]),
            bench.figure("bias_of_the_right_critic", max(bias["right"])),
            *(
                bench.figure("best_lambda", best_lambda(bias["wrong"], spread["wrong"], walks), walks=walks)
                for walks in AVERAGED
            ),
        ),
        mark=bench.mark(
            falls(bias["wrong"])
            and falls(spread["wrong"][::-1])
            and bias["wrong"][-1] < NOISE
            and max(bias["right"]) < NOISE,
            noise=NOISE,
        ),
    )


def falls(numbers: list[float]) -> bool:
    """Whether each number is smaller than the one before it."""
    return all(later < earlier for earlier, later in itertools.pairwise(numbers))


def best_lambda(bias: list[float], spread: list[float], averaged: int) -> float:
    """Return the lambda with the smallest root mean square error of a mean of so many walks."""
    error = [b**2 + s**2 / averaged for b, s in zip(bias, spread, strict=True)]
    return LAMBDAS[error.index(min(error))]


def walks(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the states (one more than steps), rewards and done flags of rows whose first step is to the right."""
    state = torch.zeros(rows, STEPS + 1, dtype=torch.long)
    reward, done = torch.zeros(rows, STEPS), torch.zeros(rows, STEPS, dtype=torch.bool)
    state[:, 0] = MIDDLE
    for t in range(STEPS):
        right = torch.rand(rows) < (0.5 if t else 2.0)
        after = state[:, t] + torch.where(right, 1, -1)
        reward[:, t] = (after == RIGHT_END).float()
        done[:, t] = (after == 0) | (after == RIGHT_END)
        state[:, t + 1] = torch.where(done[:, t], MIDDLE, after)
    return state, reward, done
