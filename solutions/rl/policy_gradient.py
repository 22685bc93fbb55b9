"""REINFORCE: reward-to-go, a baseline and an entropy bonus.

Source: Williams 1992 (REINFORCE); Sutton and Barto 2018, sections 13.2 to 13.4, with the factor gamma^t of their boxes.
Axes: B rows, T steps.   Logarithms: nats.   Rewards and values: the environment's unit.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from groundup.core.interfaces.rl import EpisodeBatch, Loss, RLAlgorithm

__all__ = ["Reinforce"]


class Reinforce(RLAlgorithm[EpisodeBatch]):
    """The loss of one policy-gradient update. The object holds only coefficients: calls never influence each other.

    Each row begins with the first step of an episode, and padding stands only behind a row's last real step.
    """

    def __init__(self, *, gamma: float = 0.99, value_coef: float = 0.5, entropy_coef: float = 0.01) -> None:
        """Store the coefficients. ``gamma``, in [0, 1], is the discount of one step."""
        self.gamma = gamma
        self.value_coef = value_coef
        self.entropy_coef = entropy_coef

    def returns(self, batch: EpisodeBatch) -> Float[Tensor, "B T"]:
        """Return G_t, the reward-to-go: reward_t plus gamma times what follows in the same episode. No gradient.

        After a ``terminated`` step nothing follows, also if the step is ``truncated`` as well. After a step that is
        only ``truncated``, and after a row's last real step if its episode goes on, ``next_value`` follows. After any
        other step G_{t+1} follows. What is returned at padding does not matter.
        """
        last = last_real_step(batch.mask)  # (B, T)
        # HOLE 1/4: reward-to-go; set ``returns``, (B, T), from the last step to the first.
        reward, next_value = batch.reward.detach(), batch.next_value.detach()
        returns = torch.zeros_like(reward)  # (B, T)
        to_go = reward.new_zeros(reward.shape[0])  # (B,)
        for t in reversed(range(reward.shape[1])):
            cut_off = batch.truncated[:, t] | last[:, t]
            follows = torch.where(cut_off, next_value[:, t], to_go)
            to_go = reward[:, t] + self.gamma * torch.where(batch.terminated[:, t], 0, follows)
            returns[:, t] = to_go
        # END HOLE
        return returns

    def discounts(self, batch: EpisodeBatch) -> Float[Tensor, "B T"]:
        """Return gamma^t in the dtype of the rewards, where t counts the steps of the episode from 0.

        The step after a ``terminated`` or ``truncated`` one is step 0 of the next episode. What is returned at padding
        does not matter.
        """
        # HOLE 2/4: gamma^t; set ``discounts``, (B, T), from the first step to the last.
        discounts = torch.ones_like(batch.reward)  # (B, T)
        for t in range(1, batch.reward.shape[1]):
            over = batch.terminated[:, t - 1] | batch.truncated[:, t - 1]
            discounts[:, t] = torch.where(over, 1, self.gamma * discounts[:, t - 1])
        # END HOLE
        return discounts

    def loss(self, batch: EpisodeBatch) -> Loss:
        """Return policy_loss + value_coef * value_loss - entropy_coef * entropy, and these three as metrics.

        Each of the three is a sum over the steps of an episode and a mean over the episodes: everything is added up
        over the steps whose ``mask`` is True, and divided by the number of episodes, of which a row may hold several;
        an unfinished one counts as one. Without any step the loss and its gradients are 0.

        A step contributes -gamma^t (G_t - value) log_prob to ``policy_loss``, where value is a constant: the baseline.
        To ``value_loss`` it contributes half the squared error of the value against G_t, to ``entropy`` the entropy of
        its state; neither is multiplied by gamma^t. Gradient flows to ``log_prob``, ``value`` and ``entropy``;
        everything else is a constant. The metrics are scalars without gradient. They and the loss have the dtype of
        ``log_prob``.
        """
        returns, discounts = self.returns(batch), self.discounts(batch)  # (B, T)

        # HOLE 3/4: what each step contributes; set ``pg_losses`` and ``vf_losses``, both (B, T), as the docstring says.
        # EMPTY: pg_losses, vf_losses = -returns * batch.log_prob, 0 * batch.value
        advantage = returns - batch.value.detach()  # (B, T)
        pg_losses = -discounts * advantage * batch.log_prob  # (B, T)
        vf_losses = 0.5 * (batch.value - returns) ** 2  # (B, T)
        # END HOLE

        # HOLE 4/4: sums over steps, means over episodes; set the scalars ``policy_loss``, ``value_loss``, ``entropy``
        # and ``loss`` as the docstring says.
        # EMPTY: policy_loss, value_loss = pg_losses.sum(), vf_losses.sum(); entropy = 0 * value_loss; loss = policy_loss + value_loss
        ends = batch.terminated | batch.truncated | last_real_step(batch.mask)  # (B, T)
        episodes = (batch.mask & ends).sum().clamp(min=1)  # with only padding this gives 0 / 1, not 0 / 0

        def per_episode(term: Float[Tensor, "B T"]) -> Float[Tensor, ""]:
            return torch.where(batch.mask, term, 0).sum() / episodes

        policy_loss, value_loss = per_episode(pg_losses), per_episode(vf_losses)
        entropy = per_episode(batch.entropy)
        loss = policy_loss + self.value_coef * value_loss - self.entropy_coef * entropy
        # END HOLE

        metrics = {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy}
        return Loss(loss=loss, metrics={name: metric.detach() for name, metric in metrics.items()})


def last_real_step(mask: Bool[Tensor, "B T"]) -> Bool[Tensor, "B T"]:
    """Return where each row's last real step is: what stands behind it is padding, or nothing."""
    following = torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], dim=1)
    return mask & ~following
