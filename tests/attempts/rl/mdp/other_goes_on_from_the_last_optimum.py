"""Begins value iteration where the last call has ended."""

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
        p, r = torch.einsum("sa,sat->st", policy, self.p), (policy * self.r).sum(1)
        return torch.linalg.solve(torch.eye(len(r), dtype=r.dtype) - self.gamma * p, r)

    def greedy(self, value):
        q = self.q_values(value)
        return torch.eye(q.shape[1], dtype=q.dtype)[q.argmax(1)]

    def value_iteration(self, value, *, tolerance, max_sweeps):
        value = getattr(self, "best", value)
        for _ in range(max_sweeps):
            old, value = value, self.q_values(value).amax(1)
            if (value - old).abs().max() <= tolerance:
                break
        self.best = value
        return value
