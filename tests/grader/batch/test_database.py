from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from groundup.core.errors import StateProblem, UsageProblem
from groundup.grader.batch.database import Database
from groundup.grader.learner import tables
from groundup.grader.learner.state import State


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
    with pytest.raises(StateProblem, match="What --database names does not work here"):
        Database("no-such-dialect://host/class")


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
    import runpy

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
