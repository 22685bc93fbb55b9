# DLR-RM/stable-baselines3#183: the value behind the last step is that of the observation before it, not of the new one.
# named: last-value-of-the-state-before
import torch


def gae(reward, value, done, *, gamma, lam):
    *values, _newest = value.unbind(dim=1)
    rewards, ends = reward.unbind(dim=1), done.unbind(dim=1)
    if not rewards:
        return torch.empty_like(reward)
    last_value = values[-1]
    next_values = [*values[1:], last_value]
    out, running = [], torch.zeros_like(last_value)
    for r, v, v_next, end in zip(reversed(rewards), reversed(values), reversed(next_values), reversed(ends)):
        v_next = v_next.masked_fill(end, 0.0)
        running = running.masked_fill(end, 0.0)
        running = r + gamma * v_next - v + gamma * lam * running
        out.append(running)
    return torch.stack(out[::-1], dim=1)
