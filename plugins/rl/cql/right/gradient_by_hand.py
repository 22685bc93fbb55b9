"""The gradient is written out: the error at the action taken, and softmax minus one-hot."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class Update(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, action, target, alpha):
        hot = torch.zeros_like(q).scatter_(1, action[:, None], 1.0)
        error = (q * hot).sum(1) - target
        gap = torch.logsumexp(q, 1) - (q * hot).sum(1)
        ctx.slope = (error[:, None] * hot + alpha * (torch.softmax(q, 1) - hot)) / q.shape[0]
        td, penalty = error.square().mean() / 2, gap.mean()
        ctx.mark_non_differentiable(td, penalty)
        return td + alpha * penalty, td, penalty

    @staticmethod
    def backward(ctx, grad, *_):
        return grad * ctx.slope, None, None, None


class CQL(RLAlgorithm):
    def __init__(self, *, gamma=0.99, alpha=1.0):
        self.gamma, self.alpha = gamma, alpha

    def loss(self, batch):
        best = torch.where(batch.done, torch.zeros_like(batch.reward), batch.next_q_value.max(1).values)
        target = (batch.reward + self.gamma * best).detach()
        total, td, penalty = Update.apply(batch.q_value, batch.action, target, self.alpha)
        return Loss(total, {"td_loss": td, "conservative_loss": penalty})
