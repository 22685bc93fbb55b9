"""REINFORCE with a leave-one-out baseline.

Source: Ahmadian et al. 2024, arXiv:2402.14740, section 2.2 (whole answers, leave-one-out); Kool et al. 2019, "Buy 4
REINFORCE Samples, Get a Baseline for Free!".   Axes: B answers, T tokens.   Logarithms: nats.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import GroupBatch, Loss, RLAlgorithm

__all__ = ["RLOO"]


class RLOO(RLAlgorithm[GroupBatch]):
    """The loss of one update on groups of answers. It holds only coefficients: calls never influence each other.

    Everything is computed in float32 or wider: what comes in a narrower dtype is cast to float32 before anything else
    is done with it. All results have that dtype.
    """

    def __init__(self, *, clip: float = 0.2, kl_coef: float = 0.05) -> None:
        """Store the coefficients.

        ``clip`` is the distance from 1 beyond which the probability ratio of a whole answer earns no further
        improvement. ``kl_coef`` is what a nat of distance from the reference costs, in the unit of the reward.
        """
        self.clip = clip
        self.kl_coef = kl_coef

    @answer_dtype("any")  # float32 for a narrower dtype
    def rewards(self, batch: GroupBatch) -> Float[Tensor, "B"]:
        """Return the reward of each answer less ``kl_coef`` times its log-ratio under the policy that sampled it.

        The log-ratio is the sum of log pi_old - log pi_ref over the tokens whose ``mask`` is True: k1 of the whole
        answer. Without a reference it is 0. It is a part of the reward: no gradient flows to anything.
        """
        # HOLE 1/3: what each answer earned; set ``earned``, (B,).
        raise NotImplementedError("hole 1/3: what each answer earned")
        return earned

    @answer_dtype("any")  # float32 for a narrower dtype
    def advantages(self, batch: GroupBatch) -> Float[Tensor, "B"]:
        """Return what each answer earned (``rewards``) less the mean of what the *others* of its group earned.

        The group is all answers of the batch with the same ``group``; groups may be of any sizes and in any order, and
        their numbers are any integers. An answer without others to the same prompt gets 0.
        """
        earned = self.rewards(batch)  # (B,)

        # HOLE 2/3: leave one out; set ``advantage``, (B,).
        raise NotImplementedError("hole 2/3: leave one out")
        return advantage

    @answer_dtype("any")  # float32 for a narrower dtype
    def loss(self, batch: GroupBatch) -> Loss:
        """Return the mean over all B answers of the clipped surrogate of the whole answer.

        The ratio of an answer is the product of those of its tokens whose ``mask`` is True: its probability under the
        policy being trained divided by that under the old one, 1 for an answer without tokens. An answer's loss is the
        larger of -advantage * ratio and -advantage * the ratio clamped to [1 - clip, 1 + clip]. It is not divided by
        the answer's length. Where the mask is False, log-probabilities may be any finite numbers. Gradient flows to
        ``log_prob`` alone.

        Metrics: ``policy_loss``, which is the loss; ``kl``, the mean over the answers of the log-ratio in ``rewards``;
        and ``clip_fraction``, the fraction of answers with |ratio - 1| > clip. All are scalars without gradient.
        """
        advantage = self.advantages(batch)  # (B,)

        # HOLE 3/3: whole answers; set the scalars ``loss``, ``kl`` and ``clip_fraction``.
        raise NotImplementedError("hole 3/3: whole answers")

        metrics = {"policy_loss": loss, "kl": kl, "clip_fraction": clip_fraction}
        return Loss(loss=loss, metrics={name: metric.detach() for name, metric in metrics.items()})
