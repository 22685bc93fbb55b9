"""Every built-in quiz: its answers, its two languages and its sources."""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch

import groundup.quizzes
from groundup.core.interfaces.rl import RolloutBatch
from groundup.core.quiz.choice_question import Single
from groundup.core.quiz.number_question import Numeric, Parametric
from groundup.core.quiz.question import Question
from groundup.core.registry import Registry
from groundup.grader.authoring.soundness.quiz import check
from groundup.grader.learner.quiz import Quiz, question_kinds, read_quiz
from groundup.solutions.alignment.ppo import PPO
from groundup.solutions.rl.gae import gae

DRAWS = 200


@cache
def quizzes() -> dict[str, Quiz]:
    registry = Registry()
    kinds, problems = question_kinds(registry)
    assert problems == []
    return {t.id: read_quiz(t, kinds) for t in registry.techniques.values() if t.files.quiz.is_file()}


def every(kind: type[Question] = Question) -> list[Any]:
    found = [q for quiz in quizzes().values() for q in quiz.questions if isinstance(q, kind)]
    return [pytest.param(q, id=q.id) for q in found]


# The files


def test_every_file_is_the_quiz_of_a_technique() -> None:
    files = set(Path(groundup.quizzes.__path__[0]).rglob("*.yaml"))
    assert {t.files.quiz for t in Registry().techniques.values() if t.id in quizzes()} == files


@pytest.mark.parametrize("technique", sorted(quizzes()))
def test_a_quiz_has_enough_questions_of_several_kinds(technique: str) -> None:
    questions = quizzes()[technique].questions
    assert len(questions) >= 10
    assert {"single", "multiple", "ordering", "parametric"} <= {q.kind for q in questions}
    assert 3 * sum(q.kind == "parametric" for q in questions) >= len(questions)


@pytest.mark.parametrize("technique", sorted(quizzes()))
def test_a_quiz_keeps_the_rule_of_quizzes(technique: str) -> None:
    registry = Registry()
    assert check(registry.technique(technique), registry)[1] == []


# Options


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("technique", sorted(quizzes()))
def test_the_right_option_is_mostly_not_the_longest(technique: str, lang: str) -> None:
    longest = []
    for question in quizzes()[technique].questions:
        if isinstance(question, Single):
            lengths = {key: len(text[lang]) for key, text in question.options.items()}
            longest.append(lengths[question.answer] == max(lengths.values()))
    assert len(longest) >= 3
    assert sum(longest) <= len(longest) / 3


@pytest.mark.parametrize("question", every(Single))
def test_the_right_option_is_drawn_at_every_place(question: Single) -> None:
    places = Counter(list(question.draw(Random(seed)).options).index(question.answer) for seed in range(DRAWS))
    assert set(places) == set(range(len(question.options)))


# Answers. Each is computed in another way than by the file's expression.


def one_token(**changes: float) -> RolloutBatch:
    given = {"log_prob": -1.0, "old_log_prob": -1.0, "advantage": 0.0, "value": 0.0, "old_value": 0.0, "returns": 0.0}
    columns = {
        name: torch.tensor([[number]], dtype=torch.float64)
        for name, number in ({**given, "entropy": 0.0, "ref_log_prob": -1.0} | changes).items()
    }
    return RolloutBatch(**columns, mask=torch.ones((1, 1), dtype=torch.bool))


def surrogate(advantage: float, ratio: float, clip: float) -> float:
    batch = one_token(log_prob=math.log(ratio) - 1, advantage=advantage)
    return PPO(clip=clip).loss(batch).metrics["policy_loss"].item()


def advantages(reward: list[float], value: list[float], ends: bool, gamma: float, lam: float) -> list[float]:
    done = torch.zeros((1, len(reward)), dtype=torch.bool)
    done[0, -1] = ends
    rows = [torch.tensor([row], dtype=torch.float64) for row in (reward, value)]
    return gae(*rows, done, gamma=gamma, lam=lam)[0].tolist()


def weight_of_an_estimate(lam: float, steps: int) -> float:
    """Return the weight in per cent. The k-step estimates that contain the k-th error are those from k on."""
    rest = Fraction(1)
    for _ in range(1, steps):
        rest -= (1 - Fraction(str(lam))) * rest
    return 100 * float((1 - Fraction(str(lam))) * rest)


def token_mean(long: int, short: int, first: float, second: float) -> float:
    losses = [first] * long + [second] * short
    return math.fsum(losses) / len(losses)


def fitting(room: int, kib: int, capacity: int) -> int:
    left, count = room * 1000**3, 0
    while left >= capacity * kib * 1024:
        left -= capacity * kib * 1024
        count += 1
    return count


def filled(capacity: int, *held: int) -> float:
    slots = np.zeros((len(held), capacity), dtype=bool)
    for slot, tokens in zip(slots, held, strict=True):
        slot[:tokens] = True
    return 100 * float(slots.mean())


def step_milliseconds(sequences: int, tokens: int, bandwidth: int) -> float:
    read = Fraction(26 * 10**9)
    for _ in range(sequences):
        read += tokens * 2 * 40 * 5120 * 2
    return float(1000 * read / (bandwidth * 10**9))


INDEPENDENTLY: dict[str, Callable[..., float]] = {
    # rl/gae
    "one-step-error": lambda reward, value, next_value, gamma: advantages(
        [reward], [value, next_value], False, gamma, 0.5
    )[0],
    "error-at-an-end": lambda reward, value: advantages([reward], [value, 4.0], True, 0.9, 0.5)[0],
    "two-steps": lambda first, second, gamma, lam: advantages([first, second], [0, 0, 0], True, gamma, lam)[0],
    "weight-of-an-error": lambda gamma, lam, steps: (
        100 * advantages([0.0] * steps + [1.0], [0.0] * (steps + 2), True, gamma, lam)[0]
    ),
    "weight-of-an-estimate": weight_of_an_estimate,
    "how-far-it-looks": lambda gamma, lam: advantages([1.0] * 2000, [0.0] * 2001, True, gamma, lam)[0],
    "critic-target": lambda advantage, value: float(Decimal(str(advantage)) + Decimal(str(value))),
    "answer-of-a-language-model": lambda reward, value: advantages([0, 0, reward], [value, 9, -3, 0], True, 1.0, 1.0)[
        0
    ],
    # alignment/ppo
    "ratio": lambda old, new: math.exp(new) / math.exp(old),
    "good-token": surrogate,
    "bad-token": lambda harm, ratio: surrogate(-harm, ratio, 0.2),
    "value-loss": lambda old, value, target: (
        PPO(value_clip=0.2).loss(one_token(value=value, old_value=old, returns=target)).metrics["value_loss"].item()
    ),
    "token-mean": token_mean,
    "k-three": lambda policy, reference: (
        PPO().loss(one_token(log_prob=policy, ref_log_prob=reference)).metrics["kl"].item()
    ),
    "whole-loss": lambda policy, value, entropy, entropy_coef, kl_coef: float(
        np.dot([policy, value, -entropy, 0.1], [1.0, 0.5, entropy_coef, kl_coef])
    ),
    # inference/kv-cache
    "bytes-a-token": lambda layers, heads, size, bytes: (
        np.zeros((layers, 2, heads, size), dtype=f"V{bytes}").nbytes / 2**10
    ),
    "grouped-queries": lambda heads, groups: (
        np.zeros((2, heads, 128), np.float16).nbytes / np.zeros((2, groups, 128), np.float16).nbytes
    ),
    "work-without-a-cache": lambda prompt, new: sum(len(range(prompt + step)) for step in range(new)),
    "shortest-step": step_milliseconds,
    "how-many-fit": fitting,
    "used-of-reserved": lambda capacity, first, second, third: filled(capacity, first, second, third),
    "mask-with-a-past": lambda cached, new, which: int(np.tri(new, cached + new, cached)[which - 1].sum()),
    # training/adamw
    "first-adamw-step": lambda weight, lr, decay: weight - torch_adamw(weight, [0.007], lr=lr, weight_decay=decay),
    "average-before-correction": lambda beta, steps: (
        100 * functools.reduce(lambda held, _: beta * held + 1 - beta, range(steps), 0.0)
    ),
    "gradients-that-cancel": lambda beta: (
        100 * (torch_adamw(0.0, [3.0, -3.0], betas=(beta, 0.9)) - torch_adamw(0.0, [3.0], betas=(beta, 0.9)))
    ),
    "how-long-a-weight-lasts": lambda lr, decay: -math.log(2) / math.log1p(-lr * decay),
    "decay-from-another-library": lambda share, lr: float(Fraction(int(share), 10**6) / Fraction(str(lr))),
    "optimizer-memory": lambda billions: 3 * np.dtype(np.float32).itemsize * billions,
    # architecture/grouped-query-attention
    "which-key-head": lambda heads, groups, head: int(np.repeat(np.arange(groups), heads // groups)[head]),
    "saved-by-groups": lambda layers, heads, groups, tokens: (
        sum(np.zeros((layers, 2, h, 128), np.float16).nbytes * sign for h, sign in ((heads, 1), (groups, -1)))
        * tokens
        / 10**6
    ),
    "weights-of-the-projections": lambda heads, groups, size: (
        sum(p.numel() for _ in "kv" for p in _linear(heads * size, groups * size)) / 10**6
    ),
    "keys-that-a-query-sees": lambda keys, queries, padding, which: int(
        np.tri(queries, keys, keys - queries)[which - 1, padding:].sum()
    ),
    "weight-of-two-keys": lambda size, first, second: (
        100 * torch.softmax(torch.tensor([first, second], dtype=torch.float64) / math.sqrt(size), 0)[0].item()
    ),
    "last-row-averaged": lambda heads, size, groups: int(
        np.arange(heads * size).reshape(groups, heads // groups, size)[0, -1, 0]
    ),
    "fork-a-sequence": lambda tokens, samples, kib: sum(tokens * kib * 1.024 for _ in range(samples)) / 1000,
    # inference/paged-attention
    "blocks-of-a-sequence": lambda tokens, size: len(range(0, tokens, size)),
    "average-waste": lambda size, tokens: (
        100 - 100 * tokens / (tokens + float(np.mean([-n % size for n in range(size)])))
    ),
    "slot-of-a-token": lambda first, second, third, position: int(
        np.arange(16 * 64).reshape(64, 16)[[first, second, third]].ravel()[position]
    ),
    "bytes-of-a-block": lambda layers, heads, size: (
        sum(np.zeros((2, heads, size, 128), np.float16).nbytes for _ in range(layers)) / 2**20
    ),
    "copies-after-forks": lambda tokens, branches: len([*range(1, branches)][: branches * (tokens % 16 > 0)]),
    "blocks-with-samples": lambda prompt, samples, answer_tokens: len(
        {
            (sample if block >= prompt // 16 else "all", block)
            for sample in range(samples)
            for block in range(math.ceil((prompt + answer_tokens) / 16))
        }
    ),
    # parallelism/data-parallel
    "mean-over-ranks": lambda first, second, third: float(np.mean(np.repeat([first, second, third], 16))),
    "unequal-parts": lambda few, many, first, second: float(
        np.mean([np.mean([first] * few), np.mean([second] * many)]) - np.mean([first] * few + [second] * many)
    ),
    "sent-each-step": lambda billions, ranks: sum(2 * billions / ranks for half in range(2) for _ in range(1, ranks)),
    "count-the-buckets": lambda layers, size, limit: buckets_of_equals(layers, size, limit),
    "head-of-one-task": lambda users, ranks, grad: float(np.mean([grad] * users + [0] * (ranks - users))),
    # parallelism/ring-all-reduce
    "row-received": lambda size, rank, step: journey(size)[step][rank],
    "bytes-of-a-ring": lambda size, ranks: sum(size / ranks for half in range(2) for _ in range(1, ranks)),
    "against-everything-to-everyone": lambda ranks, size: float((ranks - 1 - Fraction(2 * ranks - 2, ranks)) * size),
    "padded-bytes": lambda ranks, elements: (
        2 * (ranks - 1) * np.array_split(np.zeros(elements, np.float32), ranks)[0].nbytes
    ),
    "bus-bandwidth": lambda size, ranks, milliseconds: (2 - 2 / ranks) * size / (milliseconds / 1000),
    "time-with-latency": lambda ranks, size, latency: sum(
        1000 * (latency * 1e-6 + size * 1e6 / ranks / 10e9) for _ in range(2 * ranks - 2)
    ),
}


def journey(size: int) -> list[list[int]]:
    """Return for each step of a reduce-scatter the row whose partial sum each rank receives; rank r keeps row r."""
    received = [list(range(size))]  # in the last step each rank receives its own row
    for _ in range(1, size):  # one step earlier, the previous rank received the same row's sum
        received.insert(0, received[0][1:] + received[0][:1])
    return received


def _linear(inputs: int, outputs: int) -> Iterator[torch.nn.Parameter]:
    return torch.nn.Linear(inputs, outputs, bias=False, device="meta").parameters()


def buckets_of_equals(layers: int, size: int, limit: int) -> int:
    filled = [0]
    for _ in range(layers):
        if filled[-1] and filled[-1] + size > limit:
            filled.append(0)
        filled[-1] += size
    return len(filled)


def torch_adamw(weight: float, grads: list[float], **settings: Any) -> float:
    """Return the weight after one step for each gradient; by default lr is 1, eps and decay are 0."""
    param = torch.tensor(float(weight), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.AdamW([param], **{"lr": 1.0, "eps": 0.0, "weight_decay": 0.0, **settings})
    for grad in grads:
        param.grad = torch.tensor(grad, dtype=torch.float64)
        optimizer.step()
    return param.item()


def drawn(question: Parametric) -> Iterator[tuple[dict[str, float], Numeric]]:
    random = Random(question.id)
    for _ in range(DRAWS):
        values = {name: random.choice(choices) for name, choices in question.parameters.items()}
        yield values, question.ask(values)


def test_every_parametric_question_is_worked_out_here() -> None:
    assert set(INDEPENDENTLY) == {p.id for p in every(Parametric)}


@pytest.mark.parametrize("question", every(Parametric))
def test_a_computed_answer_agrees_with_an_independent_computation(question: Parametric) -> None:
    for values, asked in drawn(question):
        assert asked.answer == pytest.approx(INDEPENDENTLY[question.id](**values), rel=1e-9, abs=1e-12), values


def test_the_fixed_numbers_are_those_of_the_models() -> None:
    def answer(name: str) -> float:
        question = next(q for quiz in quizzes().values() for q in quiz.questions if q.id == name)
        assert isinstance(question, Numeric)
        return question.answer

    assert answer("llama-13b-at-2048") == np.zeros((40, 2, 40, 2048, 128), np.float16).nbytes / 1e9
    assert answer("llama-2-70b") == np.zeros((80, 2, 8, 4096, 128), np.float16).nbytes / 1e9
    ratios = np.array([0.75, 0.95, 1.15, 1.5])
    assert answer("clip-fraction") == 100 * np.mean(np.abs(ratios - 1) > 0.2)


def test_where_the_clip_binds_is_where_the_loss_has_no_slope() -> None:
    question = next(q for q in quizzes()["alignment/ppo"].questions if q.id == "where-the-clip-binds")
    flat = set()
    for key, text in getattr(question, "options").items():  # noqa: B009
        advantage, ratio = (float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text["en"]))
        slope = surrogate(advantage, ratio + 1e-3, 0.2) - surrogate(advantage, ratio - 1e-3, 0.2)
        if abs(slope) < 1e-9:
            flat.add(key)
    assert flat == set(getattr(question, "answer"))  # noqa: B009


@pytest.mark.parametrize("question", every(Parametric))
def test_an_answer_in_three_figures_is_right(question: Parametric) -> None:
    for values, asked in drawn(question):
        exact = float(asked.answer).is_integer()
        typed = str(int(asked.answer)) if exact else f"{asked.answer:.3g}"
        assert asked.is_right(asked.read(typed)), (values, typed)
        assert asked.is_right(asked.read(asked.shown(asked.answer, "en"))), values


@pytest.mark.parametrize("question", every(Parametric))
def test_twice_half_or_the_opposite_of_an_answer_is_mostly_wrong(question: Parametric) -> None:
    for factor in (2.0, 0.5, -1.0):
        accepted = sum(asked.is_right(factor * asked.answer) for _, asked in drawn(question))
        assert accepted <= DRAWS / 5


@pytest.mark.parametrize("question", every(Numeric))
def test_gib_taken_for_gb_is_not_within_the_tolerance(question: Numeric) -> None:
    if question.unit == {"en": "GB"}:
        assert not question.is_right(question.answer / 1.024**3)
        assert question.is_right(question.read(f"{question.answer / 1.024**3} GiB"))


@pytest.mark.parametrize("question", every(Parametric))
def test_the_answer_is_another_one_from_draw_to_draw(question: Parametric) -> None:
    assert len({round(asked.answer, 9) for _, asked in drawn(question)}) >= 8


@pytest.mark.parametrize("question", every(Parametric))
def test_the_text_does_not_tell_the_answer(question: Parametric) -> None:
    told = 0
    for _, asked in drawn(question):
        told += bool(re.search(rf"(?<![\d.]){re.escape(asked.shown(asked.answer, 'en'))}(?![\d.])", asked.text["en"]))
    assert told <= DRAWS / 5
