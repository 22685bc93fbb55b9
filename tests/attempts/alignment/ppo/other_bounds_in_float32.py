"""torch.where of two floats is float32, so 1 + clip is rounded before it meets a float64 ratio."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.clip, self.value_clip = clip, value_clip
        self.value_coef, self.entropy_coef, self.kl_coef = value_coef, entropy_coef, kl_coef

    def loss(self, batch):
        ratio = torch.exp(batch.log_prob - batch.old_log_prob)
        edge = torch.where(ratio > 1, 1 + self.clip, 1 - self.clip)
        clipped = torch.where((ratio - 1).abs() > self.clip, edge, ratio)
        policy = torch.maximum(-batch.advantage * ratio, -batch.advantage * clipped)
        critic = 0.5 * (batch.value - batch.returns) ** 2
        if self.value_clip is not None:
            held = batch.old_value + (batch.value - batch.old_value).clamp(-self.value_clip, self.value_clip)
            critic = torch.maximum(critic, 0.5 * (held - batch.returns) ** 2)
        away = torch.zeros_like(ratio) if batch.ref_log_prob is None else batch.ref_log_prob - batch.log_prob
        n = batch.mask.sum().clamp(min=1)
        terms = {"policy_loss": policy, "value_loss": critic, "entropy": batch.entropy, "kl": away.exp() - away - 1}
        terms["clip_fraction"] = ((ratio - 1).abs() > self.clip).to(ratio.dtype)
        mean = {name: torch.where(batch.mask, term, 0).sum() / n for name, term in terms.items()}
        loss = mean["policy_loss"] + self.value_coef * mean["value_loss"]
        loss = loss - self.entropy_coef * mean["entropy"] + self.kl_coef * mean["kl"]
        return Loss(loss, {name: m.detach() for name, m in mean.items()})
