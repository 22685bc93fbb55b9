"""One token after the other, each with scalars of its own."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.clip, self.value_clip = clip, value_clip
        self.value_coef, self.entropy_coef, self.kl_coef = value_coef, entropy_coef, kl_coef

    def loss(self, batch):
        rows, columns = batch.mask.shape
        real = [(b, t) for b in range(rows) for t in range(columns) if batch.mask[b, t]]
        nothing = (batch.log_prob.sum() + batch.value.sum() + batch.entropy.sum()) * 0
        sums = dict.fromkeys(("policy_loss", "value_loss", "entropy", "kl", "clip_fraction"), nothing)
        for at in real:
            ratio = (batch.log_prob[at] - batch.old_log_prob[at]).exp()
            a = batch.advantage[at]
            sums["policy_loss"] = sums["policy_loss"] - min(a * ratio, a * ratio.clamp(1 - self.clip, 1 + self.clip))
            error = (batch.value[at] - batch.returns[at]) ** 2
            if self.value_clip is not None:
                low, high = batch.old_value[at] - self.value_clip, batch.old_value[at] + self.value_clip
                error = max(error, (torch.clamp(batch.value[at], low, high) - batch.returns[at]) ** 2)
            sums["value_loss"] = sums["value_loss"] + error / 2
            sums["entropy"] = sums["entropy"] + batch.entropy[at]
            if batch.ref_log_prob is not None:
                gap = batch.log_prob[at] - batch.ref_log_prob[at]
                sums["kl"] = sums["kl"] + torch.exp(-gap) + gap - 1
            sums["clip_fraction"] = sums["clip_fraction"] + float(abs(ratio.item() - 1) > self.clip)
        means = {name: total / max(len(real), 1) for name, total in sums.items()}
        loss = means["policy_loss"] + self.value_coef * means["value_loss"] + self.kl_coef * means["kl"]
        return Loss(loss - self.entropy_coef * means["entropy"], {name: m.detach() for name, m in means.items()})
