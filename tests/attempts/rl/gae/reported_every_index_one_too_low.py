# nikhilbarhate99/PPO-PyTorch#26: the loop reads rewards, masks and values at i - 1 where it means i, and index -1 is the last.
# named: nothing
import torch


def gae(reward, value, done, *, gamma, lam):
    rewards, masks, values = reward.T, (~done).T.type_as(reward), value.T[:-1]
    advantages, carried = [], 0.0
    for i in reversed(range(len(rewards))):
        delta = rewards[i - 1] + gamma * values[i] * masks[i - 1] - values[i - 1]
        carried = delta + gamma * lam * masks[i - 1] * carried
        advantages.insert(0, carried)
    return torch.stack(advantages).T.contiguous() if advantages else reward.new_empty(reward.shape)
