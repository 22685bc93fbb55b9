"""What a learner has done for each technique besides gradings: hints, labs, quizzes, the brief."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from groundup.grader.learner.records import QuizRecord
from groundup.grader.learner.state import State

__all__ = ["NOTHING", "Lab", "Trail", "trails"]


@dataclass(frozen=True)
class Lab:
    """One run of a lab with the learner's own code."""

    at: datetime
    quick: bool
    reached: bool | None
    """Whether it reached its mark; None for a quick run and for a lab without a mark."""


@dataclass(frozen=True)
class Trail:
    """What was done for one technique."""

    hints: int = 0
    labs: tuple[Lab, ...] = ()
    """The labs, newest first."""
    quizzes: tuple[QuizRecord, ...] = ()
    """The quizzes, newest first."""
    in_brief: bool = False
    """Whether a written brief contains a pass of the technique."""

    @property
    def quiz(self) -> QuizRecord | None:
        """The finished quiz with the most right answers, the newest of equals; if none is finished, the open quiz."""
        finished = [quiz for quiz in self.quizzes if quiz.status == "finished"]
        if finished:
            return max(finished, key=lambda quiz: quiz.right / max(quiz.questions, 1))
        return next((quiz for quiz in self.quizzes if quiz.status == "open"), None)

    @property
    def lab_is_done(self) -> bool:
        """Whether the lab was run to its end."""
        return any(not lab.quick for lab in self.labs)

    @property
    def quiz_is_done(self) -> bool:
        """Whether every question of a quiz was answered."""
        return self.quiz is not None and self.quiz.status == "finished"

    @property
    def touched(self) -> datetime | None:
        """When the learner last ran the lab or began a quiz."""
        return max([*(lab.at for lab in self.labs), *(quiz.began_at for quiz in self.quizzes)], default=None)


NOTHING = Trail()


def trails(state: State) -> dict[str, Trail]:
    """Return the trail of each technique, by technique id."""
    hints, in_brief = state.noted("hint"), state.noted("in_brief")
    labs: defaultdict[str, list[Lab]] = defaultdict(list)
    quizzes: defaultdict[str, list[QuizRecord]] = defaultdict(list)
    for technique, at, runs in state.lab_runs():
        labs[technique] += _own(at, runs)
    for quiz in state.quizzes():
        quizzes[quiz.technique].append(quiz)
    return {
        technique: Trail(
            hints=len(hints.get(technique, ())),
            labs=tuple(labs[technique]),
            quizzes=tuple(quizzes[technique]),
            in_brief=technique in in_brief,
        )
        for technique in {*hints, *in_brief, *labs, *quizzes}
    }


def _own(at: datetime, runs: Iterable[Any]) -> list[Lab]:
    """Return the learner's own run; a run recorded in an unknown form by another Groundup version is left out."""
    for run in runs:
        match run:
            case {"contestant": "yours", "quick": bool(quick), "outcome": {"mark": mark}}:
                reached = mark.get("reached") if isinstance(mark, dict) else None
                return [Lab(at, quick, None if quick else reached)]
    return []
