"""The log-ratio of each token is held within 10, as OpenRLHF does for its estimate of the distance."""

from collections import defaultdict
import torch
from groundup.core.interfaces.rl import Loss, RLAlgorithm
class RLOO(RLAlgorithm):
    def __init__(self, *, clip=0.2, kl_coef=0.05):
        self.clip, self.kl_coef = clip, kl_coef
    def rewards(self, batch):
        with torch.no_grad():
            wide = torch.promote_types(batch.log_prob.dtype, torch.float32)
            r = batch.reward.to(wide).clone()
            if batch.ref_log_prob is not None:
                gap = torch.where(batch.mask, batch.old_log_prob.to(wide) - batch.ref_log_prob.to(wide), torch.zeros((), dtype=wide))
                r -= self.kl_coef * gap.clamp(-10, 10).sum(1)
            return r
    def advantages(self, batch):
        scores = self.rewards(batch).clone()
        index, id2 = batch.group.tolist(), defaultdict(list)
        for i, g in enumerate(index): id2[g].append(scores[i])
        mean = {g: torch.stack(v).mean() for g, v in id2.items()}
        res = []
        for i, g in enumerate(index):
            n = len(id2[g])
            res.append(scores[i] * n / (n - 1) - mean[g] * n / (n - 1) if n > 1 else torch.zeros_like(scores[i]))
        return torch.stack(res)
    def loss(self, batch):
        adv = self.advantages(batch)
        d = torch.where(batch.mask, batch.log_prob.to(adv.dtype) - batch.old_log_prob.detach().to(adv.dtype), 0.0)
        ratio = torch.exp(torch.einsum("bt->b", d))
        pg = torch.maximum(-adv * ratio, -adv * torch.clamp(ratio, 1 - self.clip, 1 + self.clip))
        loss = pg.sum() / len(pg)
        kl = torch.zeros((), dtype=adv.dtype)
        if batch.ref_log_prob is not None:
            kl = torch.where(batch.mask, batch.old_log_prob.detach().to(adv.dtype) - batch.ref_log_prob.detach().to(adv.dtype), 0.0).sum() / len(pg)
        frac = torch.gt((ratio - 1).abs(), self.clip).to(adv.dtype).mean()
        return Loss(loss, {"policy_loss": loss.detach(), "kl": kl, "clip_fraction": frac.detach()})
