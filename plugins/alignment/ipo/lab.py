"""128 pairs on which all agree, shown again and again: how far apart are the two answers of a pair in the end?

The tested ``IPO`` trains a copy of a tiny language model. Its verifier never changes its mind, so the preferences are
deterministic.
"""

from __future__ import annotations

import torch

from groundup.core.lab import Bench, Outcome
from groundup.core.models import Addition
from groundup.core.preference_lab import Course

BETA = 0.1
PAIRS, BATCH = 128, 64
STEPS, QUICK_STEPS, EVERY = 300, 12, 20
LEARNING_RATE = 3e-4
ACCURACY, QUICK_ACCURACY = 0.5, 0.1
JUDGED, QUICK_JUDGED = 2048, 256
NEAR = 0.5


def run(bench: Bench) -> Outcome:
    """Train, and follow the mean difference of the log-ratios."""
    torch.manual_seed(bench.seed)
    steps, judged = (QUICK_STEPS, QUICK_JUDGED) if bench.quick else (STEPS, JUDGED)
    accuracy = QUICK_ACCURACY if bench.quick else ACCURACY
    course = Course(bench.seed, Addition(), accuracy=accuracy, learning_rate=LEARNING_RATE)
    rule = bench.impl("alignment/ipo")(beta=BETA)
    data, target = course.pairs(PAIRS), 1 / (2 * BETA)
    differences = {0: 0.0}
    bench.point("difference", 0, 0.0)
    for step in range(1, steps + 1):
        course.improve(rule.loss(data.batch(course.student, course.rows(len(data), BATCH))).loss)
        if step % (EVERY if not bench.quick else 4) == 0:
            apart = course.pair_margins(data)
            differences[step] = float(apart.mean())
            bench.point("difference", step, differences[step])
            bench.point("target", step, target)
        bench.progress(step / steps)
    end, growth = differences[steps], differences[steps] - differences[2 * steps // 3]
    return Outcome(
        figures=(
            bench.figure("difference", end, count=PAIRS),
            bench.figure("growth", growth),
            bench.figure("spread", float(apart.std())),
            bench.figure("start", 100 * course.sampled_accuracy(course.base.params, count=judged), judged=judged),
            bench.figure("sampled", 100 * course.sampled_accuracy(count=judged), judged=judged),
        ),
        mark=bench.mark(abs(end - target) < NEAR and abs(growth) < NEAR, near=NEAR, target=target, steps=STEPS),
    )
