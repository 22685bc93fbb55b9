"""One pair and one token after the other."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class DPO(RLAlgorithm):
    def __init__(self, *, beta=0.1, label_smoothing=0.0):
        self.beta = beta
        self.label_smoothing = label_smoothing

    def log_ratios(self, batch):
        wide = torch.float64 if batch.chosen_log_prob.dtype is torch.float64 else torch.float32
        sides = []
        for log_prob, ref, mask in (
            (batch.chosen_log_prob, batch.ref_chosen_log_prob, batch.chosen_mask),
            (batch.rejected_log_prob, batch.ref_rejected_log_prob, batch.rejected_mask),
        ):
            rows = []
            for row in range(mask.shape[0]):
                real = mask[row].nonzero()[:, 0].tolist()
                terms = [log_prob[row, t].to(wide) - ref[row, t].detach().to(wide) for t in real]
                rows.append(sum(terms, torch.zeros((), dtype=wide)))
            sides.append(torch.stack(rows))
        return sides[0], sides[1]

    def loss(self, batch):
        pairs = list(zip(*self.log_ratios(batch), strict=True))
        total = 0
        for chosen, rejected in pairs:
            total = total + self.cost(chosen, rejected)
        count = len(pairs)
        rewards = [(self.beta * chosen.item(), self.beta * rejected.item()) for chosen, rejected in pairs]
        sums = [
            sum(c for c, _ in rewards), sum(r for _, r in rewards), sum(c - r for c, r in rewards),
            sum(c > r for c, r in rewards),
        ]  # fmt: skip
        names = ("chosen_reward", "rejected_reward", "margin", "accuracy")
        dtype = pairs[0][0].dtype
        metrics = {name: torch.tensor(s / count, dtype=dtype) for name, s in zip(names, sums, strict=True)}
        return Loss(total / count, metrics)

    def cost(self, chosen, rejected):
        two = torch.stack([self.beta * chosen, self.beta * rejected])
        right, wrong = -torch.log_softmax(two - two.max().detach(), 0)
        if self.label_smoothing == 0:
            return right
        return (1 - self.label_smoothing) * right + self.label_smoothing * wrong
