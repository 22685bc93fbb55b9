import torch


def gae(reward, value, done, *, gamma, lam):
    live = (~done).to(reward.dtype)
    out = reward + gamma * live * value[:, 1:] - value[:, :-1]
    for t in range(reward.shape[1] - 2, -1, -1):
        out[:, t] += gamma * lam * live[:, t + 1] * out[:, t + 1]
    return out
