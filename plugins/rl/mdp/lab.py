"""How fast sweeps converge, without ends and with them, and what the greedy policy is good for.

The task without ends is drawn: from each of 50 states each of 4 actions leads to 5 states at random. Its policy is
drawn too, and evaluated. FrozenLake is the 4x4 map of Gymnasium, written out here: the move that is chosen and the two
beside it are equally likely, a hole or the goal ends the episode, and the goal earns 1. Its table is as a recorder with
automatic reset would fill it: after an end comes the start of the next episode.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from groundup.core.lab import Bench, Outcome

GAMMA = 0.99
SWEEPS, QUICK_SWEEPS = 500, 150
SETTLED = 100  # sweeps after which the error fades evenly; the rate is taken from there on
STATES, ACTIONS, BRANCHES = 50, 4, 5
LAKE = "SFFFFHFHFFFHHFFG"  # 4 by 4
WIDTH = 4
MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))  # left, down, right, up
STEPS = 100  # the limit of FrozenLake-v1
CLOSE, ERROR, SHARE = 5e-4, 1e-4, 0.735


def run(bench: Bench) -> Outcome:
    """Sweep over both tasks, one call a sweep, and play the lake with the policy that comes out."""
    impl, sweeps = bench.impl("rl/mdp"), QUICK_SWEEPS if bench.quick else SWEEPS
    generator = torch.Generator().manual_seed(bench.seed)

    transition, reward, policy = drawn_task(generator)
    nowhere = torch.zeros(STATES, dtype=torch.bool)
    task = impl(transition, reward, nowhere, gamma=GAMMA)
    value, true = torch.zeros(STATES).double(), value_of(transition, reward, nowhere, policy)
    continuing = [float((value - true).abs().max())]
    for sweep in range(1, sweeps + 1):
        value = task.evaluate(policy, value, sweeps=1)
        continuing.append(float((value - true).abs().max()))
        bench.point("continuing", sweep, continuing[-1])
        bench.progress(sweep / sweeps / 2)

    transition, reward, end = lake()
    task = impl(transition, reward, end, gamma=GAMMA)
    value, true = torch.zeros(len(LAKE)).double(), best_value(transition, reward, end)
    errors = [float((value - true).abs().max())]
    for sweep in range(1, sweeps + 1):
        value = task.value_iteration(value, tolerance=0.0, max_sweeps=1)
        errors.append(float((value - true).abs().max()))
        bench.point("lake", sweep, errors[-1])
        bench.progress(0.5 + sweep / sweeps / 2)

    rate, success = fade(continuing), succeeds(transition, end, task.greedy(value), STEPS)
    return Outcome(
        figures=(
            bench.figure("continuing", rate, gamma=GAMMA),
            bench.figure("lake", fade(errors)),
            bench.figure("start", float(value[0]), gamma=GAMMA),
            bench.figure("success", success, steps=STEPS),
            bench.figure("unlimited", succeeds(transition, end, task.greedy(value), 100 * STEPS)),
        ),
        mark=bench.mark(
            abs(rate - GAMMA) < CLOSE and errors[-1] < ERROR and success >= SHARE,
            close=CLOSE,
            error=ERROR,
            share=SHARE,
        ),
    )


def fade(errors: list[float]) -> float:
    """Return by what an error is multiplied in a sweep, in the mean of those after it has settled."""
    if not errors[-1] > 0 or not math.isfinite(errors[-1]):
        return 0.0 if errors[-1] == 0 else math.inf
    return float((errors[-1] / errors[SETTLED]) ** (1 / (len(errors) - 1 - SETTLED)))


def drawn_task(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return transitions, rewards and a policy, all drawn."""
    transition = torch.zeros(STATES, ACTIONS, STATES).double()
    for s in range(STATES):
        for a in range(ACTIONS):
            reached = torch.randperm(STATES, generator=generator)[:BRANCHES]
            share = torch.rand(BRANCHES, generator=generator).double() + 0.1
            transition[s, a, reached] = share / share.sum()
    reward = torch.rand(STATES, ACTIONS, generator=generator).double()
    policy = torch.rand(STATES, ACTIONS, generator=generator).double()
    return transition, reward, policy / policy.sum(1, keepdim=True)


def lake() -> tuple[Tensor, Tensor, Tensor]:
    """Return transitions, rewards and ends of FrozenLake; an end leads to the start."""
    cells = len(LAKE)
    transition, reward = torch.zeros(cells, 4, cells).double(), torch.zeros(cells, 4).double()
    end = torch.tensor([letter in "HG" for letter in LAKE])
    for s in range(cells):
        for a in range(4):
            if end[s]:
                transition[s, a, LAKE.index("S")] = 1.0
                continue
            for way in (a - 1, a, a + 1):
                down, right = MOVES[way % 4]
                row = min(max(s // WIDTH + down, 0), WIDTH - 1)
                column = min(max(s % WIDTH + right, 0), WIDTH - 1)
                reached = row * WIDTH + column
                transition[s, a, reached] += 1 / 3
                reward[s, a] += (LAKE[reached] == "G") / 3
    return transition, reward, end


def value_of(transition: Tensor, reward: Tensor, end: Tensor, policy: Tensor) -> Tensor:
    """Return the true value of a policy; each step but those from an end leads on."""
    on = (~end).double()
    step = GAMMA * on[:, None] * torch.einsum("sa,sat->st", policy, transition)
    earned = on * (policy * reward).sum(1)
    value: Tensor = torch.linalg.solve(torch.eye(len(end)).double() - step, earned)
    return value


def best_value(transition: Tensor, reward: Tensor, end: Tensor) -> Tensor:
    """Return the true optimum by policy iteration: a policy's value, then its best actions, until they stay."""
    policy, value = torch.full_like(reward, 1 / reward.shape[1]), torch.zeros(len(end)).double()
    for _ in range(20):
        value = value_of(transition, reward, end, policy)
        best = (reward + GAMMA * transition @ value).argmax(1)
        policy = torch.nn.functional.one_hot(best, reward.shape[1]).double()
    return value


def succeeds(transition: Tensor, end: Tensor, policy: Tensor, steps: int) -> float:
    """Return the chance to stand on the goal after so many steps, exactly: no episode is drawn."""
    step = torch.einsum("sa,sat->st", policy.double(), transition)
    chance = torch.zeros(len(end)).double()
    chance[LAKE.index("S")] = 1.0
    for _ in range(steps):
        chance = torch.where(end, chance, 0.0) + torch.where(end, 0.0, chance) @ step
    return float(chance[LAKE.index("G")])
