"""The table of pairs is kept in float32, and only the result has the dtype of the input."""

import torch


class TDLearning:
    def __init__(self, *, alpha, gamma):
        self.alpha, self.gamma = alpha, gamma

    def target(self, reward, next_value, terminated, truncated):
        return reward + self.gamma * next_value.masked_fill(terminated, 0)

    def td0(self, value, state, reward, next_state, terminated, truncated):
        v = value.clone()
        for s, r, n, *flags in zip(state, reward, next_state, terminated, truncated):
            v[s] = torch.lerp(v[s], self.target(r, v[n], *flags), self.alpha)
        return v

    def sarsa(self, q, state, action, reward, next_state, next_action, terminated, truncated):
        follows = lambda q, n, t: q[n, next_action[t]]
        return self.walk(q, follows, state, action, reward, next_state, terminated, truncated)

    def q_learning(self, q, state, action, reward, next_state, terminated, truncated):
        return self.walk(q, lambda q, n, t: q[n].max(), state, action, reward, next_state, terminated, truncated)

    def expected_sarsa(self, q, policy, state, action, reward, next_state, terminated, truncated):
        follows = lambda q, n, t: policy[n] @ q[n]
        return self.walk(q, follows, state, action, reward, next_state, terminated, truncated)

    def walk(self, q, follows, *steps):
        wide, q = q.dtype, q.float()
        for t, (s, a, r, n, *flags) in enumerate(zip(*steps)):
            q[s, a] = torch.lerp(q[s, a], self.target(r, follows(q.to(wide), n, t), *flags).float(), self.alpha)
        return q.to(wide)
