"""One answer after the other, with its real tokens alone."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class DrGRPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, max_tokens=3000):
        self.clip, self.max_tokens = clip, max_tokens

    def advantages(self, batch):
        reward = batch.reward.detach().to(torch.promote_types(batch.log_prob.dtype, torch.float32))
        names = batch.group.tolist()
        means = {name: reward[batch.group == name].mean() for name in set(names)}
        return reward - torch.stack([means[name] for name in names])

    def loss(self, batch):
        scores = self.advantages(batch)
        total, outside = 0 * batch.log_prob.to(scores.dtype).sum(), 0
        for score, now, old, real in zip(scores, batch.log_prob, batch.old_log_prob.detach(), batch.mask, strict=True):
            ratio = (now[real].to(scores.dtype) - old[real].to(scores.dtype)).exp()
            total = total - torch.minimum(score * ratio, score * ratio.clamp(1 - self.clip, 1 + self.clip)).sum()
            outside += int(((ratio - 1).abs() > self.clip).sum())
        loss = total / len(scores) / self.max_tokens
        share = torch.tensor(outside / max(int(batch.mask.sum()), 1), dtype=scores.dtype)
        return Loss(loss, {"policy_loss": loss.detach(), "kl": torch.zeros_like(share), "clip_fraction": share})
