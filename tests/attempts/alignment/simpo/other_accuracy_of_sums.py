"""The loss averages, and accuracy compares sums."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float
from torch import Tensor

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import Loss, PreferenceBatch, RLAlgorithm

__all__ = ["SimPO"]


class SimPO(RLAlgorithm[PreferenceBatch]):

    def __init__(self, *, beta: float = 2.0, gamma: float = 0.5) -> None:
        self.beta = beta
        self.gamma = gamma

    @answer_dtype("any")  # float32 from bfloat16
    def reward(self, log_prob: Float[Tensor, "B N"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B"]:
        wide = log_prob.to(torch.promote_types(log_prob.dtype, torch.float32))
        total = torch.where(mask, wide, 0).sum(1)  # (B,)
        return self.beta * total / mask.sum(1).clamp(min=1)  # without tokens 0 / 1, not 0 / 0

    @answer_dtype("any")
    def loss(self, batch: PreferenceBatch) -> Loss:
        chosen_reward = self.reward(batch.chosen_log_prob, batch.chosen_mask)  # (B,)
        rejected_reward = self.reward(batch.rejected_log_prob, batch.rejected_mask)  # (B,)

        loss = -F.logsigmoid(chosen_reward - rejected_reward - self.gamma).mean()

        margin = chosen_reward - rejected_reward
        right = (torch.where(batch.chosen_mask, batch.chosen_log_prob, 0).sum(1) > torch.where(batch.rejected_mask, batch.rejected_log_prob, 0).sum(1)).to(margin.dtype)

        per_pair = {
            "chosen_reward": chosen_reward,
            "rejected_reward": rejected_reward,
            "margin": margin,
            "accuracy": right,
        }
        return Loss(loss=loss, metrics={name: metric.detach().mean() for name, metric in per_pair.items()})
