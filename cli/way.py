"""What comes next: first what is left of a passed technique, then its day, then the rest of the course."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from groundup.cli.context import registry, roadmap_of, tell_problems
from groundup.cli.words import tr
from groundup.core.errors import GroundupError

if TYPE_CHECKING:
    from groundup.core.technique import Day, Technique
    from groundup.grader.learner.records import Standing
    from groundup.grader.learner.state import State
    from groundup.grader.learner.trail import Trail
    from groundup.grader.learner.workspace import Workspace

__all__ = ["Step", "Way"]

BRIEF = "brief --out brief.html"


@dataclass(frozen=True)
class Step:
    """One thing to do. ``work`` means that the learner has to fill the holes of ``technique``."""

    does: Literal["work", "run", "quiz", "start", "brief"]
    command: str
    """The command, without ``learn``."""
    purpose: str
    technique: Technique | None = None


class Way:
    """One learner's way through the course."""

    def __init__(self, workspace: Workspace, standings: Mapping[str, Standing], trails: Mapping[str, Trail]) -> None:
        self.standings, self.trails = standings, trails
        self.techniques = registry().techniques
        self.days = roadmap_of(workspace).days
        self.started = {t.id for t in self.techniques.values() if workspace.attempt_path(t).is_file()}
        self.passed = {t for t in self.techniques if t in standings and standings[t].ever_passed}

    @classmethod
    def of(cls, workspace: Workspace, state: State) -> Way:
        """Return the way of the learner with this workspace and state."""
        from groundup.grader.learner.trail import trails

        found = cls(workspace, state.last_scores(), trails(state))
        tell_problems(state)
        return found

    def trail(self, technique: str) -> Trail:
        """Return the learner's labs, quizzes and hints for that technique."""
        from groundup.grader.learner.trail import NOTHING

        return self.trails.get(technique, NOTHING)

    def is_begun(self, technique: str) -> bool:
        """Whether the learner has begun that technique."""
        return technique in self.started or technique in self.standings or technique in self.trails

    def touched(self, technique: str) -> datetime | None:
        """Return when that technique was last graded, or its lab, quiz or hints last used."""
        standing, done = self.standings.get(technique), self.trail(technique).touched
        return max((moment for moment in (standing and standing.given_at, done) if moment), default=None)

    def is_complete(self, day: Day) -> bool:
        """Whether all of the day's techniques are passed, except electives."""
        needed = [i for i in day.techniques if i not in day.elective]
        return bool(needed) and all(i in self.passed for i in needed)

    def steps(self) -> list[Step]:
        """Return the next steps in order; none if all written techniques are passed."""
        touched = [(moment, i) for i in self.techniques if (moment := self.touched(i))]
        latest = max(touched)[1] if touched else None
        if latest in self.passed:
            return self.after(latest)
        if latest in self.started:
            return [_work(self.techniques[latest])]
        return list(self._unfinished())[:1] or list(self._ahead())[:1]

    def after(self, technique: str) -> list[Step]:
        """Return what comes after that technique is passed: what is left of it, and the step after that."""
        day = next((d for d in self.days if technique in d.techniques), None)
        left = list(self._left_of(technique))
        further = next((step for step in self._further(day) if step not in left), None)
        return [*left, *([further] if further else [])]

    def _further(self, day: Day | None) -> Iterator[Step]:
        """Yield the steps after a finished technique of ``day``, in order."""
        if day:
            yield from self._techniques_of(day)
        yield from self._unfinished()
        if day:
            yield from self._end_of(day)
        yield from self._ahead()

    def _left_of(self, technique: str) -> Iterator[Step]:
        """Yield what is left to do for a passed technique."""
        found, trail = self.techniques[technique], self.trail(technique)
        name = found.name
        if (found.files.folder / "lab.py").is_file() and not trail.lab_is_done:
            yield Step("run", f"run {name}", tr("the lab: your own code in a closed loop"), found)
        if found.files.quiz.is_file() and not trail.quiz_is_done:
            answered = len(trail.quiz.answers) if trail.quiz else 0
            purpose = tr("the quiz, where you stopped") if answered else tr("the quiz, with numbers of its own")
            yield Step("quiz", f"quiz {name}", purpose, found)

    def _techniques_of(self, day: Day) -> Iterator[Step]:
        for identity in day.techniques:
            if identity not in self.techniques or identity in self.passed:
                continue
            technique = self.techniques[identity]
            if identity in self.started:
                yield _work(technique)
            elif identity not in day.elective:
                purpose = tr("the next technique of {day}", day=day.name)
                yield Step("start", f"start {technique.name}", purpose, technique)

    def _unfinished(self) -> Iterator[Step]:
        begun = [self.techniques[i] for i in self.techniques if i in self.started - self.passed]
        yield from (_work(t) for t in registry().with_prerequisites(begun) if t in begun)

    def _end_of(self, day: Day) -> Iterator[Step]:
        written = [i for i in day.techniques if i in self.passed]
        asked = (day.quiz,) if isinstance(day.quiz, str) else day.quiz or ()
        for identity in dict.fromkeys([*written, *filter(None, map(_identity, asked))]):
            yield from self._left_of(identity)
        if not all(self.trail(i).in_brief for i in written):
            yield Step("brief", BRIEF, tr("{day} as a page, with its evidence", day=day.name))

    def _ahead(self) -> Iterator[Step]:
        """Yield the next day, then the techniques outside the roadmap."""
        for day in self.days:
            new = [i for i in day.techniques if i in self.techniques and i not in day.elective]
            if any(i not in self.started | self.passed for i in new):
                yield Step("start", f"start {day.name}", tr("the stubs of the next day"))
        in_days = {i for day in self.days for i in day.techniques}
        for identity, technique in self.techniques.items():
            if identity not in in_days | self.started | self.passed:
                yield Step("start", f"start {technique.name}", tr("a technique beside the roadmap"), technique)


def _work(technique: Technique) -> Step:
    return Step("work", f"read {technique.name}", tr("the lesson of what you have begun"), technique)


def _identity(name: str) -> str | None:
    """Return the id of the technique whose quiz a day names; None where there is none."""
    try:
        return registry().technique(name).id
    except GroundupError:
        return None
