"""Groups by index_add, one weight for each token, and a single weighted sum."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class GRPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, kl_coef=0.04, eps=1e-4, aggregation="sequence"):
        self.clip, self.kl_coef, self.eps, self.aggregation = clip, kl_coef, eps, aggregation

    def advantages(self, batch):
        reward = batch.reward.detach()
        reward = reward.to(torch.promote_types(batch.log_prob.dtype, torch.float32))
        _, index, size = torch.unique(batch.group, return_inverse=True, return_counts=True)
        zeros = torch.zeros(len(size), dtype=reward.dtype)
        away = reward - (zeros.index_add(0, index, reward) / size)[index]
        std = (zeros.index_add(0, index, away**2) / (size - 1).clamp(min=1)).sqrt()
        return away / (std[index] + self.eps)

    def loss(self, batch):
        score = self.advantages(batch)
        real = batch.mask.to(score.dtype)
        if self.aggregation == "token":
            weight = real / real.sum().clamp(min=1)
        else:
            weight = real / real.sum(1, keepdim=True).clamp(min=1) / len(real)
        gap = (batch.log_prob.to(score.dtype) - batch.old_log_prob.detach()).masked_fill(~batch.mask, 0)
        ratio = gap.exp()
        low, high = 1 - self.clip, 1 + self.clip
        good = score[:, None] > 0
        policy = -score[:, None] * torch.where(good, ratio.clamp(max=high), ratio.clamp(min=low))
        kl = torch.zeros_like(policy)
        if batch.ref_log_prob is not None:
            away = (batch.ref_log_prob.detach() - batch.log_prob.to(score.dtype)).masked_fill(~batch.mask, 0)
            kl = torch.expm1(away) - away
        sums = {"policy_loss": (weight * policy).sum(), "kl": (weight * kl).sum()}
        outside = ((ratio < low) | (ratio > high)) & batch.mask
        metrics = {name: value.detach() for name, value in sums.items()}
        metrics["clip_fraction"] = outside.sum().to(score.dtype) / real.sum().clamp(min=1)
        return Loss(sums["policy_loss"] + self.kl_coef * sums["kl"], metrics)
