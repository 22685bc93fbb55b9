"""One backward loop for returns, one forward loop that carries gamma^t; masks by multiplication."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class Reinforce(RLAlgorithm):
    def __init__(self, *, gamma=0.99, value_coef=0.5, entropy_coef=0.01):
        self.gamma, self.value_coef, self.entropy_coef = gamma, value_coef, entropy_coef

    def returns(self, batch):
        with torch.no_grad():
            columns, later = [], torch.zeros_like(batch.reward[:, 0]) if batch.reward.shape[1] else None
            later_is_real = torch.zeros(len(batch.reward), dtype=torch.bool)
            for t in range(batch.reward.shape[1] - 1, -1, -1):
                same = later_is_real & ~batch.truncated[:, t]
                following = same * later + ~same * batch.next_value[:, t]
                later = batch.reward[:, t] + self.gamma * following * ~batch.terminated[:, t]
                later_is_real = batch.mask[:, t]
                columns.insert(0, later)
            return torch.stack(columns, dim=1) if columns else torch.empty_like(batch.reward)

    def discounts(self, batch):
        columns, carried = [], torch.ones(len(batch.reward), dtype=batch.reward.dtype)
        for over in (batch.terminated | batch.truncated).unbind(1):
            columns.append(carried)
            carried = carried * self.gamma * ~over + over
        return torch.stack(columns, dim=1) if columns else torch.empty_like(batch.reward)

    def loss(self, batch):
        begins = torch.ones_like(batch.mask)
        begins[:, 1:] = (batch.terminated | batch.truncated)[:, :-1]
        count = torch.clamp((begins & batch.mask).sum(), min=1).to(batch.log_prob.dtype)
        real, returns = batch.mask.to(batch.log_prob.dtype) / count, self.returns(batch)
        gain = ((returns - batch.value).detach() * self.discounts(batch) * batch.log_prob * real).sum()
        error = 0.5 * ((returns - batch.value) ** 2 * real).sum()
        entropy = (batch.entropy * real).sum()
        loss = -(gain + self.entropy_coef * entropy) + self.value_coef * error
        metrics = {"entropy": entropy.detach(), "policy_loss": -gain.detach(), "value_loss": error.detach()}
        return Loss(loss=loss, metrics=metrics)
