"""PPO balances a pole, with twenty passes over each rollout.

The tested ``gae`` and ``ppo`` train a policy and a critic. The task is CartPole-v1 of gymnasium
(``gymnasium/envs/classic_control/cartpole.py``), for all poles at once. The loop is Algorithm 1 of the PPO paper
(Schulman et al. 2017, arXiv:1707.06347). So many passes, a high learning rate and no bound on the gradient's norm
leave it to the clip to hold the policy near the one that sampled: milder settings blur what the clip does.
"""

from __future__ import annotations

import statistics
from typing import Any

import torch
from torch import Tensor, nn

from groundup.core.cart_pole import Poles
from groundup.core.interfaces.rl import RolloutBatch
from groundup.core.lab import Bench, Outcome

POLES, STEPS = 16, 128  # a rollout is POLES x STEPS
UPDATES, QUICK_UPDATES = 30, 3
EPOCHS, MINIBATCHES = 20, 4
GAMMA, LAMBDA = 0.99, 0.95
LEARNING_RATE = 3e-3
VALUE_COEF = 0.01  # returns are around 100, and their squared errors thousands of times the policy's loss
JUDGED = 64  # episodes of the trained policy
ENOUGH, NEAR = 400.0, 0.1
FLOOR = 1e-4  # a policy that no longer moves has a KL of 0, which a logarithmic axis cannot show


def run(bench: Bench) -> Outcome:
    """Train for a fixed number of updates; judge the policy that comes out, and the largest step it ever took."""
    torch.manual_seed(bench.seed)
    poles, actor, critic = Poles(POLES), network(2), network(1)
    *_, last_weight, _ = actor.parameters()
    last_weight.data *= 0.01  # both actions are nearly equally likely at first
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=LEARNING_RATE, eps=1e-5, fused=True)
    gae = bench.impl("rl/gae")
    rule = bench.impl("alignment/ppo")(clip=0.2, value_clip=None, value_coef=VALUE_COEF, entropy_coef=0.0)
    updates = QUICK_UPDATES if bench.quick else UPDATES
    moved: list[float] = []
    for update in range(1, updates + 1):
        observation, action, fields, returns = rollout(poles, actor, critic, gae)
        with torch.no_grad():
            before = actor(observation).log_softmax(-1)
        improve(rule, actor, critic, optimizer, observation, action, fields)
        with torch.no_grad():
            moved.append(float((before.exp() * (before - actor(observation).log_softmax(-1))).sum(-1).mean()))
        if returns:
            bench.point("return", update, statistics.fmean(returns))
        bench.point("kl", update, max(moved[-1], FLOOR))
        bench.progress(update / (updates + 1))
    final = judged(actor)
    bench.progress(1.0)
    return Outcome(
        figures=(
            bench.figure("final_return", final, episodes=JUDGED),
            bench.figure("largest_kl", max(moved)),
            bench.figure("median_kl", statistics.median(moved)),
        ),
        mark=bench.mark(final >= ENOUGH and max(moved) < NEAR, enough=ENOUGH, near=NEAR, updates=UPDATES),
    )


def network(outputs: int) -> nn.Sequential:
    """Return a small tanh network."""
    return nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs))


@torch.no_grad()
def rollout(
    poles: Poles, actor: nn.Module, critic: nn.Module, gae: Any
) -> tuple[Tensor, Tensor, dict[str, Tensor], list[float]]:
    """Collect steps; return observations, actions, the constants of the update, and the returns of ended episodes."""
    shape = (POLES, STEPS)
    observation, action = torch.zeros(*shape, 4), torch.zeros(shape, dtype=torch.long)
    old_log_prob, reward = torch.zeros(shape), torch.ones(shape)
    value, done = torch.zeros(POLES, STEPS + 1), torch.zeros(shape, dtype=torch.bool)
    returns: list[float] = []
    for t in range(STEPS):
        observation[:, t] = poles.state
        log_probs = actor(poles.state).log_softmax(-1)
        action[:, t : t + 1] = torch.multinomial(log_probs.exp(), 1)
        old_log_prob[:, t] = log_probs.gather(1, action[:, t : t + 1])[:, 0]
        value[:, t] = critic(poles.state)[:, 0]
        reached, fell, timed_out, age = poles.step(action[:, t])
        # A time limit does not end the task: the value of the state reached is paid with the last reward.
        reward[:, t] += torch.where(timed_out, GAMMA * critic(reached)[:, 0], 0)
        done[:, t] = fell | timed_out
        returns += age[done[:, t]].tolist()
    value[:, STEPS] = critic(poles.state)[:, 0]
    advantage = gae(reward, value, done, gamma=GAMMA, lam=LAMBDA)
    fields = {
        "old_log_prob": old_log_prob.flatten(),
        "advantage": ((advantage - advantage.mean()) / (advantage.std() + 1e-8)).flatten(),
        "old_value": value[:, :-1].flatten(),
        "returns": (advantage + value[:, :-1]).flatten(),
    }
    return observation.flatten(0, 1), action.flatten(), fields, returns


def improve(
    rule: Any, actor: nn.Module, critic: nn.Module, optimizer: torch.optim.Optimizer, observation: Tensor,
    action: Tensor, fields: dict[str, Tensor],
) -> None:  # fmt: skip
    """Train on one rollout for several epochs of minibatches."""
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(action)).chunk(MINIBATCHES):
            log_probs = actor(observation[chosen]).log_softmax(-1)
            batch = RolloutBatch(
                log_prob=log_probs.gather(1, action[chosen, None]).T,
                entropy=-log_probs.exp().mul(log_probs).sum(-1)[None],
                value=critic(observation[chosen]).T,
                mask=torch.ones(1, len(chosen), dtype=torch.bool),
                **{name: field[None, chosen] for name, field in fields.items()},
            )
            optimizer.zero_grad()
            rule.loss(batch).loss.backward()
            optimizer.step()


@torch.no_grad()
def judged(actor: nn.Module) -> float:
    """Return the mean return of fresh episodes."""
    poles = Poles(JUDGED)
    running, earned = torch.ones(JUDGED, dtype=torch.bool), torch.zeros(JUDGED)
    while running.any():
        _, fell, timed_out, _ = poles.step(torch.multinomial(actor(poles.state).softmax(-1), 1)[:, 0])
        earned += running
        running &= ~(fell | timed_out)
    return float(earned.mean())
