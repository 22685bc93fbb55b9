"""Everything in float64, rounded at the end."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class ActorCritic(RLAlgorithm):
    def __init__(self, *, gamma=0.99, value_coef=0.5, entropy_coef=0.01):
        self.gamma, self.value_coef, self.entropy_coef = gamma, value_coef, entropy_coef

    def _target(self, batch):
        following = batch.next_value.detach().double().masked_fill(batch.terminated, 0.0)
        return following.mul(self.gamma).add(batch.reward.detach().double())

    def target(self, batch):
        return self._target(batch).to(batch.reward.dtype)

    def loss(self, batch):
        dtype, kept = batch.log_prob.dtype, batch.mask.double()
        count = max(int(batch.mask.sum()), 1)
        error = self._target(batch) - batch.value.double()
        policy = -(kept * error.detach() * batch.log_prob.double()).sum() / count
        value = (kept * error * error).sum() / (2 * count)
        entropy = (kept * batch.entropy.double()).sum() / count
        loss = policy + self.value_coef * value - self.entropy_coef * entropy
        named = {"policy_loss": policy, "value_loss": value, "entropy": entropy}
        return Loss(loss.to(dtype), {name: metric.detach().to(dtype) for name, metric in named.items()})
