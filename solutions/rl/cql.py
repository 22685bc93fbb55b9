"""Conservative Q-learning, CQL(H), for discrete actions: the loss of one update on stored transitions.

Source: Kumar et al. 2020, arXiv:2006.04779, eq. 4, with the backup of Q-learning (Mnih et al. 2013, eq. 2 and 3).
Axes: B transitions, A actions.   Rewards and values in the environment's unit.
"""

from __future__ import annotations

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm, TransitionBatch

__all__ = ["CQL"]


class CQL(RLAlgorithm[TransitionBatch]):
    """The loss of a CQL update. The object holds only coefficients: calls never influence each other."""

    def __init__(self, *, gamma: float = 0.99, alpha: float = 1.0) -> None:
        """Store the coefficients: ``gamma``, the discount of one step, and ``alpha`` >= 0, the penalty's weight."""
        self.gamma = gamma
        self.alpha = alpha

    def loss(self, batch: TransitionBatch) -> Loss:
        """Return td_loss + alpha * conservative_loss, and these two as metrics.

        Both are means over the B transitions. ``td_loss`` is half the squared error of Q(s, a) of the action taken
        against the target reward + gamma * max Q(s', .). Where ``done``, the target is the reward alone. The maximum is
        that of ``next_q_value``, the target network, which also supplies the value: this is not the double-Q target.
        ``conservative_loss`` is logsumexp Q(s, .) - Q(s, a), the logarithm of the sum over all A actions, not of their
        mean. It is exact for values in the thousands, too.

        Gradient flows to ``q_value`` alone; the target is a constant. The fields that may be None are not used. Loss
        and metrics are scalars in the dtype of ``q_value``; the metrics carry no gradient.
        """
        # HOLE 1/3: Q-learning's error; set ``taken`` and ``td_losses``, both (B,). ``taken`` is Q(s, a) of the action
        # taken. ``td_losses`` is half its squared error against the target, which gets no gradient.
        taken = batch.q_value.gather(1, batch.action[:, None])[:, 0]  # (B,)
        following = torch.where(batch.done, 0, batch.next_q_value.amax(1))  # (B,), 0 after an end
        target = (batch.reward + self.gamma * following).detach()  # (B,)
        td_losses = 0.5 * (taken - target) ** 2  # (B,)
        # END HOLE

        # HOLE 2/3: the conservative gap; set ``gap``, (B,): logsumexp of Q(s, .) minus ``taken``. Both carry gradient.
        # EMPTY: gap = 0 * taken
        gap = torch.logsumexp(batch.q_value, dim=1) - taken  # (B,), never negative: the sum holds the action taken
        # END HOLE

        # HOLE 3/3: the sum; set the scalars ``td_loss``, ``conservative_loss`` and ``loss`` as the docstring defines
        # them, from ``td_losses`` and ``gap``.
        # EMPTY: td_loss, conservative_loss = td_losses.mean(), gap.mean(); loss = td_loss + conservative_loss
        td_loss, conservative_loss = td_losses.mean(), gap.mean()
        loss = td_loss + self.alpha * conservative_loss
        # END HOLE

        metrics = {"td_loss": td_loss, "conservative_loss": conservative_loss}
        return Loss(loss=loss, metrics={name: metric.detach() for name, metric in metrics.items()})
