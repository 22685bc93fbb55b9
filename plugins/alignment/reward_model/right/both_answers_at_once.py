"""Chosen and rejected answers as one batch of 2B rows of one width, taken apart again at the end."""

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
        columns = torch.arange(mask.shape[1], dtype=torch.int32)
        last = (columns * mask.to(torch.int32)).argmax(-1)
        pooled = reward[torch.arange(len(mask)), last]
        return torch.where(mask.any(1), pooled, torch.zeros_like(pooled))

    def loss(self, batch):
        sides = [batch.chosen_reward, batch.rejected_reward]
        if batch.chosen_mask is None or batch.rejected_mask is None:
            pairs = [self.score(side, mask) for side, mask in zip(sides, (batch.chosen_mask, batch.rejected_mask))]
            scores = torch.cat(pairs)
        else:
            masks = [batch.chosen_mask, batch.rejected_mask]
            width = max(side.shape[1] for side in sides)
            sides = torch.cat([functional.pad(side, (width - side.shape[1], 0)) for side in sides])
            masks = torch.cat([functional.pad(mask, (width - mask.shape[1], 0), value=False) for mask in masks])
            scores = self.score(sides, masks)
        chosen, rejected = torch.chunk(scores, 2)
        lead = chosen - rejected
        if batch.margin is not None:
            lead = lead - batch.margin
        loss = -functional.logsigmoid(lead).mean()
        if self.center_coef != 0:
            loss = loss + self.center_coef * torch.mean((chosen + rejected) ** 2)
        with torch.no_grad():
            metrics = {
                "accuracy": (chosen > rejected).to(scores.dtype).mean(),
                "margin": (chosen - rejected).mean(),
                "mean_reward": scores.mean(),
            }
        return Loss(loss, metrics)
