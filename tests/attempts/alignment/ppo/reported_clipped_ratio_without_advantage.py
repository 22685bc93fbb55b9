# google/trax#396: the smaller of two is taken between advantage times ratio and the bare clipped ratio, without its advantage.
# named: clipped-ratio-without-advantage
import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.epsilon, self.v_epsilon = clip, value_clip
        self.weights = (1.0, value_coef, -entropy_coef, kl_coef)

    def loss(self, batch):
        keep = batch.mask
        tokens = keep.sum().clamp_min(1)

        def average(x):
            return x.masked_fill(~keep, 0).sum() / tokens

        ratios = (batch.log_prob - batch.old_log_prob).exp()
        objective = torch.minimum(ratios * batch.advantage, ratios.clamp(1 - self.epsilon, 1 + self.epsilon))
        squares = (batch.returns - batch.value).square()
        if self.v_epsilon is not None:
            low, high = batch.old_value - self.v_epsilon, batch.old_value + self.v_epsilon
            near = torch.minimum(torch.maximum(batch.value, low), high)
            squares = torch.maximum(squares, (batch.returns - near).square())
        gap = batch.log_prob * 0 if batch.ref_log_prob is None else batch.ref_log_prob - batch.log_prob
        parts = {
            "policy_loss": average(-objective),
            "value_loss": average(squares) / 2,
            "entropy": average(batch.entropy),
            "kl": average(gap.exp() - gap - 1),
        }
        total = sum(w * p for w, p in zip(self.weights, parts.values()))
        parts["clip_fraction"] = average((ratios.sub(1).abs() > self.epsilon).type_as(ratios))
        return Loss(total, {k: p.detach() for k, p in parts.items()})
