import torch


def gae(reward, value, done, *, gamma, lam):
    table = []
    for r, v, d in zip(reward.tolist(), value.tolist(), done.tolist(), strict=True):
        carried, row = 0.0, []
        for t in range(len(r) - 1, -1, -1):
            state, following = v[t + 1], v[t]
            delta = r[t] - state if d[t] else r[t] + gamma * following - state
            carried = delta if d[t] else delta + gamma * lam * carried
            row.append(carried)
        table.append(row[::-1])
    return torch.tensor(table, dtype=reward.dtype).view_as(reward)
