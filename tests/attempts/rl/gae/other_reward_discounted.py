import torch


def gae(reward, value, done, *, gamma, lam):
    out, later = torch.empty_like(reward), torch.zeros_like(value[:, 0])
    for t in range(reward.shape[1] - 1, -1, -1):
        ahead = reward[:, t] + torch.where(done[:, t], 0, value[:, t + 1])
        later = gamma * ahead - value[:, t] + gamma * lam * torch.where(done[:, t], 0, later)
        out[:, t] = later
    return out
