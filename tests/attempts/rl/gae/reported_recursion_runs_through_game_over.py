# vietnh1009/Super-mario-bros-PPO-pytorch#21: the running estimate is not reset where the game is over, only the next value is.
# named: leaks-through-done
import torch


def gae(reward, value, done, *, gamma, lam):
    running, columns = torch.zeros(len(reward), dtype=reward.dtype), []
    triples = list(zip(reward.T, value.T[:-1], value.T[1:], done.T.to(reward.dtype)))
    for r, v, v_next, d in triples[::-1]:
        running = running * gamma * lam
        running = running + r + gamma * v_next * (1 - d) - v
        columns.insert(0, running)
    return torch.stack(columns, 1) if columns else reward.clone()
