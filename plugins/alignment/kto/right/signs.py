"""One formula for both kinds: a sign for the direction, a weight for the kind."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class KTO(RLAlgorithm):
    def __init__(self, *, beta=0.1, desirable_weight=1.0, undesirable_weight=1.0):
        self.beta = beta
        self.weights = (undesirable_weight, desirable_weight)

    def log_ratios(self, log_prob, ref_log_prob, mask):
        if log_prob.dtype in (torch.float16, torch.bfloat16):
            log_prob, ref_log_prob = log_prob.float(), ref_log_prob.float()
        return torch.einsum("bt,bt->b", torch.where(mask, log_prob - ref_log_prob.detach(), 0), mask.to(log_prob.dtype))

    def reference_point(self, batch):
        ratios = self.log_ratios(batch.mismatched_log_prob, batch.mismatched_ref_log_prob, batch.mismatched_mask)
        return torch.relu(ratios.mean()).detach()

    def loss(self, batch):
        ratios, z = self.log_ratios(batch.log_prob, batch.ref_log_prob, batch.mask), self.reference_point(batch)
        kind = batch.desirable.long()
        sign = (2 * kind - 1).to(ratios.dtype)
        weight = torch.tensor(self.weights, dtype=ratios.dtype)[kind]
        loss = (weight * torch.sigmoid(sign * self.beta * (z - ratios))).sum() / len(kind)
        sums = torch.zeros(2, dtype=ratios.dtype).index_add(0, kind, self.beta * ratios.detach())
        bad, good = sums / torch.bincount(kind, minlength=2).clamp(min=1)
        return Loss(loss, {"desirable_reward": good, "undesirable_reward": bad, "kl": z})
