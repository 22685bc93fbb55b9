import torch


def gae(reward, value, done, *, gamma, lam):
    result = torch.zeros(reward.shape, dtype=torch.float64)
    for b in range(reward.shape[0]):
        running = 0.0
        for t in range(reward.shape[1])[::-1]:
            if done[b, t]:
                boot = value[b, t + 1].item()
            else:
                boot = running = 0.0
            running = reward[b, t].item() - value[b, t].item() + gamma * (boot + lam * running)
            result[b, t] = running
    return result.to(reward.dtype)
