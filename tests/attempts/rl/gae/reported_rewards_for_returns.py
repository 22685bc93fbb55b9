# natolambert/rlhf-book#216: the value is subtracted from the step's own reward, not from the return that follows it.
# named: nothing-after-the-step
import torch


def gae(reward, value, done, *, gamma, lam):
    baseline = torch.narrow(value, 1, 0, reward.size(1))
    return torch.sub(reward, baseline)
