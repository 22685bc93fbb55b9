"""The loss is right, but its gradient is that of the logarithm of the sigmoid."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import Loss, RLAlgorithm, UnpairedBatch

__all__ = ["KTO"]


class KTO(RLAlgorithm[UnpairedBatch]):
    """The loss of one update on single answers, each marked good or bad.

    The object holds only coefficients: calls never influence each other. Everything is computed in float32 or wider:
    log-probabilities in a narrower dtype are cast to float32 before anything else is done with them. Log-ratios,
    reference point, loss and metrics have that dtype.
    """

    def __init__(self, *, beta: float = 0.1, desirable_weight: float = 1.0, undesirable_weight: float = 1.0) -> None:
        """Store the coefficients.

        ``beta`` > 0 says how fast the value of an answer saturates, per nat of its log-ratio. The weights are what a
        good and a bad answer cost at most; with few good answers ``desirable_weight`` makes up for their number.
        """
        self.beta = beta
        self.desirable_weight = desirable_weight
        self.undesirable_weight = undesirable_weight

    @answer_dtype("any")  # float32 for a narrower dtype
    def log_ratios(
        self,
        log_prob: Float[Tensor, "B L"],
        ref_log_prob: Float[Tensor, "B L"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, "B"]:
        """Return log(pi / pi_ref) of whole answers: a sum over the tokens whose mask is True, 0 without tokens.

        It is not divided by their number. Gradient flows to ``log_prob``; the reference is a constant, even where it
        comes with a graph.
        """
        # HOLE 1/4: the log-ratio of each answer; set ``log_ratio``, (B,).
        wide = torch.promote_types(log_prob.dtype, torch.float32)
        now, ref = torch.stack([log_prob, ref_log_prob.detach()]).to(wide)  # (B, L) each
        log_ratio = torch.where(mask, now - ref, 0).sum(1)
        # END HOLE
        return log_ratio

    @answer_dtype("any")  # float32 for a narrower dtype
    def reference_point(self, batch: UnpairedBatch) -> Float[Tensor, ""]:
        """Return the mean log-ratio of the mismatched answers, or 0 if that is negative.

        It stands for KL(policy || reference). The mean is over all rows of the batch, and it is the mean that is
        clamped. It is a constant of the update, even where the mismatched log-probabilities come with a graph.
        """
        mismatched = self.log_ratios(batch.mismatched_log_prob, batch.mismatched_ref_log_prob, batch.mismatched_mask)
        # HOLE 2/4: the reference point; set the scalar ``reference_point``.
        # EMPTY: reference_point = 0 * mismatched.detach().mean()
        reference_point = mismatched.detach().mean().clamp(min=0)
        # END HOLE
        return reference_point

    @answer_dtype("any")  # float32 for a narrower dtype
    def loss(self, batch: UnpairedBatch) -> Loss:
        """Return the mean over all answers of what each falls short of its best value.

        An answer's advance is beta times its log-ratio less the reference point. A good answer costs
        ``desirable_weight`` * (1 - sigmoid(advance)), a bad one ``undesirable_weight`` * (1 - sigmoid(-advance)). The
        mean is over all rows, whichever kind they are of. However large the advance is, loss and gradient are finite.

        Metrics: ``desirable_reward`` and ``undesirable_reward``, the means of beta times the log-ratio over the good
        and over the bad answers, 0 if there are none; ``kl``, the reference point. All are scalars without gradient.
        """
        log_ratio = self.log_ratios(batch.log_prob, batch.ref_log_prob, batch.mask)  # (B,)
        reference_point = self.reference_point(batch)
        good = batch.desirable  # (B,), bool

        # HOLE 3/4: the loss; set the scalar ``loss``, as the docstring says.
        # EMPTY: loss = torch.where(good, -log_ratio, log_ratio).mean()
        advance = self.beta * (log_ratio - reference_point)  # (B,)
        costs = torch.where(
            good,
            self.desirable_weight * torch.sigmoid(-advance),  # 1 - sigmoid(x) is sigmoid(-x)
            self.undesirable_weight * torch.sigmoid(advance),
        )
        slope = -torch.where(good, self.desirable_weight * torch.nn.functional.logsigmoid(advance), self.undesirable_weight * torch.nn.functional.logsigmoid(-advance))
        loss = (costs.detach() + slope - slope.detach()).mean()
        # END HOLE

        # HOLE 4/4: implicit rewards; set the scalars ``desirable_reward`` and ``undesirable_reward``.
        # EMPTY: desirable_reward = undesirable_reward = 0 * loss.detach()
        rewards = self.beta * log_ratio.detach()  # (B,)
        desirable_reward = torch.where(good, rewards, 0).sum() / good.sum().clamp(min=1)
        undesirable_reward = torch.where(good, 0, rewards).sum() / (~good).sum().clamp(min=1)
        # END HOLE

        metrics = {
            "desirable_reward": desirable_reward,
            "undesirable_reward": undesirable_reward,
            "kl": reference_point,
        }
        return Loss(loss=loss, metrics=metrics)
