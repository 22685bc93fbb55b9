# tensorflow/agents#352: the old values are predicted anew by the critic being trained, so clipping the difference has no effect.
# named: value-never-clipped
import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.clip, self.value_clip = clip, value_clip
        self.value_coef, self.entropy_coef, self.kl_coef = value_coef, entropy_coef, kl_coef

    def policy_term(self, b):
        importance = torch.exp(b.log_prob - b.old_log_prob)
        bounded = torch.clip(importance, 1 - self.clip, 1 + self.clip)
        return -torch.minimum(importance * b.advantage, bounded * b.advantage), importance

    def value_estimation_term(self, b):
        error = (b.returns - b.value) ** 2
        if self.value_clip is None:
            return error / 2
        predicted_again = b.value.detach()
        clipped = predicted_again + torch.clip(b.value - predicted_again, -self.value_clip, self.value_clip)
        return torch.maximum(error, (b.returns - clipped) ** 2) / 2

    def kl_term(self, b):
        if b.ref_log_prob is None:
            return torch.zeros_like(b.log_prob)
        towards = b.ref_log_prob - b.log_prob
        return torch.expm1(towards) - towards

    def loss(self, b):
        n = b.mask.count_nonzero().clamp(min=1)
        zero = torch.zeros((), dtype=b.log_prob.dtype)
        policy, importance = self.policy_term(b)
        clipped = ((importance - 1).abs() > self.clip).to(b.log_prob.dtype)
        terms = [policy, self.value_estimation_term(b), b.entropy, self.kl_term(b), clipped]
        p, v, e, k, c = (torch.where(b.mask, term, zero).sum() / n for term in terms)
        names = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")
        metrics = dict(zip(names, (x.detach() for x in (p, v, e, k, c))))
        return Loss(p + self.value_coef * v - self.entropy_coef * e + self.kl_coef * k, metrics)
