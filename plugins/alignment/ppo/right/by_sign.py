"""Each sign of the advantage has one bound, and the excess beyond a bound is taken off with relu."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.clip, self.value_clip = clip, value_clip
        self.value_coef, self.entropy_coef, self.kl_coef = value_coef, entropy_coef, kl_coef

    def loss(self, batch):
        weight = batch.mask.to(batch.log_prob.dtype)
        weight = weight / weight.sum().clamp_min(1)

        def mean(term):
            return torch.einsum("bt,bt->", term, weight)

        ratio = torch.exp(batch.log_prob - batch.old_log_prob)
        bound = torch.where(batch.advantage > 0, ratio.clamp(max=1 + self.clip), ratio.clamp(min=1 - self.clip))
        policy = mean(-batch.advantage * bound)
        miss = batch.value - batch.returns
        squared = miss**2
        if self.value_clip is not None:
            moved = batch.value - batch.old_value
            kept = torch.sign(moved) * moved.abs().clamp(max=self.value_clip)
            held = (batch.old_value + kept - batch.returns) ** 2
            squared = squared + torch.relu(held - squared)
        value = mean(squared) / 2
        entropy = mean(batch.entropy)
        reference = batch.log_prob if batch.ref_log_prob is None else batch.ref_log_prob
        away = reference - batch.log_prob
        kl = mean(away.exp() - 1 - away)
        with torch.no_grad():
            share = mean(((ratio - 1).abs() > self.clip).type_as(ratio))
        loss = policy + self.value_coef * value - self.entropy_coef * entropy + self.kl_coef * kl
        names = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")
        return Loss(loss=loss, metrics={n: x.detach().clone() for n, x in zip(names, (policy, value, entropy, kl, share))})
