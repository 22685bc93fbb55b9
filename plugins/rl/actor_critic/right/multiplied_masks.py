"""Masks by multiplication, means by einsum."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class ActorCritic(RLAlgorithm):
    def __init__(self, *, gamma=0.99, value_coef=0.5, entropy_coef=0.01):
        self.gamma, self.value_coef, self.entropy_coef = gamma, value_coef, entropy_coef

    def target(self, batch):
        with torch.no_grad():
            live = 1 - batch.terminated.to(batch.reward.dtype)
            return torch.addcmul(batch.reward, live, batch.next_value, value=self.gamma)

    def loss(self, batch):
        share = batch.mask.to(batch.log_prob.dtype)
        share = share / share.sum().clamp(min=1)
        error = batch.value - self.target(batch)  # the other way round
        policy = torch.einsum("bt,bt,bt->", share, error.detach(), batch.log_prob)
        value = torch.einsum("bt,bt,bt->", share, error, error) / 2
        entropy = torch.einsum("bt,bt->", share, batch.entropy)
        metrics = {"entropy": entropy.detach(), "value_loss": value.detach(), "policy_loss": policy.detach()}
        return Loss(loss=policy + self.value_coef * value - self.entropy_coef * entropy, metrics=metrics)
