"""Everything in float64, rounded to the batch's dtype at the end."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class Reinforce(RLAlgorithm):
    def __init__(self, *, gamma=0.99, value_coef=0.5, entropy_coef=0.01):
        self.gamma, self.value_coef, self.entropy_coef = gamma, value_coef, entropy_coef

    def _returns(self, batch):
        reward, following = batch.reward.detach().double(), batch.next_value.detach().double()
        made, later = torch.zeros_like(reward), torch.zeros(len(reward), dtype=torch.float64)
        length = batch.mask.sum(1)
        for t in reversed(range(reward.shape[1])):
            later = torch.where(batch.truncated[:, t] | (length == t + 1), following[:, t], later)
            later = later.masked_fill(batch.terminated[:, t], 0.0).mul(self.gamma).add(reward[:, t])
            made[:, t] = later
        return made

    def _discounts(self, batch):
        over = (batch.terminated | batch.truncated).long()
        made = torch.ones(over.shape, dtype=torch.float64)
        for t in range(1, over.shape[1]):
            made[:, t] = made[:, t - 1] * self.gamma
            made[over[:, t - 1] == 1, t] = 1.0
        return made

    def returns(self, batch):
        return self._returns(batch).to(batch.reward.dtype)

    def discounts(self, batch):
        return self._discounts(batch).to(batch.reward.dtype)

    def loss(self, batch):
        dtype, returns = batch.log_prob.dtype, self._returns(batch)
        log_prob, value, entropy = (x.double() for x in (batch.log_prob, batch.value, batch.entropy))
        behind = torch.nn.functional.pad(batch.mask, (0, 1))[:, 1:]
        count = max(int((batch.mask & (batch.terminated | batch.truncated | ~behind)).sum()), 1)
        kept = batch.mask.double()
        policy = torch.sum(kept * self._discounts(batch) * (value.detach() - returns) * log_prob) / count
        error = torch.sum(kept * (value - returns) ** 2) / (2 * count)
        bonus = torch.sum(kept * entropy) / count
        loss = policy + self.value_coef * error - self.entropy_coef * bonus
        named = {"policy_loss": policy, "value_loss": error, "entropy": bonus}
        return Loss(loss.to(dtype), {name: metric.detach().to(dtype) for name, metric in named.items()})
