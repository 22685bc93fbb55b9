"""The mask as numbers: weights of a mean, contracted with einsum."""

import torch
from torch.nn import functional

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class SimPO(RLAlgorithm):
    def __init__(self, *, beta=2.0, gamma=0.5):
        self.beta, self.gamma = beta, gamma

    def reward(self, log_prob, mask):
        wide = log_prob if log_prob.dtype in (torch.float32, torch.float64) else log_prob.float()
        weight = mask.to(wide.dtype)
        weight = weight / torch.maximum(weight.sum(-1, keepdim=True), torch.ones_like(weight[:, :1].sum(-1, keepdim=True)))
        return self.beta * torch.einsum("bn,bn->b", wide.masked_fill(~mask, 0), weight)

    def loss(self, batch):
        chosen = self.reward(batch.chosen_log_prob, batch.chosen_mask)
        rejected = self.reward(batch.rejected_log_prob, batch.rejected_mask)
        zero = torch.zeros_like(chosen)
        loss = torch.logaddexp(zero, self.gamma - (chosen - rejected)).mean()
        margin = (chosen - rejected).detach()
        metrics = {
            "chosen_reward": chosen.detach().mean(),
            "rejected_reward": rejected.detach().mean(),
            "margin": margin.mean(),
            "accuracy": (margin > 0).to(margin.dtype).mean(),
        }
        return Loss(loss, metrics)
