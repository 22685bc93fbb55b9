"""Batch-constrained Q-learning for discrete actions: the loss of one update on stored transitions.

Source: Fujimoto et al. 2019, "Benchmarking Batch Deep Reinforcement Learning Algorithms", arXiv:1910.01708, the
discrete form of BCQ (arXiv:1812.02900).
Axes: B transitions, A actions.   Rewards and values in the environment's unit; logarithms: nats.
"""

from __future__ import annotations

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm, TransitionBatch

__all__ = ["BCQ"]


class BCQ(RLAlgorithm[TransitionBatch]):
    """The loss of a discrete BCQ update. The object holds only coefficients: calls never influence each other."""

    def __init__(self, *, gamma: float = 0.99, threshold: float = 0.3) -> None:
        """Store the coefficients.

        ``gamma`` is the discount of one step. ``threshold``, in [0, 1], is how likely an action has to be under the
        behaviour policy to be considered, as a share of the probability of its likeliest action.
        """
        self.gamma = gamma
        self.threshold = threshold

    def loss(self, batch: TransitionBatch) -> Loss:
        """Return td_loss + behaviour_loss, and as metrics these two and ``kept``. All are means over the B transitions.

        An action is allowed in s' if ``behaviour_log_prob`` makes it at least ``threshold`` times as likely as the
        likeliest action of s': >=, not >. So 0 allows every action, and 1 the likeliest alone, with its ties. Only
        ratios count: the log-probabilities need not be normalised. ``kept`` is the share of the A actions of s' that
        are allowed.

        Of the allowed actions the one with the largest ``next_online_q_value`` is selected, and the target is reward +
        gamma * ``next_q_value`` of that action; the reward alone where ``done``. If ``next_online_q_value`` is None,
        ``next_q_value`` selects as well. ``td_loss`` is Huber's loss of Q(s, a) of the action taken against the target:
        half the squared error up to 1, and the absolute error minus 1/2 beyond.

        ``behaviour_loss`` is -log-probability of the action taken, from ``current_behaviour_log_prob``; 0 if that is
        None. Gradient flows to ``q_value`` and ``current_behaviour_log_prob``; everything else is a constant. Loss and
        metrics are scalars in the dtype of ``q_value``; the metrics carry no gradient.
        """
        # HOLE 1/3: the filter; set ``allowed``, (B, A) and bool: True for the actions of s' that the behaviour policy
        # makes likely enough.
        raise NotImplementedError("hole 1/3: the filter")

        # HOLE 2/3: the constrained target; set ``target``, (B,), without gradient: the reward, and where the episode
        # goes on the discounted value of the best allowed action.
        raise NotImplementedError("hole 2/3: the constrained target")

        # HOLE 3/3: the two losses; set the scalars ``td_loss``, ``behaviour_loss`` and ``loss`` as the docstring
        # defines them.
        raise NotImplementedError("hole 3/3: the two losses")

        kept = allowed.to(batch.q_value.dtype).mean()
        metrics = {"td_loss": td_loss, "behaviour_loss": behaviour_loss, "kept": kept}
        return Loss(loss=loss, metrics={name: metric.detach() for name, metric in metrics.items()})
