import torch


def gae(reward, value, done, *, gamma, lam):
    if not reward.numel():
        return reward.clone()
    zero = torch.zeros((), dtype=value.dtype)
    gain = reward + torch.where(done, zero, value[:, 1:]) - value[:, :-1]
    link = torch.where(done, zero, zero + gamma * lam)[:, :-1]
    eye = torch.eye(reward.shape[1], dtype=reward.dtype)
    return torch.linalg.solve(eye - torch.diag_embed(link, offset=1), gain)
