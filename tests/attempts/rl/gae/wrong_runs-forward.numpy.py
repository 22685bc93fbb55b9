import numpy as np
import torch


def gae(reward, value, done, *, gamma, lam):
    live = 1.0 - done.numpy()
    r, v = reward.double().numpy(), value.double().numpy()
    err = r + gamma * v[:, 1:] * live - v[:, :-1]
    acc = np.zeros(r.shape[0])
    columns = []
    for e, l in zip(err.T, live.T):
        acc = e + gamma * lam * l * acc
        columns.append(acc)
    return torch.as_tensor(np.array(columns).reshape(r.shape[::-1]).T.copy()).to(reward.dtype)
