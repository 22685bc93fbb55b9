# implementation-matters/code-for-paper#1: the larger of the two value errors is taken before they are squared, sign and all.
# named: larger-error-before-the-square
import torch
from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.clip_eps, self.clip_val_eps = clip, value_clip
        self.val_weight, self.entropy_weight, self.kl_weight = value_coef, entropy_coef, kl_coef

    def surrogate(self, b):
        rat = (b.log_prob - b.old_log_prob).exp()
        lower, upper = 1 - self.clip_eps, 1 + self.clip_eps
        limited = torch.where(rat > upper, torch.full_like(rat, upper), rat)
        limited = torch.where(rat < lower, torch.full_like(rat, lower), limited)
        return rat, -torch.min(rat * b.advantage, limited * b.advantage)

    def value_errors(self, b):
        val_loss_mat = b.value - b.returns
        if self.clip_val_eps is not None:
            vs_clipped = b.old_value + (b.value - b.old_value).clamp(-self.clip_val_eps, self.clip_val_eps)
            val_loss_mat = torch.max(val_loss_mat, vs_clipped - b.returns)
        return val_loss_mat.pow(2) * 0.5

    def loss(self, batch):
        keep = batch.mask.double()
        count = keep.sum().clamp_min(1.0)
        dtype = batch.log_prob.dtype

        def token_mean(x):
            return ((x.double() * keep).sum() / count).to(dtype)

        rat, losses = self.surrogate(batch)
        pg, vf, ent = token_mean(losses), token_mean(self.value_errors(batch)), token_mean(batch.entropy)
        if batch.ref_log_prob is not None:
            log_gap = batch.ref_log_prob - batch.log_prob
            kl = token_mean(log_gap.exp() - log_gap - 1)
        else:
            kl = pg.detach() * 0
        outside = token_mean((rat - 1).abs().gt(self.clip_eps))
        whole = pg + self.val_weight * vf - self.entropy_weight * ent + self.kl_weight * kl
        numbers = [pg, vf, ent, kl, outside]
        names = ["policy_loss", "value_loss", "entropy", "kl", "clip_fraction"]
        return Loss(loss=whole, metrics={n: x.detach() for n, x in zip(names, numbers, strict=True)})
