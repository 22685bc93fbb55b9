# rohitg00/ai-engineering-from-scratch#54: a rollout that stops in mid-episode ends with value 0, and the recursion knows no ends at all.
# named: no-value-after-the-last-step leaks-through-done
import torch


def gae(reward, value, done, *, gamma, lam):
    def of_row(traj, values):
        advantages, carried = [0.0] * len(traj), 0.0
        for t in reversed(range(len(traj))):
            r, ended = traj[t]
            ahead = 0.0 if ended else (values[t + 1] if t + 1 < len(traj) else 0.0)
            carried = r + gamma * ahead - values[t] + gamma * lam * carried
            advantages[t] = carried
        return advantages

    rows = [of_row(list(zip(r, d)), v) for r, d, v in zip(reward.tolist(), done.tolist(), value.tolist())]
    return torch.tensor(rows, dtype=reward.dtype).reshape(reward.shape)
