"""Advantages are held within 2, against outliers: a rare success in a large group loses most of its weight."""

import torch
from groundup.core.interfaces.rl import Loss, RLAlgorithm
class GRPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, kl_coef=0.04, eps=1e-4, aggregation="sequence"):
        self.clip, self.kl_coef, self.eps, self.aggregation = clip, kl_coef, eps, aggregation
    def advantages(self, batch):
        wide = torch.promote_types(batch.log_prob.dtype, torch.float32)
        rewards = batch.reward.detach().to(wide)
        names, inverse, counts = batch.group.unique(return_inverse=True, return_counts=True)
        mean = torch.zeros(len(names), dtype=wide).index_add(0, inverse, rewards) / counts
        out = rewards - mean[inverse]
        std = torch.zeros(len(names), dtype=wide).index_add(0, inverse, out**2).div((counts - 1).clamp(min=1)).sqrt()
        return (out / (std[inverse] + self.eps)).clamp(-2, 2)
    def loss(self, batch):
        advantages = self.advantages(batch).unsqueeze(1)
        wide = advantages.dtype
        mask = batch.mask.to(wide)
        lp = torch.where(batch.mask, batch.log_prob, 0.0).to(wide)
        old = torch.where(batch.mask, batch.old_log_prob.detach(), 0.0).to(wide)
        coef_1 = torch.exp(lp - old)
        coef_2 = torch.clamp(coef_1, 1 - self.clip, 1 + self.clip)
        per_token_loss = -torch.min(coef_1 * advantages, coef_2 * advantages)
        kl = torch.zeros_like(lp)
        if batch.ref_log_prob is not None:
            ref = torch.where(batch.mask, batch.ref_log_prob.detach(), 0.0).to(wide)
            kl = torch.exp(ref - lp) - (ref - lp) - 1
        def agg(x):
            if self.aggregation == "sequence":
                return ((x * mask).sum(-1) / mask.sum(-1).clamp(min=1.0)).mean()
            return (x * mask).sum() / mask.sum().clamp(min=1.0)
        pl, k = agg(per_token_loss), agg(kl)
        total = agg(per_token_loss + self.kl_coef * kl)
        low, high = coef_1 < 1 - self.clip, coef_1 > 1 + self.clip
        cf = (((low | high).to(wide)) * mask).sum() / mask.sum().clamp(min=1)
        return Loss(total, {"policy_loss": pl.detach(), "kl": k.detach(), "clip_fraction": cf})
