import numpy as np
import torch


def gae(reward, value, done, *, gamma, lam):
    r, v, d = reward.numpy(), value.numpy(), done.numpy()
    q = np.where(d, 0, r + r.dtype.type(gamma) * v[:, 1:])
    out = (q - v[:, :-1]).astype(r.dtype)
    for t in range(r.shape[1] - 1)[::-1]:
        out[:, t] += np.where(d[:, t], 0, gamma * lam * out[:, t + 1])
    return torch.from_numpy(out)
