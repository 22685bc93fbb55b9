"""Everything in Python's floats, one number after the other."""

import math

import torch


class Advantage:
    def __init__(self, *, gamma=1.0, eps=1e-8):
        self.gamma = gamma
        self.eps = eps

    def from_q(self, q, policy):
        rows = zip(q.reshape(-1, q.shape[-1]).tolist(), policy.reshape(-1, q.shape[-1]).tolist(), strict=True)
        out = [[a - math.fsum(x * y for x, y in zip(row, p, strict=True)) for a in row] for row, p in rows]
        return torch.tensor(out, dtype=q.dtype).reshape(q.shape)

    def n_step(self, reward, value, done, *, n):
        out = torch.zeros_like(reward)
        for b in range(reward.shape[0]):
            for t in range(reward.shape[1]):
                total, weight, k = 0.0, 1.0, t
                while k < reward.shape[1] and k < t + n:
                    total += weight * float(reward[b, k])
                    weight *= self.gamma
                    if done[b, k]:
                        weight = 0.0
                        break
                    k += 1
                out[b, t] = total + (weight * float(value[b, k]) if weight else 0.0) - float(value[b, t])
        return out

    def minus_mean(self, returns):
        flat = returns.reshape(-1, returns.shape[-1]).tolist()
        out = [[r - math.fsum(g) / len(g) for r in g] for g in flat]
        return torch.tensor(out, dtype=returns.dtype).reshape(returns.shape)

    def leave_one_out(self, returns):
        out = []
        for g in returns.reshape(-1, returns.shape[-1]).tolist():
            for k, r in enumerate(g):
                rest = g[:k] + g[k + 1 :]
                out.append(r - sum(rest) / len(rest) if rest else 0.0)
        return torch.tensor(out, dtype=returns.dtype).reshape(returns.shape)

    def masked_moments(self, x, mask):
        kept = x[mask]
        n = kept.numel()
        if n == 0:
            return x.new_zeros(()), x.new_zeros(())
        mean = sum(kept.unbind()) / n
        squares = sum((number - mean) ** 2 for number in kept.unbind())
        return mean, squares / (n - 1) if n > 1 else 0 * squares

    def whiten(self, x, mask):
        mean, var = self.masked_moments(x, mask)
        safe = x.masked_fill(~mask, 0.0)
        return ((safe - mean) / (var + self.eps).sqrt()).masked_fill(~mask, 0.0)
