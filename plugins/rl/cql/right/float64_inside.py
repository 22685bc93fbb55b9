"""In float64 throughout, rounded once at the end; the largest value is taken out of the sum by hand."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class CQL(RLAlgorithm):
    def __init__(self, *, gamma=0.99, alpha=1.0):
        self.gamma, self.alpha = gamma, alpha

    def loss(self, batch):
        dtype = batch.q_value.dtype
        q, reward, future = (x.double() for x in (batch.q_value, batch.reward, batch.next_q_value))
        rows = torch.arange(q.shape[0])
        with torch.no_grad():
            target = reward + self.gamma * future.amax(-1).masked_fill(batch.done, 0.0)
            top = q.amax(-1, keepdim=True)
        chosen = q[rows, batch.action]
        soft = (q - top).exp().sum(-1).log() + top[:, 0]
        terms = {"td_loss": (chosen - target).square().mean() * 0.5, "conservative_loss": (soft - chosen).mean()}
        total = terms["td_loss"] + self.alpha * terms["conservative_loss"]
        return Loss(total.to(dtype), {name: term.detach().to(dtype) for name, term in terms.items()})
