"""The tables are cleaned once: an end loses its rows, and nothing follows it."""

import torch


class MDP:
    def __init__(self, transition, reward, terminal, *, gamma):
        live = 1 - terminal.to(reward.dtype)
        self.p = gamma * torch.einsum("sat,s,t->sat", transition, live, live)
        self.r = torch.einsum("sa,s->sa", reward, live)

    def q_values(self, value):
        return torch.einsum("sat,t->sa", self.p, value).add(self.r)

    def evaluate(self, policy, value, *, sweeps):
        for _ in range(sweeps):
            value = torch.einsum("sa,sa->s", policy, self.q_values(value))
        return value

    def solve(self, policy):
        p = torch.einsum("sa,sat->st", policy, self.p)
        r = torch.einsum("sa,sa->s", policy, self.r)
        return torch.linalg.inv(torch.eye(len(r)).to(r) - p).mv(r)

    def greedy(self, value):
        q = self.q_values(value)
        first = (q == q.max(1, keepdim=True).values).cumsum(1).cumsum(1) == 1
        return first.to(q.dtype)

    def value_iteration(self, value, *, tolerance, max_sweeps):
        for _ in range(max_sweeps):
            new = self.q_values(value).max(1).values
            done = torch.allclose(new, value, rtol=0.0, atol=tolerance)
            value = new
            if done:
                return value
        return value
