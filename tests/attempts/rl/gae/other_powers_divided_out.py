"""Scales every error by (gamma * lambda)^t and divides it out again, which underflows in long rows."""

import torch


def gae(reward, value, done, *, gamma, lam):
    live = (~done).to(reward.dtype)
    delta = reward + gamma * live * value[:, 1:] - value[:, :-1]
    if gamma * lam == 0:
        return delta
    scale = torch.tensor(gamma * lam, dtype=reward.dtype) ** torch.arange(reward.shape[1])
    episode = done.long().cumsum(1) - done.long()
    same = (episode[:, :, None] == episode[:, None, :]).to(reward.dtype).triu()
    return torch.einsum("bts,bs->bt", same, delta * scale) / scale
