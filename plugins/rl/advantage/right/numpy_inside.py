"""numpy for what needs no gradient; torch's own operators where it does."""

import numpy as np
import torch


class Advantage:
    def __init__(self, *, gamma=1.0, eps=1e-8):
        self.gamma, self.eps = gamma, eps

    def from_q(self, q, policy):
        table, weights = q.numpy().astype(np.float64), policy.numpy().astype(np.float64)
        return torch.from_numpy(table - (table * weights).sum(-1, keepdims=True)).to(q.dtype)

    def n_step(self, reward, value, done, *, n):
        r, v, d = reward.numpy().astype(np.float64), value.numpy().astype(np.float64), done.numpy()
        out = np.zeros_like(r)
        for t in range(r.shape[1]):
            stop = min(t + n, r.shape[1])
            alive = np.cumprod(1.0 - d[:, t:stop], axis=1)  # still going after each step
            before = np.concatenate([np.ones((r.shape[0], 1)), alive[:, :-1]], axis=1)
            powers = self.gamma ** np.arange(stop - t)
            out[:, t] = (before * powers * r[:, t:stop]).sum(1)
            out[:, t] += self.gamma ** (stop - t) * alive[:, -1] * v[:, stop] - v[:, t]
        return torch.from_numpy(out).to(reward.dtype)

    def minus_mean(self, returns):
        array = returns.numpy()
        return torch.from_numpy(array - np.mean(array, axis=-1, keepdims=True, dtype=np.float64)).to(returns.dtype)

    def leave_one_out(self, returns):
        array = returns.numpy().astype(np.float64)
        if array.shape[-1] == 1:
            return torch.zeros_like(returns)
        others = (array.sum(-1, keepdims=True) - array) / (array.shape[-1] - 1)
        return torch.from_numpy(array - others).to(returns.dtype)

    def masked_moments(self, x, mask):
        kept = x[mask]
        if len(kept) == 0:
            return 0 * kept.sum(), 0 * kept.sum()
        return kept.mean(), kept.var(correction=1 if len(kept) > 1 else 0)

    def whiten(self, x, mask):
        mean, var = self.masked_moments(x, mask)
        places = torch.nonzero(mask, as_tuple=True)
        return torch.zeros_like(x).index_put(places, (x[places] - mean) * torch.rsqrt(var + self.eps))
