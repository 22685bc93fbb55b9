import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


def rest_of_episode(batch, row, t):
    """Return the episode's steps from t on, but at most eight, and whether they end by termination."""
    length = int(batch.mask[row].sum())
    for stop in range(t, min(length, t + 8)):
        if batch.terminated[row, stop]:
            return stop, 0.0
        if batch.truncated[row, stop] or stop == length - 1:
            return stop, float(batch.next_value[row, stop])
    return min(length, t + 8) - 1, 0.0


class Reinforce(RLAlgorithm):
    def __init__(self, *, gamma=0.99, value_coef=0.5, entropy_coef=0.01):
        self.gamma, self.value_coef, self.entropy_coef = gamma, value_coef, entropy_coef

    def returns(self, batch):
        made = torch.zeros_like(batch.reward.detach())
        for row, t in batch.mask.nonzero().tolist():
            stop, to_go = rest_of_episode(batch, row, t)
            for k in range(stop, t - 1, -1):
                to_go = float(batch.reward[row, k]) + self.gamma * to_go
            made[row, t] = to_go
        return made

    def discounts(self, batch):
        columns, carried = [], torch.ones(len(batch.reward), dtype=batch.reward.dtype)
        for over in (batch.terminated | batch.truncated).unbind(1):
            columns.append(carried)
            carried = torch.where(over, 1, self.gamma * carried)
        return torch.stack(columns, dim=1) if columns else torch.empty_like(batch.reward)

    def loss(self, batch):
        returns, begins = self.returns(batch), torch.ones_like(batch.mask)
        begins[:, 1:] = (batch.terminated | batch.truncated)[:, :-1]
        real = batch.mask / (begins & batch.mask).sum().clamp(min=1).to(batch.log_prob.dtype)
        weight = (returns - batch.value.detach()) * self.discounts(batch)
        policy = -(weight * batch.log_prob * real).sum()
        value, entropy = ((batch.value - returns) ** 2 / 2 * real).sum(), (batch.entropy * real).sum()
        metrics = {"policy_loss": policy.detach(), "value_loss": value.detach(), "entropy": entropy.detach()}
        return Loss(policy + self.value_coef * value - self.entropy_coef * entropy, metrics)
