import torch


def gae(reward, value, done, *, gamma, lam):
    target = reward.clone()
    steps = reward.shape[1]
    for t in range(steps - 1, -1, -1):
        later = value[:, t + 1] if t == steps - 1 else (1 - lam) * value[:, t + 1] + lam * target[:, t + 1]
        target[:, t] += gamma * later * (~done[:, t])
    return target
