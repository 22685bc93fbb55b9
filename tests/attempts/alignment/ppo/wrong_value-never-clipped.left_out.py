import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.clip, self.value_clip = clip, value_clip
        self.value_coef, self.entropy_coef, self.kl_coef = value_coef, entropy_coef, kl_coef

    def loss(self, batch):
        weight = batch.mask.to(batch.log_prob.dtype) / batch.mask.sum().clamp(min=1)
        ratio = torch.exp(batch.log_prob - batch.old_log_prob)
        held = torch.clamp(ratio, 1 - self.clip, 1 + self.clip)
        policy = -(weight * torch.minimum(batch.advantage * ratio, batch.advantage * held)).sum()
        critic = 0.5 * (weight * (batch.returns - batch.value) ** 2).sum()
        entropy = (weight * batch.entropy).sum()
        kl = 0.0 * policy
        if batch.ref_log_prob is not None:
            gap = batch.ref_log_prob - batch.log_prob
            kl = (weight * (torch.exp(gap) - gap - 1)).sum()
        outside = (weight * ((ratio - 1).abs() > self.clip)).sum()
        total = policy + self.value_coef * critic - self.entropy_coef * entropy + self.kl_coef * kl
        numbers = (policy, critic, entropy, kl, outside)
        names = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")
        return Loss(total, {name: number.detach() for name, number in zip(names, numbers)})
