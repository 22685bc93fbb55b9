"""Everything is expected SARSA with a suitable policy, and TD(0) is SARSA with a single action."""

import torch
from torch.nn.functional import one_hot


class TDLearning:
    def __init__(self, *, alpha, gamma):
        self.alpha, self.gamma = alpha, gamma

    def target(self, reward, next_value, terminated, truncated):
        return reward + self.gamma * next_value.masked_fill(terminated, 0)

    def run(self, q, weights, state, action, reward, next_state, terminated, truncated):
        q = q.detach().clone()
        for t, (s, a, n) in enumerate(torch.stack((state, action, next_state), 1).tolist()):
            follows = q[n] @ weights(q, n, t).to(q.dtype)
            error = self.target(reward[t], follows, terminated[t], truncated[t]) - q[s, a]
            q[s, a] = torch.add(q[s, a], error, alpha=self.alpha)
        return q

    def td0(self, value, state, reward, next_state, terminated, truncated):
        always = torch.ones(1, dtype=value.dtype)
        zero = torch.zeros_like(state)
        table = self.run(value[:, None], lambda q, n, t: always, state, zero, reward, next_state, terminated, truncated)
        return table.squeeze(1)

    def sarsa(self, q, state, action, reward, next_state, next_action, terminated, truncated):
        taken = one_hot(next_action, q.shape[1])
        return self.run(q, lambda q, n, t: taken[t], state, action, reward, next_state, terminated, truncated)

    def q_learning(self, q, *steps):
        return self.run(q, lambda q, n, t: one_hot(q[n].argmax(), q.shape[1]), *steps)

    def expected_sarsa(self, q, policy, *steps):
        return self.run(q, lambda q, n, t: policy[n], *steps)
