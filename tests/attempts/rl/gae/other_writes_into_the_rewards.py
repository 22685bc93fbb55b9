def gae(reward, value, done, *, gamma, lam):
    live = (~done).to(reward.dtype)
    reward += gamma * live * value[:, 1:] - value[:, :-1]
    for t in range(reward.shape[1] - 2, -1, -1):
        reward[:, t] += gamma * lam * live[:, t] * reward[:, t + 1]
    return reward
