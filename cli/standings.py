"""A learner's standing with every technique, as lines that fit a screen or two, and as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from groundup.cli.context import registry, say, why_absent
from groundup.cli.holes import filled_holes, how_far
from groundup.cli.layout import line_width, padded, table, width, wrapped
from groundup.cli.show import how_many_hold, standing, what_changed
from groundup.cli.way import Way
from groundup.cli.words import ntr, tr

if TYPE_CHECKING:
    from groundup.core.technique import Day, Technique
    from groundup.grader.learner.records import QuizRecord, Standing
    from groundup.grader.learner.state import State
    from groundup.grader.learner.workspace import Workspace

__all__ = ["Standings"]

LONG_AGO = datetime.min.replace(tzinfo=UTC)
BETWEEN = " · "
INDENT = " " * 6  # of a technique
UNDER = " " * 12  # a day's title


@dataclass(frozen=True)
class Part:
    """A day, or the techniques outside the roadmap."""

    heading: list[str]
    rows: list[str]
    in_short: list[str]
    """The short form, shown if there is no room."""
    is_begun: bool = True
    is_complete: bool = False
    touched: datetime = LONG_AGO

    @property
    def whole(self) -> list[str]:
        """All its lines."""
        return [*self.heading, *self.rows] if self.is_begun else self.in_short


class Standings:
    """One learner's standings."""

    def __init__(self, workspace: Workspace, way: Way, lang: str, hold: dict[str, int]) -> None:
        self.workspace, self.way, self.lang = workspace, way, lang
        self.hold = hold
        """By technique, if begun and not passed: the last hole up to which all held in the latest verdict."""

    @classmethod
    def of(cls, workspace: Workspace, state: State, lang: str) -> Standings:
        """Return the standings of the learner with this workspace and state."""
        way = Way.of(workspace, state)
        latest = {i: state.latest(i) for i in way.started - way.passed}
        return cls(workspace, way, lang, {i: how_many_hold(v) for i, v in latest.items() if v})

    def lines(self, most: int | None) -> list[str]:
        """Return at most so many lines: if there are more, begun days are shortened, complete and old ones first."""
        parts = list(self._parts())
        if most is None:
            return self._lines(parts, [])
        begun = sorted((p for p in parts if p.is_begun), key=lambda p: (not p.is_complete, p.touched))
        in_short: list[Part] = []
        while len(found := self._lines(parts, in_short)) > most and len(in_short) < len(begun) - 1:
            in_short.append(begun[len(in_short)])
        if len(found) > most and any(not p.is_begun for p in parts):
            count = sum(not p.is_begun for p in parts)
            parts = [p for p in parts if p.is_begun]
            found = self._lines(parts, in_short)
            found.append("    " + tr("{count} days are not begun: 'learn list' shows them", count=count))
        if len(found) > most:
            more = len(found) - most + 1
            found = [*found[: most - 1], "    " + tr("{count} more lines: 'learn status --all' shows them", count=more)]
        return found

    def as_data(self, identity: str) -> dict[str, Any]:
        """Return the learner's standing with one technique as data."""
        technique, row = self.way.techniques.get(identity), self.way.standings.get(identity)
        trail = self.way.trail(identity)
        quiz, marks = trail.quiz, [lab.reached for lab in trail.labs if lab.reached is not None]
        return {
            "id": identity,
            "installed": technique is not None,
            "broken": technique is None and registry().problem_of(identity) is not None,
            "started": identity in self.way.started,
            "passed": bool(row and row.ever_passed),
            "passed_version": row.passed_version if row else None,
            "version": technique.version if technique else None,
            "older": bool(technique and row and row.is_older(technique.version)),
            "changed": what_changed(technique, row, self.lang) if technique else "",
            "score": row.score if row else None,
            "outcome": row.outcome if row else None,
            "graded": row.attempts if row else 0,
            "graded_version": row.version if row else None,
            "holes": self._holes(technique) if technique and identity in self.way.started else None,
            "hints": trail.hints,
            "labs": len(trail.labs),
            "mark_reached": any(marks) if marks else None,
            "quiz": quiz and _as_data(quiz),
        }

    def _holes(self, technique: Technique) -> dict[str, int]:
        """Return how many holes there are, how many are filled, and the last one up to which all holds."""
        total = len(technique.holes)
        if technique.id in self.way.passed:
            return {"total": total, "filled": total, "hold": total}
        filled = filled_holes(technique, self.workspace.attempt_path(technique))
        first_empty = next((n for n in range(1, total + 1) if n not in filled), total + 1)
        return {
            "total": total,
            "filled": len(filled),
            "hold": min(self.hold.get(technique.id, 0), first_empty - 1),
        }

    def _lines(self, parts: Sequence[Part], in_short: Sequence[Part]) -> list[str]:
        found = [line for part in parts for line in (part.in_short if part in in_short else part.whole)]
        if in_short:
            found.append("    " + tr("in short here; 'learn status --all' shows all"))
        return found

    def _parts(self) -> Iterator[Part]:
        days, way = self.way.days, self.way
        named = {i for day in days for i in day.techniques}
        for day in days:
            yield self._day(day)
        if beside := [i for i in way.techniques if i not in named and way.is_begun(i)]:
            yield self._beside(tr("beside the roadmap"), beside)
        gone = [i for i in way.standings if i not in way.techniques and i not in named]
        broken = [i for i in gone if registry().problem_of(i)]
        if broken:
            yield Part([], list(self._rows(broken)), [], touched=self._touched(broken))
        elsewhere = [i for i in way.standings if i not in way.techniques and not registry().problem_of(i)]
        if elsewhere:
            yield self._beside(tr("no plugin that is installed here declares these"), elsewhere)

    def _beside(self, title: str, identities: Sequence[str]) -> Part:
        count = self._count(identities)
        return Part(
            [wrapped(title, first="    ")],
            list(self._rows(identities)),
            wrapped(f"{title}  {count}", first="    ").splitlines(),
            touched=self._touched(identities),
        )

    def _day(self, day: Day) -> Part:
        way = self.way
        written = [i for i in day.techniques if i in way.techniques]
        broken = [i for i in day.techniques if i not in way.techniques and registry().problem_of(i)]
        absent = [i for i in day.techniques if i not in written and i not in broken]
        begun = [i for i in written if way.is_begun(i)]
        is_complete = way.is_complete(day)
        rows = list(self._rows([*begun, *broken]))
        ahead = [i for i in written if i not in begun]
        rest = [tr("to begin: {names}", names=_names(ahead))] if ahead else []
        rest += [tr("not written yet: {names}", names=_names(absent))] if absent else []
        rows += [line for text in rest for line in wrapped(text, first=INDENT).splitlines()]
        is_begun = bool(begun or broken)
        word = ""
        if is_begun:
            word = self._count(day.techniques)
        elif absent and not written:
            word = tr("(not written yet)")
        elif absent:
            word = tr("({count} of {total} written)", count=len(written), total=len(day.techniques))
        mark = click.style("✓", fg="green") if is_complete else " "
        first, title = f"  {mark} {day.name:<8}", say(day.title, self.lang)
        heading = wrapped(title, first=first).splitlines()
        in_short = _with(heading, click.style(word, dim=True)) if word else heading
        return Part(heading, rows, in_short, is_begun, is_complete, self._touched(begun))

    def _touched(self, identities: Sequence[str]) -> datetime:
        return max((moment for i in identities if (moment := self.way.touched(i))), default=LONG_AGO)

    def _count(self, identities: Sequence[str]) -> str:
        passed = sum(i in self.way.passed for i in identities)
        return tr("({count} of {total} passed)", count=passed, total=len(identities))

    def _rows(self, identities: Sequence[str]) -> Iterator[str]:
        """Yield one or more lines for each technique, with its state in an aligned column if there is room."""
        places = max(map(width, filter(self.way.is_begun, [*self.way.techniques, *self.way.standings])), default=0)
        for line in table([(padded(i, places), self._said(i)) for i in identities], indent=INDENT):
            yield from line.splitlines()

    def _said(self, identity: str) -> str:
        technique, row = self.way.techniques.get(identity), self.way.standings.get(identity)
        if technique is None:
            problem = why_absent(identity) if registry().problem_of(identity) else None
            alone = _stand_alone(row) if row else None
            return BETWEEN.join(filter(None, [alone, problem, *self._done(identity, row)]))
        started = identity in self.way.started
        words = [standing(technique.version, row, started)]
        if started and identity not in self.way.passed and (holes := self._holes(technique))["filled"]:
            words.append(how_far(**holes))
        words += self._done(identity, row)
        if changed := what_changed(technique, row, self.lang):
            words.append(changed)
        return BETWEEN.join(filter(None, words))

    def _done(self, identity: str, row: Standing | None) -> Iterator[str]:
        """Yield, in a few words each, what the learner did on a technique: grading, hints, quiz, lab."""
        trail = self.way.trail(identity)
        if trail.labs:
            marks = [lab.reached for lab in trail.labs if lab.reached is not None]
            missed = tr("lab: mark missed") if marks else tr("lab run")
            yield tr("lab: mark reached") if any(marks) else missed if trail.lab_is_done else tr("lab run quickly")
        if quiz := trail.quiz:
            whole = tr("quiz {right} of {total}", right=quiz.right, total=quiz.questions)
            half = tr("quiz begun, {count} of {total} answered", count=len(quiz.answers), total=quiz.asked)
            yield whole if quiz.status == "finished" else half
        if trail.hints:
            yield ntr("1 hint", "{count} hints", trail.hints)
        if count := row.attempts if row else 0:
            yield ntr("graded once", "graded {count} times", count)


def _as_data(quiz: QuizRecord) -> dict[str, Any]:
    answered = len(quiz.answers)
    return {"status": quiz.status, "right": quiz.right, "answered": answered, "questions": quiz.questions}


def _stand_alone(row: Standing) -> str:
    """Return the recorded standing with a technique that is not installed: its current version is unknown."""
    if row.passed_version is not None:
        return tr("passed, version {version}", version=row.passed_version)
    return tr("{score:.0%}, version {version}", score=row.score, version=row.version)


def _with(heading: list[str], word: str) -> list[str]:
    """Return a day's title with ``word`` beside it, or below if the line is too narrow."""
    beside = f"{heading[-1]}  {word}"
    if width(beside) <= line_width():
        return [*heading[:-1], beside]
    return [*heading, UNDER + word]


def _names(identities: Sequence[str]) -> str:
    return tr(", ").join(identity.partition("/")[2] for identity in identities)
