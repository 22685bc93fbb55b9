import torch


def gae(reward, value, done, *, gamma, lam):
    rewards = torch.nn.functional.pad(reward, (0, 1))
    out = torch.zeros_like(reward)
    advantage = torch.zeros_like(rewards[:, -1])
    for t in range(reward.shape[1], 0, -1):
        not_over = done[:, t - 1].logical_not().to(reward.dtype)
        advantage = rewards[:, t] - value[:, t - 1] + not_over * gamma * (value[:, t] + lam * advantage)
        out[:, t - 1] = advantage
    return out
