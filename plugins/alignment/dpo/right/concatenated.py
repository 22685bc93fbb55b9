"""Chosen and rejected answers in one batch of 2 B rows, as in the authors' concatenated forward pass."""

import torch
import torch.nn.functional as F  # noqa: N812

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class DPO(RLAlgorithm):
    def __init__(self, *, beta=0.1, label_smoothing=0.0):
        self.beta, self.label_smoothing = beta, label_smoothing

    def log_ratios(self, batch):
        width = max(batch.chosen_mask.shape[1], batch.rejected_mask.shape[1])

        def both(chosen, rejected):
            return torch.cat([F.pad(side, (0, width - side.shape[1])) for side in (chosen, rejected)])

        mask = both(batch.chosen_mask, batch.rejected_mask)
        policy = both(batch.chosen_log_prob, batch.rejected_log_prob)
        reference = both(batch.ref_chosen_log_prob, batch.ref_rejected_log_prob).detach()
        if policy.dtype in (torch.float16, torch.bfloat16):
            policy, reference = policy.float(), reference.float()
        ratios = torch.zeros_like(policy).masked_scatter(mask, policy[mask] - reference[mask]).sum(1)
        return ratios.chunk(2)

    def loss(self, batch):
        chosen, rejected = self.log_ratios(batch)
        margin = self.beta * (chosen - rejected)
        # log sigmoid(-m) = log sigmoid(m) - m
        losses = -F.logsigmoid(margin) + (self.label_smoothing * margin if self.label_smoothing else 0)
        with torch.no_grad():
            metrics = {
                "chosen_reward": (self.beta * chosen).mean(),
                "rejected_reward": (self.beta * rejected).mean(),
                "margin": margin.mean(),
                "accuracy": (chosen > rejected).to(margin.dtype).mean(),
            }
        return Loss(losses.mean(), metrics)
