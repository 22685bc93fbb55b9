"""Quizzes as they are taken: drawn from a seed, answered one by one or from a file, and reviewed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

from pydantic import BaseModel, ConfigDict, Field

from groundup.core.quiz.question import Answer, Asked
from groundup.core.technique import Source, say
from groundup.grader.learner.quiz_file import (
    Quiz,
    answer_sheet,
    question_kinds,
    read_answers,
    read_quiz,
    read_quiz_file,
)
from groundup.grader.learner.records import Confidence, Marked, QuizRecord
from groundup.grader.learner.state import State

__all__ = [
    "Quiz",
    "Review",
    "Reviewed",
    "Sitting",
    "answer_sheet",
    "question_kinds",
    "read_answers",
    "read_quiz",
    "read_quiz_file",
]

SEEDS = 1_000_000  # upper bound of a fresh seed, so that it is short enough to type


class Reviewed(BaseModel):
    """One question, its given answer and its right answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: str
    text: str
    choices: dict[str, str] = Field(description="by letter")
    answer: Answer | None = Field(description="None where none was given")
    answered: str | None = Field(description="the answer in words")
    right: bool
    credit: float = Field(description="from 0 to 1")
    by_oneself: bool = Field(description="whether the learner marks it")
    rubric: tuple[str, ...] = Field(description="the points to mark it by; none as long as the question is still open")
    confidence: Confidence | None = Field(description="how sure the learner was, where that was asked")
    right_answer: str | None = Field(description="None as long as the question is still open")
    explanation: str | None = Field(description="None as long as the question is still open")
    source: Source | None
    section: str | None


class Review(BaseModel):
    """The result of a quiz: the model behind the terminal output, ``--json`` and the brief."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    technique: str
    seed: int
    sha256: str = Field(description="of the quiz file")
    recorded: bool
    finished: bool
    total: int = Field(description="of the questions that the machine marks, as are right and points")
    answered: int = Field(description="of all questions")
    right: int
    points: float = Field(description="the sum of the credits")
    by_oneself: int = Field(description="questions that the learner marks")
    own_points: float = Field(description="the sum of their credits")
    confident: dict[Confidence, tuple[int, int]] = Field(
        description="by how sure the learner was: of so many answers, so many were right"
    )
    study: tuple[str, ...] = Field(description="sections of the lesson behind what was answered wrongly")
    questions: tuple[Reviewed, ...]


@dataclass
class Sitting:
    """One learner's run through a quiz. Without a ``state`` nothing is recorded."""

    quiz: Quiz
    seed: int
    state: State | None = None
    number: int | None = None
    answers: dict[str, Answer] = field(default_factory=dict)
    confidence: dict[str, Confidence] = field(default_factory=dict)
    handed_in: bool = False

    def __post_init__(self) -> None:
        self.questions = self.quiz.drawn(self.seed)

    @classmethod
    def begin(cls, quiz: Quiz, seed: int | None, state: State | None) -> Sitting:
        """Begin a quiz with the given seed or a fresh one."""
        seed = secrets.randbelow(SEEDS) if seed is None else seed
        number = state.begin_quiz(quiz.technique, seed, quiz.sha256, quiz.marked, quiz.by_oneself) if state else None
        return cls(quiz, seed, state, number)

    @classmethod
    def resume(cls, quiz: Quiz, record: QuizRecord, state: State | None) -> Sitting:
        """Continue or review a recorded quiz. ``record`` must be of the same quiz file."""
        answers = {a.question: a.answer for a in record.answers}
        sure = {a.question: a.confidence for a in record.answers if a.confidence}
        return cls(quiz, record.seed, state, record.number, answers, sure, record.status == "finished")

    @classmethod
    def hand_in(cls, quiz: Quiz, seed: int, answers: Mapping[str, Answer], state: State | None) -> Sitting:
        """Answer all questions at once."""
        sitting = cls(quiz, seed, answers=dict(answers), handed_in=True)
        if state:
            given = {q.id: sitting._marked(q, answers[q.id]) for q in sitting.questions if q.id in answers}
            sitting.number = state.record_quiz(
                quiz.technique, seed, quiz.sha256, quiz.marked, given, by_oneself=quiz.by_oneself
            )
        return sitting

    @property
    def open_questions(self) -> list[tuple[int, Asked]]:
        """The questions without an answer, each with its number from 1."""
        return [(n, q) for n, q in enumerate(self.questions, start=1) if q.id not in self.answers]

    def answer(self, question: Asked, answer: Answer, confidence: Confidence | None = None) -> bool:
        """Record an answer and return whether it is right. The answer is on disk when this returns."""
        if confidence:
            self.confidence[question.id] = confidence
        marked = self._marked(question, answer)
        if self.state and self.number is not None:
            self.state.answer_quiz(self.number, question.id, *marked)
        self.answers[question.id] = answer
        return marked.right

    def finish(self) -> None:
        """Record that every question has been answered."""
        if self.state and self.number is not None:
            self.state.finish_quiz(self.number)
        self.handed_in = True

    def review(self, lang: str) -> Review:
        """Return the results so far. Right answers are shown for answered questions and, once finished, for all."""
        questions = tuple(self._reviewed(question, lang) for question in self.questions)
        machine = [r for r in questions if not r.by_oneself]
        own = [r for r in questions if r.by_oneself]
        wrong = [r for r in questions if (r.answered or self.handed_in) and not r.right and r.section]
        sure: dict[Confidence, tuple[int, int]] = {}
        for level in get_args(Confidence):
            if those := [r for r in machine if r.confidence == level]:
                sure[level] = (len(those), sum(r.right for r in those))
        return Review(
            technique=self.quiz.technique,
            seed=self.seed,
            sha256=self.quiz.sha256,
            recorded=self.number is not None,
            finished=self.handed_in,
            total=len(machine),
            answered=len(self.answers),
            right=sum(r.right for r in machine),
            points=round(sum(r.credit for r in machine), 6),
            by_oneself=len(own),
            own_points=round(sum(r.credit for r in own), 6),
            confident=sure,
            study=tuple(dict.fromkeys(str(r.section) for r in wrong)),
            questions=questions,
        )

    def _marked(self, question: Asked, answer: Answer) -> Marked:
        credit = min(1.0, max(0.0, question.credit(answer)))
        by_oneself = bool(question.by_oneself())
        return Marked(answer, question.is_right(answer), credit, by_oneself, self.confidence.get(question.id))

    def _reviewed(self, question: Asked, lang: str) -> Reviewed:
        answer = self.answers.get(question.id)
        told = answer is not None or self.handed_in
        marked = None if answer is None else self._marked(question, answer)
        rubric = question.by_oneself()
        return Reviewed(
            id=question.id,
            kind=question.kind,
            text=say(question.text, lang),
            choices={letter: say(text, lang) for letter, text in question.choices().items()},
            answer=answer,
            answered=None if answer is None else question.shown(answer, lang),
            right=marked is not None and marked.right,
            credit=marked.credit if marked else 0.0,
            by_oneself=bool(rubric),
            rubric=tuple(say(point, lang) for point in rubric) if told else (),
            confidence=self.confidence.get(question.id),
            right_answer=question.shown(question.right_answer(), lang) if told else None,
            explanation=say(question.explanation, lang) if told else None,
            source=question.source,
            section=say(question.section, lang) if question.section else None,
        )
