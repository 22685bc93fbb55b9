"""All in float64, rounded once at the end."""

import torch
from torch.nn import functional

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class BradleyTerry(RLAlgorithm):
    def __init__(self, *, center_coef=0.0):
        self.center_coef = center_coef

    def _exact(self, reward, mask):
        if mask is None:
            return reward.double()
        numbered = mask * torch.arange(1, mask.shape[1] + 1)
        last = numbered.max(1).values
        padded = functional.pad(reward.double(), (1, 0))  # column 0 is the score of an answer without tokens
        return padded[torch.arange(len(mask)), last]

    def score(self, reward, mask):
        kind = reward.dtype if reward.dtype == torch.float64 else torch.float32
        return self._exact(reward, mask).to(kind)

    def loss(self, batch):
        kind = torch.promote_types(batch.chosen_reward.dtype, torch.float32)
        chosen = self._exact(batch.chosen_reward, batch.chosen_mask)
        rejected = self._exact(batch.rejected_reward, batch.rejected_mask)
        lead = chosen - rejected
        loss = -functional.logsigmoid(lead if batch.margin is None else lead - batch.margin.double()).mean()
        loss = loss + self.center_coef * (chosen + rejected).pow(2).mean()
        metrics = {
            "accuracy": (lead > 0).double().mean(),
            "margin": lead.mean(),
            "mean_reward": torch.stack([chosen, rejected]).mean(),
        }
        return Loss(loss.to(kind), {name: metric.detach().to(kind) for name, metric in metrics.items()})
