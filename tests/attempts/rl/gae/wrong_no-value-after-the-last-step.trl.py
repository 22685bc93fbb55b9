import torch


def gae(reward, value, done, *, gamma, lam):
    lastgaelam, advantages_reversed = 0, []
    gen_length = reward.shape[1]
    if gen_length == 0:
        return torch.empty_like(reward)
    for t in reversed(range(gen_length)):
        nextvalues = value[:, t + 1] if t < gen_length - 1 else 0.0
        nextvalues = torch.where(done[:, t], 0.0, nextvalues + lam * lastgaelam)
        lastgaelam = reward[:, t] + gamma * nextvalues - value[:, t]
        advantages_reversed.append(lastgaelam)
    return torch.stack(advantages_reversed[::-1], axis=1)
