"""Simple preference optimisation: a reference-free reward, the mean log-probability, with a target margin.

Source: Meng et al. 2024, arXiv:2405.14734, eq. 4 (reward) and eq. 6 (loss).
Axes: B pairs, T and U tokens of the two answers, N of either.   Logarithms: nats.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float
from torch import Tensor

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import Loss, PreferenceBatch, RLAlgorithm

__all__ = ["SimPO"]


class SimPO(RLAlgorithm[PreferenceBatch]):
    """The loss of a SimPO update. The object holds only coefficients: calls never influence each other."""

    def __init__(self, *, beta: float = 2.0, gamma: float = 0.5) -> None:
        """Store the coefficients.

        ``beta`` > 0 is the reward of one nat a token. ``gamma`` >= 0 is the margin that the two rewards should keep, in
        the unit of the reward: eq. 6 subtracts it as it is, and it is not multiplied with ``beta``.
        """
        self.beta = beta
        self.gamma = gamma

    @answer_dtype("any")  # float32 from bfloat16
    def reward(self, log_prob: Float[Tensor, "B N"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B"]:
        """Return beta times the mean of ``log_prob`` over the tokens of each answer, those whose ``mask`` is True.

        The reward of an answer without tokens is 0. Log-probabilities in bfloat16 or float16 are cast to float32 first,
        and the reward is float32 then; float32 and float64 are kept. Gradient flows to ``log_prob``.
        """
        # HOLE 1/3: the mean log-probability of each answer, times beta.
        wide = log_prob.to(torch.promote_types(log_prob.dtype, torch.float32))
        total = torch.where(mask, wide, 0).sum(1)  # (B,)
        return self.beta * total / mask.sum(1).clamp(min=1)  # without tokens 0 / 1, not 0 / 0
        # END HOLE

    @answer_dtype("any")
    def loss(self, batch: PreferenceBatch) -> Loss:
        """Return the mean over the pairs of -log sigmoid(chosen reward - rejected reward - gamma), and metrics.

        There is no reference: what the batch may hold of one is not used. The loss and its gradient are finite however
        far the rewards are apart. A token of the rejected answer may have the log-probability -inf: the policy cannot
        produce that answer, so the pair costs 0 and has a gradient of 0.

        Metrics, each a mean over the pairs: ``chosen_reward``, ``rejected_reward``; ``margin``, the chosen reward minus
        the rejected one, without gamma; ``accuracy``, the share of pairs with a margin above 0. All are scalars without
        gradient. They and the loss have the dtype of the rewards.
        """
        chosen_reward = self.reward(batch.chosen_log_prob, batch.chosen_mask)  # (B,)
        rejected_reward = self.reward(batch.rejected_log_prob, batch.rejected_mask)  # (B,)

        # HOLE 2/3: the loss of the pairs, ``loss``, a scalar, from their two rewards.
        # EMPTY: loss = 0 * (chosen_reward + rejected_reward).sum()
        loss = -F.logsigmoid(chosen_reward - rejected_reward - self.gamma).mean()
        # END HOLE

        # HOLE 3/3: the margin of each pair, ``margin``, and whether its chosen answer has the larger reward, ``right``,
        # 1 or 0; both (B,), floats of one dtype.
        # EMPTY: margin, right = 0 * chosen_reward, 0 * chosen_reward
        margin = chosen_reward - rejected_reward
        right = (margin > 0).to(margin.dtype)
        # END HOLE

        per_pair = {
            "chosen_reward": chosen_reward,
            "rejected_reward": rejected_reward,
            "margin": margin,
            "accuracy": right,
        }
        return Loss(loss=loss, metrics={name: metric.detach().mean() for name, metric in per_pair.items()})
