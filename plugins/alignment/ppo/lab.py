"""PPO balances a pole: the tested ``gae`` and ``ppo`` train a policy and a critic on gymnasium's CartPole-v1.

The loop and its settings follow the PPO paper's Atari and control set-ups (Schulman et al. 2017, arXiv:1707.06347,
Algorithm 1): collect with the current policy, then several epochs of minibatches on the same data.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor, nn

from groundup.core.interfaces.rl import RolloutBatch
from groundup.core.lab import Bench, Outcome

TASK = "CartPole-v1"
SOLVED = 475.0  # gymnasium's own reward threshold of CartPole-v1
ENVIRONMENTS, STEPS = 8, 128  # environments, and steps of each between updates
UPDATES, QUICK_UPDATES = 120, 6
EPOCHS, MINIBATCH = 4, 256
GAMMA, LAMBDA = 0.98, 0.95
LEARNING_RATE = 2e-3
RECENT = 50  # the number of episodes in a moving average


def run(bench: Bench) -> Outcome:
    """Train until the task is solved or the update budget is used up."""
    torch.manual_seed(bench.seed)
    rollouts = Rollouts(bench.seed)
    actor, critic = network(rollouts.sizes[0], rollouts.sizes[1], 0.01), network(rollouts.sizes[0], 1, 1.0)
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=LEARNING_RATE, eps=1e-5)
    gae, rule = bench.impl("rl/gae"), bench.impl("alignment/ppo")()
    updates = QUICK_UPDATES if bench.quick else UPDATES
    best = clipped = 0.0
    for update in range(1, updates + 1):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 - (update - 1) / UPDATES)
        batch, observation, action = rollouts.collect(actor, critic, gae)
        clipped = improve(rule, actor, critic, optimizer, batch, observation, action)
        reached = rollouts.recent_return()
        best = max(best, reached)
        bench.point("return", update * ENVIRONMENTS * STEPS, reached)
        bench.progress(update / updates)
        if reached >= SOLVED:
            break
    bench.progress(1.0)
    return Outcome(
        figures=(
            bench.figure("best_return", best),
            bench.figure("steps", update * ENVIRONMENTS * STEPS),
            bench.figure("clipped", clipped),
        ),
        mark=bench.mark(best >= SOLVED, episodes=RECENT, solved=SOLVED, steps=UPDATES * ENVIRONMENTS * STEPS),
    )


def network(inputs: int, outputs: int, last_gain: float) -> nn.Sequential:
    """Return a small tanh network with orthogonal weights."""
    layers = [nn.Linear(inputs, 64), nn.Linear(64, 64), nn.Linear(64, outputs)]
    for layer, gain in zip(layers, (2**0.5, 2**0.5, last_gain), strict=True):
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


class Rollouts:
    """Collects experience with the current policy. Each row of a batch holds the steps of one environment."""

    def __init__(self, seed: int) -> None:
        self.environments: Any = gymnasium.make_vec(
            TASK, num_envs=ENVIRONMENTS, vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        )  # fmt: skip
        spaces: Any = self.environments
        self.sizes = (int(spaces.single_observation_space.shape[0]), int(spaces.single_action_space.n))
        self.observation, _ = self.environments.reset(seed=seed)
        self.running = np.zeros(ENVIRONMENTS)
        self.returns: deque[float] = deque(maxlen=RECENT)

    def recent_return(self) -> float:
        """Return the mean return of the most recent episodes."""
        return float(np.mean(self.returns)) if self.returns else 0.0

    @torch.no_grad()
    def collect(self, actor: nn.Module, critic: nn.Module, gae: Any) -> tuple[RolloutBatch, Tensor, Tensor]:
        """Return a batch of shape (environments, steps), and its observations and actions."""
        shape = (ENVIRONMENTS, STEPS)
        observation = torch.zeros(*shape, self.sizes[0])
        action = torch.zeros(shape, dtype=torch.long)
        log_prob, reward, done = torch.zeros(shape), torch.zeros(shape), torch.zeros(shape, dtype=torch.bool)
        value = torch.zeros(ENVIRONMENTS, STEPS + 1)
        for t in range(STEPS):
            now = torch.as_tensor(self.observation)
            policy = torch.distributions.Categorical(logits=actor(now))
            chosen = policy.sample()
            observation[:, t], action[:, t] = now, chosen
            log_prob[:, t], value[:, t] = policy.log_prob(chosen), critic(now).squeeze(-1)
            reward[:, t], done[:, t] = self.step(chosen, critic)
        value[:, STEPS] = critic(torch.as_tensor(self.observation)).squeeze(-1)
        advantage = gae(reward, value, done, gamma=GAMMA, lam=LAMBDA)
        batch = RolloutBatch(
            log_prob=log_prob, old_log_prob=log_prob, advantage=advantage, value=value[:, :-1],
            old_value=value[:, :-1], returns=advantage + value[:, :-1], entropy=torch.zeros(shape),
            mask=torch.ones(shape, dtype=torch.bool),
        )  # fmt: skip
        return batch, observation, action

    def step(self, action: Tensor, critic: nn.Module) -> tuple[Tensor, Tensor]:
        """Step all environments. A time limit does not end a task, so a cut-off step's reward gets gamma * V."""
        self.observation, earned, terminated, truncated, info = self.environments.step(action.numpy())
        self.running += earned
        done = terminated | truncated
        self.returns.extend(self.running[done].tolist())
        self.running[done] = 0.0
        reward = torch.as_tensor(earned, dtype=torch.float32)
        for row in np.flatnonzero(truncated & ~terminated):
            last = torch.as_tensor(np.asarray(info["final_obs"][row], dtype=np.float32))
            reward[row] += GAMMA * critic(last).squeeze(-1)
        return reward, torch.as_tensor(done)


def improve(
    rule: Any, actor: nn.Module, critic: nn.Module, optimizer: torch.optim.Optimizer, batch: RolloutBatch,
    observation: Tensor, action: Tensor,
) -> float:  # fmt: skip
    """Train on one batch for several epochs of minibatches; return the last clip fraction."""
    rows = ENVIRONMENTS * STEPS
    fields = {
        name: getattr(batch, name).reshape(rows) for name in ("old_log_prob", "advantage", "old_value", "returns")
    }
    seen, taken = observation.reshape(rows, -1), action.reshape(rows)
    share = 0.0
    for _ in range(EPOCHS):
        for chosen in torch.randperm(rows).split(MINIBATCH):
            policy = torch.distributions.Categorical(logits=actor(seen[chosen]))
            picked = {name: field[chosen].unsqueeze(0) for name, field in fields.items()}
            spread = picked["advantage"].std() + 1e-8
            picked["advantage"] = (picked["advantage"] - picked["advantage"].mean()) / spread
            minibatch = RolloutBatch(
                log_prob=policy.log_prob(taken[chosen]).unsqueeze(0),
                entropy=policy.entropy().unsqueeze(0),
                value=critic(seen[chosen]).squeeze(-1).unsqueeze(0),
                mask=torch.ones(1, len(chosen), dtype=torch.bool),
                **picked,
            )
            result = rule.loss(minibatch)
            optimizer.zero_grad()
            result.loss.backward()
            nn.utils.clip_grad_norm_([*actor.parameters(), *critic.parameters()], 0.5)
            optimizer.step()
            share = float(result.metrics["clip_fraction"])
    return share
