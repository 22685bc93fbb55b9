"""Group-relative policy optimisation.

Source: Shao et al. 2024 (DeepSeekMath), arXiv:2402.03300, eq. 3 (objective), eq. 4 (k3), section 4.1.2 (advantages).
Axes: B answers, T tokens.   Logarithms: nats.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import GroupBatch, Loss, RLAlgorithm

__all__ = ["GRPO"]


class GRPO(RLAlgorithm[GroupBatch]):
    """The loss of one update on groups of answers. It holds only coefficients: calls never influence each other.

    Everything is computed in float32 or wider: what comes in a narrower dtype is cast to float32 before anything else
    is done with it. Advantages, loss and metrics have that dtype.
    """

    def __init__(
        self, *, clip: float = 0.2, kl_coef: float = 0.04, eps: float = 1e-4, aggregation: str = "sequence"
    ) -> None:
        """Store the coefficients.

        ``clip`` is the distance from 1 beyond which the probability ratio of a token earns no further improvement.
        ``kl_coef`` weighs the distance from the reference. ``eps`` is added to the standard deviation of a group's
        rewards, in their unit. ``aggregation`` is how tokens are averaged: "sequence" (first over the tokens of each
        answer, then over the answers) or "token" (over all tokens at once).
        """
        self.clip = clip
        self.kl_coef = kl_coef
        self.eps = eps
        self.aggregation = aggregation

    @answer_dtype("any")  # float32 for a narrower dtype
    def advantages(self, batch: GroupBatch) -> Float[Tensor, "B"]:
        """Return how much better each answer was than the others to its prompt, in standard deviations of its group.

        That is (reward - mean) / (std + eps). Mean and standard deviation are over the rewards of all answers of the
        batch with the same ``group``, the answer itself included; the variance is divided by one less than their
        number. Groups may be of any sizes and in any order, and their numbers are any integers. An answer without
        others to the same prompt gets 0. No gradient flows to the rewards.
        """
        # HOLE 1/4: the advantage of each answer; set ``advantage``, (B,).
        raise NotImplementedError("hole 1/4: the advantage of each answer")
        return advantage

    @answer_dtype("any")  # float32 for a narrower dtype
    def loss(self, batch: GroupBatch) -> Loss:
        """Return policy_loss + kl_coef * kl.

        Each token whose ``mask`` is True has a clipped surrogate, with the advantage of its answer, and an estimate of
        KL(policy || reference). Both are averaged as ``aggregation`` says: "sequence" divides the sum over an answer by
        its number of tokens, and the sum over the answers by B, so that each answer weighs the same, whatever its
        length and group; "token" divides the sum over all tokens by their number. An answer without tokens adds 0 to
        the sum, and counts in B. Without any token the loss and its gradients are 0. Where the mask is False,
        ``log_prob`` may be any finite number. Gradient flows to ``log_prob`` alone.

        Metrics: ``policy_loss``, ``kl`` and ``clip_fraction``: the fraction of all tokens with |ratio - 1| > clip,
        whether or not clipping changes their loss. All are scalars without gradient.
        """
        advantage = self.advantages(batch)[:, None]  # (B, 1)

        # HOLE 2/4: clipped surrogate; set ``ratio`` and ``pg_losses``, both (B, T), as in PPO: the larger of
        # -advantage * ratio and -advantage * the ratio clamped to [1 - clip, 1 + clip]. ``old_log_prob`` is a constant.
        # Where the mask is False the ratio is 1.
        raise NotImplementedError("hole 2/4: clipped surrogate")

        # HOLE 3/4: distance from the reference; set ``per_token_kl``, (B, T): k3, exp(d) - d - 1 with
        # d = log pi_ref - log pi, with its gradient. It is 0 where the mask is False, and if ``ref_log_prob`` is None.
        raise NotImplementedError("hole 3/4: distance from the reference")

        # HOLE 4/4: means; set the scalars ``policy_loss``, ``kl``, ``clip_fraction`` and ``loss``.
        raise NotImplementedError("hole 4/4: means")

        metrics = {"policy_loss": policy_loss, "kl": kl, "clip_fraction": clip_fraction}
        return Loss(loss=loss, metrics={name: metric.detach() for name, metric in metrics.items()})
