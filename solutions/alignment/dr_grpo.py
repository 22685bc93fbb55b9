"""The policy gradient with the group's mean as baseline.

Source: Shao et al. 2024, section 4.1; Liu et al. 2025, section 3 (no division by the standard deviation).
Axes: B answers, T tokens.   Logarithms: nats.
"""

from __future__ import annotations

import torch

from groundup.core.interfaces.rl import GroupBatch, Loss, RLAlgorithm

__all__ = ["DrGrpo"]


class DrGrpo(RLAlgorithm[GroupBatch]):
    """The loss of one update with answers of the present policy. It has no coefficients."""

    def loss(self, batch: GroupBatch) -> Loss:
        """Return the mean over real tokens of -advantage * log_prob.

        An answer's advantage is its reward minus the mean reward of its group, itself included. All its tokens have it.
        Every token whose ``mask`` is True weighs the same. Without any the loss is 0. Gradient flows to ``log_prob``
        alone.
        """
        count = batch.mask.sum().clamp(min=1)
        # HOLE 1/1: the advantage of each answer, then the scalar ``loss``, to be minimised.
        same = batch.group[:, None] == batch.group  # (B, B), True where two answers share their prompt
        baseline = torch.where(same, batch.reward, 0).sum(1) / same.sum(1)  # (B,)
        advantage = (batch.reward - baseline)[:, None]  # (B, 1)
        loss = -torch.where(batch.mask, advantage * batch.log_prob, 0).sum() / count
        # END HOLE
        return Loss(loss=loss)
