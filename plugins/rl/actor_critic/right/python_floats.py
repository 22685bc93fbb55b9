"""Step by step: targets in Python floats, losses added up one after the other."""

import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class ActorCritic(RLAlgorithm):
    def __init__(self, *, gamma=0.99, value_coef=0.5, entropy_coef=0.01):
        self.gamma, self.value_coef, self.entropy_coef = gamma, value_coef, entropy_coef

    def target(self, batch):
        rows = []
        for reward, following, over in zip(batch.reward, batch.next_value, batch.terminated, strict=True):
            columns = zip(reward.tolist(), following.tolist(), over.tolist(), strict=True)
            rows.append([r if end else r + self.gamma * v for r, v, end in columns])
        return torch.tensor(rows, dtype=batch.reward.dtype).reshape(batch.reward.shape)

    def loss(self, batch):
        target, places = self.target(batch), batch.mask.nonzero().tolist()
        policy, value, entropy = (0 * x.sum() for x in (batch.log_prob, batch.value, batch.entropy))
        for b, t in places:
            error = target[b, t].item() - batch.value[b, t].item()
            policy = policy - error * batch.log_prob[b, t]
            value = value + (batch.value[b, t] - target[b, t]) ** 2 / 2
            entropy = entropy + batch.entropy[b, t]
        policy, value, entropy = (x / max(len(places), 1) for x in (policy, value, entropy))
        loss = policy + self.value_coef * value - self.entropy_coef * entropy
        return Loss(loss, {"policy_loss": policy.detach(), "value_loss": value.detach(), "entropy": entropy.detach()})
