"""A tiny language model learns from 2,048 single answers of its own, of which a verifier calls one in ten good.

The tested ``KTO`` trains a copy of the base, with a weight of 9 for the good answers and of 1 for the bad ones.
"""

from __future__ import annotations

import torch

from groundup.core.lab import Bench, Outcome
from groundup.core.models import Addition
from groundup.core.preference_lab import Course

BETA, WEIGHTS = 1.0, (9.0, 1.0)
ANSWERS, SHARE, BATCH = 2048, 0.1, 64
STEPS, QUICK_STEPS, EVERY = 100, 10, 10
LEARNING_RATE = 1e-4
ACCURACY, QUICK_ACCURACY = 0.5, 0.1
JUDGED, QUICK_JUDGED = 2048, 256
LOSS = 0.15


def run(bench: Bench) -> Outcome:
    """Train on thumbs; judge what the policy samples."""
    torch.manual_seed(bench.seed)
    steps, judged = (QUICK_STEPS, QUICK_JUDGED) if bench.quick else (STEPS, JUDGED)
    accuracy, count = (QUICK_ACCURACY, ANSWERS // 8) if bench.quick else (ACCURACY, ANSWERS)
    course = Course(bench.seed, Addition(), accuracy=accuracy, learning_rate=LEARNING_RATE)
    rule = bench.impl("alignment/kto")(beta=BETA, desirable_weight=WEIGHTS[0], undesirable_weight=WEIGHTS[1])
    start, data = course.sampled_accuracy(count=judged), course.thumbs(count, SHARE)
    bench.point("sampled", 0, start)
    for step in range(1, steps + 1):
        course.improve(rule.loss(data.batch(course.student, course.rows(len(data), BATCH))).loss)
        if step % EVERY == 0:
            sampled = course.sampled_accuracy(count=judged)
            bench.point("sampled", step, sampled)
        bench.progress(step / steps)
    with torch.no_grad():
        change = course.student.log_probs(data.answers) - data.ref_log_prob
        log_ratio = torch.where(data.answers.mask, change, 0).sum(1)
    good = int(data.desirable.sum())
    return Outcome(
        figures=(
            bench.figure("start", 100 * start, judged=judged),
            bench.figure("sampled", 100 * sampled, judged=judged),
            bench.figure("desirable", float(log_ratio[data.desirable].mean()), good=good),
            bench.figure("undesirable", float(log_ratio[~data.desirable].mean()), bad=len(data) - good),
        ),
        mark=bench.mark(sampled >= start - LOSS, steps=STEPS, share=SHARE, loss=LOSS),
    )
