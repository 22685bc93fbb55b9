"""A tiny language model that gets half of its sums right learns from its own right and wrong answers.

The tested ``DPO`` trains a copy of the base. The verifier makes the pairs from the base's samples, and judges what the
policy samples afterwards.
"""

from __future__ import annotations

import torch

from groundup.core.lab import Bench, Outcome
from groundup.core.models import Addition
from groundup.core.preference_lab import Course, bytes_of, bytes_of_ppo

BETA = 1.0
PAIRS, BATCH = 4096, 64
STEPS, EVERY = 100, 20
LEARNING_RATE = 1e-4
ACCURACY, JUDGED = 0.5, 4096
MORE = 0.05
QUICK = {"accuracy": 0.1, "pairs": 128, "steps": 10, "judged": 256}


def run(bench: Bench) -> Outcome:
    """Train on pairs; judge what the policy samples, and how many pairs it orders rightly."""
    torch.manual_seed(bench.seed)
    accuracy, count = (QUICK["accuracy"], int(QUICK["pairs"])) if bench.quick else (ACCURACY, PAIRS)
    steps, judged = (int(QUICK["steps"]), int(QUICK["judged"])) if bench.quick else (STEPS, JUDGED)
    course = Course(bench.seed, Addition(), accuracy=accuracy, learning_rate=LEARNING_RATE)
    rule = bench.impl("alignment/dpo")(beta=BETA)
    start = course.sampled_accuracy(count=judged)
    data = course.pairs(count)
    bench.point("sampled", 0, start)
    for step in range(1, steps + 1):
        course.improve(rule.loss(data.batch(course.student, course.rows(len(data), BATCH))).loss)
        if step % EVERY == 0 or step == steps:
            sampled = course.sampled_accuracy(count=judged)
            ordered = float((course.pair_margins(data) > 0).double().mean())
            bench.point("sampled", step, sampled)
            bench.point("pairs", step, ordered)
        bench.progress(step / steps)
    held = course.student.bytes_held() + bytes_of(course.base.params.values())
    return Outcome(
        figures=(
            bench.figure("start", 100 * start, count=judged),
            bench.figure("sampled", 100 * sampled, count=judged),
            bench.figure("pairs", 100 * ordered),
            bench.figure("held", held),
            bench.figure("held_by_ppo", bytes_of_ppo(course.base)),
        ),
        mark=bench.mark(sampled >= start + MORE, more=MORE, steps=STEPS),
    )
