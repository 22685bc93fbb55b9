import torch


def gae(reward, value, done, *, gamma, lam):
    advantages = torch.zeros_like(reward)
    lastgaelam = torch.zeros(reward.shape[0], dtype=reward.dtype)
    num_steps = reward.shape[1]
    for t in reversed(range(num_steps)):
        if t == num_steps - 1:
            nextnonterminal = torch.ones_like(lastgaelam)  # unknown for the last step
        else:
            nextnonterminal = 1.0 - done[:, t + 1].to(reward.dtype)
        delta = reward[:, t] + gamma * value[:, t + 1] * nextnonterminal - value[:, t]
        advantages[:, t] = lastgaelam = delta + gamma * lam * nextnonterminal * lastgaelam
    return advantages
