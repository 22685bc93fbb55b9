"""In float64 with numpy, rounded once at the end."""

import numpy as np
import torch


class TDLearning:
    def __init__(self, *, alpha, gamma):
        self.alpha, self.gamma = np.float64(alpha), np.float64(gamma)

    def target(self, reward, next_value, terminated, truncated):
        r, v = (x.numpy().astype(np.float64) for x in (reward, next_value))
        return torch.as_tensor(r + self.gamma * np.where(terminated.numpy(), 0.0, v)).to(reward.dtype)

    def walk(self, table, place, next_value, reward, terminated):
        out = table.numpy().astype(np.float64).copy()
        r, go_on = reward.numpy().astype(np.float64), 1.0 - terminated.numpy()
        for t in range(r.shape[0]):
            delta = r[t] + self.gamma * go_on[t] * next_value(out, t) - out[place(t)]
            out[place(t)] += self.alpha * delta
        return torch.from_numpy(out).to(table.dtype)

    def td0(self, value, state, reward, next_state, terminated, truncated):
        s, n = state.numpy(), next_state.numpy()
        return self.walk(value, lambda t: s[t], lambda v, t: v[n[t]], reward, terminated)

    def sarsa(self, q, state, action, reward, next_state, next_action, terminated, truncated):
        s, a, n, b = (x.numpy() for x in (state, action, next_state, next_action))
        return self.walk(q, lambda t: (s[t], a[t]), lambda x, t: x[n[t], b[t]], reward, terminated)

    def q_learning(self, q, state, action, reward, next_state, terminated, truncated):
        s, a, n = (x.numpy() for x in (state, action, next_state))
        return self.walk(q, lambda t: (s[t], a[t]), lambda x, t: np.max(x[n[t]]), reward, terminated)

    def expected_sarsa(self, q, policy, state, action, reward, next_state, terminated, truncated):
        s, a, n, pi = (x.numpy() for x in (state, action, next_state, policy))
        return self.walk(q, lambda t: (s[t], a[t]), lambda x, t: np.dot(pi[n[t]], x[n[t]]), reward, terminated)
