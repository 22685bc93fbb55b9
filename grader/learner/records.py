"""Records read from a workspace's database, other than verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from groundup.grader.judging.verdict import Outcome

__all__ = [
    "Confidence",
    "Event",
    "EventKind",
    "LabRecord",
    "Marked",
    "QuizAnswer",
    "QuizRecord",
    "QuizStatus",
    "Standing",
]

EventKind = Literal["started", "hint", "reset", "gave_up", "solution_shown", "in_brief"]
QuizStatus = Literal["open", "finished", "given_up"]
Confidence = Literal["guess", "unsure", "sure"]


@dataclass(frozen=True)
class LabRecord:
    """One run of a lab: each contestant's measurements, and the curves as a PNG."""

    technique: str
    at: datetime
    runs: list[dict[str, Any]]
    picture: bytes


class Marked(NamedTuple):
    """An answer with its marks."""

    answer: Any
    right: bool
    credit: float | None = None
    """From 0 to 1; by default 1 for what is right, 0 for what is not."""
    by_oneself: bool = False
    """Whether the learner marked it."""
    confidence: Confidence | None = None
    """How sure the learner was; None where that was not asked."""


@dataclass(frozen=True)
class QuizAnswer:
    """One answer in a quiz."""

    question: str
    answer: Any
    right: bool
    at: datetime
    credit: float
    by_oneself: bool = False
    confidence: Confidence | None = None


@dataclass(frozen=True)
class QuizRecord:
    """One run through a quiz by a learner."""

    number: int
    technique: str
    seed: int
    sha256: str
    """Digest of the quiz file; together with the seed it determines the questions."""
    questions: int
    """The number of questions that the machine marks; those without an answer count as not right."""
    by_oneself: int
    """The number of questions that learners mark themselves."""
    status: QuizStatus
    began_at: datetime
    ended_at: datetime | None
    answers: tuple[QuizAnswer, ...]
    """The answers in the order in which they were given."""

    @property
    def asked(self) -> int:
        """The number of all questions."""
        return self.questions + self.by_oneself

    @property
    def right(self) -> int:
        """The number of right answers, without those that the learner marked."""
        return sum(a.right for a in self.answers if not a.by_oneself)

    @property
    def credit(self) -> float:
        """The sum of the credits, without those that the learner gave."""
        return sum(a.credit for a in self.answers if not a.by_oneself)


@dataclass(frozen=True)
class Event:
    """A recorded request of the learner, such as for a hint."""

    technique: str
    kind: EventKind
    detail: str
    at: datetime


@dataclass(frozen=True)
class Standing:
    """A learner's progress on one technique, by the gradings that count (``Verdict.counts``)."""

    score: float
    """The score of the latest verdict."""
    outcome: Outcome
    given_at: datetime
    attempts: int
    version: int
    """The technique's version in the latest verdict."""
    passed_version: int | None
    """The newest version of the technique that an attempt has passed."""

    @property
    def ever_passed(self) -> bool:
        """Whether any attempt has passed."""
        return self.passed_version is not None

    def is_older(self, version: int) -> bool:
        """Whether the newest pass, or without one the latest verdict, is for an older version than ``version``."""
        return (self.version if self.passed_version is None else self.passed_version) < version
