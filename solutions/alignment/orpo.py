"""Odds-ratio preference optimisation: supervised fine-tuning and preferences in one loss, without a reference.

Source: Hong, Lee and Thorne 2024, arXiv:2403.07691, eq. 3 (mean), 4 (odds), 6 (the sum), 7 (odds-ratio loss).
Axes: B pairs, T and U tokens of the two answers, N of either.   Logarithms: nats.
"""

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
    """The loss of an ORPO update. The object holds only its coefficient: calls never influence each other."""

    def __init__(self, *, lam: float = 0.1) -> None:
        """Store ``lam`` >= 0, the weight of the odds-ratio loss beside the supervised one."""
        self.lam = lam

    @answer_dtype("any")  # float32 from bfloat16
    def mean_log_prob(self, log_prob: Float[Tensor, "B N"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B"]:
        """Return the mean of ``log_prob`` over the tokens of each answer, those whose ``mask`` is True.

        It is 0 for an answer without tokens. Log-probabilities in bfloat16 or float16 are cast to float32 first, and
        the mean is float32 then; float32 and float64 are kept. Gradient flows to ``log_prob``.
        """
        # HOLE 1/3: the mean log-probability of each answer.
        wide = log_prob.to(torch.promote_types(log_prob.dtype, torch.float32))
        return torch.where(mask, wide, 0).sum(1) / mask.sum(1).clamp(min=1)  # (B,); without tokens 0 / 1
        # END HOLE

    def log_odds(self, mean_log_prob: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
        """Return log(P / (1 - P)) of P = exp(mean_log_prob), the geometric mean of the tokens' probabilities.

        A mean above ``CERTAIN`` counts as ``CERTAIN``, with a gradient of 0: no odds are infinite. Up to there value
        and gradient are accurate, however near to 0 or far from it the mean is. A mean of -inf has log-odds of -inf.
        """
        # HOLE 2/3: the log-odds; 1 - exp(x) loses its digits where x is near 0.
        bounded = mean_log_prob.clamp(max=CERTAIN)  # (B,)
        return bounded - torch.log(-torch.expm1(bounded))
        # END HOLE

    @answer_dtype("any")
    def loss(self, batch: PreferenceBatch) -> Loss:
        """Return sft_loss + lam * odds_ratio_loss, and metrics. A reference that the batch may hold is not used.

        ``sft_loss`` is the mean over the pairs of minus the mean log-probability of the chosen answer: every answer
        weighs the same, however long it is, and only its own tokens count, not those of the prompt. ``odds_ratio_loss``
        is the mean over the pairs of -log sigmoid(log-odds of the chosen answer - log-odds of the rejected one). A
        token of the rejected answer may have the log-probability -inf: its pair adds 0 to the odds-ratio loss.

        Metrics: ``sft_loss`` and ``odds_ratio_loss``; ``chosen_reward`` and ``rejected_reward``, the mean log-odds;
        ``margin``, the mean difference of the two; ``accuracy``, the share of pairs with a difference above 0. All are
        scalars without gradient. They and the loss are float32, or float64 if the log-probabilities are.
        """
        chosen = self.mean_log_prob(batch.chosen_log_prob, batch.chosen_mask)  # (B,)
        rejected = self.mean_log_prob(batch.rejected_log_prob, batch.rejected_mask)  # (B,)
        chosen_odds, rejected_odds = self.log_odds(chosen), self.log_odds(rejected)  # (B,)

        # HOLE 3/3: the scalars ``sft_loss``, ``odds_ratio_loss`` and ``loss``, from the means and the log-odds.
        # EMPTY: sft_loss = odds_ratio_loss = loss = 0 * (chosen + rejected).sum()
        sft_loss = -chosen.mean()
        odds_ratio_loss = -F.logsigmoid(chosen_odds - rejected_odds).mean()
        loss = sft_loss + self.lam * odds_ratio_loss
        # END HOLE

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
