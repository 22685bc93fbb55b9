# alexis-jacq/Pytorch-DPPO#3: the first surrogate is clamped to the range of the ratio, where the ratio itself should be.
# named: clamps-the-surrogate-and-multiplies-again
import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.low, self.high, self.value_clip = 1 - clip, 1 + clip, value_clip
        self.clip = clip
        self.weights = {"value_loss": value_coef, "entropy": -entropy_coef, "kl": kl_coef, "policy_loss": 1.0}

    def loss(self, batch):
        def mean(x):
            return torch.where(batch.mask, x, torch.zeros_like(x)).sum() / max(int(batch.mask.sum()), 1)

        ratio = (batch.log_prob - batch.old_log_prob).exp()
        surr1 = ratio * batch.advantage
        surr2 = surr1.clamp(self.low, self.high) * batch.advantage
        terms = {"policy_loss": -mean(torch.min(surr1, surr2))}
        error = (batch.value - batch.returns).square() / 2
        if self.value_clip is not None:
            near = batch.value.clamp(batch.old_value - self.value_clip, batch.old_value + self.value_clip)
            error = torch.max(error, (near - batch.returns).square() / 2)
        terms["value_loss"] = mean(error)
        terms["entropy"] = mean(batch.entropy)
        if batch.ref_log_prob is None:
            terms["kl"] = torch.zeros((), dtype=ratio.dtype)
        else:
            d = batch.ref_log_prob - batch.log_prob
            terms["kl"] = mean(d.exp() - d - 1)
        total = sum(self.weights[name] * term for name, term in terms.items())
        terms["clip_fraction"] = mean(((ratio - 1).abs() > self.clip).to(ratio.dtype))
        return Loss(total, {name: term.detach() for name, term in terms.items()})
