"""Sums of log-probabilities first, as TRL and the authors' code have it, and softplus in place of logsigmoid."""

import torch
from torch.nn.functional import softplus

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class DPO(RLAlgorithm):
    def __init__(self, *, beta=0.1, label_smoothing=0.0):
        self.beta, self.label_smoothing = beta, label_smoothing

    def log_ratios(self, batch):
        dtype = torch.promote_types(batch.chosen_log_prob.dtype, torch.float32)
        policy = self._sums(batch.chosen_log_prob, batch.rejected_log_prob, batch, dtype)
        with torch.no_grad():
            reference = self._sums(batch.ref_chosen_log_prob, batch.ref_rejected_log_prob, batch, dtype)
        return policy[0] - reference[0], policy[1] - reference[1]

    def _sums(self, chosen, rejected, batch, dtype):
        return (
            chosen.to(dtype).masked_fill(~batch.chosen_mask, 0).sum(-1),
            rejected.to(dtype).masked_fill(~batch.rejected_mask, 0).sum(-1),
        )

    def loss(self, batch):
        chosen, rejected = self.log_ratios(batch)
        logits = self.beta * (chosen - rejected)
        loss = softplus(-logits)
        if self.label_smoothing:
            loss = loss.lerp(softplus(logits), self.label_smoothing)
        rewards = self.beta * torch.stack([chosen, rejected]).detach()
        margins = rewards[0] - rewards[1]
        metrics = dict(zip(("chosen_reward", "rejected_reward"), rewards.mean(1), strict=True))
        return Loss(loss.mean(), metrics | {"margin": margins.mean(), "accuracy": (margins > 0).to(loss.dtype).mean()})
