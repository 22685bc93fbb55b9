"""Loss and gradient of the scores as formulas, in an autograd function."""

import torch
from torch.nn import functional

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class Pairs(torch.autograd.Function):
    @staticmethod
    def forward(ctx, chosen, rejected, asked, coef):
        short = asked - chosen + rejected
        total = chosen + rejected
        ctx.save_for_backward(torch.sigmoid(short), total)
        ctx.coef = coef
        loss = functional.softplus(short).mean()
        return loss + coef * total.square().mean() if coef > 0 else loss

    @staticmethod
    def backward(ctx, grad):
        wrong, total = ctx.saved_tensors
        centred = 2 * ctx.coef * total if ctx.coef > 0 else 0
        return grad * (centred - wrong) / len(wrong), grad * (centred + wrong) / len(wrong), None, None


class BradleyTerry(RLAlgorithm):
    def __init__(self, *, center_coef=0.0):
        self.center_coef = center_coef

    def score(self, reward, mask):
        reward = reward.to(torch.promote_types(reward.dtype, torch.float32))
        if mask is None:
            return reward
        from_the_end = mask.flip(1).int().argmax(1)
        last = mask.shape[1] - 1 - from_the_end
        return reward[torch.arange(len(mask)), last].masked_fill(~mask.any(1), 0.0)

    def loss(self, batch):
        chosen = self.score(batch.chosen_reward, batch.chosen_mask)
        rejected = self.score(batch.rejected_reward, batch.rejected_mask)
        asked = torch.zeros_like(chosen) if batch.margin is None else batch.margin.to(chosen.dtype)
        loss = Pairs.apply(chosen, rejected, asked, self.center_coef)
        chosen, rejected = chosen.detach(), rejected.detach()
        right = torch.where(chosen > rejected, torch.ones_like(chosen), torch.zeros_like(chosen))
        metrics = {
            "accuracy": right.mean(),
            "margin": (chosen - rejected).mean(),
            "mean_reward": (chosen + rejected).sum() / (2 * len(chosen)),
        }
        return Loss(loss, metrics)
