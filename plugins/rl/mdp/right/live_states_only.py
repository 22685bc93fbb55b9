"""Only the states from which an episode goes on are computed; the ends are put back as zeros."""

import torch


class MDP:
    def __init__(self, transition, reward, terminal, *, gamma):
        self.live = (~terminal).nonzero()[:, 0]
        self.p = transition[self.live][:, :, self.live]
        self.r, self.gamma, self.like = reward[self.live], gamma, torch.zeros_like(reward)

    def spread(self, x):
        out = self.like.new_zeros(len(self.like), *x.shape[1:])
        out[self.live] = x
        return out

    def ahead(self, v):
        return self.r + self.gamma * torch.tensordot(self.p, v, dims=1)

    def q_values(self, value):
        return self.spread(self.ahead(value[self.live]))

    def evaluate(self, policy, value, *, sweeps):
        v, pi = value[self.live], policy[self.live]
        for _ in range(sweeps):
            v = (pi * self.ahead(v)).sum(-1)
        return self.spread(v)

    def solve(self, policy):
        pi = policy[self.live]
        p, r = (pi[..., None] * self.p).sum(1), (pi * self.r).sum(1)
        return self.spread(torch.linalg.solve(torch.eye(len(r), dtype=r.dtype) - self.gamma * p, r))

    def greedy(self, value):
        policy = torch.zeros_like(self.like)
        for s, row in enumerate(self.q_values(value)):
            policy[s, int(row.argmax())] = 1
        return policy

    def value_iteration(self, value, *, tolerance, max_sweeps):
        v = value[self.live]
        for _ in range(max_sweeps):
            old = v
            v = self.ahead(v).amax(-1)
            if torch.dist(v, old, p=float("inf")) <= tolerance:
                break
        return self.spread(v)
