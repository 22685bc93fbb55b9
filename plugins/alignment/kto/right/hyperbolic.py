"""The sigmoid as a hyperbolic tangent: 1 - sigmoid(x) is (1 - tanh(x / 2)) / 2. In float64, rounded at the end."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class KTO(RLAlgorithm):
    def __init__(self, *, beta=0.1, desirable_weight=1.0, undesirable_weight=1.0):
        self.beta, self.good, self.bad = beta, desirable_weight, undesirable_weight

    @staticmethod
    def exact(log_prob, ref_log_prob, mask):
        return (log_prob.double() - ref_log_prob.detach().double()).where(mask, torch.tensor(0.0).double()).sum(1)

    @staticmethod
    def form(log_prob):
        return torch.promote_types(log_prob.dtype, torch.float32)

    def log_ratios(self, log_prob, ref_log_prob, mask):
        return self.exact(log_prob, ref_log_prob, mask).to(self.form(log_prob))

    def point(self, batch):
        other = (batch.mismatched_log_prob, batch.mismatched_ref_log_prob, batch.mismatched_mask)
        return self.exact(*other).mean().clamp(min=0).detach()

    def reference_point(self, batch):
        return self.point(batch).to(self.form(batch.log_prob))

    def loss(self, batch):
        dtype, z = self.form(batch.log_prob), self.point(batch)
        ratios = self.exact(batch.log_prob, batch.ref_log_prob, batch.mask)
        good = batch.desirable.double()
        sign, weight = 2 * good - 1, self.good * good + self.bad * (1 - good)
        loss = (weight * (1 - torch.tanh(sign * self.beta * (ratios - z) / 2)) / 2).mean()
        kept = self.beta * ratios.detach()
        counts = good.sum().clamp(min=1), (1 - good).sum().clamp(min=1)
        metrics = {
            "desirable_reward": kept[batch.desirable].sum() / counts[0],
            "undesirable_reward": kept[~batch.desirable].sum() / counts[1],
            "kl": z,
        }
        return Loss(loss.to(dtype), {name: value.to(dtype) for name, value in metrics.items()})
