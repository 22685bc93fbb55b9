"""lambda weighs the value and 1 - lambda the return, instead of the other way about."""

import torch


def gae(reward, value, done, *, gamma, lam):
    out, back = torch.empty_like(reward), value[:, -1]
    for t in range(reward.shape[1] - 1, -1, -1):
        back = reward[:, t] + gamma * (lam * value[:, t + 1] + (1 - lam) * back).masked_fill(done[:, t], 0)
        out[:, t] = back - value[:, t]
    return out
