"""In float64 throughout, token by token, rounded once at the end."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class IPO(RLAlgorithm):
    def __init__(self, *, beta=0.1):
        self.beta = beta

    def exact(self, batch):
        sides = []
        for side in ("chosen", "rejected"):
            mask = getattr(batch, f"{side}_mask")
            now = getattr(batch, f"{side}_log_prob").double()
            ref = getattr(batch, f"ref_{side}_log_prob").detach().double()
            sides.append(torch.stack([(now[b][mask[b]] - ref[b][mask[b]]).sum() for b in range(len(mask))]))
        return sides

    def form(self, batch):
        return torch.promote_types(batch.chosen_log_prob.dtype, torch.float32)

    def log_ratios(self, batch):
        return tuple(side.to(self.form(batch)) for side in self.exact(batch))

    def loss(self, batch):
        chosen, rejected = self.exact(batch)
        target = 0.5 / self.beta
        loss = sum((c - r - target) ** 2 for c, r in zip(chosen, rejected, strict=True)) / len(chosen)
        won = [float(c > r) for c, r in zip(chosen.tolist(), rejected.tolist(), strict=True)]
        found = {
            "chosen_reward": self.beta * chosen.mean(),
            "rejected_reward": self.beta * rejected.mean(),
            "margin": self.beta * (chosen - rejected).mean(),
            "accuracy": torch.tensor(sum(won) / len(won), dtype=torch.float64),
        }
        dtype = self.form(batch)
        return Loss(loss.to(dtype), {name: value.detach().to(dtype) for name, value in found.items()})
