"""The bounds are put on the logarithm, at log(1 - clip) and log(1 + clip)."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.clip, self.value_clip = clip, value_clip
        self.value_coef, self.entropy_coef, self.kl_coef = value_coef, entropy_coef, kl_coef

    def loss(self, batch):
        import math

        keep = batch.mask
        count = keep.sum() + (~keep.any()).long()
        moved = batch.log_prob - batch.old_log_prob
        inside = torch.clamp(moved, math.log1p(-self.clip), math.log1p(self.clip))
        gain = batch.advantage * torch.exp(moved)
        gain = torch.where(gain < batch.advantage * torch.exp(inside), gain, batch.advantage * torch.exp(inside))
        off = (batch.value - batch.returns).abs()
        if self.value_clip is not None:
            near = batch.old_value + (batch.value - batch.old_value).clip(-self.value_clip, self.value_clip)
            off = torch.max(off, (near - batch.returns).abs())
        away = 0 * batch.log_prob if batch.ref_log_prob is None else batch.ref_log_prob - batch.log_prob
        columns = torch.stack([-gain, off.pow(2) / 2, batch.entropy, torch.expm1(away) - away, (moved != inside).to(moved)])
        means = (columns * keep).flatten(1).sum(1) / count
        weights = means.new_tensor([1.0, self.value_coef, -self.entropy_coef, self.kl_coef, 0.0])
        names = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")
        return Loss((weights * means).sum(), dict(zip(names, means.detach().unbind())))
