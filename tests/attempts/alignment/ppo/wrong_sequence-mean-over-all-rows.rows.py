import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.clip, self.value_clip = clip, value_clip
        self.value_coef, self.entropy_coef, self.kl_coef = value_coef, entropy_coef, kl_coef

    def loss(self, batch):
        rows, real = max(len(batch.mask), 1), batch.mask.to(batch.log_prob.dtype)

        def of_sequences(x):
            each = (x * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)
            return each.sum() / rows

        ratio = (batch.log_prob - batch.old_log_prob).exp()
        low, high = 1 - self.clip, 1 + self.clip
        policy = of_sequences(-torch.minimum(batch.advantage * ratio, batch.advantage * ratio.clip(low, high)))
        error = (batch.value - batch.returns).square() / 2
        if self.value_clip is not None:
            step = (batch.value - batch.old_value).clip(-self.value_clip, self.value_clip)
            error = torch.maximum(error, (batch.old_value + step - batch.returns).square() / 2)
        critic, entropy = of_sequences(error), of_sequences(batch.entropy)
        d = torch.zeros_like(ratio) if batch.ref_log_prob is None else batch.ref_log_prob - batch.log_prob
        kl = of_sequences(torch.expm1(d) - d)
        share = of_sequences(((ratio < low) | (ratio > high)).to(ratio.dtype))
        loss = policy + self.value_coef * critic - self.entropy_coef * entropy + self.kl_coef * kl
        metrics = dict(policy_loss=policy, value_loss=critic, entropy=entropy, kl=kl, clip_fraction=share)
        return Loss(loss, {name: m.detach() for name, m in metrics.items()})
