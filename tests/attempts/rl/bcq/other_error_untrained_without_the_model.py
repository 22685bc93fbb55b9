"""Without the model in s nothing is trained: the early return has lost the gradient of the error."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class BCQ(RLAlgorithm):
    def __init__(self, *, gamma=0.99, threshold=0.3):
        self.gamma, self.threshold = gamma, threshold

    def loss(self, batch):
        with torch.no_grad():
            log_prob = batch.behaviour_log_prob
            allowed = (log_prob - log_prob.amax(1, keepdim=True)).exp() >= self.threshold
            q = batch.next_q_value if batch.next_online_q_value is None else batch.next_online_q_value
            best = q.masked_fill(~allowed, -torch.inf).argmax(1)
            value = batch.next_q_value.gather(1, best[:, None])[:, 0]
            target = batch.reward + self.gamma * torch.where(batch.done, 0, value)
        td = F.smooth_l1_loss(batch.q_value.gather(1, batch.action[:, None])[:, 0], target)
        metrics = {"td_loss": td.detach(), "behaviour_loss": torch.zeros_like(td), "kept": allowed.to(td.dtype).mean()}
        if batch.current_behaviour_log_prob is None:
            return Loss(td.detach(), metrics)
        nll = F.nll_loss(batch.current_behaviour_log_prob, batch.action)
        return Loss(td + nll, metrics | {"behaviour_loss": nll.detach()})
