"""numpy looks for the last real column; torch reads the score there."""

import numpy as np
import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class BradleyTerry(RLAlgorithm):
    def __init__(self, *, center_coef=0.0):
        self.center_coef = center_coef

    def score(self, reward, mask):
        reward = reward.to(torch.promote_types(reward.dtype, torch.float32))
        if mask is None:
            return reward
        real = mask.numpy()
        last = np.array([np.flatnonzero(row)[-1] if row.any() else 0 for row in real])
        picked = torch.take_along_dim(reward, torch.from_numpy(last)[:, None], dim=1)[:, 0]
        return torch.where(torch.from_numpy(real.any(axis=1)), picked, 0.0)

    def loss(self, batch):
        chosen = self.score(batch.chosen_reward, batch.chosen_mask)
        rejected = self.score(batch.rejected_reward, batch.rejected_mask)
        asked = 0 if batch.margin is None else batch.margin
        loss = torch.logaddexp(torch.zeros_like(chosen), asked + rejected - chosen).mean()
        if self.center_coef > 0:
            loss = loss + self.center_coef * (chosen + rejected).pow(2).mean()
        one, other = chosen.detach().numpy(), rejected.detach().numpy()
        numbers = {"accuracy": np.mean(one > other), "margin": np.mean(one - other), "mean_reward": np.mean([one, other])}
        return Loss(loss, {name: torch.tensor(float(n), dtype=chosen.dtype) for name, n in numbers.items()})
