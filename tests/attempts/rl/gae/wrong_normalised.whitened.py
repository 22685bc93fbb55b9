import torch


def gae(reward, value, done, *, gamma, lam):
    target, later = torch.empty_like(reward), value[:, -1]
    for t in range(reward.shape[1] - 1, -1, -1):
        later = reward[:, t] + gamma * (value[:, t + 1] + lam * (later - value[:, t + 1])).masked_fill(done[:, t], 0)
        target[:, t] = later
    raw = target - value[:, :-1]
    centred = raw - raw.sum() / raw.numel()
    return centred / ((centred.square().sum() / (raw.numel() - 1)).sqrt() + 1e-8) if raw.numel() else raw
