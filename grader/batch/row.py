"""The result of one submission as data: a line of results.jsonl."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from groundup.core.messages import Message, series
from groundup.grader.batch.points import weighted
from groundup.grader.batch.submissions import Reason, Submission
from groundup.grader.judging.verdict import Model, Outcome, Text, Verdict
from groundup.grader.process.text import quoted

__all__ = ["Graded", "Job", "Row", "RowOutcome", "fingerprint", "row_of", "without_times"]

UNCOMPARED = Message("not every known mistake was compared with the attempt, as the time for it was up")
RowOutcome = Outcome | Literal["nothing_to_grade"]


@dataclass(frozen=True)
class Job:
    """One grading with all that its verdict depends on; it can run wherever the technique is installed."""

    name: str
    file: str
    source: str
    technique: str
    made_with: Mapping[str, str]
    """What the class is graded with, which may differ on another machine."""
    seed: int
    thorough: bool
    lang: str


@dataclass(frozen=True)
class Graded:
    """The result of a job. Without a verdict, ``problem`` says why it could not be graded."""

    job: Job
    verdict: Verdict | None = None
    cases: Mapping[bytes, set[bytes]] = field(default_factory=dict)
    problem: str | None = None
    undiagnosed: str | None = None
    """The problem in the technique's known mistakes because of which the verdict has no diagnosis."""


class Row(Model):
    """The result of one submission in one round of grading."""

    name: str
    round: int = Field(ge=1, description="1 for the first grading of the class; each --regrade begins another")
    file: str | None = Field(None, description="the attempt, as seen from the folder of submissions")
    outcome: RowOutcome
    reason: Reason | None = Field(None, description="why there is nothing to grade")
    problem: Text | None = Field(None, description="what stopped the grading, where something did")
    note: Text | None = Field(None, description="what was skipped or cut short, in the submission or the grading")
    score: float = Field(ge=0, le=1)
    points: float
    out_of: float
    fingerprint: str = Field(description="changes with what was handed in")
    command: str | None = Field(None, description="what gives the same verdict again")
    verdict: Verdict | None = None
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))


def row_of(
    submission: Submission,
    graded: Graded | None,
    *,
    round: int,
    points: Mapping[str, float],
    out_of: float,
    folder: Path,
) -> Row:
    """Return the row of a submission: with the result of its job, or why there was nothing to grade."""
    common: dict[str, Any] = {
        "name": submission.name, "round": round, "file": submission.file, "fingerprint": fingerprint(submission),
        "note": series(submission.notes) if submission.notes else None,
    }  # fmt: skip
    if graded is None:
        return Row(
            **common, outcome="nothing_to_grade", reason=submission.reason, problem=submission.problem,
            score=0.0, points=0.0, out_of=out_of,
        )  # fmt: skip
    common["command"] = _command(graded.job, folder / (submission.path or ""))
    if graded.verdict is None:
        return Row(
            **common, outcome="not_gradable", problem=graded.problem, score=0.0, points=0.0, out_of=out_of
        )  # fmt: skip
    verdict = weighted(graded.verdict, points)
    if verdict.diagnosis_stopped:
        common["note"] = series((*submission.notes, UNCOMPARED))
    counted = sum(p.points for p in verdict.properties if p.status != "not_gradable")
    held = sum(p.points for p in verdict.properties if p.status == "held")
    return Row(
        **common, outcome=verdict.outcome, problem=verdict.problem, score=verdict.score, points=round_(held),
        out_of=round_(counted), verdict=verdict,
    )  # fmt: skip


def round_(points: float) -> float:
    """Return points without floating-point noise."""
    return round(points, 6)


def fingerprint(submission: Submission) -> str:
    """Return a digest of the submission."""
    parts = (submission.file, submission.source, submission.reason, submission.problem, *submission.notes)
    return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()


def without_times(row: Row) -> Row:
    """Return ``row`` without the fields that differ between runs with the same verdict."""
    epoch = datetime.fromtimestamp(0, UTC)
    verdict = row.verdict and row.verdict.model_copy(update={"seconds": 0.0, "given_at": epoch})
    return row.model_copy(update={"at": epoch, "verdict": verdict})


def _command(job: Job, attempt: Path) -> str:
    """Return the command that gives the same verdict, with an absolute path, so that it works in any folder."""
    where = quoted(str(attempt.parent.resolve() / attempt.name))
    thorough = " --thorough" if job.thorough else ""
    return f"learn grade {job.technique} --attempt {where} --seed {job.seed}{thorough}"
