"""What a workspace remembers: verdicts, quizzes, what the learner asked for, and the failing cases to try first.

One database: SQLite in the workspace, or whatever SQLAlchemy URL its settings name. What a method was asked to write
is on disk when it returns. Nothing here deletes a verdict, or a database that cannot be read.
"""

from __future__ import annotations

import copy
import json
import sqlite3
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, cast

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from groundup.core.errors import StateProblem
from groundup.grader.judging.verdict import Outcome, Verdict

__all__ = ["Event", "EventKind", "LabRecord", "QuizAnswer", "QuizRecord", "Standing", "State"]

EventKind = Literal["started", "hint", "reset", "gave_up", "solution_shown"]
QuizStatus = Literal["open", "finished", "given_up"]

MIGRATIONS: list[Callable[[sa.Connection], None]] = []
"""``MIGRATIONS[n]`` brings a database from schema version n + 1 to n + 2. A new database starts at the newest."""

BUSY_SECONDS = 30.0
"""How long one command waits for another's transaction. Each takes milliseconds."""


class _UTC(sa.TypeDecorator[datetime]):
    """A moment, stored as UTC without a zone: not every database has zones."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value and value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value and value.replace(tzinfo=UTC)


_tables = sa.MetaData()

_schema = sa.Table("schema", _tables, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))

_verdicts = sa.Table(
    "verdicts",
    _tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("learner", sa.String(200), nullable=False),
    sa.Column("technique", sa.String(200), nullable=False),
    sa.Column("technique_version", sa.Integer, nullable=False),
    sa.Column("given_at", _UTC, nullable=False),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("outcome", sa.String(40), nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("seed", sa.Text, nullable=False),  # decimal: it may be longer than any integer column
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("source", sa.LargeBinary, nullable=False),  # the bytes of the file: it need not be valid text
    sa.Column("containment", sa.Text, nullable=False),
    sa.Column("environment", sa.JSON, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),  # ASCII JSON, read row by row: one bad row spoils no other
    sa.Index("verdicts_by_technique", "learner", "technique", "given_at"),
)

_events = sa.Table(
    "events",
    _tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("learner", sa.String(200), nullable=False),
    sa.Column("technique", sa.String(200), nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("at", _UTC, nullable=False),
    sa.Index("events_by_technique", "learner", "technique"),
)

_cases = sa.Table(
    "cases",
    _tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("learner", sa.String(200), nullable=False),
    sa.Column("technique", sa.String(200), nullable=False),
    sa.Column("key", sa.LargeBinary, nullable=False),
    sa.Column("value", sa.LargeBinary, nullable=False),  # read as a set; not every database can index bytes this long
    sa.Index("cases_by_technique", "learner", "technique"),
)

_labs = sa.Table(
    "labs",
    _tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("learner", sa.String(200), nullable=False),
    sa.Column("technique", sa.String(200), nullable=False),
    sa.Column("at", _UTC, nullable=False),
    sa.Column("runs", sa.Text, nullable=False),  # ASCII JSON: what each contestant measured
    sa.Column("picture", sa.LargeBinary, nullable=False),  # PNG
    sa.Index("labs_by_technique", "learner", "technique"),
)


_quizzes = sa.Table(
    "quizzes",
    _tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("learner", sa.String(200), nullable=False),
    sa.Column("technique", sa.String(200), nullable=False),
    sa.Column("seed", sa.Text, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),  # of the quiz file: another one asks other questions
    sa.Column("questions", sa.Integer, nullable=False),
    sa.Column("status", sa.String(40), nullable=False),
    sa.Column("began_at", _UTC, nullable=False),
    sa.Column("ended_at", _UTC, nullable=True),
    sa.Index("quizzes_by_technique", "learner", "technique"),
)

_quiz_answers = sa.Table(
    "quiz_answers",
    _tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("quiz", sa.Integer, sa.ForeignKey("quizzes.id"), nullable=False),
    sa.Column("question", sa.String(200), nullable=False),
    sa.Column("answer", sa.Text, nullable=False),  # ASCII JSON
    sa.Column("is_right", sa.Boolean, nullable=False),
    sa.Column("at", _UTC, nullable=False),
    sa.UniqueConstraint("quiz", "question"),
)


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
    """How a learner stands with one technique. Gradings that were not gradable do not count."""

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


class State:
    """One learner's rows of the database. Use it in a ``with`` statement, or close it.

    Every method raises StateProblem, with the place and the next step, when the database cannot be read or written.
    """

    def __init__(self, database: Path | str, learner: str = "") -> None:
        """Open ``database`` (a file, or an SQLAlchemy URL), making or migrating its tables as needed."""
        self.problems: dict[int, StateProblem] = {}
        """By id, the verdicts that were met and could not be read. They are kept, and the others work."""
        self._learner = learner
        self._where = str(database)
        self._engine = self._open(database)
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def for_learner(self, learner: str) -> State:
        """Return another learner's rows of the same database. They share its connections: close this one, not those."""
        other = copy.copy(self)
        other._learner, other.problems = learner, {}
        return other

    def record(self, verdict: Verdict, source: str, cases: Mapping[bytes, Set[bytes]]) -> int:
        """Keep ``verdict`` with the attempt's ``source``, and ``cases`` in place of the technique's former ones.

        Returns the verdict's id. Bytes of the file that were not UTF-8 are expected in ``source`` as surrogate escapes.
        """
        whole = verdict.model_dump(mode="json", round_trip=True)
        mine = {"learner": self._learner, "technique": verdict.technique}
        row = mine | {
            "technique_version": verdict.version,
            "given_at": verdict.given_at,
            "passed": verdict.passed,
            "outcome": verdict.outcome,
            "score": verdict.score,
            "seed": str(verdict.seed),
            "sha256": verdict.attempt.sha256,
            "source": source.encode("utf-8", "surrogateescape"),
            "containment": verdict.containment,
            "environment": whole["environment"],
            "verdict": json.dumps(whole),
        }
        examples = [mine | {"key": key, "value": value} for key, values in cases.items() for value in values]
        with self._transaction(writes=True) as connection:
            given = connection.execute(sa.insert(_verdicts).values(row)).inserted_primary_key
            connection.execute(sa.delete(_cases).where(self._mine(_cases, verdict.technique)))
            if examples:
                connection.execute(sa.insert(_cases), examples)
        return cast("Sequence[int]", given)[0]

    def has(self, verdict: Verdict) -> bool:
        """Whether this very grading is there: the one of that file at that moment."""
        c = _verdicts.c
        same = sa.and_(c.sha256 == verdict.attempt.sha256, c.given_at == verdict.given_at)
        found = sa.select(c.id).where(self._mine(_verdicts, verdict.technique), same).limit(1)
        with self._transaction() as connection:
            return connection.execute(found).first() is not None

    def verdicts(self, technique: str | None = None) -> list[Verdict]:
        """Return the verdicts on ``technique``, or on all, newest first; what cannot be read is in ``problems``."""
        return list(self._read(_verdicts.c.id.desc(), technique=technique))

    def best(self, technique: str) -> Verdict | None:
        """Return the newest of the verdicts with the highest score, a passed one before any other."""
        c = _verdicts.c
        return next(self._read(c.passed.desc(), c.score.desc(), c.id.desc(), technique=technique), None)

    def ever_passed(self, technique: str) -> bool:
        """Whether any attempt at ``technique`` has passed."""
        passed = sa.select(_verdicts.c.id).where(self._mine(_verdicts, technique), _verdicts.c.passed).limit(1)
        with self._transaction() as connection:
            return connection.execute(passed).first() is not None

    def last_scores(self) -> dict[str, Standing]:
        """Return how the learner stands with every technique that was ever graded."""
        c = _verdicts.c
        each = (
            sa.select(
                sa.func.max(c.id).label("latest"),
                sa.func.count().label("attempts"),
                sa.func.max(sa.case((c.passed, c.technique_version))).label("passed_version"),
            )
            .where(self._mine(_verdicts), c.outcome != "not_gradable")
            .group_by(c.technique)
            .subquery()
        )
        latest = (c.technique, c.score, c.outcome, c.given_at, each.c.attempts, c.technique_version)
        standings = sa.select(*latest, each.c.passed_version).join(each, c.id == each.c.latest).order_by(c.technique)
        with self._transaction() as connection:
            return {technique: Standing(*rest) for technique, *rest in connection.execute(standings)}

    def source(self, sha256: str) -> str | None:
        """Return the text of the attempt with that digest, as it was recorded, or None."""
        same = sa.select(_verdicts.c.source).where(self._mine(_verdicts), _verdicts.c.sha256 == sha256).limit(1)
        with self._transaction() as connection:
            row = connection.execute(same).first()
        return None if row is None else cast("bytes", row[0]).decode("utf-8", "surrogateescape")

    def cases(self, technique: str) -> dict[bytes, set[bytes]]:
        """Return the failing cases of the latest grading, as hypothesis keeps them: choices by key."""
        kept = sa.select(_cases.c.key, _cases.c.value).where(self._mine(_cases, technique))
        found: defaultdict[bytes, set[bytes]] = defaultdict(set)
        with self._transaction() as connection:
            for key, value in connection.execute(kept):
                found[bytes(key)].add(bytes(value))
        return dict(found)

    def note(self, technique: str, kind: EventKind, detail: str = "") -> None:
        """Keep that the learner asked for something."""
        row = {"learner": self._learner, "technique": technique, "kind": kind, "detail": detail, "at": _now()}
        with self._transaction(writes=True) as connection:
            connection.execute(sa.insert(_events).values(row))

    def events(self, technique: str) -> list[Event]:
        """Return what the learner asked for, oldest first."""
        c = _events.c
        noted = sa.select(c.technique, c.kind, c.detail, c.at).where(self._mine(_events, technique)).order_by(c.id)
        with self._transaction() as connection:
            return [Event(*row) for row in connection.execute(noted)]

    def hints_used(self, technique: str) -> int:
        """Return how many different hints (by their detail) the learner has asked for."""
        c = _events.c
        hints = sa.select(sa.func.count(c.detail.distinct())).where(self._mine(_events, technique), c.kind == "hint")
        with self._transaction() as connection:
            return connection.execute(hints).scalar_one()

    def record_lab(self, technique: str, runs: list[dict[str, Any]], picture: bytes) -> None:
        """Keep what a lab measured (``LabRun`` as JSON, one for each contestant) and its picture."""
        mine = {"learner": self._learner, "technique": technique, "at": _now()}
        with self._transaction(writes=True) as connection:
            connection.execute(sa.insert(_labs).values(mine | {"runs": json.dumps(runs), "picture": picture}))

    def labs(self, technique: str) -> list[LabRecord]:
        """Return the technique's recorded labs, newest first."""
        c = _labs.c
        kept = sa.select(c.technique, c.at, c.runs, c.picture).where(self._mine(_labs, technique)).order_by(c.id.desc())
        with self._transaction() as connection:
            return [LabRecord(t, at, json.loads(runs), bytes(png)) for t, at, runs, png in connection.execute(kept)]

    def begin_quiz(self, technique: str, seed: int, sha256: str, questions: int) -> int:
        """Keep that a quiz has begun, and return its number. One of the technique that was open is given up."""
        c = _quizzes.c
        still_open = sa.update(_quizzes).where(self._mine(_quizzes, technique), c.status == "open")
        with self._transaction(writes=True) as connection:
            connection.execute(still_open.values(status="given_up", ended_at=_now()))
            return self._new_quiz(connection, technique, seed, sha256, questions, "open")

    def answer_quiz(self, number: int, question: str, answer: Any, right: bool) -> None:
        """Keep an answer, unless the question has one already: the first counts."""
        c = _quiz_answers.c
        there = sa.select(c.id).where(c.quiz == number, c.question == question)
        with self._transaction(writes=True) as connection:
            if connection.execute(there).first() is None:
                connection.execute(sa.insert(_quiz_answers).values(_answer_row(number, question, answer, right)))

    def finish_quiz(self, number: int) -> None:
        """Keep that every question of the quiz was answered."""
        with self._transaction(writes=True) as connection:
            this = sa.update(_quizzes).where(_quizzes.c.id == number)
            connection.execute(this.values(status="finished", ended_at=_now()))

    def record_quiz(
        self, technique: str, seed: int, sha256: str, questions: int, answers: Mapping[str, tuple[Any, bool]]
    ) -> int:
        """Keep a quiz that was answered at once, and return its number. One that is open stays so.

        ``answers`` holds, by question, the answer and whether it is right.
        """
        with self._transaction(writes=True) as connection:
            number = self._new_quiz(connection, technique, seed, sha256, questions, "finished")
            rows = [_answer_row(number, question, *answer) for question, answer in answers.items()]
            if rows:
                connection.execute(sa.insert(_quiz_answers), rows)
        return number

    def quizzes(self, technique: str | None = None) -> list[QuizRecord]:
        """Return the quizzes on ``technique``, or on all, newest first."""
        c, a = _quizzes.c, _quiz_answers.c
        columns = (c.id, c.technique, c.seed, c.sha256, c.questions, c.status, c.began_at, c.ended_at)
        sat = sa.select(*columns).where(self._mine(_quizzes, technique)).order_by(c.id.desc())
        given = sa.select(a.quiz, a.question, a.answer, a.is_right, a.at).join(_quizzes).order_by(a.id)
        answers: defaultdict[int, list[QuizAnswer]] = defaultdict(list)
        with self._transaction() as connection:
            for quiz, question, answer, right, at in connection.execute(given.where(self._mine(_quizzes, technique))):
                answers[quiz].append(QuizAnswer(question, json.loads(answer), right, at))
            return [
                QuizRecord(n, name, int(seed), sha256, questions, status, began, ended, tuple(answers[n]))
                for n, name, seed, sha256, questions, status, began, ended in connection.execute(sat)
            ]

    def _new_quiz(
        self, connection: sa.Connection, technique: str, seed: int, sha256: str, questions: int, status: QuizStatus
    ) -> int:
        row = {
            "learner": self._learner,
            "technique": technique,
            "seed": str(seed),
            "sha256": sha256,
            "questions": questions,
            "status": status,
            "began_at": _now(),
            "ended_at": None if status == "open" else _now(),
        }
        return cast("Sequence[int]", connection.execute(sa.insert(_quizzes).values(row)).inserted_primary_key)[0]

    def _mine(self, table: sa.Table, technique: str | None = None) -> sa.ColumnElement[bool]:
        mine = table.c.learner == self._learner
        return mine if technique is None else sa.and_(mine, table.c.technique == technique)

    def _read(self, *order: sa.ColumnElement[Any], technique: str | None) -> Iterator[Verdict]:
        rows = sa.select(_verdicts.c.id, _verdicts.c.verdict).where(self._mine(_verdicts, technique)).order_by(*order)
        with self._transaction() as connection:
            found = connection.execute(rows).all()
        for number, text in found:
            try:
                yield _verdict(text)
            except (ValueError, TypeError, LookupError) as error:
                reason = str(error).partition("\n")[0]
                self.problems[number] = StateProblem(
                    f"Verdict {number} in {self._where} was given by another Groundup and cannot be read by this one. "
                    f"It is kept; updating Groundup may help. ({reason})"
                )

    def _open(self, database: Path | str) -> sa.Engine:
        try:
            if isinstance(database, Path):
                database.parent.mkdir(parents=True, exist_ok=True)
                engine = sa.create_engine(sa.URL.create("sqlite", database=self._where))
            else:
                engine = sa.create_engine(database)
                self._where = engine.url.render_as_string()  # without its password
        except OSError as error:
            raise self._problem(error) from error
        except (ImportError, ValueError, SQLAlchemyError) as error:
            raise StateProblem(
                f"The 'database' of learn.toml does not work here: {error}. It is an SQLAlchemy URL such as "
                "'postgresql+psycopg://host/class', and its driver must be installed beside 'learn'."
            ) from error
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _tune)
            sa.event.listen(engine, "begin", _begin)
        return engine

    @contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect().execution_options(writes=writes) as connection, connection.begin():
                yield connection
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise self._problem(error) from error

    def _prepare(self) -> None:
        """Make the tables, or bring them to the version that this code knows."""
        with self._transaction() as connection:
            if self._version(connection) == len(MIGRATIONS) + 1:
                return
        try:
            self._migrate()
        except StateProblem:
            self._migrate()  # another process made the same tables, and this database let only one of the two

    def _migrate(self) -> None:
        with self._transaction(writes=True) as connection:
            version = self._version(connection)
            newest = len(MIGRATIONS) + 1
            if version is None:
                _tables.create_all(connection)
                connection.execute(sa.insert(_schema).values(version=newest))
            elif version < newest:
                for migration in MIGRATIONS[version - 1 :]:
                    migration(connection)
                connection.execute(sa.update(_schema).values(version=newest))

    def _version(self, connection: sa.Connection) -> int | None:
        """Return the version of the tables, None when there are none. Raises StateProblem for one from the future."""
        if not sa.inspect(connection).has_table("schema"):
            return None
        version = connection.execute(sa.select(_schema.c.version).with_for_update()).scalar()
        newest = len(MIGRATIONS) + 1
        if version is not None and version > newest:
            raise StateProblem(
                f"{self._where} was written by a newer Groundup (schema {version}, this one knows {newest}). "
                "Update Groundup, or name another database in learn.toml."
            )
        return version

    def _problem(self, error: Exception) -> StateProblem:
        cause = getattr(error, "orig", None) or error
        match getattr(cause, "sqlite_errorcode", 0) & 0xFF:  # the low byte is the kind
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                told = "is held by another process. End that one, or wait for it, and try again."
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                told = (
                    "is damaged. Move it elsewhere, with the files '-wal' and '-shm' beside it, and go on with a new "
                    "one; 'sqlite3 <file> .recover' may bring its rows back."
                )
            case sqlite3.SQLITE_FULL:
                told = "cannot grow. Make room on the disk and try again."
            case _:
                told = "cannot be used. Make it and its folder writable, or name another database in learn.toml."
        return StateProblem(f"{self._where} {told} ({cause})")


def _now() -> datetime:
    return datetime.now(UTC)


def _answer_row(number: int, question: str, answer: Any, right: bool) -> dict[str, Any]:
    return {"quiz": number, "question": question, "answer": json.dumps(answer), "is_right": right, "at": _now()}


def _verdict(text: str) -> Verdict:
    """Read a recorded verdict. Fields of another Groundup that this one has no name for are left out."""
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


def _begin(connection: sa.Connection) -> None:
    """Begin as a writer where one will write: SQLite does not wait when a reader turns writer, it fails."""
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _tune(connection: sqlite3.Connection, _record: object) -> None:
    """Prepare an SQLite connection: commits that a power cut does not undo, and readers beside the writer."""
    connection.isolation_level = None  # transactions begin where _begin says, not where the driver guesses
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    connection.execute("PRAGMA synchronous = EXTRA")  # FULL, and the folder too where there is no WAL
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if connection.execute("PRAGMA page_count").fetchone()[0] == 0 and _takes_wal(connection):
                connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:  # nor does it wait for another process that is switching, too
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _takes_wal(connection: sqlite3.Connection) -> bool:
    """Whether a database in that folder can have a write-ahead log: some network and shared folders cannot map it.

    Tried on a database to throw away, as one that was switched in such a folder cannot be opened to switch it back.
    """
    file = connection.execute("PRAGMA database_list").fetchone()[2]
    if not file:
        return False
    try:
        with (
            tempfile.TemporaryDirectory(prefix=".wal-", dir=Path(file).parent) as folder,
            closing(sqlite3.connect(Path(folder, "try.db"))) as trial,
        ):
            trial.execute("PRAGMA journal_mode = WAL")
            trial.execute("CREATE TABLE trial (number INTEGER)")
    except (OSError, sqlite3.OperationalError):
        return False
    return True
