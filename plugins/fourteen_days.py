"""The built-in roadmap: fourteen days from value iteration to serving, and its section of the brief: progress."""

from typing import Any

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Day, Roadmap, say

DAYS: list[tuple[str, str, tuple[str, ...]]] = [
    ("Decisions: states, rewards and the best policy", "决策：状态、奖励与最优策略", ("rl/mdp",)),
    ("Learning from one step", "从一步中学习", ("rl/td-learning",)),
    ("Policy gradients and the advantage", "策略梯度与优势", ("rl/policy-gradient", "rl/advantage")),
    ("Generalised advantage estimation", "广义优势估计", ("rl/gae",)),
    ("Supervised fine-tuning", "监督微调", ("alignment/sft", "alignment/chat-template")),
    (
        "Preferences without a reward model",
        "不用奖励模型的偏好学习",
        ("alignment/dpo", "alignment/ipo", "alignment/kto", "alignment/simpo", "alignment/orpo"),
    ),
    ("Proximal policy optimisation", "近端策略优化", ("alignment/kl-control", "alignment/ppo")),
    ("Group-relative policy optimisation", "组相对策略优化", ("alignment/grpo",)),
    (
        "Rewards and the whole RLHF loop",
        "奖励与完整的 RLHF 循环",
        ("alignment/reward-model", "alignment/verifiable-reward", "alignment/rlhf"),
    ),
    ("Offline reinforcement learning", "离线强化学习", ("rl/cql",)),
    ("Seeing: vision into tokens", "视觉：把图像变成词元", ("multimodal/mlp-projector", "multimodal/q-former")),
    (
        "Parallelism",
        "并行",
        (
            "parallelism/ring-all-reduce",
            "parallelism/data-parallel",
            "parallelism/tensor-parallel",
            "parallelism/pipeline-parallel",
            "parallelism/zero-1",
            "parallelism/zero-2",
            "parallelism/zero-3",
        ),
    ),
    (
        "Attention, its cache and its kernel",
        "注意力、缓存与内核",
        (
            "architecture/attention",
            "architecture/grouped-query-attention",
            "inference/kv-cache",
            "inference/paged-attention",
            "kernels/online-softmax",
            "kernels/flash-attention",
        ),
    ),
    ("Looking back: grade everything once more", "回顾：把一切再评一遍", ()),
]


ELECTIVE = {4: ("rl/actor-critic",), 8: ("alignment/rloo", "alignment/dr-grpo"), 10: ("rl/bcq",)}
"""By number of the day, what a learner may leave out."""
ROADMAP = Roadmap(
    id="fourteen-days",
    title={"en": "Fourteen days", "zh": "十四天"},
    days=tuple(
        Day(
            number=n,
            title={"en": en, "zh": zh},
            techniques=(*techniques, *ELECTIVE.get(n, ())),
            elective=ELECTIVE.get(n, ()),
        )
        for n, (en, zh, techniques) in enumerate(DAYS, start=1)
    ),
)
SAYS = {
    "begun": {
        "en": "{begun} of {days} days begun, {complete} complete. ✓ passed, – not graded.",
        "zh": "共 {days} 天，已开始 {begun} 天，完成 {complete} 天。✓ 通过，– 未评判。",
    },
    "day": {"en": "- **Day {number}**, {title}: {techniques}", "zh": "- **第 {number} 天**，{title}：{techniques}"},
}


@hookimpl
def roadmaps() -> list[Roadmap]:
    """Declare ``fourteen-days``."""
    return [ROADMAP]


@hookimpl
def brief_sections(verdicts: list[dict[str, Any]], lang: str) -> dict[str, str]:
    """Return a section with the days that were begun and the best result of each of their techniques."""
    found = {verdict["technique"]: "✓" if verdict["passed"] else f"{verdict['score']:.0%}" for verdict in verdicts}
    begun = [day for day in ROADMAP.days if any(i in found for i in day.techniques)]
    if not begun:
        return {}
    complete = sum(all(found.get(i) == "✓" for i in day.techniques if i not in day.elective) for day in begun)
    lines = [
        say(SAYS["day"], lang).format(
            number=day.number,
            title=say(day.title, lang),
            techniques=", ".join(f"{i.partition('/')[2]} {found.get(i, '–')}" for i in day.techniques),
        )
        for day in begun
    ]
    head = say(SAYS["begun"], lang).format(begun=len(begun), days=len(ROADMAP.days), complete=complete)
    return {say(ROADMAP.title, lang): "\n".join([head, "", *lines])}
