"""Everything in float64, rounded at the end; real tokens are selected, not masked."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class GRPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, kl_coef=0.04, eps=1e-4, aggregation="sequence"):
        self.clip, self.kl_coef, self.eps, self.aggregation = clip, kl_coef, eps, aggregation

    def scores(self, batch):
        reward = batch.reward.detach().double()
        same = (batch.group[:, None] == batch.group).double()
        size = same.sum(1)
        away = reward - same @ reward / size
        return away / ((same @ away**2 / (size - 1).clamp(min=1)).sqrt() + self.eps)

    def advantages(self, batch):
        return self.scores(batch).to(torch.promote_types(batch.log_prob.dtype, torch.float32))

    def loss(self, batch):
        wide = torch.promote_types(batch.log_prob.dtype, torch.float32)
        rows, _ = batch.mask.nonzero(as_tuple=True)
        lengths = batch.mask.sum(1)
        by_token = self.aggregation == "token"
        weight = 1 / (lengths.sum() if by_token else lengths[rows] * len(lengths)).double()
        now, score = batch.log_prob[batch.mask].double(), self.scores(batch)[rows]
        ratio = (now - batch.old_log_prob[batch.mask].detach()).exp()
        worse = torch.stack([-score * ratio, -score * ratio.clamp(1 - self.clip, 1 + self.clip)]).amax(0)
        policy_loss = (weight * worse).sum()
        kl = 0 * policy_loss
        if batch.ref_log_prob is not None:
            away = batch.ref_log_prob[batch.mask].detach() - now
            kl = (weight * (away.exp() - away - 1)).sum()
        share = ((ratio - 1).abs() > self.clip).double().sum() / max(len(rows), 1)
        metrics = {"policy_loss": policy_loss, "kl": kl, "clip_fraction": share}
        loss = (policy_loss + self.kl_coef * kl).to(wide)
        return Loss(loss, {name: value.detach().to(wide) for name, value in metrics.items()})
