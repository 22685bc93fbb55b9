# pytorch/rl#1033: the advantage is normalised after the first gain was computed, so only the clipped gain sees it normalised.
# named: normalised-between-the-surrogates
import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.clip_epsilon, self.clip_value = clip, value_clip
        self.critic_coef, self.entropy_coef, self.kl_coef = value_coef, entropy_coef, kl_coef

    def loss(self, data):
        chosen = data.mask.flatten()
        total = chosen.sum().clamp(min=1)
        pick = {k: v.flatten()[chosen] for k, v in vars(data).items() if isinstance(v, torch.Tensor)}
        log_weight = pick["log_prob"] - pick["old_log_prob"]
        advantage = pick["advantage"]
        gain1 = log_weight.exp() * advantage
        if advantage.numel() > 1:
            advantage = (advantage - advantage.mean()) / advantage.std().clamp_min(1e-6)
        gain2 = log_weight.exp().clamp(1 - self.clip_epsilon, 1 + self.clip_epsilon) * advantage
        objective = -torch.stack([gain1, gain2], -1).amin(-1).sum() / total
        target, guess = pick["returns"], pick["value"]
        distance = (guess - target) ** 2
        if self.clip_value is not None:
            old = pick["old_value"]
            distance = torch.max(distance, (old + (guess - old).clamp(-self.clip_value, self.clip_value) - target) ** 2)
        critic = 0.5 * distance.sum() / total
        entropy = pick["entropy"].sum() / total
        kl = 0 * objective
        if "ref_log_prob" in pick:
            delta = pick["ref_log_prob"] - pick["log_prob"]
            kl = (delta.exp() - 1 - delta).sum() / total
        fraction = ((log_weight.exp() - 1).abs() > self.clip_epsilon).to(guess.dtype).sum() / total
        loss = objective + self.critic_coef * critic - self.entropy_coef * entropy + self.kl_coef * kl
        metrics = {"policy_loss": objective, "value_loss": critic, "entropy": entropy, "kl": kl, "clip_fraction": fraction}
        return Loss(loss, {name: number.detach() for name, number in metrics.items()})
