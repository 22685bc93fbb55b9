"""One transition after the other, with scalars of its own."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class CQL(RLAlgorithm):
    def __init__(self, *, gamma=0.99, alpha=1.0):
        self.gamma, self.alpha = gamma, alpha

    def loss(self, batch):
        squares, gaps = [], []
        for row in range(len(batch.action)):
            value = batch.q_value[row, batch.action[row]]
            target = batch.reward[row].detach()
            if not batch.done[row]:
                target = target + self.gamma * max(batch.next_q_value[row].detach().unbind())
            squares.append((value - target) ** 2 / 2)
            differences = batch.q_value[row] - value
            gaps.append(torch.logsumexp(differences, 0))
        td_loss, gap = torch.stack(squares).mean(), torch.stack(gaps).mean()
        return Loss(td_loss + self.alpha * gap, {"td_loss": td_loss.detach(), "conservative_loss": gap.detach()})
