"""The technique ``rl/gae``: what it is called, what it needs, its hints and its sources."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique

GAE = Technique(
    id="rl/gae",
    title={"en": "Generalised advantage estimation", "zh": "广义优势估计（GAE）"},
    summary={
        "en": "How much better than expected was each action? A backward sum of one-step errors, faded by gamma times "
        "lambda, that stops where an episode ends.",
        "zh": "每个动作比预期好多少？把单步误差按 gamma 乘 lambda 逐步衰减、从后往前累加，遇到回合结束就断开。",
    },
    headline={
        "en": "One number, lambda, goes all the way from one-step errors (steady, but only as right as the critic) to "
        "whole returns (right on average, but noisy).",
        "zh": "只用一个数 lambda，就能从单步误差（稳定，但只和评论家一样准）"
        "一路调到完整回报（平均而言正确，但噪声大）。",
    },
    package=__name__,
    implements="gae",
    requires=("rl/td-learning", "rl/advantage"),
    holes=(
        Hole(
            hints=(
                {
                    "en": "value has T + 1 columns: which T of them are the states before the steps, and which T the "
                    "states after them?",
                    "zh": "value 有 T + 1 列：哪 T 列是各步之前的状态，哪 T 列是各步之后的状态？",
                },
                {
                    "en": "What is the state after an episode's last step worth? Make a mask that is 0 exactly there, "
                    "in the dtype of reward, and multiply the next value by it. The reward stays.",
                    "zh": "回合最后一步之后的状态值多少？做一个恰好在那里为 0 的掩码（dtype 与 reward 相同），"
                    "乘到下一个价值上；奖励要保留。",
                },
                {
                    "en": "reward + gamma * (1 - done) * value[:, 1:] - value[:, :-1]",
                    "zh": "reward + gamma * (1 - done) * value[:, 1:] - value[:, :-1]",
                },
            )
        ),
        Hole(
            hints=(
                {
                    "en": "A_t needs A_{t+1}. From which end must the loop start, and what is known there?",
                    "zh": "A_t 要用到 A_{t+1}。循环该从哪一端开始？在那一端已经知道什么？",
                },
                {
                    "en": "Keep one number a trajectory, the advantage of the step after. Before it is used, multiply "
                    "it by gamma, by lambda and by the mask of hole 1.",
                    "zh": "每条轨迹只保留一个数：后一步的优势。用它之前，乘上 gamma、lambda 和第 1 个空里的掩码。",
                },
                {
                    "en": "Start from zeros of shape (B,); for t from T - 1 down to 0: "
                    "last_gae_lam = delta[:, t] + gamma * lam * (1 - done)[:, t] * last_gae_lam. "
                    "Write into a tensor made beforehand: torch.stack of an empty list raises when T is 0.",
                    "zh": "从形状 (B,) 的零开始，t 从 T - 1 到 0："
                    "last_gae_lam = delta[:, t] + gamma * lam * (1 - done)[:, t] * last_gae_lam。"
                    "写进事先建好的张量：T 为 0 时，对空列表用 torch.stack 会报错。",
                },
            )
        ),
    ),
    sources=(
        Source(
            title="Schulman et al. 2016, High-Dimensional Continuous Control Using Generalized Advantage Estimation",
            url="https://arxiv.org/abs/1506.02438",
            where="eq. 16 (definition), 17 (lambda = 0), 18 (lambda = 1); section 4 (reward shaping)",
        ),
        Source(
            title="Ng, Harada and Russell 1999, Policy invariance under reward transformations",
            url="https://ai.stanford.edu/~ang/papers/shaping-icml99.pdf",
            where="potential-based shaping",
        ),
        Source(
            title="TorchRL, torchrl/objectives/value/functional.py",
            url="https://github.com/pytorch/rl/blob/main/torchrl/objectives/value/functional.py",
            where="generalized_advantage_estimate: done belongs to the step it ends; done and terminated apart",
        ),
        Source(
            title="Stable-Baselines3, stable_baselines3/common/buffers.py",
            url="https://github.com/DLR-RM/stable-baselines3/blob/master/stable_baselines3/common/buffers.py",
            where="RolloutBuffer.compute_returns_and_advantage: episode_starts; returns = advantages + values",
        ),
        Source(
            title="Stable-Baselines3, stable_baselines3/common/on_policy_algorithm.py",
            url="https://github.com/DLR-RM/stable-baselines3/blob/master/stable_baselines3/common/on_policy_algorithm.py",
            where="OnPolicyAlgorithm.collect_rollouts: a time limit's value is added to the reward",
        ),
        Source(
            title="CleanRL, cleanrl/ppo.py",
            url="https://github.com/vwxyzjn/cleanrl/blob/master/cleanrl/ppo.py",
            where="the loop under 'bootstrap value if not done': dones before the step; terminations or truncations",
        ),
        Source(
            title="verl, verl/trainer/ppo/core_algos.py",
            url="https://github.com/volcengine/verl/blob/main/verl/trainer/ppo/core_algos.py",
            where="compute_gae_advantage_return: one answer a row, nothing after its last token, whitened",
        ),
        Source(
            title="TRL, trl/experimental/ppo/ppo_trainer.py",
            url="https://github.com/huggingface/trl/blob/main/trl/experimental/ppo/ppo_trainer.py",
            where="step 6, 'compute advantages and returns'",
        ),
        Source(
            title="OpenRLHF, openrlhf/trainer/ppo_utils/experience_maker.py",
            url="https://github.com/OpenRLHF/OpenRLHF/blob/main/openrlhf/trainer/ppo_utils/experience_maker.py",
            where="get_advantages_and_returns",
        ),
        Source(
            title="Spinning Up, spinup/algos/pytorch/ppo/ppo.py",
            url="https://github.com/openai/spinningup/blob/master/spinup/algos/pytorch/ppo/ppo.py",
            where="PPOBuffer.finish_path: the value target is the reward-to-go",
        ),
    ),
)


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``rl/gae``."""
    return [GAE]
