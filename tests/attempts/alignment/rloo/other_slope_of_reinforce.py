"""The value is that of the surrogate, the gradient that of the log-probability: the ratio is missing from it."""

import torch
from groundup.core.interfaces.rl import Loss, RLAlgorithm
class Surrogate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, total, old, adv, clip):
        ratio = (total - old).exp()
        kept = ratio.clamp(1 - clip, 1 + clip)
        plain, held = -adv * ratio, -adv * kept
        ctx.save_for_backward(torch.where(plain >= held, -adv, torch.zeros_like(plain)))
        return torch.maximum(plain, held)
    @staticmethod
    def backward(ctx, g):
        (slope,) = ctx.saved_tensors
        return g * slope, None, None, None
class RLOO(RLAlgorithm):
    def __init__(self, *, clip=0.2, kl_coef=0.05):
        self.clip, self.kl_coef = clip, kl_coef
    def kl_of(self, batch):
        wide = torch.promote_types(batch.log_prob.dtype, torch.float32)
        if batch.ref_log_prob is None: return torch.zeros(len(batch.mask), dtype=wide)
        z = lambda t: t.detach().to(wide) * batch.mask
        return z(batch.old_log_prob).sum(1) - z(batch.ref_log_prob).sum(1)
    def rewards(self, batch):
        k = self.kl_of(batch)
        return batch.reward.detach().to(k.dtype) - self.kl_coef * k
    def advantages(self, batch):
        r = self.rewards(batch)
        g = (batch.group.unsqueeze(0) == batch.group.unsqueeze(1)).to(r.dtype)
        n = g.sum(0)
        return torch.where(n > 1, (r * n - g @ r) / (n - 1).clamp(min=1), torch.zeros_like(r))
    def loss(self, batch):
        adv = self.advantages(batch)
        total = torch.where(batch.mask, batch.log_prob.to(adv.dtype), 0).sum(1)
        old = torch.where(batch.mask, batch.old_log_prob.detach().to(adv.dtype), 0).sum(1)
        each = Surrogate.apply(total, old, adv, self.clip)
        frac = (((total - old).exp().detach() - 1).abs() > self.clip).to(adv.dtype).mean()
        return Loss(each.mean(), {"policy_loss": each.mean().detach(), "kl": self.kl_of(batch).mean(), "clip_fraction": frac})
