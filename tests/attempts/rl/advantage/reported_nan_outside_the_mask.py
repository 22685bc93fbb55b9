# verl pull request 2377: NaN outside of the mask reaches the sums.
# named: padding-multiplied-away

import torch


class Advantage:
    def __init__(self, *, gamma=1.0, eps=1e-8):
        self.gamma, self.eps = gamma, eps

    def from_q(self, q, policy):
        return q - torch.einsum("...a,...a->...", policy, q)[..., None]

    def n_step(self, reward, value, done, *, n):
        out = []
        steps = reward.shape[1]
        for t in range(steps):
            total, weight = -value[:, t], torch.ones_like(value[:, t])
            for k in range(t, min(t + n, steps)):
                total = total + weight * reward[:, k]
                weight = self.gamma * weight.masked_fill(done[:, k], 0.0)
            out.append(total + weight * value[:, min(t + n, steps)])
        return torch.stack(out, dim=1) if out else torch.empty_like(reward)

    def minus_mean(self, returns):
        return returns - returns.mean(-1, keepdim=True)

    def leave_one_out(self, returns):
        k = returns.shape[-1]
        others = (returns.sum(-1, keepdim=True) - returns) / max(k - 1, 1)
        return returns - others if k > 1 else torch.zeros_like(returns)

    def masked_moments(self, x, mask):
        count = mask.sum()
        mean = (x * mask).sum() / count.clamp(min=1)
        return mean, (((x - mean) * mask) ** 2).sum() / (count - 1).clamp(min=1)

    def whiten(self, x, mask):
        mean, var = self.masked_moments(x, mask)
        safe = torch.where(mask, x, mean)
        return (safe - mean) / (var + self.eps).sqrt()
