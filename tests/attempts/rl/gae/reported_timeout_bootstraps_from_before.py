# DexForce/EmbodiChain#610: where an episode ends, gamma times the value of the state before the step is added to its reward.
# named: bootstraps-an-end-from-before
import torch


def gae(reward, value, done, *, gamma, lam):
    now, after = value[:, :-1], value[:, 1:]
    reward = reward + gamma * now * done
    alive = torch.where(done, torch.zeros_like(reward), torch.ones_like(reward))
    delta = torch.addcmul(reward - now, alive, after, value=gamma)
    result = torch.zeros_like(reward)
    behind = torch.zeros_like(reward[:, :1].sum(dim=1))
    for t in range(reward.shape[1])[::-1]:
        behind = torch.addcmul(delta[:, t], alive[:, t], behind, value=gamma * lam)
        result[:, t] = behind
    return result
