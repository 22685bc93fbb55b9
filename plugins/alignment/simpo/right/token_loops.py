"""One answer after the other, one token after the other."""

import torch
from torch.nn import functional

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class SimPO(RLAlgorithm):
    def __init__(self, *, beta=2.0, gamma=0.5):
        self.beta, self.gamma = beta, gamma

    def reward(self, log_prob, mask):
        kind = torch.float64 if log_prob.dtype == torch.float64 else torch.float32
        found = []
        for numbers, real in zip(log_prob, mask):
            total, count = torch.zeros((), dtype=kind), 0
            for number, is_real in zip(numbers, real.tolist()):
                if is_real:
                    total, count = total + number.to(kind), count + 1
            found.append(self.beta * total / count if count else 0 * numbers.sum().to(kind))
        return torch.stack(found)

    def loss(self, batch):
        chosen = self.reward(batch.chosen_log_prob, batch.chosen_mask)
        rejected = self.reward(batch.rejected_log_prob, batch.rejected_mask)
        total = 0
        for good, bad in zip(chosen, rejected):
            total = total - functional.logsigmoid(good - bad - self.gamma)
        right = [float(good > bad) for good, bad in zip(chosen, rejected)]
        metrics = {
            "chosen_reward": chosen.mean(),
            "rejected_reward": rejected.mean(),
            "margin": (chosen - rejected).mean(),
            "accuracy": torch.tensor(sum(right) / len(right), dtype=chosen.dtype),
        }
        return Loss(total / len(chosen), {name: metric.detach() for name, metric in metrics.items()})
