import torch


def gae(reward, value, done, *, gamma, lam):
    steps = reward.shape[1]
    error = reward - value[:, :steps] + gamma * torch.where(done, torch.zeros_like(reward), value[:, 1:])
    out = torch.empty_like(reward)
    out[:, steps - 1] = error[:, -1]
    for t in range(steps - 2, -1, -1):
        out[:, t] = torch.where(done[:, t], error[:, t], error[:, t] + lam * gamma * out[:, t + 1])
    return out
