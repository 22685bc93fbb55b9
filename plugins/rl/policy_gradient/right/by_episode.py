"""Cuts the batch into episodes and treats each alone, as a textbook does; returns are written in place."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class Reinforce(RLAlgorithm):
    def __init__(self, *, gamma=0.99, value_coef=0.5, entropy_coef=0.01):
        self.gamma, self.value_coef, self.entropy_coef = gamma, value_coef, entropy_coef

    @staticmethod
    def episodes(batch):
        """Return (row, first step, step behind the last) of each."""
        found = []
        for row, length in enumerate(batch.mask.sum(1).tolist()):
            start = 0
            over = (batch.terminated[row] | batch.truncated[row])[:length].nonzero().flatten().tolist()
            for end in over:
                found.append((row, start, end + 1))
                start = end + 1
            if start < length:
                found.append((row, start, length))
        return found

    @torch.no_grad()
    def returns(self, batch):
        made = torch.zeros_like(batch.reward)
        for row, start, stop in self.episodes(batch):
            part = batch.reward[row, start:stop].clone()
            if not batch.terminated[row, stop - 1]:
                part[-1] += self.gamma * batch.next_value[row, stop - 1]
            for t in range(stop - start - 2, -1, -1):
                part[t] += self.gamma * part[t + 1]
            made[row, start:stop] = part
        return made

    def discounts(self, batch):
        made = torch.ones_like(batch.reward)
        for row, start, stop in self.episodes(batch):
            for t in range(start, stop):
                made[row, t] = self.gamma ** (t - start)
        return made

    def loss(self, batch):
        returns, discounts, found = self.returns(batch), self.discounts(batch), self.episodes(batch)
        terms = []
        for row, start, stop in found:
            at = (row, slice(start, stop))
            advantage = returns[at] - batch.value[at].detach()
            terms.append(
                torch.stack(
                    [
                        -(discounts[at] * advantage * batch.log_prob[at]).sum(),
                        0.5 * (batch.value[at] - returns[at]).pow(2).sum(),
                        batch.entropy[at].sum(),
                    ]
                )
            )
        nothing = 0 * (batch.log_prob.sum() + batch.value.sum() + batch.entropy.sum())
        mean = torch.stack(terms).mean(0) + nothing if terms else nothing.expand(3)
        loss = mean[0] + self.value_coef * mean[1] - self.entropy_coef * mean[2]
        return Loss(loss, dict(zip(("policy_loss", "value_loss", "entropy"), mean.detach(), strict=True)))
