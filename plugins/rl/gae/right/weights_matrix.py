"""Every advantage at once, as a weighted sum over the rest of its episode."""

import torch


def gae(reward, value, done, *, gamma, lam):
    alive = done.logical_not().to(reward)
    error = torch.addcmul(reward - value[:, :-1], alive, value[:, 1:], value=gamma)
    place = torch.arange(reward.shape[1])
    ahead = place[None, :] - place[:, None]  # [t, s]: how many steps s comes after t
    episode = done.cumsum(1) - done.long()  # ends before each step
    together = (episode[:, :, None] == episode[:, None, :]) & (ahead >= 0)
    fade = torch.full((), gamma * lam, dtype=reward.dtype) ** ahead.clamp(min=0).to(reward.dtype)
    return torch.einsum("bts,bs->bt", together * fade, error)
