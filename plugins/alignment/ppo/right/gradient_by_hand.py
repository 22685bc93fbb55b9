"""The gradients are written out, token by token, instead of using autograd."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class Update(torch.autograd.Function):
    @staticmethod
    def forward(ctx, log_prob, value, entropy, rest, rule):
        clip, value_clip, value_coef, entropy_coef, kl_coef = rule
        real = rest.mask.to(log_prob.dtype) / rest.mask.sum().clamp(min=1).to(log_prob.dtype)
        ratio = (log_prob - rest.old_log_prob).exp()
        up = rest.advantage > 0
        stopped = torch.where(up, ratio > 1 + clip, ratio < 1 - clip)
        edge = torch.where(up, torch.full_like(ratio, 1 + clip), torch.full_like(ratio, 1 - clip))
        policy = -rest.advantage * torch.where(stopped, edge, ratio)
        miss, squared = value - rest.returns, (value - rest.returns) ** 2
        frozen = torch.zeros_like(rest.mask)
        if value_clip is not None:
            moved = value - rest.old_value
            kept = rest.old_value + moved.clamp(-value_clip, value_clip) - rest.returns
            frozen = kept**2 > squared
            squared = torch.where(frozen, kept**2, squared)
        away = torch.zeros_like(log_prob) if rest.ref_log_prob is None else rest.ref_log_prob - log_prob
        terms = [policy, squared / 2, entropy, away.exp() - away - 1, ((ratio - 1).abs() > clip).to(ratio.dtype)]
        means = [(term * real).sum() for term in terms]
        slope = torch.where(stopped, torch.zeros_like(ratio), -rest.advantage * ratio) + kl_coef * (1 - away.exp())
        ctx.slopes = (
            real * slope,
            real * value_coef * torch.where(frozen, torch.zeros_like(miss), miss),
            -real * entropy_coef,
        )
        total = means[0] + value_coef * means[1] - entropy_coef * means[2] + kl_coef * means[3]
        ctx.mark_non_differentiable(*means)
        return total, *means

    @staticmethod
    def backward(ctx, grad, *_):
        return *(grad * slope for slope in ctx.slopes), None, None


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.rule = (clip, value_clip, value_coef, entropy_coef, kl_coef)

    def loss(self, batch):
        total, *means = Update.apply(batch.log_prob, batch.value, batch.entropy, batch, self.rule)
        names = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")
        return Loss(total, dict(zip(names, means)))
