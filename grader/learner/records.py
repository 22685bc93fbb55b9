"""What is read back from a workspace's database, besides verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from groundup.grader.judging.verdict import Outcome

__all__ = ["Event", "EventKind", "LabRecord", "QuizAnswer", "QuizRecord", "QuizStatus", "Standing"]

EventKind = Literal["started", "hint", "reset", "gave_up", "solution_shown", "in_brief"]
QuizStatus = Literal["open", "finished", "given_up"]


@dataclass(frozen=True)
class LabRecord:
    """One run of a lab: what each contestant measured, and their curves as a PNG."""

    technique: str
    at: datetime
    runs: list[dict[str, Any]]
    picture: bytes


@dataclass(frozen=True)
class QuizAnswer:
    """One answer of a quiz."""

    question: str
    answer: Any
    right: bool
    at: datetime


@dataclass(frozen=True)
class QuizRecord:
    """One time that a learner sat a quiz."""

    number: int
    technique: str
    seed: int
    sha256: str
    """Of the quiz file; with the seed it tells what was asked."""
    questions: int
    """How many the quiz has; those without an answer count as not right."""
    status: QuizStatus
    began_at: datetime
    ended_at: datetime | None
    answers: tuple[QuizAnswer, ...]
    """In the order in which they were given."""

    @property
    def right(self) -> int:
        """How many answers are right."""
        return sum(a.right for a in self.answers)


@dataclass(frozen=True)
class Event:
    """Something that the learner asked for."""

    technique: str
    kind: EventKind
    detail: str
    at: datetime


@dataclass(frozen=True)
class Standing:
    """How a learner stands with one technique, by the gradings that count (``Verdict.counts``)."""

    score: float
    """Of the latest verdict."""
    outcome: Outcome
    given_at: datetime
    attempts: int
    version: int
    """Of the technique, when the latest verdict was given."""
    passed_version: int | None
    """The newest version of the technique that an attempt has passed."""

    @property
    def ever_passed(self) -> bool:
        """Whether any attempt has passed."""
        return self.passed_version is not None

    def is_older(self, version: int) -> bool:
        """Whether what counts, a pass or else the latest verdict, is of an older version than ``version``."""
        return (self.version if self.passed_version is None else self.passed_version) < version
