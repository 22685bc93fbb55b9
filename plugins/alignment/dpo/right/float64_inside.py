"""In float64 throughout, rounded once at the end."""

import torch
from torch.nn.functional import logsigmoid

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class DPO(RLAlgorithm):
    def __init__(self, *, beta=0.1, label_smoothing=0.0):
        self.beta, self.label_smoothing = beta, label_smoothing

    def _exact(self, batch):
        chosen = (batch.chosen_log_prob.double() - batch.ref_chosen_log_prob.detach().double())[batch.chosen_mask]
        rejected = (batch.rejected_log_prob.double() - batch.ref_rejected_log_prob.detach().double())[
            batch.rejected_mask
        ]
        rows = torch.arange(batch.chosen_mask.shape[0])
        zeros = torch.zeros(len(rows), dtype=torch.float64)
        return (
            zeros.index_add(0, rows.repeat_interleave(batch.chosen_mask.sum(1)), chosen),
            zeros.index_add(0, rows.repeat_interleave(batch.rejected_mask.sum(1)), rejected),
        )

    def _dtype(self, batch):
        return torch.float64 if batch.chosen_log_prob.dtype == torch.float64 else torch.float32

    def log_ratios(self, batch):
        return tuple(side.to(self._dtype(batch)) for side in self._exact(batch))

    def loss(self, batch):
        chosen, rejected = self._exact(batch)
        m = self.beta * (chosen - rejected)
        total = -(1 - self.label_smoothing) * logsigmoid(m).mean()
        if self.label_smoothing != 0:
            total = total - self.label_smoothing * logsigmoid(-m).mean()
        found = {
            "chosen_reward": self.beta * chosen.mean(),
            "rejected_reward": self.beta * rejected.mean(),
            "margin": m.mean(),
            "accuracy": m.gt(0).double().mean(),
        }
        dtype = self._dtype(batch)
        return Loss(total.to(dtype), {name: number.detach().to(dtype) for name, number in found.items()})
