"""The difference of the log-ratios is rounded to the dtype of the batch before it is squared."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import Loss, PreferenceBatch, RLAlgorithm

__all__ = ["IPO"]


class IPO(RLAlgorithm[PreferenceBatch]):
    """The loss of one update on pairs of answers. The object holds only coefficients: calls never influence each other.

    Everything is computed in float32 or wider: log-probabilities in a narrower dtype are cast to float32 before
    anything else is done with them. Log-ratios, loss and metrics have that dtype.
    """

    def __init__(self, *, beta: float = 0.1) -> None:
        """Store the coefficient. ``beta`` > 0 sets the target of the log-ratios' difference, 1 / (2 beta) nats."""
        self.beta = beta

    @answer_dtype("any")  # float32 for a narrower dtype
    def log_ratios(self, batch: PreferenceBatch) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
        """Return log(pi / pi_ref) of the whole chosen answers, and of the whole rejected ones.

        Each is a sum over the tokens whose mask is True, and 0 for an answer without tokens. It is not divided by their
        number. Gradient flows to ``chosen_log_prob`` and ``rejected_log_prob``; the reference is a constant, even where
        it comes with a graph. Raises ValueError if the batch has no reference.
        """
        if batch.ref_chosen_log_prob is None or batch.ref_rejected_log_prob is None:
            raise ValueError(
                "IPO needs ref_chosen_log_prob and ref_rejected_log_prob, the reference's log-probabilities"
            )
        sides = (
            (batch.chosen_log_prob, batch.ref_chosen_log_prob, batch.chosen_mask),
            (batch.rejected_log_prob, batch.ref_rejected_log_prob, batch.rejected_mask),
        )
        found = []
        for log_prob, ref_log_prob, mask in sides:
            # HOLE 1/3: the log-ratio of each answer of one side; set ``log_ratio``, (B,).
            wide = torch.promote_types(log_prob.dtype, torch.float32)
            now, ref = torch.stack([log_prob, ref_log_prob.detach()]).to(wide)  # (B, L) each
            log_ratio = torch.where(mask, now - ref, 0).sum(1)
            # END HOLE
            found.append(log_ratio)
        return found[0], found[1]

    @answer_dtype("any")  # float32 for a narrower dtype
    def loss(self, batch: PreferenceBatch) -> Loss:
        """Return the mean over the pairs of (h - 1 / (2 beta))^2, where h is the difference of the two log-ratios.

        h is that of the chosen answer less that of the rejected one, and is not multiplied by beta. Near its target the
        loss is as exact as h, however large the target is.

        Metrics: ``chosen_reward`` and ``rejected_reward``, the means of the implicit rewards, beta times the log-ratio
        of an answer; ``margin``, the mean difference of the two, whose target is 1/2; ``accuracy``, the share of pairs
        whose chosen answer has the larger reward, where equal ones are no success. All are scalars without gradient.
        """
        chosen, rejected = self.log_ratios(batch)  # (B,) each

        # HOLE 2/3: the squared distance from the target; set the scalar ``loss``.
        # EMPTY: loss = (rejected - chosen).mean()
        difference = (chosen - rejected).to(batch.chosen_log_prob.dtype).to(chosen.dtype)
        target = 1 / (2 * self.beta)
        loss = (difference - target).square().mean()
        # END HOLE

        # HOLE 3/3: implicit rewards; set the scalars ``chosen_reward``, ``rejected_reward``, ``margin``, ``accuracy``.
        # EMPTY: chosen_reward = rejected_reward = margin = accuracy = 0 * loss.detach()
        rewards = self.beta * torch.stack([chosen, rejected]).detach()  # (2, B)
        chosen_reward, rejected_reward = rewards.mean(1)
        margin = (rewards[0] - rewards[1]).mean()
        accuracy = (rewards[0] > rewards[1]).to(rewards.dtype).mean()
        # END HOLE

        metrics = {
            "chosen_reward": chosen_reward,
            "rejected_reward": rejected_reward,
            "margin": margin,
            "accuracy": accuracy,
        }
        return Loss(loss=loss, metrics=metrics)
