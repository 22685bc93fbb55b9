"""As trainers do it: chosen and rejected answers are padded to one width and stacked."""

import torch
from torch.nn import functional

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class SimPO(RLAlgorithm):
    def __init__(self, *, beta=2.0, gamma=0.5):
        self.beta, self.gamma = beta, gamma

    def reward(self, log_prob, mask):
        if log_prob.dtype in (torch.bfloat16, torch.float16):
            log_prob = log_prob.float()
        return torch.where(mask, log_prob, 0).sum(-1).div(mask.sum(-1).clamp_min(1)).mul(self.beta)

    def loss(self, batch):
        width = max(batch.chosen_mask.shape[1], batch.rejected_mask.shape[1])

        def stacked(first, second):
            sides = [functional.pad(side, (0, width - side.shape[1])) for side in (first, second)]
            return torch.cat(sides)

        rewards = self.reward(
            stacked(batch.chosen_log_prob, batch.rejected_log_prob), stacked(batch.chosen_mask, batch.rejected_mask)
        )
        chosen, rejected = rewards.chunk(2)
        logits = (chosen - rejected) / self.beta - self.gamma / self.beta
        losses = -functional.logsigmoid(self.beta * logits)
        with torch.no_grad():
            metrics = {
                "chosen_reward": chosen.mean(),
                "rejected_reward": rejected.mean(),
                "margin": (chosen - rejected).mean(),
                "accuracy": (chosen > rejected).to(chosen.dtype).mean(),
            }
        return Loss(losses.mean(), {name: metric.detach() for name, metric in metrics.items()})
