# 4kasha/CartPole_PPO#1: the recursion reads the entry that it is about to fill, still 0, where it means that of the next step.
# named: one-step-errors-alone
import torch


def gae(reward, value, done, *, gamma, lam):
    batch, steps = reward.shape
    open_ = 1.0 - done.to(reward.dtype)
    td_error = reward + gamma * value[:, 1:] * open_ - value[:, :-1]
    advantages = torch.zeros(batch, steps, dtype=reward.dtype)
    for t in range(steps - 1, -1, -1):
        advantages[:, t] = advantages[:, t] * lam * gamma * open_[:, t] + td_error[:, t]
    return advantages
