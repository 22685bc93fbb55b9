import torch


def gae(reward, value, done, *, gamma, lam):
    found, later = [], 0.0
    for r, v, w, d in reversed(list(zip(reward.T, value.T, value.T[1:], done.T))):
        later = r - v + torch.where(d, 0.0, gamma * (w + lam * later))
        found.append(later)
    return torch.stack(found[::-1], dim=1)
