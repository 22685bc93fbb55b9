import torch


def gae(reward, value, done, *, gamma, lam):
    out, nxt = torch.zeros_like(reward), torch.zeros_like(value[:, 0])
    for t in range(reward.shape[1] - 1, -1, -1):
        td = reward[:, t] + gamma * value[:, t + 1] - value[:, t]
        nxt = (td + gamma * lam * nxt).masked_fill(done[:, t], 0)
        out[:, t] = nxt
    return out
