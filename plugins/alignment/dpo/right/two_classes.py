"""A classifier of two answers: cross-entropy over their rewards, with torch's own label smoothing.

Smoothing by s over two classes gives each s / 2, so that s is twice the share of wrong pairs.
"""

import torch
import torch.nn.functional as F  # noqa: N812

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class DPO(RLAlgorithm):
    def __init__(self, *, beta=0.1, label_smoothing=0.0):
        self.beta, self.label_smoothing = beta, label_smoothing

    def log_ratios(self, batch):
        found = []
        for side in ("chosen", "rejected"):
            policy, reference = getattr(batch, f"{side}_log_prob"), getattr(batch, f"ref_{side}_log_prob")
            wide = torch.result_type(policy, torch.zeros(1, dtype=torch.float32))
            ratio = policy.to(wide).sub(reference.detach().to(wide))
            found.append(torch.where(getattr(batch, f"{side}_mask"), ratio, torch.zeros_like(ratio)).sum(dim=1))
        return tuple(found)

    def loss(self, batch):
        scores = torch.stack(self.log_ratios(batch), dim=1) * self.beta
        first = torch.zeros(len(scores), dtype=torch.long)
        if self.label_smoothing:
            loss = F.cross_entropy(scores, first, label_smoothing=2 * self.label_smoothing)
        else:
            loss = F.cross_entropy(scores, first)
        kept = scores.detach()
        chosen, rejected = kept.mean(0)
        return Loss(
            loss,
            {
                "chosen_reward": chosen,
                "rejected_reward": rejected,
                "margin": (kept[:, 0] - kept[:, 1]).mean(),
                "accuracy": torch.mean((kept[:, 0] > kept[:, 1]).to(kept.dtype)),
            },
        )
