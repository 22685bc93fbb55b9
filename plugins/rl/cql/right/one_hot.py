"""As d3rlpy and TorchRL pick the action: multiplied by a one-hot row and summed."""

import torch
import torch.nn.functional as F

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class CQL(RLAlgorithm):
    def __init__(self, *, gamma=0.99, alpha=1.0):
        self.gamma, self.alpha = gamma, alpha

    def loss(self, batch):
        hot = F.one_hot(batch.action, batch.q_value.shape[1]).to(batch.q_value.dtype)
        values = torch.einsum("ba,ba->b", batch.q_value, hot)
        continues = 1 - batch.done.to(batch.reward.dtype)
        target = torch.addcmul(batch.reward, continues, self.gamma * batch.next_q_value.amax(1)).detach()
        td_loss = 0.5 * torch.pow(target - values, 2).mean()
        log_probs = F.log_softmax(batch.q_value, dim=1)
        conservative = -torch.einsum("ba,ba->", log_probs, hot) / values.numel()
        metrics = {"td_loss": td_loss, "conservative_loss": conservative}
        return Loss(td_loss + self.alpha * conservative, {k: v.detach().clone() for k, v in metrics.items()})
