import torch


def gae(reward, value, done, *, gamma, lam):
    gamma, lam = lam, gamma
    out, back = torch.empty_like(reward), torch.zeros_like(value[:, 0])
    for t in range(reward.shape[1] - 1, -1, -1):
        back = reward[:, t] - value[:, t] + gamma * (value[:, t + 1] + lam * back) * ~done[:, t]
        out[:, t] = back
    return out
