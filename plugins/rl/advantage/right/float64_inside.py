"""Computed in float64 and rounded once; the moments as verl has them, with a guarded count."""

import torch


class Advantage:
    def __init__(self, *, gamma=1.0, eps=1e-8):
        self.gamma, self.eps = gamma, eps

    def from_q(self, q, policy):
        wide = q.double()
        return (wide - (wide * policy.double()).sum(-1, keepdim=True)).to(q.dtype)

    def n_step(self, reward, value, done, *, n):
        r, v = reward.double(), value.double()
        live = done.logical_not().double()
        # From the last step to the first: the estimates with 1, 2, ... n rewards of the step after, shifted by one.
        out = torch.empty_like(r)
        later = [v[:, -1]] * (n + 1)  # estimates from the state after, with 0 to n rewards
        for t in reversed(range(r.shape[1])):
            later = [v[:, t]] + [r[:, t] + self.gamma * live[:, t] * estimate for estimate in later[:-1]]
            out[:, t] = later[n] - v[:, t]
        return out.to(reward.dtype)

    def minus_mean(self, returns):
        wide = returns.double()
        return wide.sub(wide.mean(-1, keepdim=True)).to(returns.dtype)

    def leave_one_out(self, returns):
        wide = returns.double()
        k = wide.shape[-1]
        rest = 1 - torch.eye(k, dtype=torch.float64)
        baseline = wide @ rest / max(k - 1, 1)
        return (wide - baseline if k > 1 else torch.zeros_like(wide)).to(returns.dtype)

    def _wide(self, x, mask):
        wide = x.double().masked_fill(~mask, 0)
        count = mask.sum()
        mean = wide.sum() / (count + 1e-8)
        centred = (wide - mean) * mask
        var = (centred**2).sum() / (count + 1e-8)
        if count > 1:
            var = var * count / (count - 1)
        return mean, var, centred

    def masked_moments(self, x, mask):
        mean, var, _ = self._wide(x, mask)
        return mean.to(x.dtype), var.to(x.dtype)

    def whiten(self, x, mask):
        _, var, centred = self._wide(x, mask)
        return (centred * torch.rsqrt(var + self.eps)).to(x.dtype)
