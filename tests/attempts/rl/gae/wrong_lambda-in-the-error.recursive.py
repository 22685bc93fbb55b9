import torch


def gae(reward, value, done, *, gamma, lam):
    fade = gamma * lam

    def rest(t):
        if t >= reward.shape[1]:
            return reward.new_zeros(len(reward), 0)
        later = rest(t + 1)
        follows = value[:, t + 1] + (later[:, 0] if later.shape[1] else 0)
        mine = reward[:, t] - value[:, t] + torch.where(done[:, t], 0, fade * follows)
        return torch.cat([mine[:, None], later], dim=1)

    return rest(0)
