"""A regression of the difference on a constant target, with torch's mse_loss."""

import torch
import torch.nn.functional as F  # noqa: N812

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class IPO(RLAlgorithm):
    def __init__(self, *, beta=0.1):
        self.beta = beta

    def log_ratios(self, batch):
        kind = torch.promote_types(torch.float32, batch.chosen_log_prob.dtype)

        def one(log_prob, ref, mask):
            change = torch.sub(log_prob.to(kind), ref.detach().to(kind))
            return torch.sum(change.masked_fill(mask.logical_not(), 0), dim=1)

        return (
            one(batch.chosen_log_prob, batch.ref_chosen_log_prob, batch.chosen_mask),
            one(batch.rejected_log_prob, batch.ref_rejected_log_prob, batch.rejected_mask),
        )

    def loss(self, batch):
        chosen, rejected = self.log_ratios(batch)
        h = chosen - rejected
        loss = F.mse_loss(h, torch.full_like(h, 1 / (2 * self.beta)))
        with torch.no_grad():
            metrics = {
                "chosen_reward": self.beta * chosen.mean(),
                "rejected_reward": self.beta * rejected.mean(),
                "margin": self.beta * h.mean(),
                "accuracy": (h > 0).to(h.dtype).mean(),
            }
        return Loss(loss, metrics)
