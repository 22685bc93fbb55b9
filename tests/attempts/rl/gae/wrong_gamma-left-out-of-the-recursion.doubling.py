import torch
from torch.nn.functional import pad


def gae(reward, value, done, *, gamma, lam):
    keep = torch.ones_like(reward).masked_fill(done, 0)
    sums = reward + keep * value[:, 1:] * gamma - value[:, :-1]
    carry, far = keep * lam, 1
    while far < sums.shape[1]:
        sums = sums + carry * pad(sums[:, far:], (0, far))
        carry = carry * pad(carry[:, far:], (0, far))
        far = 2 * far
    return sums
