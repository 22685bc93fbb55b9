"""Row by row, in Python's floats."""

import torch


def gae(reward, value, done, *, gamma, lam):
    rows = []
    for r, v, d in zip(reward.tolist(), value.tolist(), done.tolist()):
        row, tail, then = [], 0.0, v.pop()
        while r:
            now = v.pop()
            if d.pop():
                tail = then = 0.0
            tail = r.pop() + gamma * then - now + gamma * lam * tail
            then = now
            row.append(tail)
        rows.append(row[::-1])
    return torch.tensor(rows, dtype=reward.dtype).reshape(reward.shape)
