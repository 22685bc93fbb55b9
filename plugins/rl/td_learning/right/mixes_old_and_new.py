"""The entry is a weighted mean of itself and its target; tables are rebuilt with torch.where, never written into."""

import torch


class TDLearning:
    def __init__(self, *, alpha, gamma):
        self.alpha, self.gamma = alpha, gamma

    def target(self, reward, next_value, terminated, truncated):
        go_on = torch.logical_not(terminated).type_as(next_value)
        return torch.addcmul(reward, go_on, next_value, value=self.gamma)

    def mixed(self, table, here, aim):
        return torch.where(here, (1 - self.alpha) * table + self.alpha * aim, table)

    def td0(self, value, state, reward, next_state, terminated, truncated):
        value, places = value + 0, torch.arange(len(value))
        for s, r, n, e in zip(state, reward, next_state, terminated):
            value = self.mixed(value, places == s, self.target(r, value[n], e, None))
        return value

    def learn(self, q, follows, state, action, reward, next_state, terminated):
        q, rows, columns = q + 0, torch.arange(q.shape[0])[:, None], torch.arange(q.shape[1])
        for t, (s, a, r, n, e) in enumerate(zip(state, action, reward, next_state, terminated)):
            q = self.mixed(q, (rows == s) & (columns == a), self.target(r, follows(q, n, t), e, None))
        return q

    def sarsa(self, q, state, action, reward, next_state, next_action, terminated, truncated):
        return self.learn(q, lambda q, n, t: q[n, next_action[t]], state, action, reward, next_state, terminated)

    def q_learning(self, q, state, action, reward, next_state, terminated, truncated):
        return self.learn(q, lambda q, n, t: q.amax(1)[n], state, action, reward, next_state, terminated)

    def expected_sarsa(self, q, policy, state, action, reward, next_state, terminated, truncated):
        mean = lambda q, n, t: torch.einsum("sa,sa->s", policy, q)[n]  # noqa: E731
        return self.learn(q, mean, state, action, reward, next_state, terminated)
