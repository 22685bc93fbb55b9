"""In float64 with numpy, rounded once at the end."""

import numpy as np
import torch


def gae(reward, value, done, *, gamma, lam):
    r, v = (x.detach().numpy().astype(np.float64) for x in (reward, value))
    go_on = 1.0 - done.numpy().astype(np.float64)
    out = r + gamma * go_on * v[:, 1:] - v[:, :-1]
    for t in range(out.shape[1] - 2, -1, -1):
        out[:, t] += gamma * lam * go_on[:, t] * out[:, t + 1]
    return torch.from_numpy(out).to(reward.dtype)
