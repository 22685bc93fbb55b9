"""Ratios are compared as differences of logarithms, and what is not allowed is taken out with -inf."""

import torch
import torch.nn.functional as F

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class BCQ(RLAlgorithm):
    def __init__(self, *, gamma=0.99, threshold=0.3):
        self.gamma, self.threshold = gamma, threshold

    def loss(self, batch):
        with torch.no_grad():
            behaviour = batch.behaviour_log_prob
            edge = torch.tensor(float(self.threshold), dtype=torch.float64).log()
            keep = (behaviour - behaviour.max(1, keepdim=True).values).double() >= edge
            online = batch.next_q_value if batch.next_online_q_value is None else batch.next_online_q_value
            choice = torch.where(keep, online, torch.full_like(online, float("-inf"))).argmax(-1)
            value = batch.next_q_value[torch.arange(len(choice)), choice]
            target = batch.reward + self.gamma * value.masked_fill(batch.done, 0)
        q = batch.q_value.take_along_dim(batch.action[:, None], 1).squeeze(1)
        td = F.smooth_l1_loss(q, target)
        nll = td.new_zeros(())
        if batch.current_behaviour_log_prob is not None:
            nll = F.nll_loss(batch.current_behaviour_log_prob, batch.action)
        kept = keep.to(td.dtype).mean()
        return Loss(td + nll, {"kept": kept, "td_loss": td.detach(), "behaviour_loss": nll.detach()})
