"""Returns and factors in numpy and float64, rounded once at the end."""

import numpy as np
import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class Reinforce(RLAlgorithm):
    def __init__(self, *, gamma=0.99, value_coef=0.5, entropy_coef=0.01):
        self.gamma, self.value_coef, self.entropy_coef = gamma, value_coef, entropy_coef

    def returns(self, batch):
        reward, following = (x.detach().double().numpy() for x in (batch.reward, batch.next_value))
        terminated, truncated, mask = (x.numpy() for x in (batch.terminated, batch.truncated, batch.mask))
        rows, width = reward.shape
        made, to_go = np.zeros((rows, width)), np.zeros(rows)
        length = mask.sum(1)
        for t in range(width)[::-1]:
            cut = truncated[:, t] | (length == t + 1)
            to_go = np.where(cut, following[:, t], to_go)
            to_go = reward[:, t] + self.gamma * np.where(terminated[:, t], 0.0, to_go)
            made[:, t] = to_go
        return torch.from_numpy(made).to(batch.reward.dtype)

    def discounts(self, batch):
        over = (batch.terminated | batch.truncated).numpy()
        place, age = np.zeros(over.shape), np.zeros(len(over))
        for t in range(over.shape[1]):
            place[:, t] = age
            age = np.where(over[:, t], 0, age + 1)
        return torch.from_numpy(np.power(float(self.gamma), place)).to(batch.reward.dtype)

    def loss(self, batch):
        returns, real = self.returns(batch), batch.mask.to(batch.log_prob.dtype)
        over = batch.terminated | batch.truncated
        unfinished = sum(
            bool(length and not over[row, length - 1]) for row, length in enumerate(batch.mask.sum(1).tolist())
        )
        count = max(int((over & batch.mask).sum()) + unfinished, 1)
        policy = -(real * self.discounts(batch) * (returns - batch.value.detach()) * batch.log_prob).sum() / count
        value = (real * (returns - batch.value).square()).sum() / (2 * count)
        entropy = (real * batch.entropy).sum() / count
        metrics = {"policy_loss": policy.detach(), "value_loss": value.detach(), "entropy": entropy.detach()}
        return Loss(policy + self.value_coef * value - self.entropy_coef * entropy, metrics)
