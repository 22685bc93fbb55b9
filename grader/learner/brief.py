"""The brief as data: what a learner has proved, taken from the database of their workspace.

``groundup.grader.learner.gather`` fills it, ``groundup.grader.learner.brief_page`` renders it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field, computed_field

from groundup.core.technique import Source
from groundup.grader.judging.verdict import Model, Outcome, Verdict
from groundup.grader.learner.records import QuizStatus

__all__ = [
    "THOROUGH", "Brief", "Code", "Figure", "Grading", "LabProof", "Part", "Proof", "QuizProof", "Section", "Totals",
    "is_older",
]  # fmt: skip

THOROUGH = 200  # examples per claim, as drawn by 'learn grade --thorough'


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)  # not this machine's time zone


Moment = Annotated[datetime, AfterValidator(_utc)]


def is_older(version: int | None, than: int | None) -> bool:
    """Whether ``version`` is older than ``than``; False if either is unknown."""
    return version is not None and than is not None and version < than


class Grading(Model):
    """One line of the score history."""

    given_at: Moment
    outcome: Outcome
    score: float
    seed: int
    version: int
    older: bool = Field(description="whether that is an older version of the technique than the current one")
    sha256: str
    quoted: bool = Field(description="whether this is the verdict that the brief quotes in full")


class Part(Model):
    """A run of consecutive lines of an attempt with the same origin."""

    text: str
    yours: bool = Field(description="whether the learner wrote them; the others were handed out")
    holes: tuple[int, ...] = Field((), description="the holes that they fill")


class Code(Model):
    """The file that the quoted verdict is about."""

    file: str
    sha256: str
    size: int = Field(description="bytes")
    parts: tuple[Part, ...] = Field(description="its text, fit to be shown")
    marked: bool = Field(description="whether it could be compared with the stub")
    hidden: int = Field(description="how many characters are not fit to be shown")
    base64: str = Field(description="its bytes")


class Figure(Model):
    """One number that a lab measured."""

    name: str
    unit: str
    yours: float
    reference: float | None
    foil: float | None = None
    published: str | None


class LabProof(Model):
    """One run of a lab with the learner's code."""

    at: Moment
    seed: int
    quick: bool
    figures: tuple[Figure, ...]
    mark: str | None
    reached: bool | None = Field(description="whether the learner's run reached the mark")
    reference_reached: bool | None
    foil: str | None = Field(None, description="what the variant that was run beside is called; it is to miss the mark")
    foil_reached: bool | None = None
    implementations: dict[str, str] = Field(description="by technique: the attempt's sha256, or 'reference'")
    picture_base64: str | None = Field(description="PNG")


class QuizProof(Model):
    """One run through the quiz by the learner."""

    began_at: Moment
    status: QuizStatus
    seed: int
    sha256: str
    questions: int = Field(description="that the machine marks")
    answered: int
    right: int = Field(description="of what the machine marks")
    points: float = Field(description="the sum of the credits of that")
    by_oneself: int = Field(0, description="questions that the learner marks")
    own_points: float = Field(0.0, description="the sum of their credits, by the learner's own word")
    missed: tuple[str, ...] = Field(description="ids of the questions that were answered wrongly")


class Proof(Model):
    """What was proved for one technique. ``verdict`` is None if no grading counts yet."""

    technique: str
    called: str = Field(description="what 'learn grade' is given")
    title: str
    summary: str
    sources: tuple[Source, ...]
    version: int | None = Field(description="the current one; None where no plugin that is installed declares it")
    broken: bool = Field(False, description="whether the plugin that would declare it is broken")
    changes: tuple[str, ...] = Field((), description="what changed since the version that the verdict is on")
    verdict: Verdict | None
    history: tuple[Grading, ...] = Field(description="oldest first")
    hints_used: int
    hints: int | None
    gave_up_at: Moment | None
    code: Code | None
    lab: LabProof | None
    quizzes: tuple[QuizProof, ...] = Field(description="oldest first")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def older(self) -> bool:
        """Whether the verdict is for an older version of the technique than the installed one."""
        return bool(self.verdict) and is_older(self.verdict.version, self.version)  # type: ignore[union-attr]

    @property
    def newer(self) -> bool:
        """Whether the verdict is for a newer version of the technique than the installed one."""
        return bool(self.verdict) and is_older(self.version, self.verdict.version)  # type: ignore[union-attr]

    @property
    def gave_up_before(self) -> bool:
        """Whether the learner gave up, and so saw the reference, before the verdict."""
        return bool(self.gave_up_at and self.verdict) and self.gave_up_at < _utc(self.verdict.given_at)  # type: ignore[union-attr,operator]

    @property
    def best_quiz(self) -> QuizProof | None:
        """The finished quiz with the most right answers, the newest if several have as many."""
        done = [q for q in self.quizzes if q.status == "finished"]
        return max(reversed(done), key=lambda q: q.right / max(q.questions, 1), default=None)


class Section(Model):
    """A section added by a plugin."""

    plugin: str
    title: str
    markdown: str


class Totals(Model):
    """Counts over everything that is quoted."""

    graded: int
    passed: int
    claims: int
    held: int
    gradings: int
    questions: int = Field(description="of the best quiz on each technique")
    right: int
    marks: int
    marks_reached: int
    first: Moment | None
    last: Moment | None


class Brief(Model):
    """The exported summary of what a learner has proved."""

    learner: str
    lang: str
    groundup: tuple[str, ...] = Field(description="the versions that the quoted verdicts were given by")
    totals: Totals
    proofs: tuple[Proof, ...] = Field(description="in the order of the roadmap; what is beside it, by id")
    sections: tuple[Section, ...]
