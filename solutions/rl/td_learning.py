"""Temporal-difference learning: tables of values that are corrected a little after each step.

Source: Sutton and Barto 2018, Reinforcement Learning, 2nd edition, eq. 6.2 (TD(0)), 6.7 (Sarsa), 6.8 (Q-learning) and
6.9 (expected Sarsa).
Axes: N steps in the order in which they were taken, S states, A actions.   Rewards in the environment's unit.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["TDLearning"]


class TDLearning:
    """Four ways to correct a table: entry <- entry + alpha * (target - entry).

    Each takes N steps. Step t was taken in ``state[t]``, with ``action[t]``, earned ``reward[t]`` and reached
    ``next_state[t]``. The steps are used one after the other: each corrects one entry, once, and sees the table as the
    steps before it have left it. The result is a new table; the one passed in stays as it is. N may be 0.

    ``terminated[t]`` says that step t ended its episode: nothing is earned after it, whatever ``next_state[t]`` holds;
    after an automatic reset that is the start of the next episode. ``truncated[t]`` says that a time limit cut the
    episode off after step t. That is no end: ``next_state[t]`` is the state in which it was cut off, and its value
    counts. A step that is both has ended.
    """

    def __init__(self, *, alpha: float, gamma: float) -> None:
        """Store the step size ``alpha`` and the discount ``gamma``, both in [0, 1]."""
        self.alpha, self.gamma = alpha, gamma

    def target(
        self,
        reward: Float[Tensor, "*steps"],
        next_value: Float[Tensor, "*steps"],
        terminated: Bool[Tensor, "*steps"],
        truncated: Bool[Tensor, "*steps"],
    ) -> Float[Tensor, "*steps"]:
        """Return reward + gamma * next_value of each step, and the reward alone where the step ended its episode.

        The steps have any shape. The result has the dtype of ``reward``, which is also that of ``next_value``.
        """
        # HOLE 1/5: what each step says that its state is worth; set ``target``. Nothing follows an end.
        target: Tensor = reward + self.gamma * torch.where(terminated, 0.0, next_value)
        # END HOLE
        return target

    def td0(
        self,
        value: Float[Tensor, "S"],
        state: Int[Tensor, "N"],
        reward: Float[Tensor, "N"],
        next_state: Int[Tensor, "N"],
        terminated: Bool[Tensor, "N"],
        truncated: Bool[Tensor, "N"],
    ) -> Float[Tensor, "S"]:
        """Return V corrected towards r + gamma * V(next state), at the states that were visited."""
        value = value.clone()
        # HOLE 2/5: the steps in their order; correct ``value`` in place.
        for t in range(len(state)):
            target = self.target(reward[t], value[next_state[t]], terminated[t], truncated[t])
            value[state[t]] += self.alpha * (target - value[state[t]])
        # END HOLE
        return value

    def sarsa(
        self,
        q: Float[Tensor, "S A"],
        state: Int[Tensor, "N"],
        action: Int[Tensor, "N"],
        reward: Float[Tensor, "N"],
        next_state: Int[Tensor, "N"],
        next_action: Int[Tensor, "N"],
        terminated: Bool[Tensor, "N"],
        truncated: Bool[Tensor, "N"],
    ) -> Float[Tensor, "S A"]:
        """Return Q corrected towards r + gamma * Q(next state, next action).

        ``next_action[t]`` is the action that was then taken in the next state, or would have been at a time limit.
        """
        q = q.clone()
        # HOLE 3/5: the same for pairs of state and action; correct ``q`` in place.
        for t in range(len(state)):
            target = self.target(reward[t], q[next_state[t], next_action[t]], terminated[t], truncated[t])
            q[state[t], action[t]] += self.alpha * (target - q[state[t], action[t]])
        # END HOLE
        return q

    def q_learning(
        self,
        q: Float[Tensor, "S A"],
        state: Int[Tensor, "N"],
        action: Int[Tensor, "N"],
        reward: Float[Tensor, "N"],
        next_state: Int[Tensor, "N"],
        terminated: Bool[Tensor, "N"],
        truncated: Bool[Tensor, "N"],
    ) -> Float[Tensor, "S A"]:
        """Return Q corrected towards r + gamma * max_a Q(next state, a), whichever action was taken there."""
        q = q.clone()
        # HOLE 4/5: towards the best next action; correct ``q`` in place.
        for t in range(len(state)):
            target = self.target(reward[t], q[next_state[t]].max(), terminated[t], truncated[t])
            q[state[t], action[t]] += self.alpha * (target - q[state[t], action[t]])
        # END HOLE
        return q

    def expected_sarsa(
        self,
        q: Float[Tensor, "S A"],
        policy: Float[Tensor, "S A"],
        state: Int[Tensor, "N"],
        action: Int[Tensor, "N"],
        reward: Float[Tensor, "N"],
        next_state: Int[Tensor, "N"],
        terminated: Bool[Tensor, "N"],
        truncated: Bool[Tensor, "N"],
    ) -> Float[Tensor, "S A"]:
        """Return Q corrected towards r + gamma * sum_a policy[next state, a] * Q(next state, a).

        ``policy`` holds the probabilities of the actions in each state; it stays the same for all N steps.
        """
        q = q.clone()
        # HOLE 5/5: towards the mean over the next actions; correct ``q`` in place.
        for t in range(len(state)):
            expected = (policy[next_state[t]] * q[next_state[t]]).sum()
            target = self.target(reward[t], expected, terminated[t], truncated[t])
            q[state[t], action[t]] += self.alpha * (target - q[state[t], action[t]])
        # END HOLE
        return q
