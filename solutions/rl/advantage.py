"""Advantages: how much better an action was than what the policy does on average, and how a batch of them is scaled.

Source: Sutton and Barto 2018, Reinforcement Learning, 2nd edition, section 3.5 (V and Q) and eq. 7.1 (n steps);
Schulman et al. 2016, arXiv:1506.02438, section 2 (advantage); Kool et al. 2019, Buy 4 REINFORCE Samples, Get a Baseline
for Free (leave one out).
Axes: S states, A actions, B trajectories, T steps, K samples of a group.   Rewards in the environment's unit.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["Advantage"]


class Advantage:
    """Six parts of an advantage estimate. No method changes its inputs.

    Everything is computed in the dtype of the float inputs, and nothing is rounded to float32 on the way: a quotient of
    two integer tensors is a float32.

    Where there is nothing to compare with, the advantage is 0: the only sample of its group, the only counted token.
    """

    def __init__(self, *, gamma: float = 1.0, eps: float = 1e-8) -> None:
        """Remember the discount ``gamma``, in [0, 1], and the ``eps`` > 0 that ``whiten`` adds to a variance."""
        self.gamma, self.eps = gamma, eps

    def from_q(self, q: Float[Tensor, "*S A"], policy: Float[Tensor, "*S A"]) -> Float[Tensor, "*S A"]:
        """Return A(s, a) = Q(s, a) - V(s) for each action; V(s) is the mean of Q(s, a) under the policy.

        ``policy`` holds the probability of each action. Each state's probabilities are at least 0 and add up to 1.
        """
        # HOLE 1/6: better than the policy's average; set ``advantage``, shape (*S, A).
        value = (policy * q).sum(dim=-1, keepdim=True)  # (*S, 1)
        advantage = q - value
        # END HOLE
        return advantage

    def n_step(
        self, reward: Float[Tensor, "B T"], value: Float[Tensor, "B T+1"], done: Bool[Tensor, "B T"], *, n: int
    ) -> Float[Tensor, "B T"]:
        """Return the n-step advantage of each step: n discounted rewards, gamma^n times the value after them, less V.

        ``reward[:, t]`` is the reward of step t, ``value[:, t]`` V of the state before step t, and ``value[:, T]`` V of
        the state after the last step. ``done[:, t]`` says that step t ended its episode; step t + 1 then begins
        another. From step t on, rewards are added until n of them are added, the episode ends, or the row does. After
        an episode's end nothing is added, no value either. If the row ends first, ``value[:, T]`` is added, discounted
        by the number of rewards. ``n`` is 1 or more and may exceed T. B and T may be 0.
        """
        # HOLE 2/6: n rewards and a value; set ``advantage``, shape (B, T). Nothing crosses the end of an episode.
        next_non_terminal = (~done).to(reward.dtype)  # (B, T), 0 where the step ended its episode
        estimate = value  # (B, T + 1), of the return from each state on, from 0 rewards
        for _ in range(min(n, reward.shape[1])):  # one more reward each time; more than T change nothing
            longer = reward + self.gamma * next_non_terminal * estimate[:, 1:]
            estimate = torch.cat([longer, value[:, -1:]], dim=1)
        advantage = estimate[:, :-1] - value[:, :-1]
        # END HOLE
        return advantage

    def minus_mean(self, returns: Float[Tensor, "*G K"]) -> Float[Tensor, "*G K"]:
        """Return each sample's return less the mean of its group, the sample itself included. K is 1 or more.

        A group is the last axis: K episodes from one start, or K answers to one prompt. Nothing is divided by a
        standard deviation.
        """
        # HOLE 3/6: the group's mean as baseline; set ``advantage``, shape (*G, K).
        advantage = returns - returns.mean(dim=-1, keepdim=True)
        # END HOLE
        return advantage

    def leave_one_out(self, returns: Float[Tensor, "*G K"]) -> Float[Tensor, "*G K"]:
        """Return each sample's return less the mean of the K - 1 others of its group. With K = 1 the advantage is 0."""
        # HOLE 4/6: the mean of the others as baseline; set ``advantage``, shape (*G, K).
        samples = returns.shape[-1]
        total = returns.sum(dim=-1, keepdim=True)
        # r - (total - r) / (K - 1), over one denominator: it is 0 / 1 where K is 1.
        advantage = (samples * returns - total) / max(samples - 1, 1)
        # END HOLE
        return advantage

    def masked_moments(
        self, x: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Return the mean and the sample variance of the numbers of ``x`` where ``mask`` is True, as two scalars.

        All counted numbers are taken together, whatever their row. The sample variance divides by their count less 1;
        of a single number it is 0. If none is counted, both are 0. Where ``mask`` is False, ``x`` may hold anything,
        NaN included, and gets no gradient. Gradient reaches the counted numbers through both results.
        """
        # HOLE 5/6: mean and variance of what counts; set ``mean`` and ``var``, both of shape (). Neither the sums nor
        # the counts may see padding. Compute the deviations from the mean first: a difference of squares cancels.
        count = mask.sum()
        mean = torch.where(mask, x, 0.0).sum() / count.clamp(min=1)
        deviation = torch.where(mask, x - mean, 0.0)
        var = deviation.square().sum() / (count - 1).clamp(min=1)
        # END HOLE
        return mean, var

    def whiten(self, x: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return (x - mean) / sqrt(var + eps) where ``mask`` is True, and 0 elsewhere; see ``masked_moments``.

        ``eps`` stands inside the root and nowhere else, and the mean is not added back. Gradient reaches the counted
        numbers as the formula says, through mean and variance too; the others get exactly 0, never NaN.
        """
        mean, var = self.masked_moments(x, mask)
        # HOLE 6/6: centre, scale, and 0 for padding; set ``whitened``, the shape of ``x``. Padding may hold NaN, which
        # must reach neither the result nor the gradient.
        deviation = torch.where(mask, x - mean, 0.0)  # before it is multiplied: 0 * NaN is NaN, in the gradient too
        whitened = deviation * torch.rsqrt(var + self.eps)
        # END HOLE
        return whitened
