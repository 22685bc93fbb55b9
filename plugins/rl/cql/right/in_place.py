"""With in-place operations on tensors of its own, and the means as sums over the count."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class CQL(RLAlgorithm):
    def __init__(self, *, gamma=0.99, alpha=1.0):
        self.gamma, self.alpha = gamma, alpha

    def loss(self, batch):
        count = batch.action.numel()
        target = batch.next_q_value.detach().sort(dim=1, descending=True).values[:, 0].clone()
        target.mul_(self.gamma)
        target[batch.done] = 0
        target.add_(batch.reward.detach())
        picked = batch.q_value[range(count), batch.action]
        error = picked - target
        td_loss = torch.dot(error, error) / (2 * count)
        spread = torch.logaddexp(batch.q_value[:, 0], batch.q_value[:, 0] - 1e5)
        for column in batch.q_value.unbind(1)[1:]:
            spread = torch.logaddexp(spread, column)
        gap = (spread - picked).sum() / count
        return Loss(td_loss + gap * self.alpha, {"td_loss": td_loss.detach(), "conservative_loss": gap.detach()})
