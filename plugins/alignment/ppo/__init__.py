"""The technique ``alignment/ppo``: what it is called, what it needs, its hints and its sources."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique

PPO = Technique(
    id="alignment/ppo",
    title={"en": "Proximal policy optimisation", "zh": "近端策略优化（PPO）"},
    summary={
        "en": "Several policy-gradient steps on the same rollout, with the reward for going too far taken away: a "
        "clipped surrogate, a clipped critic, an entropy bonus and a KL penalty.",
        "zh": "在同一批样本上走好几步策略梯度，同时取消“走得太远”的好处："
        "截断的代理损失、截断的价值损失、熵奖励和 KL 惩罚。",
    },
    headline={
        "en": "One rollout serves many steps: where the plain policy gradient runs away, the clipped one stops.",
        "zh": "一批样本可以用很多步：普通策略梯度会失控的地方，截断后的策略梯度会停下来。",
    },
    package=__name__,
    implements="PPO",
    interface="groundup.core.interfaces.rl:RLAlgorithm",
    requires=("alignment/kl-control", "rl/gae"),
    holes=(
        Hole(
            hints=(
                {
                    "en": "A ratio of probabilities, from their logarithms. What is it before the first step?",
                    "zh": "由对数概率得到概率之比。第一步之前它等于多少？",
                },
                {
                    "en": "Both products are negated, because a loss is minimised. Is the worse of two losses the "
                    "smaller or the larger? Look at token 3 of the lesson's example.",
                    "zh": "损失要最小化，所以两个乘积都取了负。两个损失中较差的是较小的还是较大的？"
                    "看看课文算例中的词元 3。",
                },
                {
                    "en": "log_ratio = batch.log_prob - batch.old_log_prob; ratio = torch.exp(log_ratio); pg_losses is "
                    "torch.maximum of -batch.advantage * ratio and "
                    "-batch.advantage * ratio.clamp(1 - self.clip, 1 + self.clip).",
                    "zh": "log_ratio = batch.log_prob - batch.old_log_prob；ratio = torch.exp(log_ratio)；"
                    "pg_losses 对 -batch.advantage * ratio 和 "
                    "-batch.advantage * ratio.clamp(1 - self.clip, 1 + self.clip) 取 torch.maximum。",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "What is clamped is how far the value has moved, not the value.",
                    "zh": "要截断的是价值移动的距离，而不是价值本身。",
                },
                {
                    "en": "Two errors against the same return, and the larger of them. With value_clip None there is "
                    "only the first.",
                    "zh": "对同一个回报的两个误差，取较大的一个。value_clip 为 None 时只有第一个。",
                },
                {
                    "en": "value_clipped = batch.old_value + (batch.value - batch.old_value).clamp(-self.value_clip, "
                    "self.value_clip), then torch.maximum of 0.5 * (batch.value - batch.returns) ** 2 and "
                    "0.5 * (value_clipped - batch.returns) ** 2.",
                    "zh": "value_clipped = batch.old_value + (batch.value - batch.old_value).clamp(-self.value_clip, "
                    "self.value_clip)，再对 0.5 * (batch.value - batch.returns) ** 2 和 "
                    "0.5 * (value_clipped - batch.returns) ** 2 取 torch.maximum。",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "The direction of d matters: which of the two log-probabilities comes first?",
                    "zh": "d 的方向很重要：两个对数概率中哪一个在前？",
                },
                {
                    "en": "The batch may have no ref_log_prob. Nothing is detached: log_prob is what the penalty "
                    "trains.",
                    "zh": "批里可能没有 ref_log_prob。不要 detach：惩罚要训练的正是 log_prob。",
                },
                {
                    "en": "d = ref_log_ratio = batch.ref_log_prob - batch.log_prob; "
                    "per_token_kl = torch.exp(d) - d - 1; without a reference torch.zeros_like(batch.log_prob).",
                    "zh": "d = ref_log_ratio = batch.ref_log_prob - batch.log_prob；"
                    "per_token_kl = torch.exp(d) - d - 1；"
                    "没有参考策略时用 torch.zeros_like(batch.log_prob)。",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "Five means over the same tokens: write the mean once. What does it divide by, and what if "
                    "that is 0?",
                    "zh": "五个平均都取遍相同的词元：把平均写一次就好。除数是什么？它为 0 时怎么办？",
                },
                {
                    "en": "Set padded terms to 0, sum, and divide by the number of real tokens, at least 1. In the sum "
                    "of the terms the entropy is the only one that is subtracted.",
                    "zh": "把填充处的项置为 0，求和，再除以真实词元的个数（至少为 1）。各项求和时，只有熵是减去的。",
                },
                {
                    "en": "torch.where(batch.mask, term, 0).sum() / batch.mask.sum().clamp(min=1), for pg_losses, "
                    "vf_losses, batch.entropy, per_token_kl and ((ratio - 1).abs() > self.clip).to(ratio.dtype).",
                    "zh": "torch.where(batch.mask, term, 0).sum() / batch.mask.sum().clamp(min=1)，用于 pg_losses、"
                    "vf_losses、batch.entropy、per_token_kl 和 ((ratio - 1).abs() > self.clip).to(ratio.dtype)。",
                },
            )
        ),
    ),
    sources=(
        Source(
            title="Schulman et al. 2017, Proximal Policy Optimization Algorithms",
            url="https://arxiv.org/abs/1707.06347",
            where="eq. 6 (importance-weighted surrogate), 7 (clipped surrogate), 9 (sum with value loss and entropy)",
        ),
        Source(
            title="Schulman 2020, Approximating KL Divergence",
            url="http://joschu.net/blog/kl-approx.html",
            where="the estimators k1, k2 and k3",
        ),
        Source(
            title="Ouyang et al. 2022, Training language models to follow instructions with human feedback",
            url="https://arxiv.org/abs/2203.02155",
            where="section 3.5 and eq. 2: a KL penalty per token, in the reward",
        ),
        Source(
            title="On a few pitfalls in KL divergence gradient estimation for RL, 2025",
            url="https://arxiv.org/abs/2506.09477",
            where="the gradient of a KL estimate is not an estimate of the KL's gradient",
        ),
        Source(
            title="Shao et al. 2024, DeepSeekMath",
            url="https://arxiv.org/abs/2402.03300",
            where="GRPO: k3 in the loss",
        ),
        Source(
            title="Ye et al. 2019, Mastering Complex Control in MOBA Games with Deep Reinforcement Learning",
            url="https://arxiv.org/abs/1912.09729",
            where="dual clip",
        ),
        Source(
            title="OpenAI baselines, baselines/ppo2/model.py",
            url="https://github.com/openai/baselines/blob/master/baselines/ppo2/model.py",
            where="value clipping, the factor 1/2 and the clip fraction",
        ),
        Source(
            title="CleanRL, cleanrl/ppo.py",
            url="https://github.com/vwxyzjn/cleanrl/blob/master/cleanrl/ppo.py",
            where="the update loop; docs/rl-algorithms/ppo.md on value clipping",
        ),
        Source(
            title="Stable-Baselines3, stable_baselines3/ppo/ppo.py",
            url="https://github.com/DLR-RM/stable-baselines3/blob/master/stable_baselines3/ppo/ppo.py",
            where="PPO.train",
        ),
        Source(
            title="verl, verl/trainer/ppo/core_algos.py",
            url="https://github.com/volcengine/verl/blob/main/verl/trainer/ppo/core_algos.py",
            where="compute_policy_loss_vanilla, compute_value_loss, kl_penalty, agg_loss",
        ),
        Source(
            title="TRL, trl/experimental/ppo/ppo_trainer.py",
            url="https://github.com/huggingface/trl/blob/main/trl/experimental/ppo/ppo_trainer.py",
            where="PPOTrainer.train",
        ),
        Source(
            title="OpenRLHF, openrlhf/models/loss.py",
            url="https://github.com/OpenRLHF/OpenRLHF/blob/main/openrlhf/models/loss.py",
            where="PolicyLoss, ValueLoss",
        ),
    ),
)


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``alignment/ppo``."""
    return [PPO]
