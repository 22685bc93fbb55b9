"""What a critic learns where transitions are random, beside the policy gradient.

Example 11.2 of Sutton and Barto (Reinforcement Learning, 2nd edition 2018), the A-split example, with a choice added
and with noise. In A the actor gambles or plays safe. A gamble leads to B or C with equal probability, the safe action
to D. From there the episode ends with a reward of 1 (B), 0 (C) or 0.1 (D) on average: each is 1 more or 1 less with
equal probability. So B is worth 1, C 0 and D 0.1, and A what its actor makes of it.

Actor and critic are tables. The policy gradient learns from the same number of episodes, with its baseline beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from groundup.core.interfaces.rl import EpisodeBatch
from groundup.core.lab import Bench, Outcome

EPISODES, UPDATES, QUICK_UPDATES = 64, 1000, 100
ACTOR_RATE, CRITIC_RATE = 0.5, 0.4
EARNED = torch.tensor([0.0, 1.0, 0.0, 0.1])  # in A, B, C and D, on average
NOISE = 1.0
EACH, JUDGED = 20, 5  # updates between points; the last fifth of the updates is judged
ENOUGH = 0.08


class Learner(NamedTuple):
    """A rule with its tables: the logits of the two actions in A, and the values of A, B, C and D."""

    rule: Any
    logits: Tensor
    values: Tensor
    optimizer: torch.optim.Optimizer


def run(bench: Bench) -> Outcome:
    """Train both, and compare each one's values with the true values of its own policy."""
    updates = QUICK_UPDATES if bench.quick else UPDATES
    coefficients = {"gamma": 1.0, "value_coef": 1.0, "entropy_coef": 0.0}
    rules = {
        "actor_critic": learner(bench.impl("rl/actor-critic")(**coefficients), 1.0),
        "policy_gradient": learner(bench.impl("rl/policy-gradient")(**coefficients), 0.5),  # it adds two steps up
    }
    found: dict[str, list[tuple[Tensor, float, float]]] = {name: [] for name in rules}
    for number, (name, one) in enumerate(rules.items()):
        torch.manual_seed(bench.seed)
        for update in range(1, updates + 1):
            found[name].append((one.values.detach().clone(), error(one), improve(one)))
            if update % EACH == 0:
                bench.point(name, update, found[name][-1][1])
        bench.progress((number + 1) / len(rules))
    errors = {name: mean(found[name], lambda one: one[1]) for name in rules}
    spread = {name: mean(found[name], lambda one: one[2]) for name in rules}
    values = torch.stack([one[0] for one in last(found["actor_critic"])]).mean(0)
    return Outcome(
        figures=(
            bench.figure("error_actor_critic", errors["actor_critic"]),
            bench.figure("error_policy_gradient", errors["policy_gradient"]),
            bench.figure("value_of_b", float(values[1])),
            bench.figure("value_of_c", float(values[2])),
            bench.figure("spread", spread["actor_critic"] / spread["policy_gradient"]),
            bench.figure("gambles", float(rules["actor_critic"].logits.detach().softmax(0)[0])),
        ),
        mark=bench.mark(errors["actor_critic"] < ENOUGH, enough=ENOUGH, updates=updates // JUDGED),
    )


def learner(rule: Any, scale: float) -> Learner:
    """Return a rule with tables of zeros; ``scale`` makes rules with other averages learn equally fast."""
    logits, values = torch.zeros(2, requires_grad=True), torch.zeros(4, requires_grad=True)
    groups = [{"params": [logits], "lr": scale * ACTOR_RATE}, {"params": [values], "lr": scale * CRITIC_RATE}]
    return Learner(rule, logits, values, torch.optim.SGD(groups, lr=0.0))


def last(found: list[tuple[Tensor, float, float]]) -> list[tuple[Tensor, float, float]]:
    """Return the last fifth of what was noted at each update."""
    return found[-max(len(found) // JUDGED, 1) :]


def mean(found: list[tuple[Tensor, float, float]], number: Callable[[tuple[Tensor, float, float]], float]) -> float:
    """Return the mean over the last fifth of the updates."""
    numbers = [number(one) for one in last(found)]
    return sum(numbers) / len(numbers)


@torch.no_grad()
def error(one: Learner) -> float:
    """Return the root mean square error of the four values, against the true ones of the policy as it is."""
    true = EARNED.clone()
    true[0] = one.logits.softmax(0) @ torch.stack([(EARNED[1] + EARNED[2]) / 2, EARNED[3]])
    return float((one.values - true).square().mean().sqrt())


def improve(one: Learner) -> float:
    """Play, make one update, and return the variance of the numbers that the choices in A were weighed by."""
    log_probs = one.logits.log_softmax(0)
    safe = torch.multinomial(log_probs.detach().exp(), EPISODES, replacement=True)
    after = torch.where(safe == 1, 3, torch.randint(1, 3, (EPISODES,)))  # B or C after a gamble, D otherwise
    noise = NOISE * (2.0 * torch.randint(0, 2, (EPISODES,)) - 1)
    zeros, no = torch.zeros(EPISODES), torch.zeros(EPISODES, dtype=torch.bool)
    log_prob = torch.stack([log_probs[safe], zeros], dim=1)  # behind A there is nothing to choose
    log_prob.retain_grad()
    batch = EpisodeBatch(
        log_prob=log_prob,
        entropy=torch.zeros(EPISODES, 2),
        value=torch.stack([one.values[0].expand(EPISODES), one.values[after]], dim=1),
        next_value=torch.stack([one.values[after], zeros], dim=1),
        reward=torch.stack([zeros, EARNED[after] + noise], dim=1),
        terminated=torch.stack([no, ~no], dim=1),
        truncated=torch.stack([no, no], dim=1),
        mask=torch.ones(EPISODES, 2, dtype=torch.bool),
    )
    one.optimizer.zero_grad()
    one.rule.loss(batch).loss.backward()
    one.optimizer.step()
    assert log_prob.grad is not None
    scale = one.optimizer.param_groups[0]["lr"] / ACTOR_RATE  # both learn equally fast
    return float((scale * log_prob.grad[:, 0]).var())
