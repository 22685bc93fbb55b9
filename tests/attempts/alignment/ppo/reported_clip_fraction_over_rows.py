# RLinf/RLinf#1471: the tokens outside the clip are summed and divided by a count of rows, so that the share exceeds 1; only the metric is off.
# named: clip-fraction-per-row
import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.c, self.vc, self.a, self.b, self.k = clip, value_clip, value_coef, entropy_coef, kl_coef

    def loss(self, batch):
        m, lp = batch.mask, batch.log_prob
        denominator = m.sum().clamp(min=1)
        mean = lambda x: (x * m).sum() / denominator  # noqa: E731
        ratio = (lp - batch.old_log_prob).exp()
        too_far = torch.logical_or(ratio < 1 - self.c, ratio > 1 + self.c) & m
        pg = mean(torch.max(-batch.advantage * ratio, -batch.advantage * ratio.clamp(1 - self.c, 1 + self.c)))
        plain = 0.5 * (batch.value - batch.returns).pow(2)
        if self.vc is None:
            vf = mean(plain)
        else:
            inside = batch.old_value + (batch.value - batch.old_value).clamp(min=-self.vc, max=self.vc)
            vf = mean(plain.maximum(0.5 * (inside - batch.returns).pow(2)))
        h = mean(batch.entropy)
        kl = mean((batch.ref_log_prob - lp).exp() - (batch.ref_log_prob - lp) - 1) if batch.ref_log_prob is not None else h * 0
        rows = m.any(dim=-1).sum().clamp(min=1)
        fraction = too_far.to(lp.dtype).sum() / rows
        out = {"policy_loss": pg, "value_loss": vf, "entropy": h, "kl": kl, "clip_fraction": fraction}
        return Loss(pg + self.a * vf - self.b * h + self.k * kl, {n: x.detach() for n, x in out.items()})
