"""Good and bad answers in tensors of their own, concatenated again, as TRL and HALOs have it."""

import torch
import torch.nn.functional as F  # noqa: N812

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class KTO(RLAlgorithm):
    def __init__(self, *, beta=0.1, desirable_weight=1.0, undesirable_weight=1.0):
        self.beta = beta
        self.desirable_weight, self.undesirable_weight = desirable_weight, undesirable_weight

    def log_ratios(self, log_prob, ref_log_prob, mask):
        def total(numbers):
            return numbers.to(torch.promote_types(numbers.dtype, torch.float32)).masked_fill(~mask, 0).sum(-1)

        with torch.no_grad():
            reference = total(ref_log_prob)
        return total(log_prob) - reference

    def reference_point(self, batch):
        with torch.no_grad():
            kl = self.log_ratios(batch.mismatched_log_prob, batch.mismatched_ref_log_prob, batch.mismatched_mask)
            return kl.mean().clamp(min=0)

    def loss(self, batch):
        kl = self.reference_point(batch)
        ratios = self.log_ratios(batch.log_prob, batch.ref_log_prob, batch.mask)
        chosen, rejected = ratios[batch.desirable], ratios[~batch.desirable]
        losses = torch.cat(
            [
                self.desirable_weight * (1 - F.sigmoid(self.beta * (chosen - kl))),
                self.undesirable_weight * (1 - F.sigmoid(self.beta * (kl - rejected))),
            ]
        )

        def reward(of):
            return (self.beta * of.detach()).mean() if len(of) else torch.zeros((), dtype=ratios.dtype)

        metrics = {"desirable_reward": reward(chosen), "undesirable_reward": reward(rejected), "kl": kl}
        return Loss(losses.mean(), metrics)
