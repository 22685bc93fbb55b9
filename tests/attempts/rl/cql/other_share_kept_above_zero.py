"""The gap is -log of the softmax plus 1e-8, against log(0): unlikely actions hardly get a gradient."""

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
        gap = -(torch.softmax(batch.q_value, 1)[rows, batch.action] + 1e-8).log().mean()
        return Loss(td + self.alpha * gap, {"td_loss": td.detach(), "conservative_loss": gap.detach()})
