"""Selects the real steps first, then uses torch.nn.functional, as A2C in Stable-Baselines3 does."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class ActorCritic(RLAlgorithm):
    def __init__(self, *, gamma=0.99, value_coef=0.5, entropy_coef=0.01):
        self.gamma, self.value_coef, self.entropy_coef = gamma, value_coef, entropy_coef

    def target(self, batch):
        following = batch.next_value.detach().clone()
        following[batch.terminated] = 0.0
        return batch.reward.detach() + self.gamma * following

    def loss(self, batch):
        real = batch.mask
        if not real.any():
            nothing = 0 * (batch.log_prob.sum() + batch.value.sum() + batch.entropy.sum())
            return Loss(nothing, dict.fromkeys(("policy_loss", "value_loss", "entropy"), nothing.detach()))
        returns, values = self.target(batch)[real], batch.value[real]
        advantages = returns - values.detach()
        policy = -(advantages * batch.log_prob[real]).mean()
        value = torch.nn.functional.mse_loss(values, returns) / 2
        entropy_loss = -torch.mean(batch.entropy[real])
        loss = policy + self.entropy_coef * entropy_loss + self.value_coef * value
        metrics = {"policy_loss": policy, "value_loss": value, "entropy": -entropy_loss}
        return Loss(loss, {name: metric.detach() for name, metric in metrics.items()})
