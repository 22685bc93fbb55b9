"""nansum and nanmean: what does not count becomes NaN first, and 0 at the end."""

import torch


class Advantage:
    def __init__(self, *, gamma=1.0, eps=1e-8):
        self.gamma, self.eps = gamma, eps

    def from_q(self, q, policy):
        value = torch.linalg.vecdot(policy, q, dim=-1)
        return q - value[..., None]

    def n_step(self, reward, value, done, *, n):
        estimate = value.clone()
        for _ in range(min(n, reward.shape[1])):
            after = torch.where(done, torch.zeros_like(reward), estimate[:, 1:])
            estimate[:, :-1] = torch.add(reward, after, alpha=self.gamma)
        return (estimate - value)[:, :-1]

    def minus_mean(self, returns):
        out = returns.clone()
        out -= out.mean(-1, keepdim=True)
        return out

    def leave_one_out(self, returns):
        k = returns.shape[-1]
        own = torch.eye(k, dtype=torch.bool)
        others = torch.where(own, float("nan"), returns.unsqueeze(-2).expand(*returns.shape, k)).nanmean(-1)
        return (returns - others).nan_to_num()

    def masked_moments(self, x, mask):
        count = mask.sum()
        kept = x.masked_fill(~mask, 0.0)
        mean = kept.sum() / torch.clamp(count, min=1)
        squares = ((kept - mean) * mask).pow(2).sum()
        return mean, squares / torch.clamp(count - 1, min=1)

    def whiten(self, x, mask):
        kept = x.masked_fill(~mask, 0.0)
        mean, var = self.masked_moments(kept, mask)
        return (kept - mean) * mask / torch.sqrt(var + self.eps)
