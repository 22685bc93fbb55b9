"""One row for each pair of state and action, as a linear program or a sparse solver has it."""

import torch


class MDP:
    def __init__(self, transition, reward, terminal, *, gamma):
        self.shape = reward.shape
        self.rows, self.earned = transition.reshape(-1, len(terminal)), reward.reshape(-1)
        self.end, self.gamma = terminal, gamma
        self.pair_ends = terminal.repeat_interleave(self.shape[1])

    def q_values(self, value):
        column = torch.where(self.end, torch.zeros_like(value), value)
        q = torch.addmv(self.earned, self.rows, column, alpha=self.gamma)
        q[self.pair_ends] = 0.0
        return q.view(self.shape)

    def weights(self, policy):
        """Return the matrix that takes Q of all pairs to the mean of each state."""
        states, actions = self.shape
        weights = policy.new_zeros(states, states, actions)
        weights[torch.arange(states), torch.arange(states)] = policy
        return weights.reshape(states, -1)

    def evaluate(self, policy, value, *, sweeps):
        weights = self.weights(policy)
        for _ in range(sweeps):
            value = weights @ self.q_values(value).flatten()
        return value

    def solve(self, policy):
        weights = self.weights(policy) * ~self.pair_ends
        unit = torch.eye(self.shape[0], dtype=self.earned.dtype)
        return torch.linalg.solve(unit - self.gamma * weights @ self.rows, (weights @ self.earned)[:, None]).squeeze(1)

    def greedy(self, value):
        q = self.q_values(value)
        index = q.max(dim=1).indices
        return torch.eye(self.shape[1], dtype=q.dtype)[index]

    def value_iteration(self, value, *, tolerance, max_sweeps):
        change, n = torch.tensor(torch.inf), 0
        while n < max_sweeps and not change <= tolerance:
            new = self.q_values(value).amax(1)
            change, value, n = torch.linalg.vector_norm(new - value, torch.inf), new, n + 1
        return value
