"""The gradient of the loss is written out instead of using autograd."""

import torch
from torch.nn import functional

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class Pairs(torch.autograd.Function):
    @staticmethod
    def forward(ctx, chosen, rejected, real, also_real, beta, gamma):
        wide = [side.to(torch.promote_types(side.dtype, torch.float32)) for side in (chosen, rejected)]
        counts = [mask.sum(1).clamp(min=1) for mask in (real, also_real)]
        good, bad = (
            beta * torch.where(mask, side, 0).sum(1) / count for side, mask, count in zip(wide, (real, also_real), counts)
        )
        ctx.weight = beta * torch.sigmoid(gamma - good + bad) / len(good)
        ctx.real, ctx.counts, ctx.kind = (real, also_real), counts, chosen.dtype
        ctx.mark_non_differentiable(good, bad)
        return functional.softplus(gamma - good + bad).mean(), good, bad

    @staticmethod
    def backward(ctx, grad, *_):
        found = [
            sign * grad * torch.where(mask, (ctx.weight / count)[:, None], 0)
            for sign, mask, count in zip((-1, 1), ctx.real, ctx.counts)
        ]
        return *(slope.to(ctx.kind) for slope in found), None, None, None, None


class SimPO(RLAlgorithm):
    def __init__(self, *, beta=2.0, gamma=0.5):
        self.beta, self.gamma = beta, gamma

    def reward(self, log_prob, mask):
        kind = torch.promote_types(log_prob.dtype, torch.float32)
        return self.beta * log_prob.to(kind).masked_fill(~mask, 0).sum(1) / mask.sum(1).clamp(min=1)

    def loss(self, batch):
        masks = batch.chosen_mask, batch.rejected_mask
        loss, good, bad = Pairs.apply(batch.chosen_log_prob, batch.rejected_log_prob, *masks, self.beta, self.gamma)
        right = (good > bad).to(good.dtype)
        metrics = {"chosen_reward": good, "rejected_reward": bad, "margin": good - bad, "accuracy": right}
        return Loss(loss, {name: metric.mean() for name, metric in metrics.items()})
