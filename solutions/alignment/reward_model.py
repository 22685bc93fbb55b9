"""The loss of a reward model: Bradley and Terry's model of comparisons, with a margin and centred scores.

Source: Ouyang et al. 2022, arXiv:2203.02155, eq. 1 (loss); Touvron et al. 2023, arXiv:2307.09288, section 3.2.2
(margin); Eisenstein et al. 2023, arXiv:2312.09244, eq. 2 (centring).
Axes: B pairs, T and U tokens of the two answers, N of either.   Scores: no unit, no fixed zero.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float
from torch import Tensor

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import Loss, RewardPairBatch, RLAlgorithm

__all__ = ["BradleyTerry"]


class BradleyTerry(RLAlgorithm[RewardPairBatch]):
    """The loss of one update of a reward model. The object holds only a coefficient: calls never influence each other.

    Everything is computed in float32 or wider: scores in a narrower dtype are cast to float32 before anything else is
    done with them. The scores of answers, loss and metrics have that dtype.
    """

    def __init__(self, *, center_coef: float = 0.0) -> None:
        """Store the coefficient: ``center_coef`` >= 0 is the weight of the centring term in ``loss``."""
        self.center_coef = center_coef

    @answer_dtype("any")  # float32 for a narrower dtype
    def score(self, reward: Float[Tensor, "B *N"], mask: Bool[Tensor, "B N"] | None) -> Float[Tensor, "B"]:
        """Return one score for each answer.

        With a mask, ``reward`` (B, N) holds a score at each token, and an answer's score is the one at its last real
        token: the last column whose ``mask`` is True, wherever padding stands, also in between. N is 1 or more. The
        score of an answer without real tokens is 0. Gradient flows to that one token, and to nothing on padding.

        Without a mask, ``reward`` (B,) holds the scores of the answers already.
        """
        # HOLE 1/4: the score of each answer, (B,).
        wide = reward.to(torch.promote_types(reward.dtype, torch.float32))
        if mask is None:
            return wide
        columns = torch.arange(mask.shape[1], device=mask.device)
        last = torch.where(mask, columns, -1).amax(1)  # (B,); -1 where no token is real
        score = wide.gather(1, last.clamp(min=0).unsqueeze(1)).squeeze(1)
        return torch.where(last < 0, 0, score)
        # END HOLE

    @answer_dtype("any")
    def loss(self, batch: RewardPairBatch) -> Loss:
        """Return the loss of the pairs, and metrics.

        The ranking loss is the mean over the pairs of -log sigmoid(chosen score - rejected score - margin), where
        ``batch.margin`` is 0 if it is None. Added to it is ``center_coef`` times the mean over the pairs of
        (chosen score + rejected score)^2. With a coefficient of 0 there is no such term, however large the scores are.
        As long as the difference of two scores is finite, so are the ranking loss and its gradient, and right.

        Metrics, each a mean: ``accuracy``, the share of pairs whose chosen answer has the larger score, where equal
        ones are no success; ``margin``, the chosen score minus the rejected one; ``mean_reward``, over all scores of
        both answers. ``batch.margin`` has no part in them. All are scalars without gradient.
        """
        chosen = self.score(batch.chosen_reward, batch.chosen_mask)  # (B,)
        rejected = self.score(batch.rejected_reward, batch.rejected_mask)  # (B,)

        # HOLE 2/4: the ranking loss; set the scalar ``ranking``.
        # EMPTY: ranking = 0 * (chosen + rejected).sum()
        lead = chosen - rejected  # (B,)
        if batch.margin is not None:
            lead = lead - batch.margin.to(lead.dtype)
        ranking = -F.logsigmoid(lead).mean()
        # END HOLE

        # HOLE 3/4: the whole loss; set the scalar ``loss``: the ranking loss and the centring term.
        # EMPTY: loss = ranking
        loss = ranking
        if self.center_coef > 0:  # 0 times inf would be nan
            loss = loss + self.center_coef * (chosen + rejected).square().mean()
        # END HOLE

        # HOLE 4/4: the three metrics; set the scalars ``accuracy``, ``margin`` and ``mean_reward``.
        # EMPTY: accuracy = margin = mean_reward = 0 * ranking.detach()
        difference = (chosen - rejected).detach()
        accuracy = (difference > 0).to(difference.dtype).mean()
        margin = difference.mean()
        mean_reward = torch.cat([chosen, rejected]).detach().mean()
        # END HOLE

        return Loss(loss=loss, metrics={"accuracy": accuracy, "margin": margin, "mean_reward": mean_reward})
