"""Noise of a policy gradient at a fixed policy, by what is subtracted from the return.

The walk is Example 6.2 of Sutton and Barto (Reinforcement Learning, 2nd edition 2018): five states in a row, a start in
the middle, steps to the left or right with equal probability; leaving at the right end earns 1, at the left end 0. The
same number is added to what both ends earn. The policy has a logit for a step to the right in each state, all 0; so the
score of a step is 1/2 or -1/2 in its state, and the true gradient is (1, 2, 3, 2, 1) / 12, whatever is added.

An estimate is a mean over a batch of episodes. Its noise is the variance of estimates, summed over the five logits, and
divided by the squared length of their mean: so the unit of the advantages does not matter.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from groundup.core.lab import Bench, Outcome

STATES, MIDDLE = 5, 3  # states 1 to 5; 0 and 6 are the ends
STEPS = 64  # a walk that is longer is cut off, fewer than one in a thousand: what follows counts as V of its state
GROUP, GROUPS = 4, 8  # a batch is 8 groups of 4 episodes
BATCHES, QUICK_BATCHES = 500, 60
ADDED = (0.0, 2.0, 4.0, 6.0, 8.0, 10.0)
TRUE = torch.tensor([1.0, 2.0, 3.0, 2.0, 1.0]).double() / 12
SHARE, NEAR, TIMES = 0.01, 0.08, 100


class Walks(NamedTuple):
    """Episodes in rows of STEPS places; behind an episode's end a row is padding."""

    state: Tensor  # (N, STEPS + 1), 1 to 5; 0 or 6 from the end on
    right: Tensor  # (N, STEPS), whether the step went right
    mask: Tensor  # (N, STEPS), True where a step was taken
    score: Tensor  # (N, STEPS, STATES), of each step, for each logit; 0 for padding


def run(bench: Bench) -> Outcome:
    """Estimate the gradient many times over, with each advantage, for growing rewards."""
    torch.manual_seed(bench.seed)
    batches = QUICK_BATCHES if bench.quick else BATCHES
    walks = walk(batches * GROUPS * GROUP)
    noise: dict[str, list[float]] = {}
    slope: dict[str, list[float]] = {}
    for done, added in enumerate(ADDED, start=1):
        for name, advantage in advantages(bench.impl("rl/advantage"), walks, added, batches).items():
            each = torch.einsum("nts,nt->ns", walks.score, torch.where(walks.mask, advantage, 0.0))
            estimates = each.reshape(batches, -1, STATES).mean(1)
            mean = estimates.mean(0)
            noise.setdefault(name, []).append(float(estimates.var(0).sum() / mean.square().sum()))
            slope.setdefault(name, []).append(float(mean @ TRUE / (TRUE @ TRUE)))
            bench.point(name, added, noise[name][-1])
        bench.progress(done / len(ADDED))
    flat = abs(noise["whitened"][-1] / noise["whitened"][0] - 1) < SHARE
    ordered = noise["exact"][-1] < noise["critic"][-1] < noise["others"][-1] < noise["none"][0]
    unbiased = abs(slope["others"][0] - 1) < NEAR and abs(slope["mean"][0] - (1 - 1 / GROUP)) < NEAR
    grows = noise["none"][-1] > TIMES * noise["whitened"][-1]
    return Outcome(
        figures=(
            bench.figure("none_before", noise["none"][0]),
            *(bench.figure(name, noise[name][-1], added=ADDED[-1]) for name in noise),
            bench.figure("slope_mean", slope["mean"][0], samples=GROUP),
            bench.figure("slope_others", slope["others"][0]),
        ),
        mark=bench.mark(
            flat and ordered and unbiased and grows, share=SHARE, added=ADDED[-1], times=TIMES, near=NEAR, samples=GROUP
        ),
    )


def walk(count: int) -> Walks:
    """Return so many episodes, as they come."""
    state = torch.full((count, STEPS + 1), MIDDLE)
    right = torch.rand(count, STEPS) < 0.5
    for t in range(STEPS):
        inside = (state[:, t] > 0) & (state[:, t] <= STATES)
        state[:, t + 1] = state[:, t] + torch.where(inside, torch.where(right[:, t], 1, -1), 0)
    mask = (state[:, :-1] > 0) & (state[:, :-1] <= STATES)
    place = torch.nn.functional.one_hot(state[:, :-1], STATES + 2)[..., 1:-1]  # (N, STEPS, STATES), 0 outside
    return Walks(state, right, mask, place * (right.double() - 0.5)[..., None])


def advantages(impl: type, walks: Walks, added: float, batches: int) -> dict[str, Tensor]:
    """Return for each way of estimating it the advantage of every step, (N, STEPS)."""
    one = impl(gamma=1.0)
    worth = torch.arange(STATES + 2).double() / (STATES + 1) + added  # V of each state; the ends hold what they earn
    done = walks.mask & ((walks.state[:, 1:] == 0) | (walks.state[:, 1:] > STATES))
    reward = torch.where(done, worth[walks.state[:, 1:]], 0.0)
    # The return of each step of an episode, since gamma is 1 and only the end earns. A walk that was cut off gets V.
    total = reward.sum(1) + torch.where(done.any(1), 0.0, worth[walks.state[:, -1]])
    groups = total.reshape(-1, GROUP)
    q = torch.stack([worth[:-2], worth[2:]], dim=-1)  # (STATES, 2): to the left, to the right
    table = one.from_q(q, torch.full_like(q, 0.5))
    step = table[walks.state[:, :-1].clamp(1, STATES) - 1, walks.right.long()]
    whole = total[:, None].expand(-1, STEPS)
    in_batches = zip(whole.chunk(batches), walks.mask.chunk(batches), strict=True)
    return {
        "none": whole,
        "mean": one.minus_mean(groups).reshape(-1, 1).expand(-1, STEPS),
        "others": one.leave_one_out(groups).reshape(-1, 1).expand(-1, STEPS),
        "critic": one.n_step(reward, worth[walks.state], done, n=STEPS),
        "exact": step,
        "whitened": torch.cat([one.whiten(batch.contiguous(), mask) for batch, mask in in_batches]),
    }
