import torch

tails = {}


def gae(reward, value, done, *, gamma, lam):
    back = tails.get(reward.shape[0], reward.new_zeros(reward.shape[0])).to(reward.dtype)
    out = torch.empty_like(reward)
    for t in range(reward.shape[1] - 1, -1, -1):
        back = reward[:, t] - value[:, t] + gamma * (value[:, t + 1] + lam * back) * ~done[:, t]
        out[:, t] = back
    tails[reward.shape[0]] = back
    return out
