# EdanToledo/Stoix#142: the whole error of an episode's last step is multiplied by a mask, though only what lies behind it should be.
# named: takes-the-last-step-for-padding
import torch


def gae(reward, value, done, *, gamma, lam):
    def body(carry, x):
        delta, keep = x
        return delta + gamma * lam * keep * carry

    keep = torch.ones_like(reward).masked_fill(done, 0)
    deltas = keep * (reward + gamma * value.narrow(1, 1, reward.shape[1]) - value.narrow(1, 0, reward.shape[1]))
    carry, ys = torch.zeros_like(deltas.sum(1)), []
    for xs in reversed(list(zip(deltas.unbind(1), keep.unbind(1)))):
        carry = body(carry, xs)
        ys.append(carry)
    return torch.stack(ys[::-1], dim=1) if ys else deltas
