"""One stage instead of two: ORPO on pairs of which neither answer need be right.

A tiny language model has learnt a little sorting. Of two of its answers to a prompt, the one with more letters in
place is chosen. Three students begin from the same weights, take as many steps and see the same pairs: one with the
tested rule, one with the cross-entropy of the chosen answers alone, and one in two stages, cross-entropy first and then
DPO against what the first stage left. Only the last one needs a second model.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from groundup.core.interfaces.rl import PreferenceBatch
from groundup.core.lab import Bench, Outcome
from groundup.core.models import Answers, Pairs, Sorting, sample
from groundup.core.preference_lab import Course, Student, bytes_of

TASK = Sorting()
STOP = 0.1  # the base's share of right answers
LAM, BETA = 2.0, 1.0
PAIRS, HELD_OUT, BATCH = 2048, 512, 64
STEPS, QUICK_STEPS, EVERY = 160, 20, 20
LEARNING_RATE, SECOND_LEARNING_RATE = 1e-3, 1e-4
MORE, LESS = 1.05, 0.04

Step = Callable[[PreferenceBatch], Tensor]


def run(bench: Bench) -> Outcome:
    """Train the three students; compare their log-odds ratios on pairs that none has seen."""
    rule = bench.impl("alignment/orpo")(lam=LAM)
    course = Course(bench.seed, TASK, accuracy=STOP, learning_rate=LEARNING_RATE)
    steps = QUICK_STEPS if bench.quick else STEPS
    data, held_out = graded(course, 256 if bench.quick else PAIRS), graded(course, HELD_OUT)
    order = torch.randint(0, len(data.chosen.answer), (steps, BATCH), generator=course.generator)

    def margin() -> float:
        with torch.no_grad():
            return float(log_odds_ratio(batch_of(course.student, held_out)).mean())

    def train(rows: Tensor, loss: Step, done: float, share: float, *, watched: bool = False) -> None:
        for step, chosen in enumerate(rows, start=1):
            course.improve(loss(batch_of(course.student, data.rows(chosen))))
            if watched and step % EVERY == 0:
                bench.point("margin", step, margin())
            bench.progress(done + share * step / len(rows))

    train(order, lambda batch: rule.loss(batch).loss, 0.0, 0.4, watched=True)
    found = {"one": (margin(), course.sampled_accuracy()), "bytes": (course.student.bytes_held(), 0)}

    course.student = Student(course.base, LEARNING_RATE)
    train(order[: steps // 2], cross_entropy, 0.4, 0.15)
    middle = copied(course.student)
    train(order[steps // 2 :], cross_entropy, 0.55, 0.15)
    found["alone"] = (margin(), course.sampled_accuracy())

    course.student, loss = copied(middle), dpo_against(middle, data)
    for step, chosen in enumerate(order[steps // 2 :], start=1):
        course.improve(loss(course.student, chosen))
        bench.progress(0.7 + 0.3 * step / (steps - steps // 2))
    found["two"] = (margin(), course.sampled_accuracy())
    two_bytes = course.student.bytes_held() + bytes_of(middle.params.values())

    reached = found["one"][0] >= MORE * found["alone"][0] and found["one"][1] >= found["alone"][1] - LESS
    return Outcome(
        figures=(
            bench.figure("margin", found["one"][0]),
            bench.figure("margin_alone", found["alone"][0]),
            bench.figure("margin_two", found["two"][0]),
            bench.figure("right", 100 * found["one"][1]),
            bench.figure("right_alone", 100 * found["alone"][1]),
            bench.figure("right_two", 100 * found["two"][1]),
            bench.figure("bytes", found["bytes"][0]),
            bench.figure("bytes_two", two_bytes),
        ),
        mark=bench.mark(reached, more=MORE, less=100 * LESS, steps=STEPS),
    )


def copied(student: Student) -> Student:
    """Return a student with the same weights, a new optimizer and the second stage's learning rate."""
    other = Student(student.start, SECOND_LEARNING_RATE)
    for name, value in student.params.items():
        other.params[name].data.copy_(value.detach())
    return other


def cross_entropy(batch: PreferenceBatch) -> Tensor:
    """Return the loss of fine-tuning on the chosen answers."""
    return -means(batch)[0].mean()


def dpo_against(reference: Student, data: Pairs) -> Callable[[Student, Tensor], Tensor]:
    """Return DPO's loss of a student on some rows, as a function."""

    def loss(student: Student, rows: Tensor) -> Tensor:
        some = data.rows(rows)
        ours = batch_of(student, some)
        with torch.no_grad():
            theirs = batch_of(reference, some)
        chosen, rejected = (now - then for now, then in zip(sums(ours), sums(theirs), strict=True))
        return -F.logsigmoid(BETA * (chosen - rejected)).mean()

    return loss


def graded(course: Course, count: int) -> Pairs:
    """Return pairs of the base's answers: of two to a prompt, the one with more letters in place is chosen."""
    model, words = course.base.model, course.base.tokenizer
    prompts = [prompt for prompt in TASK.draw(3 * count, course.generator) for _ in range(2)]
    given: Answers = sample(
        model, course.base.params, words, prompts, max_tokens=TASK.longest + 1, generator=course.generator
    )
    score = torch.tensor([in_place(*text) for text in given.texts(words)]).reshape(-1, 2)
    row = (score[:, 0] != score[:, 1]).nonzero()[:count, 0]
    return Pairs(given.rows(2 * row + score[row].argmax(1)), given.rows(2 * row + score[row].argmin(1)))


def in_place(prompt: str, answer: str | None) -> int:
    """Return how many letters are in their place, less those that are missing or too many."""
    if answer is None:
        return -1
    wanted = TASK.answer(prompt)
    return sum(one == other for one, other in zip(answer, wanted, strict=False)) - abs(len(answer) - len(wanted))


def batch_of(student: Student, some: Pairs) -> PreferenceBatch:
    """Return pairs as a batch without a reference."""
    return PreferenceBatch(
        student.log_probs(some.chosen), student.log_probs(some.rejected), some.chosen.mask, some.rejected.mask
    )


def sums(batch: PreferenceBatch) -> tuple[Tensor, Tensor]:
    """Return the log-probabilities of the whole answers."""
    chosen = torch.where(batch.chosen_mask, batch.chosen_log_prob, 0).sum(1)
    return chosen, torch.where(batch.rejected_mask, batch.rejected_log_prob, 0).sum(1)


def means(batch: PreferenceBatch) -> tuple[Tensor, Tensor]:
    """Return the mean log-probabilities of the answers."""
    chosen, rejected = sums(batch)
    return chosen / batch.chosen_mask.sum(1), rejected / batch.rejected_mask.sum(1)


def log_odds_ratio(batch: PreferenceBatch) -> Tensor:
    """Return the log-odds ratios, bounded as in the exercise."""
    chosen, rejected = (mean.clamp(max=-1e-12) for mean in means(batch))
    return chosen - rejected - torch.log(torch.expm1(chosen) / torch.expm1(rejected))
