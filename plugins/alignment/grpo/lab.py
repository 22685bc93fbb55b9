"""A tiny language model learns to add from groups of its own answers, though half of each reward is about the prompt.

The tested ``GRPO`` trains twice from the same base: on rewards with an offset that depends on the prompt alone, as the
scores of a reward model may have, and on the plain 0 and 1 of the verifier. There is no critic and no reference.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from groundup.core.group_lab import GroupCourse
from groundup.core.lab import Bench, Outcome
from groundup.core.models import Addition
from groundup.core.preference_lab import bytes_of

OFFSET = 3 * math.sqrt(2)  # times a sine: a standard deviation of 3, against at most 1/2 of the rewards
PROMPTS, ANSWERS = 32, 8
STEPS, QUICK_STEPS, EVERY = 80, 3, 20
LEARNING_RATE = 3e-4
ACCURACY, JUDGED = 0.45, 2048
MORE = 0.05
QUICK = {"accuracy": 0.1, "judged": 256}


def run(bench: Bench) -> Outcome:
    """Train on both kinds of rewards, and judge what is sampled afterwards."""
    torch.manual_seed(bench.seed)
    rule = bench.impl("alignment/grpo")(clip=0.2, kl_coef=0.0, aggregation="token")
    start, sampled, course = train(bench, rule, "sampled", OFFSET, 0.0)
    _, plain, _ = train(bench, rule, "plain", 0.0, 0.5)
    head = course.base.params["lm_head.weight"]
    policy = course.base.params.values()
    critic = 4 * (bytes_of(policy) - bytes_of([head]) + head.shape[1] * head.element_size())
    return Outcome(
        figures=(
            bench.figure("start", 100 * start, count=JUDGED),
            bench.figure("sampled", 100 * sampled),
            bench.figure("plain", 100 * plain),
            bench.figure("held", course.student.bytes_held()),
            bench.figure("critic", critic),
        ),
        mark=bench.mark(sampled >= start + MORE, more=MORE, steps=STEPS),
    )


def train(bench: Bench, rule: Any, name: str, offset: float, done: float) -> tuple[float, float, GroupCourse]:
    """Train a copy of the base; return the sampled accuracy before and after."""
    accuracy, judged = (QUICK["accuracy"], int(QUICK["judged"])) if bench.quick else (ACCURACY, JUDGED)
    steps = QUICK_STEPS if bench.quick else STEPS
    course = GroupCourse(bench.seed, Addition(), accuracy=accuracy, learning_rate=LEARNING_RATE)
    start = now = course.sampled_accuracy(count=judged)
    bench.point(name, 0, 100 * start)
    for step in range(1, steps + 1):
        course.learn(rule, course.rollout(prompts=PROMPTS, answers=ANSWERS, offset=offset), epochs=2, minibatches=2)
        if step % EVERY == 0 or step == steps:
            now = course.sampled_accuracy(count=judged)
            bench.point(name, step, 100 * now)
        bench.progress(done + 0.5 * step / steps)
    return start, now, course
