"""One answer after the other."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class KTO(RLAlgorithm):
    def __init__(self, *, beta=0.1, desirable_weight=1.0, undesirable_weight=1.0):
        self.beta = beta
        self.desirable_weight = desirable_weight
        self.undesirable_weight = undesirable_weight

    def log_ratios(self, log_prob, ref_log_prob, mask):
        wide = torch.float64 if log_prob.dtype is torch.float64 else torch.float32
        rows = []
        for row, ref, real in zip(log_prob.to(wide), ref_log_prob.detach().to(wide), mask, strict=True):
            rows.append((row[real] - ref[real]).sum())
        return torch.stack(rows)

    def reference_point(self, batch):
        found = self.log_ratios(batch.mismatched_log_prob, batch.mismatched_ref_log_prob, batch.mismatched_mask)
        mean = sum(found.tolist()) / len(found)
        return torch.tensor(max(mean, 0.0), dtype=found.dtype)

    def loss(self, batch):
        ratios = self.log_ratios(batch.log_prob, batch.ref_log_prob, batch.mask)
        z, total, rewards = self.reference_point(batch), 0, {True: [], False: []}
        for ratio, good in zip(ratios, batch.desirable.tolist(), strict=True):
            rewards[good].append(self.beta * ratio.item())
            if good:
                total = total + self.desirable_weight * (1 - torch.sigmoid(self.beta * (ratio - z)))
            else:
                total = total + self.undesirable_weight * (1 - torch.sigmoid(self.beta * (z - ratio)))
        means = {kind: sum(found) / max(len(found), 1) for kind, found in rewards.items()}
        metrics = {
            "desirable_reward": torch.tensor(means[True], dtype=ratios.dtype),
            "undesirable_reward": torch.tensor(means[False], dtype=ratios.dtype),
            "kl": z,
        }
        return Loss(total / len(ratios), metrics)
