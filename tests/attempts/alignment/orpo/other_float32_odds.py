"""The odds are computed in float32, whatever the mean is in."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float
from torch import Tensor

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import Loss, PreferenceBatch, RLAlgorithm

__all__ = ["ORPO"]

CERTAIN = -1e-12  # nats a token; nearer to 0 the odds would be infinite


class ORPO(RLAlgorithm[PreferenceBatch]):

    def __init__(self, *, lam: float = 0.1) -> None:
        self.lam = lam

    @answer_dtype("any")  # float32 from bfloat16
    def mean_log_prob(self, log_prob: Float[Tensor, "B N"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B"]:
        wide = log_prob.to(torch.promote_types(log_prob.dtype, torch.float32))
        return torch.where(mask, wide, 0).sum(1) / mask.sum(1).clamp(min=1)  # (B,); without tokens 0 / 1

    def log_odds(self, mean_log_prob: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
        bounded = mean_log_prob.clamp(max=CERTAIN)  # (B,)
        return (bounded - torch.log(-torch.expm1(bounded.float()))).to(bounded.dtype)

    @answer_dtype("any")
    def loss(self, batch: PreferenceBatch) -> Loss:
        chosen = self.mean_log_prob(batch.chosen_log_prob, batch.chosen_mask)  # (B,)
        rejected = self.mean_log_prob(batch.rejected_log_prob, batch.rejected_mask)  # (B,)
        chosen_odds, rejected_odds = self.log_odds(chosen), self.log_odds(rejected)  # (B,)

        sft_loss = -chosen.mean()
        odds_ratio_loss = -F.logsigmoid(chosen_odds - rejected_odds).mean()
        loss = sft_loss + self.lam * odds_ratio_loss

        margin = chosen_odds - rejected_odds  # (B,)
        metrics = {
            "sft_loss": sft_loss,
            "odds_ratio_loss": odds_ratio_loss,
            "chosen_reward": chosen_odds.mean(),
            "rejected_reward": rejected_odds.mean(),
            "margin": margin.mean(),
            "accuracy": (margin > 0).to(margin.dtype).mean(),
        }
        return Loss(loss=loss, metrics={name: metric.detach() for name, metric in metrics.items()})
