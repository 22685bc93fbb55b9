# DLR-RM/stable-baselines3#127: the entropy estimated from the samples' log-probabilities enters the loss with the wrong sign.
# named: entropy-from-the-samples entropy-sign
import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.clip_range, self.clip_range_vf = clip, value_clip
        self.vf_coef, self.ent_coef, self.kl_coef = value_coef, entropy_coef, kl_coef

    def loss(self, rollout):
        weights = rollout.mask.to(rollout.log_prob.dtype)
        weights = weights / weights.sum().clamp(min=1)
        ratio = torch.exp(rollout.log_prob - rollout.old_log_prob)
        one = rollout.advantage * ratio
        two = rollout.advantage * torch.clamp(ratio, 1 - self.clip_range, 1 + self.clip_range)
        policy_loss = -(weights * torch.min(one, two)).sum()
        worst = (rollout.returns - rollout.value) ** 2
        if self.clip_range_vf is not None:
            moved = torch.clamp(rollout.value - rollout.old_value, -self.clip_range_vf, self.clip_range_vf)
            worst = torch.max(worst, (rollout.returns - rollout.old_value - moved) ** 2)
        value_loss = (weights * worst).sum() / 2
        entropy_loss = -(weights * rollout.log_prob).sum()
        kl = policy_loss * 0
        if rollout.ref_log_prob is not None:
            x = rollout.ref_log_prob - rollout.log_prob
            kl = (weights * (x.exp() - x - 1)).sum()
        loss = policy_loss + self.ent_coef * entropy_loss + self.vf_coef * value_loss + self.kl_coef * kl
        outside = (weights * ((ratio - 1).abs() > self.clip_range)).sum()
        logged = {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy_loss, "kl": kl}
        return Loss(loss, {**{k: v.detach() for k, v in logged.items()}, "clip_fraction": outside.detach()})
