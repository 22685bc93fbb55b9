"""The square as an autograd function, with the slope 2 (h - target) / B written out."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class SquaredDistance(torch.autograd.Function):
    @staticmethod
    def forward(ctx, chosen, rejected, target):
        away = chosen - rejected - target
        ctx.save_for_backward(away)
        return torch.linalg.vector_norm(away).square() / len(away)

    @staticmethod
    def backward(ctx, grad):
        (away,) = ctx.saved_tensors
        slope = 2 * grad * away / len(away)
        return slope, -slope, None


class IPO(RLAlgorithm):
    def __init__(self, *, beta=0.1):
        self.beta = beta
        self.target = 1 / (beta + beta)

    def log_ratios(self, batch):
        up = torch.float64 if batch.chosen_log_prob.dtype == torch.float64 else torch.float32

        def total(policy, reference, mask):
            zero = torch.zeros((), dtype=up)
            return torch.where(mask, policy.to(up), zero).sum(1) - torch.where(
                mask, reference.detach().to(up), zero
            ).sum(1)

        return (
            total(batch.chosen_log_prob, batch.ref_chosen_log_prob, batch.chosen_mask),
            total(batch.rejected_log_prob, batch.ref_rejected_log_prob, batch.rejected_mask),
        )

    def loss(self, batch):
        chosen, rejected = self.log_ratios(batch)
        loss = SquaredDistance.apply(chosen, rejected, self.target)
        c, r = chosen.detach() * self.beta, rejected.detach() * self.beta
        accuracy = sum(int(a > b) for a, b in zip(c.tolist(), r.tolist(), strict=True)) / len(c)
        metrics = {"chosen_reward": c.mean(), "rejected_reward": r.mean(), "margin": c.mean() - r.mean()}
        return Loss(loss, {**metrics, "accuracy": torch.tensor(accuracy, dtype=c.dtype)})
