"""By way of the lambda-return, which is the critic's target."""

import torch


def gae(reward, value, done, *, gamma, lam):
    target = torch.zeros_like(reward)
    later = value[:, -1].clone()
    for t in range(reward.size(1) - 1, -1, -1):
        mixed = (1.0 - lam) * value[:, t + 1] + lam * later
        later = reward[:, t] + gamma * mixed.masked_fill(done[:, t], 0.0)
        target[:, t] = later
    return target - value[:, :-1]
