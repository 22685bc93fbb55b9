# thu-ml/tianshou#742: the probability ratio is computed under no_grad, so that the policy gets no gradient from the surrogate.
# named: ratio-without-gradient
import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        vars(self).update(eps=clip, veps=value_clip, cv=value_coef, ce=entropy_coef, ck=kl_coef)

    def loss(self, batch):
        where = batch.mask.nonzero(as_tuple=True)
        count = max(len(where[0]), 1)
        logp, adv = batch.log_prob[where], batch.advantage[where]
        with torch.no_grad():
            ratio = torch.exp(logp - batch.old_log_prob[where])
        clip_loss = -torch.min(ratio * adv, ratio.clamp(1.0 - self.eps, 1.0 + self.eps) * adv).sum() / count

        v, ret = batch.value[where], batch.returns[where]
        vf = (ret - v).pow(2)
        if self.veps is not None:
            v_clip = batch.old_value[where] + (v - batch.old_value[where]).clamp(-self.veps, self.veps)
            vf = torch.max(vf, (ret - v_clip).pow(2))
        vf_loss = 0.5 * vf.sum() / count
        ent = batch.entropy[where].sum() / count
        kl = logp.sum() * 0
        if batch.ref_log_prob is not None:
            d = batch.ref_log_prob[where] - logp
            kl = (d.exp() - 1 - d).sum() / count
        loss = clip_loss + self.cv * vf_loss - self.ce * ent + self.ck * kl
        far = (ratio > 1 + self.eps).to(ratio.dtype) + (ratio < 1 - self.eps).to(ratio.dtype)
        return Loss(loss, {
            "policy_loss": clip_loss.detach(), "value_loss": vf_loss.detach(), "entropy": ent.detach(),
            "kl": kl.detach(), "clip_fraction": far.sum() / count,
        })
