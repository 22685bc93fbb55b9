# huggingface/trl#6121: the entropy is averaged over all positions of the batch, and those of the padding are among them.
# named: entropy-of-padding-too
import torch

from groundup.core.interfaces.rl import Loss, RLAlgorithm


def masked_mean(values, mask):
    return values[mask].sum() / mask.sum().clamp(min=1)


class PPO(RLAlgorithm):
    def __init__(self, *, clip=0.2, value_clip=0.2, value_coef=0.5, entropy_coef=0.01, kl_coef=0.0):
        self.clip, self.value_clip = clip, value_clip
        self.value_coef, self.entropy_coef, self.kl_coef = value_coef, entropy_coef, kl_coef

    def loss(self, batch):
        mask = batch.mask
        if not mask.any():
            nothing = (batch.log_prob + batch.value + batch.entropy)[mask].sum()
            names = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")
            return Loss(nothing, {name: nothing.detach() for name in names})
        importance = torch.exp(batch.log_prob - batch.old_log_prob)
        inside = importance.clamp(1 - self.clip, 1 + self.clip)
        gains = torch.minimum(importance * batch.advantage, inside * batch.advantage)
        policy_loss = -masked_mean(gains, mask)
        value_loss = masked_mean(self.critic_errors(batch), mask) / 2
        entropy = batch.entropy.sum(1).mean() / batch.entropy.shape[1]
        kl = policy_loss.new_zeros(())
        if batch.ref_log_prob is not None:
            gap = batch.ref_log_prob - batch.log_prob
            kl = masked_mean(gap.exp() - gap - 1, mask)
        clipped = masked_mean((importance.sub(1).abs() > self.clip).type_as(importance), mask)
        loss = policy_loss + self.value_coef * value_loss - self.entropy_coef * entropy + self.kl_coef * kl
        return Loss(
            loss,
            {
                "policy_loss": policy_loss.detach(),
                "value_loss": value_loss.detach(),
                "entropy": entropy.detach(),
                "kl": kl.detach(),
                "clip_fraction": clipped.detach(),
            },
        )

    def critic_errors(self, batch):
        plain = (batch.value - batch.returns).pow(2)
        if self.value_clip is None:
            return plain
        moved = (batch.value - batch.old_value).clamp(min=-self.value_clip, max=self.value_clip)
        return torch.maximum(plain, (batch.old_value + moved - batch.returns).pow(2))
