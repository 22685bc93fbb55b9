"""The ends become states that loop and earn nothing; from then on they are states like all others."""

import torch


class MDP:
    def __init__(self, transition, reward, terminal, *, gamma):
        self.p, self.r, self.terminal = transition.clone(), reward.clone(), terminal
        for s in torch.nonzero(terminal).flatten().tolist():
            self.p[s] = 0
            self.p[s, :, s] = 1
            self.r[s] = 0
        self.gamma = gamma

    def q_values(self, value):
        value = value.masked_fill(self.terminal, 0)
        return torch.add(self.r, (self.p * value).sum(-1), alpha=self.gamma)

    def evaluate(self, policy, value, *, sweeps):
        return value if sweeps == 0 else self.evaluate(policy, self.backup(policy, value), sweeps=sweeps - 1)

    def backup(self, policy, value):
        return torch.bmm(policy[:, None, :], self.q_values(value)[:, :, None]).flatten()

    def solve(self, policy):
        """With gamma 1 the matrix of a loop has no inverse: its equation is V = 0."""
        n = len(policy)
        a = torch.eye(n, dtype=policy.dtype) - self.gamma * torch.bmm(policy[:, None, :], self.p)[:, 0]
        a[self.terminal] = torch.eye(n, dtype=policy.dtype)[self.terminal]
        b = (policy * self.r).sum(1, keepdim=True)
        lu, pivots = torch.linalg.lu_factor(a)
        return torch.linalg.lu_solve(lu, pivots, b)[:, 0]

    def greedy(self, value):
        q = self.q_values(value)
        return torch.zeros_like(q).scatter_(1, q.argmax(1, keepdim=True), 1.0)

    def value_iteration(self, value, *, tolerance, max_sweeps):
        sweep = 0
        while True:
            new, sweep = torch.max(self.q_values(value), dim=1)[0], sweep + 1
            if sweep == max_sweeps or (new - value).abs().le(tolerance).all():
                return new
            value = new
