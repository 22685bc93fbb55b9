"""GRPO done right: no division by the standard deviation, and one divisor for all answers.

Source: Liu et al. 2025, "Understanding R1-Zero-Like Training", arXiv:2503.20783, section 3.2 and listing 1.
Axes: B answers, T tokens.   Logarithms: nats.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import GroupBatch, Loss, RLAlgorithm

__all__ = ["DrGRPO"]


class DrGRPO(RLAlgorithm[GroupBatch]):
    """The loss of one update on groups of answers. It holds only coefficients: calls never influence each other.

    Everything is computed in float32 or wider: what comes in a narrower dtype is cast to float32 before anything else
    is done with it. Advantages, loss and metrics have that dtype.
    """

    def __init__(self, *, clip: float = 0.2, max_tokens: int = 3000) -> None:
        """Store the coefficients.

        ``clip`` is the distance from 1 beyond which the probability ratio of a token earns no further improvement.
        ``max_tokens`` is the number of tokens at which answers are cut off: a constant of the whole training.
        """
        self.clip = clip
        self.max_tokens = max_tokens

    @answer_dtype("any")  # float32 for a narrower dtype
    def advantages(self, batch: GroupBatch) -> Float[Tensor, "B"]:
        """Return the reward of each answer less the mean reward of its group, the answer itself included.

        The group is all answers of the batch with the same ``group``; groups may be of any sizes and in any order, and
        their numbers are any integers. Nothing is divided by a standard deviation. No gradient flows to the rewards.
        """
        # HOLE 1/3: the advantage of each answer; set ``advantage``, (B,).
        wide = torch.promote_types(batch.log_prob.dtype, torch.float32)
        reward = batch.reward.detach().to(wide)  # (B,)
        same = batch.group[:, None] == batch.group  # (B, B), True where two answers share their prompt
        advantage = reward - torch.where(same, reward, 0).sum(1) / same.sum(1)
        # END HOLE
        return advantage

    @answer_dtype("any")  # float32 for a narrower dtype
    def loss(self, batch: GroupBatch) -> Loss:
        """Return the sum of the clipped surrogates of all tokens whose ``mask`` is True, over B times ``max_tokens``.

        A token's surrogate is the larger of -advantage * ratio and -advantage * the ratio clamped to
        [1 - clip, 1 + clip], with the advantage of its answer. The divisor depends neither on the lengths of the
        answers nor on the width of the batch. Where the mask is False, ``log_prob`` may be any finite number. Gradient
        flows to ``log_prob`` alone.

        Metrics: ``policy_loss``, which is the loss; ``kl``, which is 0: there is no penalty; and ``clip_fraction``, the
        fraction of all tokens with |ratio - 1| > clip, 0 if there is none. All are scalars without gradient.
        """
        advantage = self.advantages(batch)[:, None]  # (B, 1)

        # HOLE 2/3: clipped surrogate; set ``ratio`` and ``pg_losses``, both (B, T). ``old_log_prob`` is a constant.
        # Where the mask is False the ratio is 1.
        # EMPTY: ratio = torch.ones_like(batch.log_prob); pg_losses = -advantage * batch.log_prob
        log_prob = batch.log_prob.to(advantage.dtype)  # (B, T)
        log_ratio = torch.where(batch.mask, log_prob - batch.old_log_prob.detach(), 0)  # before exp: it may overflow
        ratio = torch.exp(log_ratio)
        clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
        pg_losses = torch.maximum(-advantage * ratio, -advantage * clipped)  # max: both are negated
        # END HOLE

        # HOLE 3/3: one divisor for all; set the scalars ``loss`` and ``clip_fraction``.
        # EMPTY: loss = torch.where(batch.mask, pg_losses, 0).sum(); clip_fraction = 0 * loss
        count, tokens = len(batch.mask), batch.mask.sum().clamp(min=1)
        loss = torch.where(batch.mask, pg_losses, 0).sum() / (count * self.max_tokens)
        clip_fraction = (batch.mask & ((ratio - 1).abs() > self.clip)).sum().to(loss.dtype) / tokens
        # END HOLE

        metrics = {"policy_loss": loss, "kl": torch.zeros_like(loss), "clip_fraction": clip_fraction}
        return Loss(loss=loss, metrics={name: metric.detach() for name, metric in metrics.items()})
