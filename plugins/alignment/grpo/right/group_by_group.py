"""One group and one answer after the other, with scalars."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class GRPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, kl_coef=0.04, eps=1e-4, aggregation="sequence"):
        self.clip, self.kl_coef, self.eps, self.aggregation = clip, kl_coef, eps, aggregation

    def advantages(self, batch):
        wide = torch.promote_types(batch.log_prob.dtype, torch.float32)
        reward = batch.reward.detach().to(wide)
        found = torch.zeros_like(reward)
        for number in set(batch.group.tolist()):
            own = batch.group == number
            if int(own.sum()) > 1:
                found[own] = (reward[own] - reward[own].mean()) / (reward[own].std() + self.eps)
        return found

    def loss(self, batch):
        scores = self.advantages(batch)
        sums, counts, outside = [], [], 0
        for b in range(len(scores)):
            real = batch.mask[b]
            now = batch.log_prob[b][real].to(scores.dtype)
            ratio = (now - batch.old_log_prob[b][real].detach()).exp()
            kept = ratio.clamp(1 - self.clip, 1 + self.clip)
            policy = -torch.minimum(scores[b] * ratio, scores[b] * kept)
            kl = torch.zeros_like(policy)
            if batch.ref_log_prob is not None:
                gap = now - batch.ref_log_prob[b][real].detach()
                kl = torch.exp(-gap) + gap - 1
            sums.append(torch.stack([policy.sum(), kl.sum()]))
            counts.append(int(real.sum()))
            outside += int(((ratio - 1).abs() > self.clip).sum())
        if self.aggregation == "token":
            policy_loss, mean_kl = torch.stack(sums).sum(0) / max(sum(counts), 1)
        else:
            rows = [total / max(count, 1) for total, count in zip(sums, counts, strict=True)]
            policy_loss, mean_kl = torch.stack(rows).mean(0)
        share = torch.tensor(outside / max(sum(counts), 1), dtype=scores.dtype)
        metrics = {"policy_loss": policy_loss.detach(), "kl": mean_kl.detach(), "clip_fraction": share}
        return Loss(policy_loss + self.kl_coef * mean_kl, metrics)
