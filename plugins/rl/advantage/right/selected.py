"""What counts is taken out by its mask, and put back at the end; n steps by slices."""

import torch


class Advantage:
    def __init__(self, *, gamma=1.0, eps=1e-8):
        self.gamma, self.eps = gamma, eps

    def from_q(self, q, policy):
        return q - torch.einsum("...a,...a->...", policy, q).unsqueeze(-1)

    def n_step(self, reward, value, done, *, n):
        steps = reward.shape[1]
        columns = [torch.zeros_like(reward[:, :0])]
        for t in range(steps):
            total, alive, weight = -value[:, t], torch.ones_like(value[:, t]), 1.0
            stop = min(t + n, steps)
            for k in range(t, stop):
                total = total + weight * alive * reward[:, k]
                alive = alive.masked_fill(done[:, k], 0.0)
                weight *= self.gamma
            columns.append((total + weight * alive * value[:, stop])[:, None])
        return torch.cat(columns, dim=1)

    def minus_mean(self, returns):
        return returns - returns.sum(-1, keepdim=True).div(returns.size(-1))

    def leave_one_out(self, returns):
        k = returns.size(-1)
        if k == 1:
            return torch.zeros_like(returns)
        return (returns - returns.mean(-1, keepdim=True)) * (k / (k - 1))

    def masked_moments(self, x, mask):
        kept = x.masked_select(mask)
        if kept.numel() < 2:
            return kept.sum(), 0 * kept.sum()
        return kept.mean(), kept.var()

    def whiten(self, x, mask):
        kept = x.masked_select(mask)
        mean, var = self.masked_moments(x, mask)
        return torch.zeros_like(x).masked_scatter(mask, (kept - mean) * (var + self.eps) ** -0.5)
