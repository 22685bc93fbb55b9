"""In float64 throughout, rounded once at the end; probabilities are divided by the largest."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class BCQ(RLAlgorithm):
    def __init__(self, *, gamma=0.99, threshold=0.3):
        self.gamma, self.threshold = gamma, threshold

    def loss(self, batch):
        dtype, rows = batch.q_value.dtype, torch.arange(batch.action.numel())
        probability = batch.behaviour_log_prob.detach().double().exp()
        keep = probability / probability.amax(1, keepdim=True) >= self.threshold
        value = batch.next_q_value.detach().double()
        online = value if batch.next_online_q_value is None else batch.next_online_q_value.detach().double()
        choice = online.where(keep, online.min() - 1).argmax(1)
        goes_on = (~batch.done).double()
        error = batch.q_value.double()[rows, batch.action] - batch.reward.detach().double()
        error = error - self.gamma * goes_on * value[rows, choice]
        inside = error.clamp(-1, 1)
        td = (inside * (error - inside / 2)).mean()
        nll = torch.zeros((), dtype=torch.float64)
        if batch.current_behaviour_log_prob is not None:
            nll = -batch.current_behaviour_log_prob.double()[rows, batch.action].sum() / len(rows)
        metrics = {"td_loss": td, "behaviour_loss": nll, "kept": keep.double().mean()}
        return Loss((td + nll).to(dtype), {name: x.detach().to(dtype) for name, x in metrics.items()})
