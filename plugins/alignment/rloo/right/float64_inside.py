"""Everything in float64, rounded at the end."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class RLOO(RLAlgorithm):
    def __init__(self, *, clip=0.2, kl_coef=0.05):
        self.clip, self.kl_coef = clip, kl_coef

    def total(self, batch, tensor):
        return (tensor.double() * batch.mask).sum(1)

    def kl(self, batch):
        if batch.ref_log_prob is None:
            return torch.zeros(len(batch.mask), dtype=torch.float64)
        return self.total(batch, batch.old_log_prob.detach().double() - batch.ref_log_prob.detach())

    def earned(self, batch):
        return batch.reward.detach().double() - self.kl_coef * self.kl(batch)

    def score(self, batch):
        earned, names = self.earned(batch), batch.group
        other = (names[:, None] == names).double() - torch.eye(len(names), dtype=torch.float64)
        count = other.sum(1)
        return torch.where(count > 0, earned - other @ earned / count.clamp(min=1), 0)

    def rewards(self, batch):
        return self.earned(batch).to(torch.promote_types(batch.log_prob.dtype, torch.float32))

    def advantages(self, batch):
        return self.score(batch).to(torch.promote_types(batch.log_prob.dtype, torch.float32))

    def loss(self, batch):
        wide = torch.promote_types(batch.log_prob.dtype, torch.float32)
        score = self.score(batch)
        ratio = self.total(batch, batch.log_prob - batch.old_log_prob.detach().double()).exp()
        kept = ratio.clamp(1 - self.clip, 1 + self.clip)
        loss = torch.stack([-score * ratio, -score * kept]).amax(0).mean().to(wide)
        share = ((ratio - 1).abs() > self.clip).to(wide).mean()
        return Loss(loss, {"policy_loss": loss.detach(), "kl": self.kl(batch).mean().to(wide), "clip_fraction": share})
