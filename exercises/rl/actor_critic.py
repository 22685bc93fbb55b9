"""One-step actor-critic: the TD error as advantage, a semi-gradient critic and an entropy bonus.

Source: Sutton and Barto 2018, section 13.5, without the factor I = gamma^t of their box.
Axes: B rows, T steps.   Logarithms: nats.   Rewards and values: the environment's unit.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from groundup.core.interfaces.rl import EpisodeBatch, Loss, RLAlgorithm

__all__ = ["ActorCritic"]


class ActorCritic(RLAlgorithm[EpisodeBatch]):
    """The loss of one update, for the actor and the critic together. The object holds only coefficients.

    A step is learnt from alone: a row may begin and stop in mid-episode, and padding may stand anywhere.
    """

    def __init__(self, *, gamma: float = 0.99, value_coef: float = 0.5, entropy_coef: float = 0.01) -> None:
        """Store the coefficients. ``gamma``, in [0, 1], is the discount of one step."""
        self.gamma = gamma
        self.value_coef = value_coef
        self.entropy_coef = entropy_coef

    def target(self, batch: EpisodeBatch) -> Float[Tensor, "B T"]:
        """Return what each step turned out to be worth: reward + gamma * next_value. It carries no gradient.

        Nothing is bootstrapped after a ``terminated`` step, also if it is ``truncated`` as well. After a step that is
        only ``truncated`` the episode would have gone on, so it is bootstrapped like any other.
        """
        # HOLE 1/3: the one-step target; set ``target``, (B, T).
        raise NotImplementedError("hole 1/3: the one-step target")
        return target

    def loss(self, batch: EpisodeBatch) -> Loss:
        """Return policy_loss + value_coef * value_loss - entropy_coef * entropy, and these three as metrics.

        Each of the three is a mean over all steps of the batch whose ``mask`` is True; without any, the loss and its
        gradients are 0. The TD error of a step is its target minus ``value``. A step contributes minus the TD error
        times ``log_prob`` to ``policy_loss``, in which the TD error is a constant; half the squared TD error to
        ``value_loss``, in which the target is a constant; and the entropy of its state to ``entropy``.

        Gradient flows to ``log_prob``, ``value`` and ``entropy``; none flows to ``next_value``. The metrics are scalars
        without gradient. They and the loss have the dtype of ``log_prob``.
        """
        target = self.target(batch)  # (B, T)

        # HOLE 2/3: what each step contributes; set ``pg_losses`` and ``vf_losses``, both (B, T), as the docstring says.
        raise NotImplementedError("hole 2/3: what each step contributes")

        # HOLE 3/3: means over the real steps; set the scalars ``policy_loss``, ``value_loss``, ``entropy``, ``loss``.
        raise NotImplementedError("hole 3/3: means over the real steps")

        metrics = {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy}
        return Loss(loss=loss, metrics={name: metric.detach() for name, metric in metrics.items()})
