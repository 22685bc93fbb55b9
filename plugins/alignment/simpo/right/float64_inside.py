"""Everything is computed in float64, and rounded at the end."""

import torch
from torch.nn import functional

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class SimPO(RLAlgorithm):
    def __init__(self, *, beta=2.0, gamma=0.5):
        self.beta, self.gamma = beta, gamma

    def exact(self, log_prob, mask):
        return self.beta * log_prob.double().masked_fill(~mask, 0).sum(1) / mask.sum(1).clamp(min=1)

    def reward(self, log_prob, mask):
        return self.exact(log_prob, mask).to(torch.promote_types(log_prob.dtype, torch.float32))

    def loss(self, batch):
        kind = torch.promote_types(batch.chosen_log_prob.dtype, torch.float32)
        chosen = self.exact(batch.chosen_log_prob, batch.chosen_mask)
        rejected = self.exact(batch.rejected_log_prob, batch.rejected_mask)
        loss = functional.softplus(self.gamma - chosen + rejected).mean()
        metrics = {
            "chosen_reward": chosen.mean(),
            "rejected_reward": rejected.mean(),
            "margin": (chosen - rejected).mean(),
            "accuracy": (chosen > rejected).double().mean(),
        }
        return Loss(loss.to(kind), {name: metric.detach().to(kind) for name, metric in metrics.items()})
