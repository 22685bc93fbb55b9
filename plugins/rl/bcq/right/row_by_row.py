"""One transition after the other, and one action after the other."""

import math

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class BCQ(RLAlgorithm):
    def __init__(self, *, gamma=0.99, threshold=0.3):
        self.gamma, self.threshold = gamma, threshold

    def loss(self, batch):
        count, actions = batch.q_value.shape
        losses, likelihoods, kept = [], [], 0
        for b in range(count):
            logs = batch.behaviour_log_prob[b].tolist()
            keep = [a for a in range(actions) if math.exp(logs[a] - max(logs)) >= self.threshold]
            kept += len(keep)
            online = batch.next_q_value if batch.next_online_q_value is None else batch.next_online_q_value
            target = batch.reward[b].detach()
            if not batch.done[b]:
                best = max(keep, key=lambda a: float(online[b, a]))
                target = target + self.gamma * batch.next_q_value[b, best].detach()
            error = batch.q_value[b, batch.action[b]] - target
            losses.append(error**2 / 2 if abs(error) <= 1 else abs(error) - 0.5)
            if batch.current_behaviour_log_prob is not None:
                likelihoods.append(batch.current_behaviour_log_prob[b, batch.action[b]])
        td = torch.stack(losses).mean()
        nll = -torch.stack(likelihoods).mean() if likelihoods else torch.zeros_like(td)
        share = torch.full_like(td, kept / (count * actions)).detach()
        return Loss(td + nll, {"td_loss": td.detach(), "behaviour_loss": nll.detach(), "kept": share})
