"""The n-step advantage as a sum of one-step errors, by shifting them; Welford's update for the moments."""

import torch
import torch.nn.functional as F


class Advantage:
    def __init__(self, *, gamma=1.0, eps=1e-8):
        self.gamma, self.eps = gamma, eps

    def from_q(self, q, policy):
        return torch.sub(q, torch.matmul(policy.unsqueeze(-2), q.unsqueeze(-1)).squeeze(-1))

    def n_step(self, reward, value, done, *, n):
        go_on = torch.where(done, 0.0, self.gamma).to(reward) if reward.dtype == torch.float32 else None
        if go_on is None:
            go_on = torch.full_like(reward, self.gamma).masked_fill(done, 0.0)
        error = reward + go_on * value[:, 1:] - value[:, :-1]
        total, weight = torch.zeros_like(reward), torch.ones_like(reward)
        for k in range(min(n, reward.shape[1])):
            shifted = F.pad(error[:, k:], (0, k))
            total = total + weight * shifted
            weight = weight * F.pad(go_on[:, k:], (0, k))
        return total

    def minus_mean(self, returns):
        k = returns.shape[-1]
        centring = torch.eye(k, dtype=returns.dtype) - torch.full((k, k), 1 / k, dtype=returns.dtype)
        return returns @ centring

    def leave_one_out(self, returns):
        k = returns.shape[-1]
        others = torch.stack([returns.roll(shift, -1) for shift in range(1, k)]) if k > 1 else returns[None]
        return returns - others.mean(0)

    def masked_moments(self, x, mask):
        mean, squares, count = x.new_zeros(()), x.new_zeros(()), 0
        for number, counted in zip(x.reshape(-1).unbind(), mask.reshape(-1).tolist(), strict=True):
            if counted:
                count += 1
                step = number - mean
                mean = mean + step / count
                squares = squares + step * (number - mean)
        return mean, squares / max(count - 1, 1)

    def whiten(self, x, mask):
        mean, var = self.masked_moments(x, mask)
        out = torch.zeros_like(x)
        out[mask] = (x[mask] - mean) / torch.sqrt(var + self.eps)
        return out
