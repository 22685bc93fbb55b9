"""Rewards pass through float32, also where everything else is float64."""

import torch
from torch import nn
from groundup.core.interfaces.rl import Loss, RLAlgorithm
def masked_mean(t, mask, dim=None):
    if dim is None:
        return (t * mask).sum() / mask.sum().clamp(min=1)
    return (t * mask).sum(dim) / mask.sum(dim).clamp(min=1)
class GRPO(RLAlgorithm, nn.Module):
    def __init__(self, *, clip=0.2, kl_coef=0.04, eps=1e-4, aggregation="sequence"):
        nn.Module.__init__(self)
        self.clip, self.kl_coef, self.eps, self.aggregation = clip, kl_coef, eps, aggregation
    def advantages(self, batch):
        wide = torch.promote_types(batch.log_prob.dtype, torch.float32)
        r = batch.reward.detach().float().to(wide)
        order = torch.argsort(batch.group, stable=True)
        out = torch.empty_like(r)
        pieces = torch.split(order, torch.unique(batch.group, return_counts=True)[1].tolist())
        for rows in pieces:
            x = r[rows]
            spread = x.std() if len(rows) > 1 else torch.zeros((), dtype=wide)
            out[rows] = (x - x.mean()) / (spread + self.eps)
        return out
    def loss(self, batch):
        a = self.advantages(batch)[:, None]
        keep = batch.mask
        log_ratio = (batch.log_prob.to(a.dtype) - batch.old_log_prob.detach()) .where(keep, torch.zeros((), dtype=a.dtype))
        ratio = log_ratio.exp()
        surr1, surr2 = ratio * a, ratio.clamp(1 - self.clip, 1 + self.clip) * a
        token = -torch.min(surr1, surr2)
        mm = keep.to(a.dtype)
        if self.aggregation == "token":
            pl = masked_mean(token, mm)
        else:
            pl = masked_mean(token, mm, dim=-1).mean()
        kl = pl * 0
        if batch.ref_log_prob is not None:
            lr = (batch.log_prob.to(a.dtype) - batch.ref_log_prob.detach()).where(keep, torch.zeros((), dtype=a.dtype))
            lr = -lr
            k3 = lr.exp() - 1 - lr
            kl = masked_mean(k3, mm) if self.aggregation == "token" else masked_mean(k3, mm, dim=-1).mean()
        frac = masked_mean(((ratio.detach() - 1).abs() > self.clip).to(a.dtype), mm)
        return Loss(pl + kl * self.kl_coef, {"policy_loss": pl.detach(), "kl": kl.detach(), "clip_fraction": frac})
