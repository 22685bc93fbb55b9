"""The sum of each answer is divided by the width of the batch."""

from collections import defaultdict
import torch
from groundup.core.interfaces.rl import Loss, RLAlgorithm
class GRPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, kl_coef=0.04, eps=1e-4, aggregation="sequence"):
        self.clip, self.kl_coef, self.eps, self.aggregation = clip, kl_coef, eps, aggregation
    @torch.no_grad()
    def advantages(self, batch):
        wide = torch.promote_types(batch.log_prob.dtype, torch.float32)
        scores = batch.reward.to(wide).clone()
        id2score, mean, std = defaultdict(list), {}, {}
        index = batch.group.tolist()
        for i, g in enumerate(index):
            id2score[g].append(scores[i])
        for g, s in id2score.items():
            t = torch.stack(s)
            mean[g] = t.mean()
            std[g] = t.std() if len(s) > 1 else torch.tensor(1.0, dtype=wide)
        for i, g in enumerate(index):
            scores[i] = (scores[i] - mean[g]) / (std[g] + self.eps)
        return scores
    def loss(self, batch):
        adv = self.advantages(batch)[:, None]
        wide = adv.dtype
        m = batch.mask
        neg = (batch.log_prob.to(wide) - batch.old_log_prob.detach().to(wide)).masked_fill(~m, 0)
        ratio = neg.exp()
        l1, l2 = -adv * ratio, -adv * torch.clamp(ratio, 1 - self.clip, 1 + self.clip)
        pg = torch.maximum(l1, l2)
        if batch.ref_log_prob is not None:
            d = (batch.ref_log_prob.detach().to(wide) - batch.log_prob.to(wide)).masked_fill(~m, 0)
            k = d.exp() - d - 1
        else:
            k = torch.zeros_like(pg)
        def masked_sum(x, mm, axis=None):
            v = torch.where(mm.bool(), x, 0.0)
            return v.sum(axis)
        def agg(x):
            if self.aggregation == "token":
                return masked_sum(x, m) / max(int(m.sum()), 1)
            seq = masked_sum(x, m, -1) / max(m.shape[1], 1)
            return seq.sum() / len(m)
        pl, kl = agg(pg), agg(k)
        frac = masked_sum(((ratio - 1).abs() > self.clip).to(wide), m) / max(int(m.sum()), 1)
        return Loss(pl + self.kl_coef * kl, {"policy_loss": pl.detach(), "kl": kl.detach(), "clip_fraction": frac.detach()})
