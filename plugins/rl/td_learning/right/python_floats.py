"""Lists and floats."""

import torch


class TDLearning:
    def __init__(self, *, alpha, gamma):
        self.alpha = alpha
        self.gamma = gamma

    def aim(self, r, v, ended):
        return r if ended else r + self.gamma * v

    def target(self, reward, next_value, terminated, truncated):
        flat = zip(reward.flatten().tolist(), next_value.flatten().tolist(), terminated.flatten().tolist())
        return torch.tensor([self.aim(*row) for row in flat], dtype=reward.dtype).reshape(reward.shape)

    def td0(self, value, state, reward, next_state, terminated, truncated):
        v = value.tolist()
        for s, r, n, ended in zip(*(x.tolist() for x in (state, reward, next_state, terminated))):
            v[s] += self.alpha * (self.aim(r, v[n], ended) - v[s])
        return torch.tensor(v, dtype=value.dtype)

    def learn(self, q, columns, follows):
        table = q.tolist()
        for t, (s, a, r, n, ended) in enumerate(zip(*(x.tolist() for x in columns))):
            table[s][a] += self.alpha * (self.aim(r, follows(table[n], n, t), ended) - table[s][a])
        return torch.tensor(table, dtype=q.dtype)

    def sarsa(self, q, state, action, reward, next_state, next_action, terminated, truncated):
        after = next_action.tolist()
        return self.learn(q, (state, action, reward, next_state, terminated), lambda row, n, t: row[after[t]])

    def q_learning(self, q, state, action, reward, next_state, terminated, truncated):
        return self.learn(q, (state, action, reward, next_state, terminated), lambda row, n, t: max(row))

    def expected_sarsa(self, q, policy, state, action, reward, next_state, terminated, truncated):
        pi = policy.tolist()
        mean = lambda row, n, t: sum(p * x for p, x in zip(pi[n], row))  # noqa: E731
        return self.learn(q, (state, action, reward, next_state, terminated), mean)
