"""What labs and figures of learning from preferences share: a tiny language model, a verifier's preferences, a judge.

A lab trains a copy of a base model, beside the base itself as the frozen reference, with the rule that it tests::

    course = Course(bench.seed, Addition(), accuracy=0.5)
    data = course.pairs(4096)  # a right and a wrong answer to each prompt, sampled from the base
    for step in range(150):
        course.improve(rule.loss(data.batch(course.student, course.rows(len(data), 64))).loss)
    course.sampled_accuracy()  # of the student, by the verifier

``draw_gradient_weights`` draws the figure that the lessons on these rules have in common.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.core.figures import Drawing
from groundup.core.interfaces.rl import PreferenceBatch, UnpairedBatch
from groundup.core.models import Answers, Base, Pairs, Params, Task, Thumbs, accuracy_of, base, log_probs, pairs, thumbs

__all__ = [
    "Course",
    "MarkedAnswers",
    "PreferredAnswers",
    "Student",
    "bytes_of",
    "bytes_of_ppo",
    "draw_gradient_weights",
    "log_ratios",
]
__contract__ = (
    "Course",
    "MarkedAnswers",
    "PreferredAnswers",
    "Student",
    "bytes_of",
    "bytes_of_ppo",
    "draw_gradient_weights",
    "log_ratios",
)

JUDGED = 1024  # sampled answers
CHUNK = 1024  # answers of a forward pass without gradient


class Student:
    """A copy of a base that is trained with AdamW, without weight decay; the norm of the gradient is at most 1."""

    def __init__(self, start: Base, learning_rate: float) -> None:
        self.start = start
        self.params: Params = {name: value.clone().requires_grad_() for name, value in start.params.items()}
        self.optimizer = torch.optim.AdamW(self.params.values(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.0)

    def log_probs(self, answers: Answers) -> Tensor:
        """Return log p of each token of the answers; carries gradient."""
        return log_probs(self.start.model, self.params, answers)

    def improve(self, loss: Tensor) -> None:
        """Take one step."""
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.params.values(), 1.0)
        self.optimizer.step()

    def bytes_held(self) -> int:
        """Return the bytes of weights, gradients and the optimizer's two averages, as they are in memory now."""
        gradients = [value.grad for value in self.params.values() if value.grad is not None]
        averages = [
            held
            for state in self.optimizer.state.values()
            for held in state.values()
            if isinstance(held, Tensor) and held.dim()
        ]
        return bytes_of([*self.params.values(), *gradients, *averages])


@dataclass(frozen=True, eq=False)
class PreferredAnswers:
    """Pairs of answers, with the log-probabilities of the frozen reference, which never change."""

    chosen: Answers
    rejected: Answers
    ref_chosen_log_prob: Tensor
    ref_rejected_log_prob: Tensor

    def __len__(self) -> int:
        return len(self.chosen.answer)

    def batch(self, student: Student, rows: Tensor) -> PreferenceBatch:
        """Return these rows as a batch; the log-probabilities of the student carry gradient."""
        chosen, rejected = self.chosen.rows(rows), self.rejected.rows(rows)
        return PreferenceBatch(
            chosen_log_prob=student.log_probs(chosen),
            rejected_log_prob=student.log_probs(rejected),
            chosen_mask=chosen.mask,
            rejected_mask=rejected.mask,
            ref_chosen_log_prob=self.ref_chosen_log_prob[rows],
            ref_rejected_log_prob=self.ref_rejected_log_prob[rows],
        )


@dataclass(frozen=True, eq=False)
class MarkedAnswers:
    """Single answers, marked good or bad, with the log-probabilities of the frozen reference."""

    answers: Answers
    desirable: Tensor
    ref_log_prob: Tensor

    def __len__(self) -> int:
        return len(self.desirable)

    def batch(self, student: Student, rows: Tensor) -> UnpairedBatch:
        """Return these rows as a batch. Mismatched: each prompt with the answer to the one before it in the batch."""
        own = self.answers.rows(rows)
        other = own.mismatched()
        with torch.no_grad():
            mismatched = student.log_probs(other)
            ref_mismatched = log_probs(student.start.model, student.start.params, other)
        return UnpairedBatch(
            log_prob=student.log_probs(own),
            ref_log_prob=self.ref_log_prob[rows],
            mask=own.mask,
            desirable=self.desirable[rows],
            mismatched_log_prob=mismatched,
            mismatched_ref_log_prob=ref_mismatched,
            mismatched_mask=other.mask,
        )


class Course:
    """A base model that answers some prompts right, its own answers as data, and a student to be trained on them.

    ``accuracy`` is the share of right answers, sampled at temperature 1, at which the base's own training stopped.
    """

    def __init__(self, seed: int, task: Task, *, accuracy: float = 0.5, learning_rate: float = 1e-4) -> None:
        self.seed, self.task = seed, task
        self.base = base(task, accuracy=accuracy, seed=seed)
        self.generator = torch.Generator().manual_seed(1000 + seed)
        self.student = Student(self.base, learning_rate)

    def pairs(self, count: int) -> PreferredAnswers:
        """Return a right and a wrong answer of the base to each of ``count`` prompts."""
        found: Pairs = pairs(self.base, self.task, count, generator=self.generator)
        return PreferredAnswers(
            found.chosen, found.rejected, self.reference(found.chosen), self.reference(found.rejected)
        )

    def thumbs(self, count: int, share: float | None = None) -> MarkedAnswers:
        """Return ``count`` single answers of the base with marks, a ``share`` of them good; None: as they come."""
        found: Thumbs = thumbs(self.base, self.task, count, generator=self.generator, share=share)
        return MarkedAnswers(found.answers, found.desirable, self.reference(found.answers))

    def rows(self, count: int, batch: int) -> Tensor:
        """Return the numbers of ``batch`` rows out of ``count``, drawn with replacement."""
        return torch.randint(0, count, (batch,), generator=self.generator)

    def improve(self, loss: Tensor) -> None:
        """Take one step of the student."""
        self.student.improve(loss)

    @torch.no_grad()
    def reference(self, answers: Answers) -> Tensor:
        """Return log p of each token under the base."""
        model, params = self.base.model, self.base.params
        chunks = torch.split(torch.arange(len(answers.answer)), CHUNK)
        return torch.cat([log_probs(model, params, answers.rows(chunk)) for chunk in chunks])

    def sampled_accuracy(self, params: Params | None = None, *, count: int = JUDGED) -> float:
        """Return the share of right answers among those that the student, or ``params``, samples.

        Prompts and seed are the same each time.
        """
        generator = torch.Generator().manual_seed(2000 + self.seed)
        model, words = self.base.model, self.base.tokenizer
        return accuracy_of(model, params or self.student.params, words, self.task, generator=generator, count=count)

    @torch.no_grad()
    def pair_margins(self, data: PreferredAnswers, *, count: int = CHUNK) -> Tensor:
        """Return the log-ratio of the chosen answer less that of the rejected one, for the first ``count`` pairs."""
        chosen, rejected = log_ratios(data.batch(self.student, torch.arange(min(count, len(data)))))
        return chosen - rejected


def log_ratios(batch: PreferenceBatch) -> tuple[Tensor, Tensor]:
    """Return log pi / pi_ref of the whole chosen answers and of the whole rejected ones, each (B,)."""
    assert batch.ref_chosen_log_prob is not None
    assert batch.ref_rejected_log_prob is not None
    chosen = torch.where(batch.chosen_mask, batch.chosen_log_prob - batch.ref_chosen_log_prob, 0).sum(1)
    rejected = torch.where(batch.rejected_mask, batch.rejected_log_prob - batch.ref_rejected_log_prob, 0).sum(1)
    return chosen, rejected


def bytes_of(held: Iterable[Tensor]) -> int:
    """Return the bytes of the tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in held)


def bytes_of_ppo(start: Base) -> int:
    """Return what PPO would hold with the same model, in the same dtypes: policy, critic, reference, reward model.

    The critic and the reward model are the base with one output in place of the vocabulary. Policy and critic are
    trained: weights, gradients and two averages.
    """
    policy = bytes_of(start.params.values())
    head = start.params["lm_head.weight"]
    scorer = policy - bytes_of([head]) + head.shape[1] * head.element_size()
    return 4 * (policy + scorer) + policy + scorer


def draw_gradient_weights(draw: Drawing) -> None:
    """Draw how strongly each rule still pulls a pair apart, over its margin in the rule's own unit.

    DPO, -log sigmoid(u), and ORPO's odds-ratio term: sigmoid(-u). SimPO: sigmoid(gamma - u), with gamma 1. KTO, one
    answer: sigmoid(u) sigmoid(-u). IPO, (h - 1/(2 beta))^2, times beta / 2: 1/2 - u. u is beta times the difference of
    log-ratios (DPO, IPO), of mean log-probabilities (SimPO), beta times the log-ratio less the reference point (KTO),
    or the log of the odds ratio (ORPO).
    """
    axes = draw.axes(height=2.9)
    margins = [step / 50 for step in range(-200, 201)]
    curves = (
        ("DPO, ORPO", "-", [_sigmoid(-u) for u in margins]),
        ("SimPO, γ = 1", "--", [_sigmoid(1 - u) for u in margins]),
        ("IPO", "-", [0.5 - u for u in margins]),
        ("KTO", "-.", [_sigmoid(u) * _sigmoid(-u) for u in margins]),
    )
    axes.axhline(0, color=draw.muted, linewidth=0.8)
    for colour, (name, style, weights) in zip(draw.colours, curves, strict=False):
        axes.plot(margins, weights, style, color=colour, label=name)
    axes.plot([0.5], [0], "o", color=draw.colours[2], markersize=5)
    axes.annotate(draw.text("IPO's target", "IPO 的目标"), (0.5, 0), (6, 7), textcoords="offset points", fontsize=8.5)
    axes.set_xlim(-4, 4)
    axes.set_ylim(-0.5, 1.55)
    axes.grid()
    axes.set_xlabel(draw.text("margin u, in the unit of the rule", "间隔 u（各规则自己的单位）"))
    axes.set_ylabel(draw.text("weight of the gradient", "梯度的权重"))
    axes.legend(loc="upper right")


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
