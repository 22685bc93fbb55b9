"""How much each choice adds to the variance of a policy gradient, at policies that stay as they are.

First CartPole-v1 of gymnasium, with a policy of five parameters: at first all are 0, which is a coin toss, then it
pushes to the side to which the pole leans. Many batches of eight episodes each give a gradient. The tested ``loss``
computes all of them in one call, once with each baseline: V(s), a constant, and none. The weight that it gives to an
action is the gradient to ``log_prob``, times the number of episodes. The whole return in place of the reward-to-go
needs no other rule: with gamma 1, an episode that earns everything at its last step has the same reward-to-go at
every step, and that is the whole return.

Then a game of six decisions, of which all 64 courses are written down: there the mean and the variance are exact.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from groundup.core.cart_pole import Poles
from groundup.core.interfaces.rl import EpisodeBatch
from groundup.core.lab import Bench, Outcome

EPISODES, GRADIENTS, QUICK_GRADIENTS = 8, 400, 50  # a gradient is made of 8 episodes
FITTED, LONGEST = 512, 200  # episodes that V(s) and the constant are fitted to; an episode ends after 200 steps
POLICIES = {  # parameters for position, speed, angle, turning speed, and a constant
    "coin": torch.zeros(5),
    "leaning": torch.tensor([0.0, 0.0, 2.0, 1.0, 0.0]),
}
UNITS, SCALES = 32, torch.tensor([1.0, 1.0, 10.0, 1.0, 1.0])  # a pole falls at an angle of 0.21
EACH = 50  # gradients between two points of a curve
DECISIONS, EASY, HARD = 6, 0.98, 0.5  # all decisions but the last are nearly certain
BASELINES = ("value", "constant", "whole")
SHARE, MORE, EXACT = 0.8, 3.0, 1e-5


class Course(NamedTuple):
    """Episodes, one a row: what the policy saw, what it did, what it earned, and which steps are real."""

    seen: Tensor
    """(B, T, 5)"""
    score: Tensor
    """(B, T, 5): the gradient of log pi(a|s) for the parameters."""
    reward: Tensor
    mask: Tensor


def run(bench: Bench) -> Outcome:
    """Estimate the variances on CartPole, then compute them on the game."""
    rule = bench.impl("rl/policy-gradient")(gamma=1.0, value_coef=0.0, entropy_coef=0.0)
    gradients = QUICK_GRADIENTS if bench.quick else GRADIENTS
    torch.manual_seed(bench.seed)
    ratio: dict[str, dict[str, float]] = {}
    for policy, parameters in POLICIES.items():
        known, fresh = episodes(FITTED, parameters), episodes(EPISODES * gradients, parameters)
        found = {name: in_groups(rule, fresh, name, known) for name in ("none", *BASELINES)}
        ratio[policy] = {name: relative(spread(found[name]), spread(found["none"])) for name in BASELINES}
        for count in range(EACH, gradients + 1, EACH) if policy == "coin" else ():
            for name in BASELINES:
                bench.point(name, count, relative(spread(found[name][:count]), spread(found["none"][:count])))
        bench.progress(0.9 * len(ratio) / len(POLICIES))
    exact, error = on_the_game(rule)
    bench.progress(1.0)
    coin = ratio["coin"]
    return Outcome(
        figures=(
            *(bench.figure(f"{name}_{policy}", ratio[policy][name]) for policy in POLICIES for name in BASELINES),
            *(bench.figure(f"{name}_game", exact[name]) for name in BASELINES),
            bench.figure("error_of_the_mean", error),
        ),
        mark=bench.mark(
            coin["value"] < SHARE and coin["whole"] > MORE and error < EXACT, share=SHARE, more=MORE, exact=EXACT
        ),
    )


def spread(gradients: Tensor) -> float:
    """Return the variance, summed over the parameters."""
    return float(gradients.var(0).sum())


def relative(variance: float, to: float) -> float:
    """Return a ratio of variances without the digits that the order of a sum decides."""
    return round(variance / to, 6)


def weights(rule: Any, course: Course, value: Tensor, reward: Tensor) -> Tensor:
    """Return the number that each action's score is multiplied by, (B, T): minus the gradient of the loss."""
    log_prob = torch.zeros_like(reward, requires_grad=True)
    zeros, never = torch.zeros_like(reward), torch.zeros_like(course.mask)
    batch = EpisodeBatch(
        log_prob=log_prob, entropy=zeros, value=value, next_value=zeros, reward=reward,
        terminated=last_steps(course), truncated=never, mask=course.mask,
    )  # fmt: skip
    (slope,) = torch.autograd.grad(rule.loss(batch).loss, [log_prob])
    return -slope * len(reward)


def last_steps(course: Course) -> Tensor:
    """Return where each row's last real step is."""
    return course.mask & (course.mask.flip(1).long().cumsum(1).flip(1) == 1)


def all_at_the_end(course: Course) -> Tensor:
    """Return rewards with each row's sum at its last step."""
    return torch.where(last_steps(course), course.reward.sum(1, keepdim=True), 0)


def to_go(course: Course) -> Tensor:
    """Return the rewards to go, without discount."""
    return torch.where(course.mask, course.reward.flip(1).cumsum(1).flip(1), 0)


# CartPole


@torch.no_grad()
def episodes(count: int, parameters: Tensor) -> Course:
    """Play until every pole has fallen or was balanced for 200 steps, which ends an episode here."""
    poles, running = Poles(count), torch.ones(count, dtype=torch.bool)
    seen, score, mask = [], [], []
    for _ in range(LONGEST):
        at = torch.cat([poles.state, torch.ones(count, 1)], dim=1)
        right = torch.sigmoid(at @ parameters)
        action = (torch.rand(count) < right).long()
        seen.append(at)
        score.append((action - right)[:, None] * at)
        mask.append(running)
        _, fell, _, _ = poles.step(action)
        running = running & ~fell
    real = torch.stack(mask, dim=1)
    return Course(torch.stack(seen, dim=1).double(), torch.stack(score, dim=1).double(), real.double(), real)


def in_groups(rule: Any, course: Course, name: str, known: Course) -> Tensor:
    """Return a gradient for each group of episodes, (groups, 5)."""
    reward = all_at_the_end(course) if name == "whole" else course.reward
    weight = weights(rule, course, baseline(name, course, known), reward)
    gradient: Tensor = (weight[..., None] * course.score).sum(1)
    return gradient.reshape(-1, EPISODES, gradient.shape[1]).mean(1)


def baseline(name: str, course: Course, known: Course) -> Tensor:
    """Return V(s) or a constant, fitted to the returns of other episodes; zeros for none."""
    if name == "constant":
        return torch.full_like(course.reward, float(to_go(known)[known.mask].mean()))
    if name == "value":
        fitted = torch.linalg.lstsq(features(known)[known.mask], to_go(known)[known.mask][:, None]).solution
        value: Tensor = (features(course) @ fitted)[..., 0]
        return value
    return torch.zeros_like(course.reward)


def features(course: Course) -> Tensor:
    """Return a layer of random tanh units over what the policy sees, (B, T, 32)."""
    generator = torch.Generator().manual_seed(0)
    layer = torch.randn(5, UNITS, generator=generator).double() * SCALES[:, None]
    return torch.tanh(course.seen @ layer)


# The game: each decision has a parameter of its own. The first five are nearly certain to be right, and earn 2 each if
# they are; the last is a toss-up for 1 or 0.


def on_the_game(rule: Any) -> tuple[dict[str, float], float]:
    """Return the exact variances relative to no baseline, and the largest error of the expected update."""
    right = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * DECISIONS)  # (64, 6)
    chance = torch.tensor([EASY] * (DECISIONS - 1) + [HARD], dtype=torch.float64)
    earns = torch.tensor([2.0] * (DECISIONS - 1) + [1.0], dtype=torch.float64)
    often = torch.where(right == 1, chance, 1 - chance).prod(1)  # (64,)
    course = Course(right, torch.diag_embed(right - chance), right * earns, torch.ones_like(right, dtype=torch.bool))
    worth = (chance * earns).flip(0).cumsum(0).flip(0)  # V before each decision
    none = torch.zeros_like(right)
    kinds = {"none": none, "value": none + worth, "constant": none + worth.mean(), "whole": none}
    variance, off = {}, 0.0
    for name, value in kinds.items():
        reward = all_at_the_end(course) if name == "whole" else course.reward
        gradient = (weights(rule, course, value, reward)[..., None] * course.score).sum(1)  # (64, 6)
        mean = often @ gradient
        variance[name] = float((often @ (gradient - mean) ** 2).sum())
        off = max(off, float((mean - earns * chance * (1 - chance)).abs().max()))
    return {name: relative(variance[name], variance["none"]) for name in BASELINES}, round(off, 9)
