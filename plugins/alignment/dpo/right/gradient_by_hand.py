"""The loss as an autograd function with the gradient of the paper's section 4 written out."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class Logistic(torch.autograd.Function):
    @staticmethod
    def forward(ctx, margin, wrong):
        ctx.save_for_backward(margin)
        ctx.wrong = wrong
        cost = torch.logaddexp(torch.zeros_like(margin), -margin)
        return cost + wrong * margin if wrong else cost

    @staticmethod
    def backward(ctx, grad):
        (margin,) = ctx.saved_tensors
        return grad * (ctx.wrong - torch.sigmoid(-margin)), None


class DPO(RLAlgorithm):
    def __init__(self, *, beta=0.1, label_smoothing=0.0):
        self.beta, self.label_smoothing = beta, label_smoothing

    def log_ratios(self, batch):
        up = torch.promote_types(batch.chosen_log_prob.dtype, torch.float32)
        chosen = batch.chosen_log_prob.to(up) - batch.ref_chosen_log_prob.detach().to(up)
        rejected = batch.rejected_log_prob.to(up) - batch.ref_rejected_log_prob.detach().to(up)
        return (
            torch.einsum("bt,bt->b", chosen, batch.chosen_mask.to(up)),
            torch.einsum("bt,bt->b", rejected, batch.rejected_mask.to(up)),
        )

    def loss(self, batch):
        chosen, rejected = (self.beta * side for side in self.log_ratios(batch))
        margin = chosen - rejected
        loss = Logistic.apply(margin, self.label_smoothing).mean()
        names = ("chosen_reward", "rejected_reward", "margin", "accuracy")
        numbers = (chosen, rejected, margin, (chosen > rejected).to(margin.dtype))
        return Loss(loss, {name: number.detach().mean() for name, number in zip(names, numbers, strict=True)})
