"""log(1 - exp(x)) in two branches, with an argument for each that is harmless where the other is used."""

import math

import torch
from torch.nn.functional import logsigmoid

from groundup.core.interfaces.rl import Loss, RLAlgorithm


def log1mexp(x):
    near = x > -math.log(2)
    low = torch.where(near, -1.0, x)
    high = torch.where(near, x, -0.5)
    return torch.where(near, (-torch.expm1(high)).log(), torch.log1p(-low.exp()))


class ORPO(RLAlgorithm):
    def __init__(self, *, lam=0.1):
        self.lam = lam

    def mean_log_prob(self, log_prob, mask):
        if log_prob.dtype not in (torch.float32, torch.float64):
            log_prob = log_prob.float()
        return log_prob.masked_fill(~mask, 0).sum(-1) / torch.clamp(mask.sum(-1), 1)

    def log_odds(self, mean_log_prob):
        x = torch.minimum(mean_log_prob, torch.full_like(mean_log_prob, -1e-12))
        return x - log1mexp(x)

    def loss(self, batch):
        chosen = self.mean_log_prob(batch.chosen_log_prob, batch.chosen_mask)
        rejected = self.mean_log_prob(batch.rejected_log_prob, batch.rejected_mask)
        odds = self.log_odds(torch.cat([chosen, rejected])).chunk(2)
        ratio = odds[0] - odds[1]
        sft, preference = -chosen.mean(), -logsigmoid(ratio).mean()
        metrics = {
            "sft_loss": sft,
            "odds_ratio_loss": preference,
            "chosen_reward": odds[0].mean(),
            "rejected_reward": odds[1].mean(),
            "margin": ratio.mean(),
            "accuracy": (ratio > 0).to(ratio.dtype).mean(),
        }
        return Loss(sft + self.lam * preference, {name: metric.detach() for name, metric in metrics.items()})
