# Rolv-Arild/rocket-learn#12: the divergence is (e^ratio - 1) - ratio, the ratio taken for the log-ratio of the estimator.
# named: kl-of-the-ratio
import torch
from groundup.core.interfaces.rl import Loss, RLAlgorithm
from torch import clamp, exp, maximum


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.settings = clip, value_clip, value_coef, entropy_coef, kl_coef

    def loss(self, b):
        clip, value_clip, c_v, c_e, c_kl = self.settings
        weight = b.mask.to(b.log_prob.dtype)
        weight = weight / weight.sum().clamp(min=1)

        prob_ratio = exp(b.log_prob - b.old_log_prob)
        policy = (maximum(-b.advantage * prob_ratio, -b.advantage * clamp(prob_ratio, 1 - clip, 1 + clip)) * weight).sum()

        off = (b.value - b.returns) ** 2
        if value_clip is not None:
            off = maximum(off, (b.old_value + clamp(b.value - b.old_value, -value_clip, value_clip) - b.returns) ** 2)
        critic = (0.5 * off * weight).sum()

        entropy = (b.entropy * weight).sum()
        kl = torch.zeros_like(entropy)
        if b.ref_log_prob is not None:
            ratio = exp(b.ref_log_prob - b.log_prob)
            kl = (((exp(ratio) - 1) - ratio) * weight).sum()

        outside = ((prob_ratio - 1).abs() > clip).to(weight.dtype)
        logged = dict(policy_loss=policy, value_loss=critic, entropy=entropy, kl=kl, clip_fraction=(outside * weight).sum())
        return Loss(
            loss=policy + c_v * critic - c_e * entropy + c_kl * kl,
            metrics={key: number.detach() for key, number in logged.items()},
        )
