"""Everything in float64, rounded at the end; real tokens are selected, not masked."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class DrGRPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, max_tokens=3000):
        self.clip, self.max_tokens = clip, max_tokens

    def score(self, batch):
        reward = batch.reward.detach().double()
        same = (batch.group[:, None] == batch.group).double()
        return reward - same @ reward / same.sum(1)

    def advantages(self, batch):
        return self.score(batch).to(torch.promote_types(batch.log_prob.dtype, torch.float32))

    def loss(self, batch):
        wide = torch.promote_types(batch.log_prob.dtype, torch.float32)
        rows, _ = batch.mask.nonzero(as_tuple=True)
        score = self.score(batch)[rows]
        ratio = (batch.log_prob[batch.mask].double() - batch.old_log_prob[batch.mask].detach()).exp()
        worse = torch.stack([-score * ratio, -score * ratio.clamp(1 - self.clip, 1 + self.clip)]).amax(0)
        loss = (worse.sum() / (len(batch.mask) * self.max_tokens)).to(wide)
        share = (((ratio - 1).abs() > self.clip).double().sum() / max(len(rows), 1)).to(wide)
        return Loss(loss, {"policy_loss": loss.detach(), "kl": torch.zeros_like(share), "clip_fraction": share})
