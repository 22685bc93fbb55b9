"""The mask of the chosen answers is used for the rejected ones too, where both are as wide."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float
from torch import Tensor

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import Loss, RewardPairBatch, RLAlgorithm

__all__ = ["BradleyTerry"]


class BradleyTerry(RLAlgorithm[RewardPairBatch]):

    def __init__(self, *, center_coef: float = 0.0) -> None:
        self.center_coef = center_coef

    @answer_dtype("any")  # float32 for a narrower dtype
    def score(self, reward: Float[Tensor, "B *N"], mask: Bool[Tensor, "B N"] | None) -> Float[Tensor, "B"]:
        wide = reward.to(torch.promote_types(reward.dtype, torch.float32))
        if mask is None:
            return wide
        columns = torch.arange(mask.shape[1], device=mask.device)
        last = torch.where(mask, columns, -1).amax(1)  # (B,); -1 where no token is real
        score = wide.gather(1, last.clamp(min=0).unsqueeze(1)).squeeze(1)
        return torch.where(last < 0, 0, score)

    @answer_dtype("any")
    def loss(self, batch: RewardPairBatch) -> Loss:
        chosen = self.score(batch.chosen_reward, batch.chosen_mask)  # (B,)
        real = batch.chosen_mask
        if real is None or real.shape != batch.rejected_reward.shape:
            real = batch.rejected_mask
        rejected = self.score(batch.rejected_reward, real)

        lead = chosen - rejected  # (B,)
        if batch.margin is not None:
            lead = lead - batch.margin.to(lead.dtype)
        ranking = -F.logsigmoid(lead).mean()

        loss = ranking
        if self.center_coef > 0:  # 0 times inf would be nan
            loss = loss + self.center_coef * (chosen + rejected).square().mean()

        difference = (chosen - rejected).detach()
        accuracy = (difference > 0).to(difference.dtype).mean()
        margin = difference.mean()
        mean_reward = torch.cat([chosen, rejected]).detach().mean()

        return Loss(loss=loss, metrics={"accuracy": accuracy, "margin": margin, "mean_reward": mean_reward})
