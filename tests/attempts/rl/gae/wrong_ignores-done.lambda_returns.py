import torch


def gae(reward, value, done, *, gamma, lam):
    out, back = reward.clone(), value[:, -1]
    for t in range(reward.shape[1] - 1, -1, -1):
        back = reward[:, t] + gamma * torch.lerp(value[:, t + 1], back, lam)
        out[:, t] = back - value[:, t]
    return out
