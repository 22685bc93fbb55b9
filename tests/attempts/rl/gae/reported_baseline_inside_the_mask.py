# AI4Finance-Foundation/ElegantRL#183: mask times gamma multiplies the step's own value too, which is to be subtracted whole.
# named: value-subtracted-inside-the-mask
import torch


def gae(reward, value, done, *, gamma, lam):
    mask = gamma * done.logical_not().type_as(reward)
    advantage = reward.clone()
    pre = value[:, -1]
    for i in torch.arange(reward.size(1)).flip(0).tolist():
        advantage[:, i] = reward[:, i] + mask[:, i] * (pre - value[:, i])
        pre = value[:, i] + lam * advantage[:, i]
    return advantage
