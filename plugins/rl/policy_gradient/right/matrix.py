"""Without a loop over steps: a (T, T) matrix of powers of gamma for each row, zero between different episodes."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class Reinforce(RLAlgorithm):
    def __init__(self, *, gamma=0.99, value_coef=0.5, entropy_coef=0.01):
        self.gamma, self.value_coef, self.entropy_coef = gamma, value_coef, entropy_coef

    def number(self, batch):
        """Return the number of each step's episode in its row, padding apart."""
        over = (batch.terminated | batch.truncated).long()
        return torch.where(batch.mask, over.cumsum(1) - over, -1)

    @torch.no_grad()
    def returns(self, batch):
        number, place = self.number(batch), torch.arange(batch.reward.shape[1])
        same = (number[:, :, None] == number[:, None, :]) & (place[None, :] >= place[:, None])
        away = (place[None, :] - place[:, None]).clamp(min=0)
        power = torch.tensor(self.gamma, dtype=batch.reward.dtype) ** away
        behind = torch.cat([number[:, 1:], torch.full_like(number[:, :1], -1)], dim=1)
        goes_on = (number != behind) & ~batch.terminated & batch.mask
        earned = batch.reward + self.gamma * torch.where(goes_on, batch.next_value, 0)
        return torch.einsum("bts,bs->bt", same * power, torch.where(batch.mask, earned, 0))

    def discounts(self, batch):
        number, place = self.number(batch), torch.arange(batch.reward.shape[1])
        same = (number[:, :, None] == number[:, None, :]) & (place[None, :] < place[:, None])
        return torch.tensor(self.gamma, dtype=batch.reward.dtype) ** same.sum(-1)

    def loss(self, batch):
        number, real = self.number(batch), batch.mask
        behind = torch.cat([number[:, 1:], torch.full_like(number[:, :1], -1)], dim=1)
        over = real & ((number != behind) | batch.terminated | batch.truncated)
        returns, count = self.returns(batch), over.sum().clamp(min=1)
        weight = (self.discounts(batch) * (batch.value - returns)).detach()[real]
        policy = (weight @ batch.log_prob[real]) / count
        value = (batch.value[real] - returns[real]).pow(2).sum() / 2 / count
        entropy = batch.entropy[real].sum() / count
        metrics = {"policy_loss": policy, "value_loss": value, "entropy": entropy}
        loss = policy + self.value_coef * value - self.entropy_coef * entropy
        return Loss(loss, {name: metric.detach() for name, metric in metrics.items()})
