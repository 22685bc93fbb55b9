from __future__ import annotations

import contextlib
import runpy
import shutil
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from groundup.core.errors import StateProblem, UsageProblem
from groundup.grader.batch import database as module
from groundup.grader.batch.database import Database
from groundup.grader.batch.row import Row
from groundup.grader.learner import tables
from groundup.grader.learner.state import State

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
postgresql_server = runpy.run_path(str(BENCHMARKS / "postgres.py"))["server"]


def test_every_verdict_lands_under_its_learners_name(grade_all: Any, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'class.db'}"
    with Database(url) as database:
        grade_all(database=database)
    standings = {}
    for name in ("anna", "bob", "carl", "dora"):
        with State(url, learner=name) as state:
            standings[name] = {k: (s.outcome, s.attempts) for k, s in state.last_scores().items()}
            if name == "bob":
                (verdict,) = state.verdicts("toys/mean")
                assert "x.sum()" in (state.source(verdict.attempt.sha256) or "")
                assert len(state.cases("toys/mean")) == 1
    assert standings == {
        "anna": {"toys/mean": ("passed", 1)},
        "bob": {"toys/mean": ("fell_short", 1)},
        "carl": {},  # a stub is recorded without a score
        "dora": {},
    }


def test_a_row_that_the_database_lacks_is_recorded_later_and_once(grade_all: Any, tmp_path: Path) -> None:
    grade_all()  # as after a kill between the row and the record in the database
    url = f"sqlite:///{tmp_path / 'class.db'}"
    for _ in range(2):
        with Database(url) as database:
            grade_all(database=database)
    with State(url, learner="anna") as state:
        assert [v.passed for v in state.verdicts()] == [True]


def test_a_name_longer_than_the_column_still_has_its_own_rows(grade_all: Any, handed_in: Path, tmp_path: Path) -> None:
    long, longer = "n" * 220, "n" * 221
    (handed_in / "anna").rename(handed_in / long)
    (handed_in / "bob").rename(handed_in / longer)
    url = f"sqlite:///{tmp_path / 'class.db'}"
    with Database(url) as database:
        grade_all(database=database)
    with sa.create_engine(url).connect() as connection:
        learners = connection.execute(sa.select(tables.verdicts.c.learner)).scalars().all()
    assert len(set(learners)) == 3
    assert max(map(len, learners)) <= 200


def test_what_is_wrong_with_a_url_is_told() -> None:
    with pytest.raises(
        UsageProblem, match=r"--database 'class\.db' is not an SQLAlchemy URL: sqlite:///class\.db is one"
    ):
        Database("class.db")
    with pytest.raises(StateProblem, match="The database of --database does not work here"):
        Database("no-such-dialect://host/class")


class Away:
    """Stands in for a server: a writing transaction fails for each of ``fails``; of some, after the commit."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails: list[Exception] = []
        self.slept = 0.0
        inner = database._state.database
        whole = inner.transaction
        monkeypatch.setattr(inner.engine.dialect, "name", "postgresql")

        @contextlib.contextmanager
        def transaction(*, writes: bool = False) -> Iterator[Any]:
            with whole(writes=writes) as connection:
                yield connection
                error = self.fails.pop() if writes and self.fails else None
                if error and not error.args[1]:
                    raise inner._problem(sa.exc.OperationalError("INSERT", {}, error))
            if error:
                raise inner._problem(sa.exc.OperationalError("COMMIT", {}, error))

        monkeypatch.setattr(inner, "transaction", transaction)
        clock = types.SimpleNamespace(sleep=self.sleep, monotonic=lambda: self.slept)
        monkeypatch.setattr(module, "time", clock)

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


def stopped(state: str, committed: bool = False) -> Exception:
    error = Exception("terminating connection", committed)
    error.sqlstate = state  # type: ignore[attr-defined]
    return error


def test_a_server_that_restarts_is_waited_for_and_nothing_is_lost_or_recorded_twice(
    grade_all: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    url = f"sqlite:///{tmp_path / 'class.db'}"
    with Database(url, said.append) as database:
        server = Away(database, monkeypatch)
        server.fails = [stopped("08006", committed=True), stopped("57P01"), stopped("57P03"), stopped("")]
        grade_all(database=database)
    assert server.slept == 4 * module.PAUSE
    assert said == [
        f"{url} does not answer. Check that its server runs and lets this user in, or give --database another "
        "database. (('terminating connection', False)) Waiting up to 300 s.",
        f"{url} answers again.",
    ]
    with sa.create_engine(url).connect() as connection:
        assert connection.execute(sa.select(tables.verdicts.c.learner)).scalars().all() == ["anna", "bob", "carl"]


def test_a_server_that_stays_away_ends_the_run_and_the_same_command_records_what_is_missing(
    grade_all: Any, engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'class.db'}"
    with monkeypatch.context() as patch, Database(url) as database:
        server = Away(database, patch)
        server.fails = [stopped("57P01") for _ in range(1000)]
        with pytest.raises(StateProblem, match="the same command goes on, and records what is missing there"):
            grade_all(database=database)
        assert module.PATIENCE < server.slept < module.PATIENCE + 5
    with Database(url) as database:
        grade_all(database=database)
    assert engine.graded == ["anna", "bob", "carl"]
    with sa.create_engine(url).connect() as connection:
        assert connection.execute(sa.select(tables.verdicts.c.learner)).scalars().all() == ["anna", "bob", "carl"]


@pytest.mark.parametrize(
    ("state", "says"),
    [("53100", "cannot grow. Make room on the disk of its server"), ("42501", "Give this user the right to create")],
)
def test_what_waiting_does_not_mend_is_told_at_once(
    grade_all: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, says: str
) -> None:
    with Database(f"sqlite:///{tmp_path / 'class.db'}") as database:
        server = Away(database, monkeypatch)
        server.fails = [stopped(state)]
        with pytest.raises(StateProblem, match=f"class.db {says}" if state == "53100" else says):
            grade_all(database=database)
        assert server.slept == 0


@pytest.mark.soak
def test_a_postgresql_that_restarts_under_a_class_gets_every_row_once(
    grade_all: Any, handed_in: Path, tmp_path: Path
) -> None:
    if not shutil.which("pg_ctl"):
        pytest.skip("PostgreSQL's pg_ctl is not on the PATH")
    pytest.importorskip("psycopg", reason="psycopg is not installed: python -m pip install 'psycopg[binary]'")
    with postgresql_server() as server:
        restarted: list[str] = []

        def restart(row: Row) -> None:
            if not restarted:
                restarted.append(row.name)
                server.stop()
                threading.Timer(3.0, server.start).start()

        said: list[str] = []
        with Database(server.url, said.append) as database:
            grade_all(database=database, told=restart)
        assert [s.rpartition(" ")[2] for s in said] == ["s.", "again."]
        with sa.create_engine(server.url, poolclass=sa.NullPool).connect() as connection:
            learners = connection.execute(sa.select(tables.verdicts.c.learner)).scalars().all()
        assert sorted(learners) == ["anna", "bob", "carl"]
        server.stop()
        with pytest.raises(StateProblem, match=r"postgresql\+psycopg://.* does not answer.* give --database another"):
            Database(server.url)


def test_nothing_in_the_schema_or_its_statements_is_sqlites_own(tmp_path: Path) -> None:
    """Schema and statements compile for PostgreSQL, and no index is on a binary column."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in tables.metadata.sorted_tables:
        text = str(CreateTable(table).compile(dialect=dialect))
        assert f"CREATE TABLE {table.name}" in text
        for index in table.indexes:
            assert "CREATE INDEX" in str(CreateIndex(index).compile(dialect=dialect))
            assert not any(isinstance(c.type, sa.LargeBinary) for c in index.columns)
    said: list[str] = []
    with State(tmp_path / "class.db", learner="anna") as state:
        engine = state.database.engine

        @sa.event.listens_for(engine, "before_execute")
        def note(_connection: Any, clause: Any, *_rest: Any) -> None:
            if isinstance(clause, sa.ClauseElement):
                said.append(str(clause.compile(dialect=dialect)))

        run_all(state)
    words = "\n".join(said).upper()
    assert {s.split()[0] for s in said} >= {"SELECT", "INSERT", "UPDATE", "DELETE"}
    for only_there in ("PRAGMA", "OR REPLACE", "OR IGNORE", "ROWID", "SQLITE", "AUTOINCREMENT"):
        assert only_there not in words


def run_all(state: State) -> None:
    """Call every method of the state that executes a statement."""
    verdict = runpy.run_path(str(Path(__file__).parents[1] / "learner" / "state_soak.py"))["a_verdict"]()
    state.record(verdict, "source", {b"key": {b"value"}})
    state.has(verdict)
    state.verdicts()
    state.gradings()
    state.best(verdict.technique)
    state.ever_passed(verdict.technique)
    state.latest(verdict.technique)
    state.last_scores()
    state.source(verdict.attempt.sha256)
    state.cases(verdict.technique)
    state.note(verdict.technique, "hint", "1")
    state.events(verdict.technique)
    state.noted("hint")
    state.hints_used(verdict.technique)
    state.lab_runs()
    state.record_lab(verdict.technique, [], b"")
    state.labs(verdict.technique)
    number = state.begin_quiz(verdict.technique, 1, "0" * 64, 1)
    state.answer_quiz(number, "q", 1, True)
    state.finish_quiz(number)
    state.record_quiz(verdict.technique, 1, "0" * 64, 1, {"q": (1, True)})
    state.quizzes()
