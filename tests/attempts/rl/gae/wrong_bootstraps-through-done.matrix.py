import torch


def gae(reward, value, done, *, gamma, lam):
    before, after = value.split([1, value.shape[1] - 1], dim=1)
    before = torch.cat([before, after[:, :-1]], dim=1) if reward.shape[1] else reward
    surprise = reward - before + gamma * after
    i = torch.arange(reward.shape[1])
    segment = done.int().cumsum(1) - done.int()
    weight = torch.pow(torch.tensor(gamma * lam, dtype=reward.dtype), (i - i[:, None]).clamp(min=0).type_as(reward))
    weight = weight.triu() * (segment[:, :, None] == segment[:, None])
    return (weight @ surprise[..., None])[..., 0]
