"""The slope of the log-odds, 1 / (1 - P), is written out (eq. 10 of the paper)."""

import torch
from torch.nn.functional import logsigmoid

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class LogOdds(torch.autograd.Function):
    @staticmethod
    def forward(ctx, mean):
        x = mean.clamp(max=-1e-12)
        rest = -torch.expm1(x)
        ctx.save_for_backward(torch.where(mean > -1e-12, 0, 1 / rest))
        return x - rest.log()

    @staticmethod
    def backward(ctx, grad):
        (slope,) = ctx.saved_tensors
        return grad * slope


class ORPO(RLAlgorithm):
    def __init__(self, *, lam=0.1):
        self.lam = lam

    def mean_log_prob(self, log_prob, mask):
        wide = log_prob.to(torch.promote_types(log_prob.dtype, torch.float32))
        weight = mask.to(wide.dtype) / mask.sum(1, keepdim=True).clamp(min=1)
        return torch.einsum("bn,bn->b", wide.masked_fill(~mask, 0), weight)

    def log_odds(self, mean_log_prob):
        return LogOdds.apply(mean_log_prob)

    def loss(self, batch):
        chosen = self.mean_log_prob(batch.chosen_log_prob, batch.chosen_mask)
        rejected = self.mean_log_prob(batch.rejected_log_prob, batch.rejected_mask)
        good, bad = self.log_odds(chosen), self.log_odds(rejected)
        losses = -chosen - self.lam * logsigmoid(good - bad)
        metrics = {
            "sft_loss": -chosen,
            "odds_ratio_loss": -logsigmoid(good - bad),
            "chosen_reward": good,
            "rejected_reward": bad,
            "margin": good - bad,
            "accuracy": (good > bad).to(good.dtype),
        }
        return Loss(losses.mean(), {name: metric.detach().mean() for name, metric in metrics.items()})
