# hill-a/stable-baselines#385: the mask is read one step on, as for flags that mark an episode's first step, but these mark the last.
# named: done-before-the-step
import numpy as np
import torch


def gae(reward, value, done, *, gamma, lam):
    new = np.append(done.numpy(), np.zeros((done.shape[0], 1), dtype=bool), axis=1)
    rew, vpred = reward.numpy(), value.numpy()
    gaelam, last = np.empty_like(rew), np.zeros_like(rew[:, :0].sum(1))
    for step in reversed(range(rew.shape[1])):
        nonterminal = (1 - new[:, step + 1]).astype(rew.dtype)
        gaelam[:, step] = last = (
            rew[:, step] + gamma * vpred[:, step + 1] * nonterminal - vpred[:, step] + gamma * lam * nonterminal * last
        )
    return torch.from_numpy(gaelam)
