# ray-project/ray#19291: the report asks that the squared error itself be clamped, as ray-project/ray#22171 then did; beyond it the critic learns nothing.
# named: squared-error-clamped
import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.clip_param, self.vf_clip_param = clip, value_clip
        self.vf_loss_coeff, self.entropy_coeff, self.kl_coeff = value_coef, entropy_coef, kl_coef

    def loss(self, train_batch):
        valid = train_batch.mask
        num_valid = torch.clamp(valid.sum(), min=1)

        def reduce_mean_valid(t):
            return t[valid].sum() / num_valid

        logp_ratio = torch.exp(train_batch.log_prob - train_batch.old_log_prob)
        surrogate = torch.min(
            train_batch.advantage * logp_ratio,
            train_batch.advantage * torch.clamp(logp_ratio, 1 - self.clip_param, 1 + self.clip_param),
        )
        vf_loss = torch.pow(train_batch.value - train_batch.returns, 2.0) / 2
        if self.vf_clip_param is not None:
            vf_loss = torch.clamp(vf_loss, 0, self.vf_clip_param)
        if train_batch.ref_log_prob is None:
            kl = torch.zeros_like(surrogate)
        else:
            diff = train_batch.ref_log_prob - train_batch.log_prob
            kl = torch.exp(diff) - diff - 1
        policy, vf, ent, kl = map(reduce_mean_valid, (-surrogate, vf_loss, train_batch.entropy, kl))
        total = policy + self.vf_loss_coeff * vf - self.entropy_coeff * ent + self.kl_coeff * kl
        frac = reduce_mean_valid((torch.abs(logp_ratio - 1) > self.clip_param).to(policy.dtype))
        stats = zip(("policy_loss", "value_loss", "entropy", "kl", "clip_fraction"), (policy, vf, ent, kl, frac))
        return Loss(total, {key: number.detach() for key, number in stats})
