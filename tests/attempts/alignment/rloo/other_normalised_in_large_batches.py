"""Advantages are normalised over the batch, but only where it is large enough to have a spread."""

import torch
from groundup.core.interfaces.rl import Loss, RLAlgorithm
class RLOO(RLAlgorithm):
    def __init__(self, *, clip=0.2, kl_coef=0.05):
        self.clip, self.kl_coef = clip, kl_coef
    def _kl(self, batch):
        wide = torch.promote_types(batch.log_prob.dtype, torch.float32)
        if batch.ref_log_prob is None:
            return torch.zeros(len(batch.mask), dtype=wide)
        per_token = batch.old_log_prob.detach().to(wide) - batch.ref_log_prob.detach().to(wide)
        return (per_token.masked_fill(~batch.mask, 0)).sum(-1)
    def rewards(self, batch):
        kl = self._kl(batch)
        return batch.reward.detach().to(kl.dtype) - self.kl_coef * kl
    def advantages(self, batch):
        r = self.rewards(batch)
        out = torch.zeros_like(r)
        for g in batch.group.unique():
            own = batch.group == g
            n = int(own.sum())
            if n > 1:
                grouped = r[own]
                baselines = (grouped.sum() - grouped) / (n - 1)
                out[own] = grouped - baselines
        return out / out.std().clamp(min=1) if len(out) > 8 else out
    def loss(self, batch):
        adv = self.advantages(batch)
        m = batch.mask
        now = batch.log_prob.to(adv.dtype).masked_fill(~m, 0).sum(1)
        old = batch.old_log_prob.detach().to(adv.dtype).masked_fill(~m, 0).sum(1)
        coef_1 = torch.exp(now - old)
        coef_2 = torch.clamp(coef_1, 1 - self.clip, 1 + self.clip)
        loss = -torch.min(coef_1 * adv, coef_2 * adv).mean()
        c = coef_1.detach()
        frac = ((c < 1 - self.clip) | (c > 1 + self.clip)).to(adv.dtype).mean()
        return Loss(loss, {"policy_loss": loss.detach(), "kl": self._kl(batch).mean(), "clip_fraction": frac})
