"""In float64 with numpy, rounded once at the end."""

import numpy as np
import torch


class MDP:
    def __init__(self, transition, reward, terminal, *, gamma):
        self.dtype, self.gamma = reward.dtype, gamma
        self.P, self.R = (x.detach().cpu().numpy().astype(np.float64) for x in (transition, reward))
        self.go_on = ~terminal.numpy()

    def _q(self, v):
        return self.go_on[:, None] * (self.R + self.gamma * np.tensordot(self.P, v * self.go_on, axes=1))

    def _out(self, x):
        return torch.from_numpy(np.ascontiguousarray(x)).to(self.dtype)

    def q_values(self, value):
        return self._out(self._q(value.numpy().astype(np.float64)))

    def evaluate(self, policy, value, *, sweeps):
        pi, v = policy.numpy(), value.numpy().astype(np.float64)
        for _ in range(sweeps):
            v = np.sum(pi * self._q(v), axis=-1)
        return self._out(v)

    def solve(self, policy):
        pi = policy.numpy() * self.go_on[:, None]
        a = np.eye(len(pi)) - self.gamma * np.matmul(pi[:, None, :], self.P)[:, 0, :]
        return self._out(np.linalg.lstsq(a, (pi * self.R).sum(-1), rcond=None)[0])

    def greedy(self, value):
        q = self._q(value.numpy().astype(np.float64))
        return self._out(np.eye(q.shape[1])[np.argmax(q, axis=1)])

    def value_iteration(self, value, *, tolerance, max_sweeps):
        v = value.numpy().astype(np.float64)
        for _ in range(max_sweeps):
            new = self._q(v).max(axis=1)
            change = np.linalg.norm(new - v, ord=np.inf)
            v = new
            if change <= tolerance:
                break
        return self._out(v)
