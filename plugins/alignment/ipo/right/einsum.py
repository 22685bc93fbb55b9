"""Sums as einsum, the square as a dot product of the distances with themselves."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class IPO(RLAlgorithm):
    def __init__(self, *, beta=0.1):
        self.beta = beta

    def log_ratios(self, batch):
        rows = []
        for side in ("chosen", "rejected"):
            now, ref = getattr(batch, f"{side}_log_prob"), getattr(batch, f"ref_{side}_log_prob").detach()
            if now.dtype in (torch.bfloat16, torch.float16):
                now, ref = now.float(), ref.float()
            rows.append(torch.einsum("bt,bt->b", now - ref, getattr(batch, f"{side}_mask").to(now.dtype)))
        return tuple(rows)

    def loss(self, batch):
        chosen, rejected = self.log_ratios(batch)
        d = chosen - rejected - 1 / (2 * self.beta)
        loss = torch.dot(d, d) / d.shape[0]
        rewards = torch.stack([chosen, rejected], 1).detach() * self.beta
        margins = rewards @ torch.tensor([1.0, -1.0], dtype=rewards.dtype)
        found = {"chosen_reward": rewards[:, 0], "rejected_reward": rewards[:, 1], "margin": margins}
        found["accuracy"] = torch.where(margins > 0, 1.0, 0.0).to(rewards.dtype)
        return Loss(loss, {name: column.mean() for name, column in found.items()})
