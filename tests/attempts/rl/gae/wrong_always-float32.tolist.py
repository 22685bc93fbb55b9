import torch


def gae(reward, value, done, *, gamma, lam):
    answer = torch.zeros(reward.shape)
    for b, (r, v, d) in enumerate(zip(reward.tolist(), value.tolist(), done.tolist())):
        last = 0.0
        for t in range(len(r))[::-1]:
            last = r[t] - v[t] + (0.0 if d[t] else gamma * (v[t + 1] + lam * last))
            answer[b, t] = last
    return answer
