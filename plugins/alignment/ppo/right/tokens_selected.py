"""Real tokens are selected first, so that the rest needs no mask."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.clip, self.value_clip = clip, value_clip
        self.value_coef, self.entropy_coef, self.kl_coef = value_coef, entropy_coef, kl_coef

    def loss(self, batch):
        def real(field):
            return None if field is None else field[batch.mask]

        n = max(int(batch.mask.sum()), 1)
        advantage, returns = real(batch.advantage), real(batch.returns)
        ratio = (real(batch.log_prob) - real(batch.old_log_prob)).exp()
        bounded = torch.clip(ratio, 1 - self.clip, 1 + self.clip)
        policy_loss = -torch.minimum(advantage * ratio, advantage * bounded).sum() / n
        errors = [(real(batch.value) - returns).square()]
        if self.value_clip is not None:
            step = torch.clip(real(batch.value) - real(batch.old_value), -self.value_clip, self.value_clip)
            errors.append((real(batch.old_value) + step - returns).square())
        value_loss = torch.stack(errors).amax(0).sum() / (2 * n)
        entropy = real(batch.entropy).sum() / n
        kl = torch.zeros_like(entropy)
        if batch.ref_log_prob is not None:
            d = real(batch.ref_log_prob) - real(batch.log_prob)
            kl = (torch.expm1(d) - d).sum() / n
        outside = torch.logical_or(ratio < 1 - self.clip, ratio > 1 + self.clip)
        total = policy_loss + self.value_coef * value_loss + self.kl_coef * kl - self.entropy_coef * entropy
        metrics = dict(policy_loss=policy_loss, value_loss=value_loss, entropy=entropy, kl=kl)
        metrics["clip_fraction"] = outside.to(ratio.dtype).sum() / n
        return Loss(total, {name: m.detach() for name, m in metrics.items()})
