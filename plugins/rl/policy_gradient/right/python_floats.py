"""Step by step in Python's floats; only the last sums are tensors."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class Reinforce(RLAlgorithm):
    def __init__(self, *, gamma=0.99, value_coef=0.5, entropy_coef=0.01):
        self.gamma, self.value_coef, self.entropy_coef = gamma, value_coef, entropy_coef

    def returns(self, batch):
        rows = []
        for row in range(batch.reward.shape[0]):
            to_go, made = 0.0, []
            length = int(batch.mask[row].sum())
            for t in range(batch.reward.shape[1] - 1, -1, -1):
                if t >= length:
                    made.append(0.0)
                    continue
                if batch.terminated[row, t]:
                    to_go = 0.0
                elif batch.truncated[row, t] or t == length - 1:
                    to_go = float(batch.next_value[row, t])
                to_go = float(batch.reward[row, t]) + self.gamma * to_go
                made.append(to_go)
            rows.append(made[::-1])
        return torch.tensor(rows, dtype=batch.reward.dtype).reshape(batch.reward.shape)

    def discounts(self, batch):
        rows = []
        for row in range(batch.reward.shape[0]):
            factor, made = 1.0, []
            for t in range(batch.reward.shape[1]):
                made.append(factor)
                factor *= self.gamma
                if batch.terminated[row, t] or batch.truncated[row, t]:
                    factor = 1.0
            rows.append(made)
        return torch.tensor(rows, dtype=batch.reward.dtype).reshape(batch.reward.shape)

    def loss(self, batch):
        returns, discounts = self.returns(batch), self.discounts(batch)
        policy, value, entropy = (0 * x.sum() for x in (batch.log_prob, batch.value, batch.entropy))
        episodes = 0
        for row, t in batch.mask.nonzero().tolist():
            over = batch.terminated[row, t] or batch.truncated[row, t]
            episodes += bool(over or t + 1 == batch.mask.shape[1] or not batch.mask[row, t + 1])
            advantage = returns[row, t] - batch.value[row, t].detach()
            policy = policy - discounts[row, t] * advantage * batch.log_prob[row, t]
            value = value + (batch.value[row, t] - returns[row, t]).square() / 2
            entropy = entropy + batch.entropy[row, t]
        policy, value, entropy = (x / max(episodes, 1) for x in (policy, value, entropy))
        loss = policy + self.value_coef * value - self.entropy_coef * entropy
        metrics = {"policy_loss": policy.detach(), "value_loss": value.detach(), "entropy": entropy.detach()}
        return Loss(loss, metrics)
