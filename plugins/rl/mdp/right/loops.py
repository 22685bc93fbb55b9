"""Python floats and dictionaries, state by state."""

import torch


class MDP:
    def __init__(self, transition, reward, terminal, *, gamma):
        self.dtype, self.gamma = reward.dtype, gamma
        self.p, self.r, self.end = transition.tolist(), reward.tolist(), terminal.tolist()
        self.states, self.actions = range(len(self.r)), range(len(self.r[0]))

    def tensor(self, x):
        return torch.tensor(x, dtype=self.dtype)

    def q(self, s, v):
        if self.end[s]:
            return [0.0 for _ in self.actions]
        ahead = [t for t in self.states if not self.end[t]]
        return [self.r[s][a] + self.gamma * sum(self.p[s][a][t] * v[t] for t in ahead) for a in self.actions]

    def q_values(self, value):
        v = value.tolist()
        return self.tensor([self.q(s, v) for s in self.states])

    def evaluate(self, policy, value, *, sweeps):
        pi, v = policy.tolist(), value.tolist()
        while sweeps > 0:
            v = [sum(p * q for p, q in zip(pi[s], self.q(s, v))) for s in self.states]
            sweeps -= 1
        return self.tensor(v)

    def solve(self, policy):
        """Gauss and Jordan, with pivots."""
        pi, n = policy.tolist(), len(self.states)
        rows = []
        for s in self.states:
            row = [float(s == t) for t in self.states] + [0.0]
            if not self.end[s]:
                for a in self.actions:
                    row[n] += pi[s][a] * self.r[s][a]
                    for t in self.states:
                        row[t] -= self.gamma * pi[s][a] * self.p[s][a][t]
            rows.append(row)
        for k in range(n):
            best = max(range(k, n), key=lambda i: abs(rows[i][k]))
            rows[k], rows[best] = rows[best], rows[k]
            rows[k] = [x / rows[k][k] for x in rows[k]]
            for i in range(n):
                if i != k:
                    rows[i] = [x - rows[i][k] * y for x, y in zip(rows[i], rows[k])]
        return self.tensor([row[n] for row in rows])

    def greedy(self, value):
        policy = []
        for s in self.states:
            q = self.q(s, value.tolist())
            policy.append([float(a == q.index(max(q))) for a in self.actions])
        return self.tensor(policy)

    def value_iteration(self, value, *, tolerance, max_sweeps):
        v, count, change = value.tolist(), 0, float("inf")
        while count < max_sweeps and change > tolerance:
            new = [max(self.q(s, v)) for s in self.states]
            change = max(abs(x - y) for x, y in zip(new, v))
            v, count = new, count + 1
        return self.tensor(v)
