"""Its gradient written by hand, in a torch.autograd.Function."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class ActorCritic(RLAlgorithm):
    def __init__(self, *, gamma=0.99, value_coef=0.5, entropy_coef=0.01):
        self.gamma, self.value_coef, self.entropy_coef = gamma, value_coef, entropy_coef

    def target(self, batch):
        return torch.where(batch.terminated, batch.reward, batch.reward + self.gamma * batch.next_value).detach()

    def loss(self, batch):
        share = batch.mask / batch.mask.sum().clamp(min=1).to(batch.log_prob.dtype)
        target = self.target(batch)
        args = (batch.log_prob, batch.value, batch.entropy, target, share, self.value_coef, self.entropy_coef)
        error = target - batch.value.detach()
        metrics = {
            "policy_loss": -(share * error * batch.log_prob.detach()).sum(),
            "value_loss": 0.5 * (share * error.square()).sum(),
            "entropy": (share * batch.entropy.detach()).sum(),
        }
        return Loss(Total.apply(*args), metrics)


class Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx, log_prob, value, entropy, target, share, value_coef, entropy_coef):
        error = target - value
        ctx.save_for_backward(error, share)
        ctx.coefficients = value_coef, entropy_coef
        return (share * (-error * log_prob + value_coef / 2 * error**2 - entropy_coef * entropy)).sum()

    @staticmethod
    def backward(ctx, grad):
        error, share = ctx.saved_tensors
        value_coef, entropy_coef = ctx.coefficients
        step = grad * share
        return -step * error, -value_coef * step * error, -entropy_coef * step, None, None, None, None
