import torch


def gae(reward, value, done, *, gamma, lam):
    returns = torch.zeros_like(value)
    returns[:, -1] = value[:, -1]
    for t in reversed(range(reward.shape[1])):
        returns[:, t] = reward[:, t] + gamma * returns[:, t + 1].where(~done[:, t], torch.zeros_like(reward[:, t]))
    return (returns - value)[:, :-1]
