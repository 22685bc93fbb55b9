"""Log-probabilities are normalised first, which their ratios do not notice; actions are looked through in sorted order."""

import torch
from torch import nn

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class BCQ(RLAlgorithm):
    def __init__(self, *, gamma=0.99, threshold=0.3):
        self.gamma, self.threshold = gamma, threshold
        self.huber = nn.HuberLoss(reduction="none", delta=1.0)

    def loss(self, batch):
        probability = batch.behaviour_log_prob.detach().softmax(dim=1)
        keep = probability >= self.threshold * probability.amax(1, keepdim=True)
        online = batch.next_q_value if batch.next_online_q_value is None else batch.next_online_q_value
        order = online.argsort(dim=1, descending=True)
        first = keep.gather(1, order).to(torch.int8).argmax(1, keepdim=True)
        chosen = order.gather(1, first)
        future = batch.next_q_value.detach().gather(1, chosen).flatten()
        target = torch.where(batch.done, batch.reward, batch.reward + self.gamma * future).detach()
        losses = self.huber(torch.einsum("ba,ba->b", batch.q_value, hot := self.hot(batch)), target)
        td, nll = losses.sum() / losses.numel(), 0 * losses.sum().detach()
        if batch.current_behaviour_log_prob is not None:
            nll = -torch.einsum("ba,ba->", batch.current_behaviour_log_prob, hot) / losses.numel()
        kept = keep.double().mean()
        return Loss(td + nll, {"td_loss": td.detach(), "behaviour_loss": nll.detach(), "kept": kept.to(td.dtype)})

    def hot(self, batch):
        return nn.functional.one_hot(batch.action, batch.q_value.shape[1]).to(batch.q_value.dtype)
