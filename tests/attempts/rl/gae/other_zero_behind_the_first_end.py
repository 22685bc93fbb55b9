import torch


def gae(reward, value, done, *, gamma, lam):
    out = torch.zeros_like(reward)
    for b in range(reward.shape[0]):
        length = int(done[b].long().argmax()) + 1 if done[b].any() else reward.shape[1]
        running = 0.0
        for t in range(length - 1, -1, -1):
            running = reward[b, t] - value[b, t] + (0.0 if done[b, t] else gamma * (value[b, t + 1] + lam * running))
            out[b, t] = running
    return out
