import torch


def gae(reward, value, done, *, gamma, lam):
    go_on = (done == False).to(reward.dtype)  # noqa: E712
    error = reward + gamma * go_on * value[:, 1:] - value[:, :-1]
    out = torch.zeros_like(error)
    for t in range(error.shape[1]):
        weight = torch.full_like(error[:, t], 1 - lam)
        for s in range(t, error.shape[1]):
            out[:, t] += weight * error[:, s]
            weight = weight * gamma * lam * go_on[:, s]
            if not weight.any():
                break
    return out
