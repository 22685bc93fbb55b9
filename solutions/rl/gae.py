"""Generalised advantage estimation.

Source: Schulman et al. 2016, arXiv:1506.02438, eq. 16.
Axes: B trajectories, T steps.   Rewards and values in the environment's unit.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["gae"]


def gae(
    reward: Float[Tensor, "B T"],
    value: Float[Tensor, "B T+1"],
    done: Bool[Tensor, "B T"],
    *,
    gamma: float,
    lam: float,
) -> Float[Tensor, "B T"]:
    """Return A_t = delta_t + gamma * lam * A_{t+1}, where delta_t = r_t + gamma * V(s_{t+1}) - V(s_t).

    After the last step of an episode V(s_{t+1}) and A_{t+1} are 0. After the last step of a row A_{t+1} is 0, but
    V(s_{t+1}) need not be.

    ``reward[:, t]`` is the reward of step t, ``value[:, t]`` the critic's V of the state before step t, and
    ``value[:, T]`` its V of the state after the last step.
    ``done[:, t]`` says that step t ended its episode; step t + 1 then begins another, so a row may hold several.
    If ``done[:, T - 1]`` is False, the row stops in mid-episode, and ``value[:, T]`` estimates the remaining rewards.
    An episode that was cut off by a time limit is not terminal: the caller has added gamma * V(its final observation)
    to the reward of that step and marked the step done, so it needs no special treatment here.
    ``gamma`` and ``lam`` lie in [0, 1].

    The result is not normalised. It is computed in the dtype of ``reward``, which is also that of ``value``. T and B
    may be 0.
    """
    # HOLE 1/2: one-step errors; set ``delta``, delta_t of every step, shape (B, T). Do not bootstrap across the end of
    # an episode.
    next_non_terminal = (~done).to(reward.dtype)  # (B, T), 0 where the step ended its episode
    delta = reward + gamma * next_non_terminal * value[:, 1:] - value[:, :-1]  # (B, T)
    # END HOLE

    # HOLE 2/2: the backward recursion; fill `advantage`, shape (B, T), from the last step to the first.
    # No advantage flows back across the end of an episode.
    # EMPTY: advantage = delta.clone()
    advantage = torch.empty_like(reward)
    last_gae_lam = reward.new_zeros(reward.shape[0])  # (B,), A_{t+1}; it is 0 after the last step
    for t in reversed(range(reward.shape[1])):
        last_gae_lam = delta[:, t] + gamma * lam * next_non_terminal[:, t] * last_gae_lam
        advantage[:, t] = last_gae_lam
    # END HOLE
    return advantage
