import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class ActorCritic(RLAlgorithm):
    def __init__(self, *, gamma=0.99, value_coef=0.5, entropy_coef=0.01):
        self.gamma, self.value_coef, self.entropy_coef = gamma, value_coef, entropy_coef

    def target(self, batch):
        return (batch.reward + self.gamma * batch.next_value.masked_fill(batch.terminated, 0)).detach()

    def loss(self, batch):
        real, target = batch.mask, self.target(batch)
        count = max(int(real.sum()), 1)
        weight = (target - batch.value.detach())[real]
        policy = -(weight * batch.log_prob[real]).sum() / count
        value = torch.nn.functional.huber_loss(batch.value[real], target[real], reduction="sum", delta=10.0) / count
        entropy = batch.entropy[real].sum() / count
        metrics = {"policy_loss": policy.detach(), "value_loss": value.detach(), "entropy": entropy.detach()}
        return Loss(policy + self.value_coef * value - self.entropy_coef * entropy, metrics)
