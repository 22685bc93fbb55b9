"""What labs and figures of rules over groups share: answers of a tiny language model, rewarded by a verifier.

A lab samples several answers to each prompt and trains on them for some epochs, in minibatches of whole groups::

    course = GroupCourse(bench.seed, Addition(), accuracy=0.45, learning_rate=3e-4)
    for step in range(80):
        rollout = course.rollout(prompts=32, answers=8, offset=OFFSET)
        course.learn(rule, rollout, epochs=2, minibatches=2)
    course.sampled_accuracy()  # of the student, by the verifier

``draw_token_weights`` draws the figure that the lessons on these rules have in common.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from groundup.core.figures import Drawing
from groundup.core.interfaces.rl import GroupBatch, Loss
from groundup.core.models import Answers, right, sample
from groundup.core.preference_lab import Course, Student

__all__ = ["GroupCourse", "GroupedAnswers", "draw_token_weights", "offset_of"]
__contract__ = ("GroupCourse",)


@dataclass(frozen=True, eq=False)
class GroupedAnswers:
    """Sampled answers, several to each prompt, with the log-probabilities of the policy that sampled them."""

    answers: Answers
    reward: Tensor
    group: Tensor
    correct: Tensor
    old_log_prob: Tensor
    ref_log_prob: Tensor | None = None

    def batch(self, student: Student, rows: Tensor) -> GroupBatch:
        """Return these rows as a batch; the log-probabilities of the student carry gradient."""
        answers = self.answers.rows(rows)
        return GroupBatch(
            log_prob=student.log_probs(answers),
            old_log_prob=self.old_log_prob[rows],
            reward=self.reward[rows],
            group=self.group[rows],
            mask=answers.mask,
            ref_log_prob=None if self.ref_log_prob is None else self.ref_log_prob[rows],
            correct=self.correct[rows],
        )

    def lengths(self) -> Tensor:
        """Return the number of tokens of each answer."""
        return self.answers.mask.sum(1)


class GroupCourse(Course):
    """A base model that answers some prompts right, and a student that learns from groups of its own answers."""

    def rollout(
        self, *, prompts: int = 32, answers: int = 8, offset: float = 0.0, longest: int | None = None,
        reference: bool = False,
    ) -> GroupedAnswers:  # fmt: skip
        """Sample ``answers`` answers to each of ``prompts`` prompts, from the student as it is now.

        The reward is 1 for a right answer and 0 for a wrong one, plus ``offset`` times a number between -1 and 1 that
        depends on the prompt alone (``offset_of``). ``longest`` is the most tokens an answer may have.
        """
        model, words = self.base.model, self.base.tokenizer
        asked = [prompt for prompt in self.task.draw(prompts, self.generator) for _ in range(answers)]
        params = {name: value.detach() for name, value in self.student.params.items()}
        most = longest or self.task.longest + 1
        given = sample(model, params, words, asked, max_tokens=most, generator=self.generator)
        assert given.log_prob is not None
        correct = right(words, self.task, given)
        return GroupedAnswers(
            answers=given,
            reward=correct.float() + offset * torch.tensor([offset_of(prompt) for prompt in asked]),
            group=torch.arange(prompts).repeat_interleave(answers),
            correct=correct,
            old_log_prob=given.log_prob,
            ref_log_prob=self.reference(given) if reference else None,
        )

    def learn(self, rule: Any, rollout: GroupedAnswers, *, epochs: int = 2, minibatches: int = 2) -> list[Loss]:
        """Take ``epochs`` x ``minibatches`` steps, and return their losses. Each minibatch holds whole groups."""
        prompts, found = int(rollout.group.max()) + 1, []
        for _ in range(epochs):
            for chosen in torch.randperm(prompts, generator=self.generator).chunk(minibatches):
                rows = torch.isin(rollout.group, chosen).nonzero()[:, 0]
                got: Loss = rule.loss(rollout.batch(self.student, rows))
                self.improve(got.loss)
                found.append(got)
        return found


def offset_of(prompt: str) -> float:
    """Return a number between -1 and 1 that depends on the prompt alone: the sine of its checksum."""
    return math.sin(zlib.crc32(prompt.encode()))


class _Given(NamedTuple):
    reward: float
    ratios: tuple[float, ...]


# Two groups of three answers. In the second the rewards lie close together. One token of the best answer of each group
# has become a quarter more likely since it was sampled; all others are as likely as they were.
DRAWN = (
    (_Given(1.0, (1.25, 1.0)), _Given(0.0, (1.0,) * 4), _Given(0.0, (1.0,) * 6)),
    (_Given(0.6, (1.0, 1.25, 1.0, 1.0)), _Given(0.5, (1.0,) * 2), _Given(0.4, (1.0,) * 6)),
)
LONGEST = 8  # the constant of Dr. GRPO


def token_weights() -> dict[str, list[list[float]]]:
    """Return, for each rule, what moves each token of the drawn answers: minus its slope in the loss.

    GRPO: standardised rewards, mean by answer, clip 0.2. RLOO: leave one out, ratio of the whole answer, clip 0.2. Dr.
    GRPO: rewards less their mean, one divisor for all, clip 0.2. DAPO: as GRPO, but the mean over all tokens, and clips
    0.2 below and 0.28 above. GSPO: as GRPO, but the geometric mean of an answer's ratios, clips 0.0003 and 0.0004.
    """
    answers = [(answer, group) for group in DRAWN for answer in group]
    tokens = sum(len(answer.ratios) for answer, _ in answers)
    found: dict[str, list[list[float]]] = {name: [] for name in ("GRPO", "RLOO", "Dr. GRPO", "DAPO", "GSPO")}
    for answer, group in answers:
        rewards = [other.reward for other in group]
        centred = answer.reward - sum(rewards) / len(rewards)
        spread = math.sqrt(sum((r - sum(rewards) / len(rewards)) ** 2 for r in rewards) / (len(rewards) - 1))
        scaled, out = centred / (spread + 1e-4), centred * len(rewards) / (len(rewards) - 1)
        length, whole = len(answer.ratios), math.prod(answer.ratios)
        typical = whole ** (1 / length)
        found["GRPO"].append([_moves(scaled, ratio, 0.2, 0.2) / (6 * length) for ratio in answer.ratios])
        found["RLOO"].append([_moves(out, whole, 0.2, 0.2) / 6] * length)
        found["Dr. GRPO"].append([_moves(centred, ratio, 0.2, 0.2) / (6 * LONGEST) for ratio in answer.ratios])
        found["DAPO"].append([_moves(scaled, ratio, 0.2, 0.28) / tokens for ratio in answer.ratios])
        found["GSPO"].append([_moves(scaled, typical, 3e-4, 4e-4) / (6 * length)] * length)
    return found


def _moves(advantage: float, ratio: float, below: float, above: float) -> float:
    held = min(max(ratio, 1 - below), 1 + above)
    return 0.0 if advantage * held < advantage * ratio else advantage * ratio


def draw_token_weights(draw: Drawing) -> None:
    """Draw how strongly five rules move each token of the same two groups of answers, each in its own scale."""
    found = token_weights()
    rows = draw.axes(height=5.4, rows=len(found), sharex=True)
    for axes, (name, weights) in zip(rows, found.items(), strict=True):
        most, place = max(abs(w) for answer in weights for w in answer), 0.0
        for number, answer in enumerate(weights):
            xs = [place + t for t in range(len(answer))]
            colour = draw.colours[0] if number < 3 else draw.colours[1]
            axes.bar(xs, [w / most for w in answer], width=0.86, color=colour)
            place += len(answer) + (1.0 if number != 2 else 2.5)
        axes.axhline(0, color=draw.muted, linewidth=0.8)
        axes.set_ylim(-1.1, 1.1)
        axes.set_yticks([-1, 0, 1], ["−1", "0", "1"])
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
    starts, place, labels = [], 0.0, []
    for number, given in enumerate(answer for group in DRAWN for answer in group):
        starts.append(place + (len(given.ratios) - 1) / 2)
        labels.append(f"{given.reward:g}")
        place += len(given.ratios) + (1.0 if number != 2 else 2.5)
    rows[-1].set_xticks(starts, labels)
    rows[-1].set_xlabel(
        draw.text("answers of two groups, by reward; a bar is a token", "两组回答，下标是奖励；一根柱是一个词元")
    )
