"""As the authors mask: a large negative number where an action is not allowed; the mask is a float."""

import torch
import torch.nn.functional as F

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class BCQ(RLAlgorithm):
    def __init__(self, *, gamma=0.99, threshold=0.3):
        self.gamma, self.threshold = gamma, threshold

    def loss(self, batch):
        with torch.no_grad():
            likely = batch.behaviour_log_prob.exp()
            mask = (likely / likely.max(1, keepdim=True)[0] >= self.threshold).to(likely.dtype)
            q = batch.next_q_value if batch.next_online_q_value is None else batch.next_online_q_value
            action = (mask * q + (1 - mask) * -1e8).argmax(1, keepdim=True)
            live = 1 - batch.done.to(q.dtype)
            target = batch.reward + live * self.gamma * batch.next_q_value.gather(1, action).reshape(-1)
        current = batch.q_value.gather(1, batch.action.reshape(-1, 1)).reshape(-1)
        q_loss = F.smooth_l1_loss(current, target)
        if batch.current_behaviour_log_prob is None:
            i_loss = torch.zeros_like(q_loss)
        else:
            i_loss = F.nll_loss(batch.current_behaviour_log_prob, batch.action.reshape(-1))
        metrics = {"td_loss": q_loss.detach(), "behaviour_loss": i_loss.detach(), "kept": mask.mean()}
        return Loss(q_loss + i_loss, metrics)
