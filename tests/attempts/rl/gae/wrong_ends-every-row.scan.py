import torch


def gae(reward, value, done, *, gamma, lam):
    ended = set(done.nonzero()[:, 1].tolist())
    answer, tail = [], torch.zeros(reward.shape[0], dtype=reward.dtype)
    for t in reversed(range(reward.shape[1])):
        tail = reward[:, t] - value[:, t] + (0 if t in ended else gamma * (value[:, t + 1] + lam * tail))
        answer.insert(0, tail)
    return torch.stack(answer, 1) if answer else torch.empty_like(reward)
