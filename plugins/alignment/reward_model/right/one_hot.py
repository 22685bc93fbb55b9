"""The last real token is the one with no real token behind it; einsum picks its score."""

import torch
from torch.nn import functional

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class BradleyTerry(RLAlgorithm):
    def __init__(self, *, center_coef=0.0):
        self.center_coef = center_coef

    def score(self, reward, mask):
        reward = reward.to(torch.promote_types(reward.dtype, torch.float32))
        if mask is None:
            return reward
        behind = mask.flip(1).cumsum(1).flip(1)
        only = (mask & (behind == 1)).to(reward.dtype)
        return torch.einsum("bt,bt->b", reward, only)

    def loss(self, batch):
        chosen = self.score(batch.chosen_reward, batch.chosen_mask)
        rejected = self.score(batch.rejected_reward, batch.rejected_mask)
        lead = chosen - rejected if batch.margin is None else chosen - rejected - batch.margin
        loss = functional.binary_cross_entropy_with_logits(lead, torch.ones_like(lead))
        if self.center_coef:
            loss = loss + self.center_coef * torch.einsum("b,b->", chosen + rejected, chosen + rejected) / len(chosen)
        with torch.no_grad():
            metrics = {
                "accuracy": torch.gt(chosen, rejected).to(chosen.dtype).mean(),
                "margin": chosen.mean() - rejected.mean(),
                "mean_reward": (chosen.mean() + rejected.mean()) / 2,
            }
        return Loss(loss, metrics)
