"""The softmax is clamped before its logarithm: the gap ends at 13.8, and with it the gradient."""

from __future__ import annotations

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class CQL(RLAlgorithm):
    def __init__(self, *, gamma=0.99, alpha=1.0):
        self.gamma, self.alpha = gamma, alpha

    def loss(self, batch):
        rows = torch.arange(len(batch.action))
        best = batch.next_q_value.detach().amax(1)
        target = batch.reward.detach() + self.gamma * torch.where(batch.done, 0, best)
        td = (batch.q_value[rows, batch.action] - target).square().mean() / 2
        gap = -torch.softmax(batch.q_value, 1)[rows, batch.action].clamp(min=1e-6).log().mean()
        return Loss(td + self.alpha * gap, {"td_loss": td.detach(), "conservative_loss": gap.detach()})
