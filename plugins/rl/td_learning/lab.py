"""TD(0) on a random walk, SARSA and Q-learning on a cliff: Examples 6.2 and 6.6 of Sutton and Barto (2018).

The walk has five states in a row and begins in the middle; leaving at the right end earns 1. The cliff is a grid of 4
by 12: every step earns -1, a step into the cliff -100 and leads back to the start without ending the episode, the goal
ends it. All steps are recorded as after an automatic reset: the next state of a step that ends is the next episode's
start.

Several runs are learned side by side in one table, each in rows of its own, so that one call serves them all.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from groundup.core.lab import Bench, Outcome

PLACES, MIDDLE, WALKS, EARLY = 5, 2, 100, 20
STEP_SIZES = (0.05, 0.1, 0.15)  # those of the book's figure
WALK_RUNS, QUICK_WALK_RUNS = 100, 3
HEIGHT, WIDTH = 4, 12
START, GOAL = 36, 47
CELLS, MOVES = HEIGHT * WIDTH, ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left
ALPHA, EPSILON = 0.5, 0.1
EPISODES, QUICK_EPISODES, LAST = 500, 20, 100
BUDGET, QUICK_BUDGET = 20_000, 1_000  # steps of a run at most: a learner that never finds the goal ends here
LIMIT = 1_000  # steps of an episode
CLIFF_RUNS = 3
SHORTEST, FLOOR = 13, -40.0
LEARNERS = ("sarsa", "q_learning")


def run(bench: Bench) -> Outcome:
    """Learn the values of the walk with each step size, then the cliff in both ways."""
    impl = bench.impl("rl/td-learning")
    generator = torch.Generator().manual_seed(bench.seed)
    errors = {alpha: walk(impl, alpha, generator, bench, number) for number, alpha in enumerate(STEP_SIZES)}
    returns, paths = {}, {}
    for number, learner in enumerate(LEARNERS):
        episodes, table = cliff(impl, learner, generator, bench, number)
        returns[learner], paths[learner] = sum(episodes[-LAST:]) / len(episodes[-LAST:]), greedy_path(table)
    sarsa, q_learning = (returns[name] for name in LEARNERS)
    figures = [
        bench.figure("walk", errors[alpha][walks], alpha=alpha, walks=walks)
        for alpha in STEP_SIZES
        for walks in (EARLY, WALKS)
    ]
    return Outcome(
        figures=(
            *figures,
            bench.figure("sarsa", sarsa, last=LAST),
            bench.figure("q_learning", q_learning, last=LAST),
            bench.figure("path", paths["q_learning"]),
        ),
        mark=bench.mark(sarsa > q_learning and sarsa > FLOOR and paths["q_learning"] == SHORTEST, floor=FLOOR),
    )


def walk(impl: Any, alpha: float, generator: torch.Generator, bench: Bench, number: int) -> list[float]:
    """Return the root mean square error over the states after each walk, in the mean of all runs."""
    runs = QUICK_WALK_RUNS if bench.quick else WALK_RUNS
    learner = impl(alpha=alpha, gamma=1.0)
    true = torch.arange(1, PLACES + 1).double() / (PLACES + 1)
    value = torch.full((runs * PLACES,), 0.5).double()
    errors = []
    for walks in range(WALKS + 1):
        errors.append(float((value.reshape(runs, PLACES) - true).square().mean(1).sqrt().mean()))
        if walks < WALKS:
            state, reward, follows, ended = walked(runs, generator)
            value = learner.td0(value, state, reward, follows, ended, torch.zeros_like(ended))
        bench.progress((number + walks / WALKS) * 0.1)
    return errors


def walked(runs: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the steps of one walk of each run, the runs one after the other."""
    rows: list[tuple[int, float, int, bool]] = []
    for first in range(0, runs * PLACES, PLACES):
        place, ended = MIDDLE, False
        while not ended:
            reached = place + (1 if float(torch.rand((), generator=generator)) < 0.5 else -1)
            ended = reached in (-1, PLACES)
            rows.append((first + place, float(reached == PLACES), first + (MIDDLE if ended else reached), ended))
            place = reached
    state, reward, follows, ends = zip(*rows, strict=True)
    return torch.tensor(state), torch.tensor(reward).double(), torch.tensor(follows), torch.tensor(ends)


def cliff(impl: Any, name: str, generator: torch.Generator, bench: Bench, number: int) -> tuple[list[float], Tensor]:
    """Return the sum of rewards of each episode, in the mean of the runs, and the table that was learned."""
    episodes, budget = (QUICK_EPISODES, QUICK_BUDGET) if bench.quick else (EPISODES, BUDGET)
    learner = impl(alpha=ALPHA, gamma=1.0)
    q = torch.zeros(CLIFF_RUNS * CELLS, len(MOVES)).double()
    first = torch.arange(CLIFF_RUNS) * CELLS
    cell, total, length = torch.full((CLIFF_RUNS,), START), torch.zeros(CLIFF_RUNS).double(), torch.zeros(CLIFF_RUNS)
    returns: list[list[float]] = [[] for _ in range(CLIFF_RUNS)]
    action = choose(q, first + cell, generator)
    for step in range(budget):
        reached, reward = moved(cell, action)
        total, length = total + reward, length + 1
        ended = reached == GOAL
        cut = ~ended & (length == LIMIT)
        over = ended | cut
        follows = torch.where(ended, START, reached)
        begun = torch.where(over, START, reached)
        steps = (first + cell, action, reward, first + follows)
        if name == "sarsa":  # the next action is chosen first, and then taken
            next_action = choose(q, first + follows, generator)
            q = learner.sarsa(q, *steps, next_action, ended, cut)
            action = torch.where(over, choose(q, first + begun, generator), next_action)
        else:
            q = learner.q_learning(q, *steps, ended, cut)
            action = choose(q, first + begun, generator)
        for k in over.nonzero().flatten().tolist():
            returns[k].append(float(total[k]))
        cell, total, length = begun, torch.where(over, 0.0, total), torch.where(over, 0.0, length)
        done = min(len(found) for found in returns)
        if done >= episodes:
            break
        if step % 100 == 0:
            bench.progress(0.3 + 0.35 * (number + max(done / episodes, step / budget)))
    count = min(len(found) for found in returns)
    mean = [sum(found[episode] for found in returns) / CLIFF_RUNS for episode in range(min(count, episodes))]
    for begin in range(0, len(mean), 10):  # every point is the mean of ten episodes
        part = mean[begin : begin + 10]
        bench.point(name, begin + len(part), sum(part) / len(part))
    return mean or [-float(LIMIT)], q


def choose(q: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
    """Return an action for each row: mostly the best, drawn among equals, and with chance EPSILON any."""
    chance = torch.rand((len(rows), len(MOVES) + 1), generator=generator).double()
    best = torch.where(q[rows] == q[rows].amax(1, keepdim=True), chance[:, 1:], -1.0).argmax(1)
    return torch.where(chance[:, 0] < EPSILON, chance[:, 1:].argmax(1), best)


def moved(cell: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cells that are reached, and the rewards."""
    down, right = torch.tensor(MOVES)[action].unbind(1)
    row = (cell // WIDTH + down).clamp(0, HEIGHT - 1)
    column = (cell % WIDTH + right).clamp(0, WIDTH - 1)
    fell = (row == HEIGHT - 1) & (column > 0) & (column < WIDTH - 1)
    return torch.where(fell, START, row * WIDTH + column), torch.where(fell, -100.0, -1.0).double()


def greedy_path(table: Tensor) -> float:
    """Return the steps from the start to the goal on best actions alone, the median of the runs; 100 for a loop."""
    lengths = []
    for q in table.split(CELLS):
        cell, steps = torch.tensor([START]), 0
        while int(cell) != GOAL and steps < 100:
            cell, _ = moved(cell, q[cell].argmax(1))
            steps += 1
        lengths.append(float(steps))
    return sorted(lengths)[(len(lengths) - 1) // 2]
