import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.clip, self.value_clip = clip, value_clip
        self.value_coef, self.entropy_coef, self.kl_coef = value_coef, entropy_coef, kl_coef

    def loss(self, batch):
        names = ("log_prob", "old_log_prob", "advantage", "value", "old_value", "returns", "entropy")
        new, old, a, v, v_old, target, h = (getattr(batch, name)[batch.mask] for name in names)
        ref = None if batch.ref_log_prob is None else batch.ref_log_prob[batch.mask]
        n = max(len(a), 1)

        def mean(x):
            return x.sum() / n

        ratio = (new - old).exp()
        bounded = torch.clip(ratio, 1 - self.clip, 1 + self.clip)
        policy = mean(-torch.minimum(a * ratio, a * bounded))
        squared = (v - target).square()
        if self.value_clip is not None:
            near = torch.clip(v - target, -self.value_clip, self.value_clip)
            squared = torch.max(squared, near * near)
        critic = mean(squared / 2)
        entropy = mean(h)
        kl = torch.zeros_like(entropy)
        if ref is not None:
            d = ref - new
            kl = mean(torch.expm1(d) - d)
        share = mean(((ratio < 1 - self.clip) | (ratio > 1 + self.clip)).to(ratio.dtype))
        loss = policy + self.value_coef * critic + self.kl_coef * kl - self.entropy_coef * entropy
        metrics = dict(policy_loss=policy, value_loss=critic, entropy=entropy, kl=kl, clip_fraction=share)
        return Loss(loss, {name: m.detach() for name, m in metrics.items()})
