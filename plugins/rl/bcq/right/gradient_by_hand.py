"""Both gradients are written out: the error kept within -1 and 1, and -1 at the action taken."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class Update(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, log_prob, action, target):
        hot = torch.nn.functional.one_hot(action, q.shape[1]).to(q.dtype)
        error = (q * hot).sum(1) - target
        inside = torch.maximum(torch.minimum(error, torch.ones_like(error)), -torch.ones_like(error))
        td = (error * inside - inside**2 / 2).mean()
        nll = td.new_zeros(()) if log_prob is None else -(log_prob * hot).sum() / len(action)
        ctx.slopes = inside[:, None] * hot / len(action), None if log_prob is None else -hot / len(action)
        ctx.mark_non_differentiable(td, nll)
        return td + nll, td, nll

    @staticmethod
    def backward(ctx, grad, *_):
        first, second = ctx.slopes
        return grad * first, None if second is None else grad * second, None, None


class BCQ(RLAlgorithm):
    def __init__(self, *, gamma=0.99, threshold=0.3):
        self.gamma, self.threshold = gamma, threshold

    def loss(self, batch):
        ratio = (batch.behaviour_log_prob - batch.behaviour_log_prob.max(1).values[:, None]).exp()
        out = ratio < self.threshold
        picks = batch.next_online_q_value
        picks = (batch.next_q_value if picks is None else picks).clone()
        picks[out] = -torch.inf
        best = picks.max(1).indices
        following = batch.next_q_value[range(len(best)), best]
        target = (batch.reward + self.gamma * following * torch.logical_not(batch.done)).detach()
        total, td, nll = Update.apply(batch.q_value, batch.current_behaviour_log_prob, batch.action, target)
        return Loss(total, {"td_loss": td, "behaviour_loss": nll, "kept": 1 - out.to(td.dtype).mean().detach()})
