"""Planning in a Markov decision process whose tables are known: policy evaluation and value iteration.

Source: Sutton and Barto 2018, Reinforcement Learning, 2nd edition, chapter 4, eq. 4.4, 4.5, 4.9 and 4.10.
Axes: S states, A actions; the last axis of the transitions is the next state.   Rewards in the environment's unit.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import one_hot

__all__ = ["MDP"]


class MDP:
    """A Markov decision process with S states and A actions, given as tables.

    A policy is a table (S, A) of probabilities pi(a | s); a value is a table (S,). Every result is a new tensor, in the
    dtype of ``transition``, which ``reward``, values and policies share.
    """

    def __init__(
        self,
        transition: Float[Tensor, "S A S"],
        reward: Float[Tensor, "S A"],
        terminal: Bool[Tensor, "S"],
        *,
        gamma: float,
    ) -> None:
        """Store the tables.

        ``transition[s, a, t]`` is P(t | s, a), the probability that action a in state s leads to state t.
        ``reward[s, a]`` is r(s, a), the mean of what the step earns, over the next states.
        ``terminal[s]`` says that s is an end: nothing is earned from there on. The rows of an end in the other tables
        mean nothing; they may loop, hold a reward, or lead to the start of the next episode.
        ``gamma`` lies in [0, 1]. At 1 every policy that is evaluated reaches an end from everywhere.
        """
        self.transition, self.reward, self.terminal, self.gamma = transition, reward, terminal, gamma

    def q_values(self, value: Float[Tensor, "S"]) -> Float[Tensor, "S A"]:
        """Return Q(s, a) = r(s, a) + gamma * sum_t P(t | s, a) V(t), and 0 for each action of an end.

        V of an end is 0, whatever ``value`` holds there.
        """
        # HOLE 1/5: look one step ahead; set ``q``, shape (S, A). An end is worth 0, both as the next state and as
        # the state itself.
        raise NotImplementedError("hole 1/5: look one step ahead")
        return q

    def evaluate(self, policy: Float[Tensor, "S A"], value: Float[Tensor, "S"], *, sweeps: int) -> Float[Tensor, "S"]:
        """Return the value after ``sweeps`` sweeps of policy evaluation, which begin at ``value``.

        A sweep replaces every V(s) by sum_a pi(a | s) Q(s, a). It is synchronous: it reads the values of the sweep
        before it, and none of its own. ``sweeps`` is 1 or more.
        """
        # HOLE 2/5: sweep as often as is asked for; set ``value``. The policy says how often each action is taken.
        raise NotImplementedError("hole 2/5: sweep as often as is asked for")
        return value

    def solve(self, policy: Float[Tensor, "S A"]) -> Float[Tensor, "S"]:
        """Return the value of the policy, which no sweep changes: V = (I - gamma P_pi)^-1 r_pi, and 0 in each end."""
        # HOLE 3/5: the linear system; set ``value``. Its rows of the ends say V = 0.
        raise NotImplementedError("hole 3/5: the linear system")
        return value

    def greedy(self, value: Float[Tensor, "S"]) -> Float[Tensor, "S A"]:
        """Return the policy that takes an action with the largest Q in each state: 1 there, 0 elsewhere.

        Of several such actions it is the one with the lowest number, in an end therefore action 0.
        """
        # HOLE 4/5: the best action of each state; set ``policy``, one 1 a row.
        raise NotImplementedError("hole 4/5: the best action of each state")
        return policy

    def value_iteration(self, value: Float[Tensor, "S"], *, tolerance: float, max_sweeps: int) -> Float[Tensor, "S"]:
        """Return the value after the last sweep of value iteration, which begins at ``value`` (0 in each end).

        A sweep replaces every V(s) by max_a Q(s, a), synchronously. The last one is the first that changes no value by
        more than ``tolerance``, or sweep number ``max_sweeps`` if none did until then. There is at least one.
        """
        # HOLE 5/5: sweep until the values hardly change; set ``value``.
        raise NotImplementedError("hole 5/5: sweep until the values hardly change")
        return value
