"""The penalty is the cross-entropy of Q, taken as logits, against the action in the data."""

import torch.nn.functional as F

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class CQL(RLAlgorithm):
    def __init__(self, *, gamma=0.99, alpha=1.0):
        self.gamma, self.alpha = gamma, alpha

    def loss(self, batch):
        best, _ = batch.next_q_value.detach().max(dim=-1)
        target = batch.reward.detach() + self.gamma * best * (~batch.done).to(best.dtype)
        q_a = batch.q_value.take_along_dim(batch.action.unsqueeze(-1), dim=-1).squeeze(-1)
        td_loss = F.mse_loss(q_a, target) / 2
        penalty = F.cross_entropy(batch.q_value, batch.action)
        loss = td_loss.add(penalty, alpha=self.alpha)
        return Loss(loss, {"conservative_loss": penalty.detach(), "td_loss": td_loss.detach()})
