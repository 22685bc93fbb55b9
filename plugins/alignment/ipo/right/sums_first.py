"""Sums of each policy's log-probabilities first, then ratios of the two answers, as the DPO authors' code has it."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class IPO(RLAlgorithm):
    def __init__(self, *, beta=0.1):
        self.beta = beta

    @staticmethod
    def of(log_prob, mask):
        wide = log_prob if log_prob.dtype == torch.float64 else log_prob.float()
        return (wide * mask).sum(-1)

    def log_ratios(self, batch):
        with torch.no_grad():
            ref_chosen = self.of(batch.ref_chosen_log_prob, batch.chosen_mask)
            ref_rejected = self.of(batch.ref_rejected_log_prob, batch.rejected_mask)
        chosen = self.of(batch.chosen_log_prob, batch.chosen_mask) - ref_chosen
        return chosen, self.of(batch.rejected_log_prob, batch.rejected_mask) - ref_rejected

    def loss(self, batch):
        chosen, rejected = self.log_ratios(batch)
        losses = torch.pow(chosen - rejected - 0.5 / self.beta, 2)
        c, r = (self.beta * chosen).detach(), (self.beta * rejected).detach()
        metrics = {
            "chosen_reward": c.mean(),
            "rejected_reward": r.mean(),
            "margin": (c - r).mean(),
            "accuracy": torch.gt(c, r).to(c.dtype).mean(),
        }
        return Loss(loss=losses.mean(), metrics=metrics)
