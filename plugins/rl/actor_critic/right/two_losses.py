"""Actor and critic as two losses of their own, added at the end; the semi-gradient through a swapped product."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class ActorCritic(RLAlgorithm):
    def __init__(self, *, gamma=0.99, value_coef=0.5, entropy_coef=0.01):
        self.gamma, self.value_coef, self.entropy_coef = gamma, value_coef, entropy_coef

    def target(self, batch):
        return (batch.reward + ~batch.terminated * (self.gamma * batch.next_value)).detach()

    def actor_loss(self, batch, advantage):
        return self.mean(batch, torch.neg(advantage) * batch.log_prob)

    def critic_loss(self, batch, advantage):
        surrogate = -advantage * batch.value  # its gradient is that of half the squared error
        value = 0.5 * advantage**2
        return self.mean(batch, surrogate + (value - surrogate).detach())

    @staticmethod
    def mean(batch, term):
        return term.masked_fill(~batch.mask, 0).sum().div(batch.mask.sum().clamp_min(1))

    def loss(self, batch):
        with torch.no_grad():
            advantage = self.target(batch) - batch.value
        actor, critic = self.actor_loss(batch, advantage), self.critic_loss(batch, advantage)
        entropy = self.mean(batch, batch.entropy)
        metrics = {"policy_loss": actor, "value_loss": critic, "entropy": entropy}
        total = actor + self.value_coef * critic - self.entropy_coef * entropy
        return Loss(total, {name: metric.detach().clone() for name, metric in metrics.items()})
