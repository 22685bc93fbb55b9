"""Equation 16 as it stands: estimates of growing length, averaged."""

import torch


def advantage(reward, value, done, gamma, lam):
    answer, earned, weight = 0.0, 0.0, 1.0
    for k in range(len(reward)):
        earned += gamma**k * reward[k]
        last = done[k] or k == len(reward) - 1
        estimate = earned - value[0] + (0.0 if done[k] else gamma ** (k + 1) * value[k + 1])
        answer += weight * (1.0 if last else 1.0 - lam) * estimate
        weight *= lam
        if last:
            break
    return answer


def gae(reward, value, done, *, gamma, lam):
    rows = zip(reward.tolist(), value.tolist(), done.tolist(), strict=True)
    each = [[advantage(r[t:], v[t:], d[t:], gamma, lam) for t in range(len(r))] for r, v, d in rows]
    return torch.tensor(each, dtype=reward.dtype).reshape(reward.shape)
