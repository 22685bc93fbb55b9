"""Everything is computed in float64, and rounded at the end."""

import torch
from torch.nn.functional import softplus

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class ORPO(RLAlgorithm):
    def __init__(self, *, lam=0.1):
        self.lam = lam

    def exact(self, log_prob, mask):
        return torch.where(mask, log_prob.double(), 0).sum(1) / mask.sum(1).clamp(min=1)

    def mean_log_prob(self, log_prob, mask):
        return self.exact(log_prob, mask).to(torch.promote_types(log_prob.dtype, torch.float32))

    def log_odds(self, mean_log_prob):
        x = mean_log_prob.double().clamp(max=-1e-12)
        return (x - torch.special.expm1(x).neg().log()).to(mean_log_prob.dtype)

    def loss(self, batch):
        kind = torch.promote_types(batch.chosen_log_prob.dtype, torch.float32)
        chosen = self.exact(batch.chosen_log_prob, batch.chosen_mask)
        rejected = self.exact(batch.rejected_log_prob, batch.rejected_mask)
        good, bad = self.log_odds(chosen), self.log_odds(rejected)
        sft, preference = -chosen.mean(), softplus(bad - good).mean()
        metrics = {
            "sft_loss": sft,
            "odds_ratio_loss": preference,
            "chosen_reward": good.mean(),
            "rejected_reward": bad.mean(),
            "margin": (good - bad).mean(),
            "accuracy": (good > bad).double().mean(),
        }
        return Loss((sft + self.lam * preference).to(kind), {n: m.detach().to(kind) for n, m in metrics.items()})
