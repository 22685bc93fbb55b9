"""The recorded state of a workspace: verdicts, quizzes, the learner's requests, and failing cases to try first.

It is in one database: SQLite in the workspace, or the SQLAlchemy URL in its settings. When a method that writes
returns, the data is on disk. Nothing here deletes a verdict, or a database that cannot be read.
"""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, cast

import sqlalchemy as sa
from pydantic import ValidationError

from groundup.core.errors import StateProblem
from groundup.core.messages import Message
from groundup.grader.judging.verdict import Verdict
from groundup.grader.learner import tables
from groundup.grader.learner.chain import altered, link
from groundup.grader.learner.database import SETTING, Database
from groundup.grader.learner.records import (
    Event,
    EventKind,
    LabRecord,
    Marked,
    QuizAnswer,
    QuizRecord,
    QuizStatus,
    Standing,
)

__all__ = ["State"]


class State:
    """One learner's rows of the database. Use it in a ``with`` statement, or close it.

    Every method raises StateProblem, with the place and the next step, if the database cannot be read or written.
    """

    def __init__(self, database: Path | str, learner: str = "", *, setting: Message = SETTING) -> None:
        """Open ``database`` (a file, or an SQLAlchemy URL that ``setting`` has); create or migrate its tables."""
        self.problems: dict[int, StateProblem] = {}
        """The problems of unreadable and of altered verdicts met so far, by verdict id. Such verdicts stay in the
        database, and do not count."""
        self._learner = learner
        self._known_altered: set[int] | None = None  # what this object records itself is sound
        self.database = Database(database, setting)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self.database.close()

    def for_learner(self, learner: str) -> State:
        """Return another learner's state in the same database. It shares these connections: close only this state."""
        other = copy.copy(self)
        other._learner, other.problems, other._known_altered = learner, {}, None
        return other

    def record(self, verdict: Verdict, source: str, cases: Mapping[bytes, Set[bytes]]) -> int:
        """Record ``verdict`` with the attempt's ``source``, and replace the technique's failing cases by ``cases``.

        Returns the verdict's id. Bytes of the file that are not UTF-8 must be surrogate escapes in ``source``.
        """
        whole = verdict.model_dump(mode="json", round_trip=True)
        mine = {"learner": self._learner, "technique": verdict.technique}
        row = mine | {
            "technique_version": verdict.version,
            "given_at": verdict.given_at,
            "passed": verdict.passed,
            "outcome": verdict.outcome,
            "score": verdict.score,
            "counts": verdict.counts,
            "seed": str(verdict.seed),
            "sha256": verdict.attempt.sha256,
            "source": source.encode("utf-8", "surrogateescape"),
            "containment": verdict.containment,
            "environment": whole["environment"],
            "verdict": json.dumps(whole),
        }
        examples = [mine | {"key": key, "value": value} for key, values in cases.items() for value in values]
        with self.database.transaction(writes=True) as connection:
            row |= link(connection, row)._asdict()
            given = connection.execute(sa.insert(tables.verdicts).values(row)).inserted_primary_key
            connection.execute(sa.delete(tables.cases).where(self._mine(tables.cases, verdict.technique)))
            if examples:
                connection.execute(sa.insert(tables.cases), examples)
        return cast("Sequence[int]", given)[0]

    def has(self, verdict: Verdict) -> bool:
        """Whether this grading, identified by its file and its moment, is recorded."""
        c = tables.verdicts.c
        same = sa.and_(c.sha256 == verdict.attempt.sha256, c.given_at == verdict.given_at)
        found = sa.select(c.id).where(self._mine(tables.verdicts, verdict.technique), same).limit(1)
        with self.database.transaction() as connection:
            return connection.execute(found).first() is not None

    def verdicts(self, technique: str | None = None) -> list[Verdict]:
        """Return the verdicts on ``technique``, or on all, newest first; unreadable ones go to ``problems``."""
        return list(self._read(tables.verdicts.c.id.desc(), technique=technique))

    def latest(self, technique: str) -> Verdict | None:
        """Return the newest verdict on ``technique``, None if there is none or it cannot be read."""
        return next(self._read(tables.verdicts.c.id.desc(), technique=technique, most=1), None)

    def gradings(self) -> int:
        """Return the number of recorded verdicts, including those without a score."""
        mine = sa.select(sa.func.count()).where(self._mine(tables.verdicts))
        with self.database.transaction() as connection:
            return connection.execute(mine).scalar_one()

    def best(self, technique: str) -> Verdict | None:
        """Return the newest of the verdicts with the highest score; passed verdicts come before all others."""
        c = tables.verdicts.c
        return next(self._read(c.passed.desc(), c.score.desc(), c.id.desc(), technique=technique), None)

    def ever_passed(self, technique: str) -> bool:
        """Whether any attempt at ``technique`` has passed."""
        passed = sa.select(tables.verdicts.c.id).where(self._mine(tables.verdicts, technique), tables.verdicts.c.passed)
        with self.database.transaction() as connection:
            altered = self._altered(connection)
            return any(number not in altered for number in connection.execute(passed).scalars())

    def last_scores(self) -> dict[str, Standing]:
        """Return the learner's progress on every technique with a grading that counts."""
        c = tables.verdicts.c
        with self.database.transaction() as connection:
            each = (
                sa.select(
                    sa.func.max(c.id).label("latest"),
                    sa.func.count().label("attempts"),
                    sa.func.max(sa.case((c.passed, c.technique_version))).label("passed_version"),
                )
                .where(self._mine(tables.verdicts), c.counts, c.id.not_in(self._altered(connection)))
                .group_by(c.technique)
                .subquery()
            )
            latest = (c.technique, c.score, c.outcome, c.given_at, each.c.attempts, c.technique_version)
            standings = (
                sa.select(*latest, each.c.passed_version).join(each, c.id == each.c.latest).order_by(c.technique)
            )
            return {technique: Standing(*rest) for technique, *rest in connection.execute(standings)}

    def source(self, sha256: str) -> str | None:
        """Return the recorded text of the attempt with that digest, or None."""
        same = (
            sa.select(tables.verdicts.c.source)
            .where(self._mine(tables.verdicts), tables.verdicts.c.sha256 == sha256)
            .limit(1)
        )
        with self.database.transaction() as connection:
            row = connection.execute(same).first()
        return None if row is None else cast("bytes", row[0]).decode("utf-8", "surrogateescape")

    def cases(self, technique: str) -> dict[bytes, set[bytes]]:
        """Return the failing cases of the latest grading, as hypothesis keeps them: choices by key."""
        kept = sa.select(tables.cases.c.key, tables.cases.c.value).where(self._mine(tables.cases, technique))
        found: defaultdict[bytes, set[bytes]] = defaultdict(set)
        with self.database.transaction() as connection:
            for key, value in connection.execute(kept):
                found[bytes(key)].add(bytes(value))
        return dict(found)

    def note(self, technique: str, kind: EventKind, detail: str = "") -> None:
        """Record a request of the learner."""
        row = {"learner": self._learner, "technique": technique, "kind": kind, "detail": detail, "at": _now()}
        with self.database.transaction(writes=True) as connection:
            connection.execute(sa.insert(tables.events).values(row))

    def events(self, technique: str) -> list[Event]:
        """Return the learner's requests, oldest first."""
        c = tables.events.c
        noted = (
            sa.select(c.technique, c.kind, c.detail, c.at).where(self._mine(tables.events, technique)).order_by(c.id)
        )
        with self.database.transaction() as connection:
            return [Event(*row) for row in connection.execute(noted)]

    def noted(self, kind: EventKind) -> dict[str, set[str]]:
        """Return the distinct details of the events of that kind, by technique."""
        c = tables.events.c
        events = sa.select(c.technique, c.detail).where(self._mine(tables.events), c.kind == kind).distinct()
        found: defaultdict[str, set[str]] = defaultdict(set)
        with self.database.transaction() as connection:
            for technique, detail in connection.execute(events):
                found[technique].add(detail)
        return dict(found)

    def hints_used(self, technique: str) -> int:
        """Return how many distinct hints (by their detail) the learner has requested."""
        return len(self.noted("hint").get(technique, ()))

    def record_lab(self, technique: str, runs: list[dict[str, Any]], picture: bytes) -> None:
        """Record a lab's measurements (``LabRun`` as JSON, one per contestant) and its picture."""
        mine = {"learner": self._learner, "technique": technique, "at": _now()}
        with self.database.transaction(writes=True) as connection:
            connection.execute(sa.insert(tables.labs).values(mine | {"runs": json.dumps(runs), "picture": picture}))

    def labs(self, technique: str) -> list[LabRecord]:
        """Return the technique's recorded labs, newest first."""
        c = tables.labs.c
        kept = (
            sa.select(c.technique, c.at, c.runs, c.picture)
            .where(self._mine(tables.labs, technique))
            .order_by(c.id.desc())
        )
        with self.database.transaction() as connection:
            return [LabRecord(t, at, json.loads(runs), bytes(png)) for t, at, runs, png in connection.execute(kept)]

    def latest_picture(self, technique: str) -> bytes | None:
        """Return the newest picture of the technique's lab as a PNG, None if there is none."""
        c = tables.labs.c
        newest = (
            sa.select(c.picture)
            .where(self._mine(tables.labs, technique), sa.func.length(c.picture) > 0)
            .order_by(c.id.desc())
            .limit(1)
        )
        with self.database.transaction() as connection:
            found = connection.execute(newest).scalar()
        return bytes(found) if found else None

    def lab_runs(self) -> list[tuple[str, datetime, list[dict[str, Any]]]]:
        """Return technique, moment and runs of every recorded lab, newest first, without reading the pictures."""
        c = tables.labs.c
        kept = sa.select(c.technique, c.at, c.runs).where(self._mine(tables.labs)).order_by(c.id.desc())
        with self.database.transaction() as connection:
            return [(technique, at, json.loads(runs)) for technique, at, runs in connection.execute(kept)]

    def begin_quiz(self, technique: str, seed: int, sha256: str, questions: int, by_oneself: int = 0) -> int:
        """Record the start of a quiz and return its number. An open quiz on the technique is abandoned.

        ``questions`` is how many the machine marks, ``by_oneself`` how many the learner marks.
        """
        c = tables.quizzes.c
        still_open = sa.update(tables.quizzes).where(self._mine(tables.quizzes, technique), c.status == "open")
        with self.database.transaction(writes=True) as connection:
            connection.execute(still_open.values(status="given_up", ended_at=_now()))
            return self._new_quiz(connection, technique, seed, sha256, (questions, by_oneself), "open")

    def answer_quiz(self, number: int, question: str, *marked: Any) -> None:
        """Record an answer, unless the question has one already: the first counts. ``marked``: what Marked has."""
        c = tables.quiz_answers.c
        there = sa.select(c.id).where(c.quiz == number, c.question == question)
        with self.database.transaction(writes=True) as connection:
            if connection.execute(there).first() is None:
                connection.execute(
                    sa.insert(tables.quiz_answers).values(_answer_row(number, question, Marked(*marked)))
                )

    def finish_quiz(self, number: int) -> None:
        """Record that every question of the quiz was answered."""
        with self.database.transaction(writes=True) as connection:
            this = sa.update(tables.quizzes).where(tables.quizzes.c.id == number)
            connection.execute(this.values(status="finished", ended_at=_now()))

    def record_quiz(
        self,
        technique: str,
        seed: int,
        sha256: str,
        questions: int,
        answers: Mapping[str, Marked | tuple[Any, bool]],
        by_oneself: int = 0,
    ) -> int:
        """Record a quiz that was answered at once, and return its number. An open quiz stays open.

        ``answers`` maps each question to its answer; the counts are those of ``begin_quiz``.
        """
        with self.database.transaction(writes=True) as connection:
            number = self._new_quiz(connection, technique, seed, sha256, (questions, by_oneself), "finished")
            rows = [_answer_row(number, question, Marked(*answer)) for question, answer in answers.items()]
            if rows:
                connection.execute(sa.insert(tables.quiz_answers), rows)
        return number

    def quizzes(self, technique: str | None = None) -> list[QuizRecord]:
        """Return the quizzes on ``technique``, or on all, newest first."""
        c, a = tables.quizzes.c, tables.quiz_answers.c
        columns = (c.id, c.technique, c.seed, c.sha256, c.questions, c.by_oneself, c.status, c.began_at, c.ended_at)
        sat = sa.select(*columns).where(self._mine(tables.quizzes, technique)).order_by(c.id.desc())
        marks = (a.is_right, a.at, a.credit, a.by_oneself, a.confidence)
        given = sa.select(a.quiz, a.question, a.answer, *marks).join(tables.quizzes).order_by(a.id)
        answers: defaultdict[int, list[QuizAnswer]] = defaultdict(list)
        with self.database.transaction() as connection:
            for quiz, question, answer, right, at, *marked in connection.execute(
                given.where(self._mine(tables.quizzes, technique))
            ):
                answers[quiz].append(QuizAnswer(question, json.loads(answer), right, at, *marked))
            return [
                QuizRecord(row[0], row[1], int(row[2]), *row[3:], answers=tuple(answers[row[0]]))
                for row in connection.execute(sat)
            ]

    def _new_quiz(
        self,
        connection: sa.Connection,
        technique: str,
        seed: int,
        sha256: str,
        counts: tuple[int, int],
        status: QuizStatus,
    ) -> int:
        row = {
            "learner": self._learner,
            "technique": technique,
            "seed": str(seed),
            "sha256": sha256,
            "questions": counts[0],
            "by_oneself": counts[1],
            "status": status,
            "began_at": _now(),
            "ended_at": None if status == "open" else _now(),
        }
        return cast("Sequence[int]", connection.execute(sa.insert(tables.quizzes).values(row)).inserted_primary_key)[0]

    def _mine(self, table: sa.Table, technique: str | None = None) -> sa.ColumnElement[bool]:
        mine = table.c.learner == self._learner
        return mine if technique is None else sa.and_(mine, table.c.technique == technique)

    def _read(self, *order: sa.ColumnElement[Any], technique: str | None, most: int | None = None) -> Iterator[Verdict]:
        c = tables.verdicts.c
        with self.database.transaction() as connection:
            sound = sa.and_(self._mine(tables.verdicts, technique), c.id.not_in(self._altered(connection)))
            found = connection.execute(sa.select(c.id, c.verdict).where(sound).order_by(*order).limit(most)).all()
        for number, text in found:
            try:
                yield _verdict(text)
            except (ValueError, TypeError, LookupError) as error:
                reason = str(error).partition("\n")[0]
                self.problems[number] = StateProblem(
                    "Verdict {number} in {where} was given by another Groundup and cannot be read by this one. It is "
                    "kept; updating Groundup may help. ({reason})",
                    number=number,
                    where=self.database.where,
                    reason=reason,
                )

    def _altered(self, connection: sa.Connection) -> set[int]:
        """Return the ids of this learner's verdicts that do not count, since they were altered; note their problems."""
        if self._known_altered is not None:
            return self._known_altered
        self._known_altered = found = altered(connection, self._learner)
        for number in found:
            self.problems[number] = StateProblem(
                "Verdict {number} in {where} was changed after it was recorded, or the one before it was removed. It "
                "does not count; grading the file again records it anew.",
                number=number,
                where=self.database.where,
            )
        return found


def _now() -> datetime:
    return datetime.now(UTC)


def _answer_row(number: int, question: str, given: Marked) -> dict[str, Any]:
    return {
        "quiz": number,
        "question": question,
        "answer": json.dumps(given.answer),
        "is_right": given.right,
        "credit": float(given.right) if given.credit is None else given.credit,
        "by_oneself": given.by_oneself,
        "confidence": given.confidence,
        "at": _now(),
    }


def _verdict(text: str) -> Verdict:
    """Parse a recorded verdict. Fields that this version of Groundup does not know are dropped."""
    whole = json.loads(text)
    try:
        return Verdict.model_validate(whole)
    except ValidationError as error:
        for problem in error.errors():
            if problem["type"] == "extra_forbidden":
                *path, last = problem["loc"]
                holder = whole
                for step in path:
                    holder = holder[step]
                del holder[last]
        return Verdict.model_validate(whole)
