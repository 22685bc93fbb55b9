import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.clip, self.value_clip = clip, value_clip
        self.value_coef, self.entropy_coef, self.kl_coef = value_coef, entropy_coef, kl_coef

    def loss(self, batch):
        ratio = torch.exp(batch.log_prob - batch.old_log_prob)
        policy = -batch.advantage * torch.where(batch.advantage > 0, ratio.clamp(max=1 + self.clip), ratio.clamp(min=1 - self.clip))
        critic = torch.nn.functional.mse_loss(batch.value, batch.returns, reduction="none")
        if self.value_clip is not None:
            lo, hi = batch.old_value - self.value_clip, batch.old_value + self.value_clip
            held = torch.nn.functional.mse_loss(torch.clamp(batch.value, lo, hi), batch.returns, reduction="none")
            critic = critic + torch.relu(held - critic)
        critic = critic / 2
        if batch.ref_log_prob is None:
            pull = torch.zeros_like(batch.log_prob)
        else:
            anchor = batch.ref_log_prob
            gap = batch.log_prob - anchor
            pull = torch.exp(-gap) + gap - 1
        outside = ((ratio - 1).abs() > self.clip).to(ratio.dtype)
        terms = torch.stack([policy, critic, batch.entropy, pull, outside])
        weight = batch.mask.to(batch.log_prob.dtype)
        weight = weight / weight.sum().clamp_min(1)
        means = (terms * weight).sum(dim=(1, 2))
        loss = torch.dot(means, means.new_tensor([1.0, self.value_coef, self.entropy_coef, self.kl_coef, 0.0]))
        names = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")
        return Loss(loss=loss, metrics={name: m.detach() for name, m in zip(names, means)})
