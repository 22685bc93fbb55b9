import torch


def gae(reward, value, done, *, gamma, lam):
    live = (~done).to(reward.dtype)
    delta = reward + gamma * live * value[:, 1:] - value[:, :-1]
    out = torch.zeros_like(delta)
    for t in range(delta.shape[1]):
        weight = torch.ones_like(delta[:, t])
        for s in range(t, min(t + 16, delta.shape[1])):
            out[:, t] += weight * delta[:, s]
            weight = weight * gamma * lam * live[:, s]
    return out
