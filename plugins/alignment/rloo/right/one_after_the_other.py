"""One answer after the other, with lists of the others."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class RLOO(RLAlgorithm):
    def __init__(self, *, clip=0.2, kl_coef=0.05):
        self.clip, self.kl_coef = clip, kl_coef

    def distances(self, batch):
        wide = torch.promote_types(batch.log_prob.dtype, torch.float32)
        zero = torch.zeros((), dtype=wide)
        if batch.ref_log_prob is None:
            return [zero] * len(batch.mask)
        rows = zip(batch.old_log_prob.detach().to(wide), batch.ref_log_prob.detach().to(wide), batch.mask, strict=True)
        return [(old[real] - ref[real]).sum() for old, ref, real in rows]

    def rewards(self, batch):
        paid = torch.stack(self.distances(batch))
        return batch.reward.detach().to(paid.dtype) - self.kl_coef * paid

    def advantages(self, batch):
        earned, names = self.rewards(batch), batch.group.tolist()
        found = []
        for i, name in enumerate(names):
            others = [earned[j] for j, other in enumerate(names) if other == name and j != i]
            found.append(earned[i] - sum(others) / len(others) if others else 0 * earned[i])
        return torch.stack(found)

    def loss(self, batch):
        scores = self.advantages(batch)
        costs, outside = [], 0
        for score, now, old, real in zip(scores, batch.log_prob, batch.old_log_prob.detach(), batch.mask, strict=True):
            ratio = (now[real].to(scores.dtype) - old[real].to(scores.dtype)).sum().exp()
            costs.append(-min(score * ratio, score * ratio.clamp(1 - self.clip, 1 + self.clip)))
            outside += int(abs(float(ratio) - 1) > self.clip)
        loss = torch.stack(costs).mean()
        share = torch.tensor(outside / len(costs), dtype=scores.dtype)
        kl = torch.stack(self.distances(batch)).mean()
        return Loss(loss, {"policy_loss": loss.detach(), "kl": kl, "clip_fraction": share})
