# alessiodm/drl-zh#13: the carried advantage is masked again after its step, so an episode's last step never reaches the one before it.
# named: masked-once-more-when-carried
import torch


def gae(reward, value, done, *, gamma, lam):
    steps = reward.shape[1]
    out, carry, following = torch.zeros_like(reward), 0.0, value[:, steps]
    for t in range(steps - 1, -1, -1):
        goes_on = 1.0 - done[:, t].to(reward.dtype)
        td = reward[:, t] + gamma * following * goes_on - value[:, t]
        out[:, t] = td + gamma * lam * goes_on * carry
        following = value[:, t]
        carry = out[:, t] * goes_on
    return out
