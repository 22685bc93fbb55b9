"""The value as an autograd function, with the slope of the sigmoid written out."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class Shortfall(torch.autograd.Function):
    @staticmethod
    def forward(ctx, advance, weight):
        s = torch.sigmoid(-advance)
        ctx.save_for_backward(s, weight)
        return (weight * s).mean()

    @staticmethod
    def backward(ctx, grad):
        s, weight = ctx.saved_tensors
        return -grad * weight * s * (1 - s) / len(s), None


class KTO(RLAlgorithm):
    def __init__(self, *, beta=0.1, desirable_weight=1.0, undesirable_weight=1.0):
        self.beta = beta
        self.desirable_weight = desirable_weight
        self.undesirable_weight = undesirable_weight

    def log_ratios(self, log_prob, ref_log_prob, mask):
        up = torch.promote_types(log_prob.dtype, torch.float32)
        zero = torch.zeros((), dtype=up)
        return torch.where(mask, log_prob.to(up), zero).sum(1) - torch.where(
            mask, ref_log_prob.detach().to(up), zero
        ).sum(1)

    def reference_point(self, batch):
        kl = self.log_ratios(batch.mismatched_log_prob, batch.mismatched_ref_log_prob, batch.mismatched_mask)
        return torch.maximum(kl.detach().sum() / len(kl), torch.zeros((), dtype=kl.dtype))

    def loss(self, batch):
        ratios, kl = self.log_ratios(batch.log_prob, batch.ref_log_prob, batch.mask), self.reference_point(batch)
        good = batch.desirable
        away = self.beta * (ratios - kl)
        weight = torch.full_like(away, self.undesirable_weight).masked_fill(good, self.desirable_weight).detach()
        loss = Shortfall.apply(torch.where(good, away, -away), weight)
        rewards = [
            self.beta * ratios.detach().masked_fill(~kind, 0).sum() / max(int(kind.sum()), 1) for kind in (good, ~good)
        ]
        return Loss(loss, {"desirable_reward": rewards[0], "undesirable_reward": rewards[1], "kl": kl})
