"""In float64 throughout, rounded once at the end."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.clip, self.value_clip = clip, value_clip
        self.value_coef, self.entropy_coef, self.kl_coef = value_coef, entropy_coef, kl_coef

    def loss(self, batch):
        fields = ("log_prob", "old_log_prob", "advantage", "value", "old_value", "returns", "entropy")
        new, old, a, v, v_old, target, h = (getattr(batch, f).double().flatten() for f in fields)
        mask = batch.mask.flatten()
        n = mask.count_nonzero().clamp(min=1).double()
        ratio = torch.exp(new - old)
        surrogates = torch.stack([a * ratio, a * ratio.clamp(1 - self.clip, 1 + self.clip)])
        terms = {"policy_loss": -surrogates.min(dim=0).values}
        terms["value_loss"] = torch.nn.functional.mse_loss(v, target, reduction="none") / 2
        if self.value_clip is not None:
            inside = torch.maximum(torch.minimum(v, v_old + self.value_clip), v_old - self.value_clip)
            clipped = torch.nn.functional.mse_loss(inside, target, reduction="none") / 2
            terms["value_loss"] = torch.where(clipped > terms["value_loss"], clipped, terms["value_loss"])
        terms["entropy"] = h
        d = torch.zeros_like(new) if batch.ref_log_prob is None else batch.ref_log_prob.double().flatten() - new
        terms["kl"] = d.exp().sub(d).sub(1)
        terms["clip_fraction"] = ratio.sub(1).abs().gt(self.clip).double()
        mean = {name: term.masked_fill(~mask, 0).sum() / n for name, term in terms.items()}
        weights = {"policy_loss": 1, "value_loss": self.value_coef, "entropy": -self.entropy_coef, "kl": self.kl_coef}
        total = sum(weight * mean[name] for name, weight in weights.items())
        dtype = batch.log_prob.dtype
        return Loss(total.to(dtype), {name: m.detach().to(dtype) for name, m in mean.items()})
