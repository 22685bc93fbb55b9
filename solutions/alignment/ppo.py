"""Proximal policy optimisation: the clipped surrogate, a clipped critic, an entropy bonus and a KL penalty.

Source: Schulman et al. 2017, arXiv:1707.06347, eq. 7 (surrogate) and eq. 9 (the sum). Value clipping: OpenAI baselines,
ppo2/model.py. k3: Schulman 2020, "Approximating KL Divergence".   Axes: B sequences, T tokens.   Logarithms: nats.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from groundup.core.interfaces.rl import Loss, RLAlgorithm, RolloutBatch

__all__ = ["PPO"]


class PPO(RLAlgorithm[RolloutBatch]):
    """The loss of a PPO update. The object holds only coefficients: calls never influence each other."""

    def __init__(
        self,
        *,
        clip: float = 0.2,
        value_clip: float | None = 0.2,
        value_coef: float = 0.5,
        entropy_coef: float = 0.01,
        kl_coef: float = 0.0,
    ) -> None:
        """Store the coefficients.

        ``clip`` is the distance from 1 beyond which the probability ratio earns no further improvement. ``value_clip``
        is the distance from ``old_value`` to which values are clipped, in units of the return; None: no value clipping.
        """
        self.clip = clip
        self.value_clip = value_clip
        self.value_coef = value_coef
        self.entropy_coef = entropy_coef
        self.kl_coef = kl_coef

    def loss(self, batch: RolloutBatch) -> Loss:
        """Return policy_loss + value_coef * value_loss - entropy_coef * entropy + kl_coef * kl, and these as metrics.

        Each term is a mean over all tokens of the batch whose ``mask`` is True, so every token has the same weight,
        however long its sequence. If the mask is all False, the loss and its gradients are 0. Gradient flows to
        ``log_prob``, ``value`` and ``entropy``; everything else is a constant, and advantages are used as given.

        Metrics: ``policy_loss``, ``value_loss``, ``entropy``, ``kl`` and ``clip_fraction``. The last is the fraction of
        tokens with |ratio - 1| > clip, whether or not clipping changes their loss. All are scalars without gradient.
        They and the loss have the dtype of ``log_prob``.
        """
        # HOLE 1/4: clipped surrogate; set ``ratio`` and ``pg_losses``, both (B, T). ``ratio`` is the probability of the
        # token under the policy being trained divided by its probability under the old policy. ``pg_losses`` is the
        # loss of each token: the larger (worse for the policy) of -advantage * ratio and -advantage * clipped ratio,
        # where the clipped ratio is clamped to [1 - clip, 1 + clip].
        log_ratio = batch.log_prob - batch.old_log_prob  # (B, T)
        ratio = torch.exp(log_ratio)  # (B, T)
        clipped = ratio.clamp(1 - self.clip, 1 + self.clip)  # (B, T)
        pg_losses = torch.maximum(-batch.advantage * ratio, -batch.advantage * clipped)  # max: both are negated
        # END HOLE

        # HOLE 2/4: critic's error; set ``vf_losses``, (B, T): half the squared error of the value against the return.
        # If ``value_clip`` is a number, each token takes the larger of that error and the same error of the value
        # clamped to within ``value_clip`` of ``old_value``.
        # EMPTY: vf_losses = 0 * batch.value
        vf_losses = 0.5 * (batch.value - batch.returns) ** 2  # (B, T)
        if self.value_clip is not None:
            value_clipped = batch.old_value + (batch.value - batch.old_value).clamp(-self.value_clip, self.value_clip)
            vf_losses = torch.maximum(vf_losses, 0.5 * (value_clipped - batch.returns) ** 2)
        # END HOLE

        # HOLE 3/4: distance from the reference; set ``per_token_kl``, (B, T): the k3 estimator of
        # KL(policy || reference), exp(d) - d - 1 with d = log pi_ref - log pi, with its gradient. It is zeros if
        # ``ref_log_prob`` is None.
        # EMPTY: per_token_kl = 0 * batch.log_prob
        per_token_kl = torch.zeros_like(batch.log_prob)  # (B, T)
        if batch.ref_log_prob is not None:
            ref_log_ratio = batch.ref_log_prob - batch.log_prob  # (B, T)
            per_token_kl = torch.exp(ref_log_ratio) - ref_log_ratio - 1
        # END HOLE

        # HOLE 4/4: token means and their sum; set the scalars ``policy_loss``, ``value_loss``, ``entropy``, ``kl``,
        # ``clip_fraction`` and ``loss`` as defined in the docstring: from ``pg_losses``, ``vf_losses``,
        # ``batch.entropy``, ``per_token_kl`` and ``ratio``, over the tokens whose ``mask`` is True.
        # EMPTY: policy_loss, value_loss, kl = pg_losses.mean(), vf_losses.mean(), per_token_kl.mean(); entropy = clip_fraction = 0 * kl; loss = policy_loss + value_loss + kl
        count = batch.mask.sum().clamp(min=1)  # with only padding this gives 0 / 1, not 0 / 0

        def masked_mean(term: Float[Tensor, "B T"]) -> Float[Tensor, ""]:
            return torch.where(batch.mask, term, 0).sum() / count

        policy_loss, value_loss = masked_mean(pg_losses), masked_mean(vf_losses)
        entropy, kl = masked_mean(batch.entropy), masked_mean(per_token_kl)
        clip_fraction = masked_mean(((ratio - 1).abs() > self.clip).to(ratio.dtype))
        loss = policy_loss + self.value_coef * value_loss - self.entropy_coef * entropy + self.kl_coef * kl
        # END HOLE

        metrics = {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "entropy": entropy,
            "kl": kl,
            "clip_fraction": clip_fraction,
        }
        return Loss(loss=loss, metrics={name: metric.detach() for name, metric in metrics.items()})
