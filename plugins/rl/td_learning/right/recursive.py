"""The first step, then the rest."""

import torch


class TDLearning:
    def __init__(self, *, alpha, gamma):
        self.alpha, self.gamma = alpha, gamma

    def target(self, reward, next_value, terminated, truncated):
        result = reward.clone()
        on = ~terminated
        result[on] = reward[on] + self.gamma * next_value[on]
        return result

    def td0(self, value, state, reward, next_state, terminated, truncated):
        q = self.sarsa(
            value.unsqueeze(1), state, 0 * state, reward, next_state, 0 * next_state, terminated, truncated
        )
        return q[:, 0]

    def sarsa(self, q, state, action, reward, next_state, next_action, terminated, truncated):
        if not len(state):
            return q.clone()
        follows = q[next_state[:1], next_action[:1]]
        first = self.step(q, state, action, self.target(reward[:1], follows, terminated[:1], truncated[:1]))
        rest = (state, action, reward, next_state, next_action, terminated, truncated)
        return self.sarsa(first, *(column[1:] for column in rest))

    def step(self, q, state, action, target):
        out = q.clone()
        out[state[0], action[0]] = torch.lerp(q[state[0], action[0]], target[0], self.alpha)
        return out

    def q_learning(self, q, state, action, reward, next_state, terminated, truncated):
        if len(state) == 0:
            return q.clone()
        follows = torch.max(q[next_state[0]]).reshape(1)
        q = self.step(q, state, action, self.target(reward[:1], follows, terminated[:1], truncated[:1]))
        return self.q_learning(q, *(c[1:] for c in (state, action, reward, next_state, terminated, truncated)))

    def expected_sarsa(self, q, policy, state, action, reward, next_state, terminated, truncated):
        if len(state) == 0:
            return q.clone()
        follows = torch.inner(policy[next_state[0]], q[next_state[0]]).reshape(1)
        q = self.step(q, state, action, self.target(reward[:1], follows, terminated[:1], truncated[:1]))
        return self.expected_sarsa(
            q, policy, *(c[1:] for c in (state, action, reward, next_state, terminated, truncated))
        )
