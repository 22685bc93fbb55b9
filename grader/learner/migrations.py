"""Migrations of databases of earlier schema versions."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from groundup.grader.learner.chain import link_all
from groundup.grader.learner.tables import quiz_answers, quizzes, verdicts

__all__ = ["MIGRATIONS"]


def to_version_2(connection: sa.Connection) -> None:
    """Mark the verdicts without a score: files that could not be loaded, stubs, gradings that Groundup failed to do."""
    c = verdicts.c
    column = sa.schema.CreateColumn(c.counts).compile(dialect=connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE verdicts ADD COLUMN {column}")
    unscored = sa.update(verdicts).values(counts=False)
    connection.execute(unscored.where(c.outcome.in_(("not_started", "not_gradable"))))
    if numbers := _not_loaded(connection):
        marked = unscored.where(c.id == sa.bindparam("number"))
        connection.execute(marked, [{"number": number} for number in numbers])


def to_version_3(connection: sa.Connection) -> None:
    """Add credit, self-marked answers and confidence to quizzes. An answer of before has credit 1 if it is right."""
    answers = quiz_answers.c
    _add(connection, quizzes.c.by_oneself, answers.credit, answers.by_oneself, answers.confidence)
    connection.execute(sa.update(quiz_answers).where(quiz_answers.c.is_right).values(credit=1.0))


def to_version_4(connection: sa.Connection) -> None:
    """Join each learner's verdicts to a chain. What was edited before is not noticed."""
    _add(connection, verdicts.c.before, verdicts.c.digest)
    link_all(connection)


MIGRATIONS: list[Callable[[sa.Connection], None]] = [to_version_2, to_version_3, to_version_4]
"""``MIGRATIONS[n]`` brings a database from schema version n + 1 to n + 2. A new database starts at the newest."""


def _add(connection: sa.Connection, *columns: sa.Column[Any]) -> None:
    """Add the columns that their tables lack."""
    for column in columns:
        if column.name not in {there["name"] for there in sa.inspect(connection).get_columns(column.table.name)}:
            created = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {created}")


def _not_loaded(connection: sa.Connection) -> list[int]:
    """Return the ids of verdicts on files that could not be loaded; all have score 0."""
    c, found = verdicts.c, []
    for number, text in connection.execute(sa.select(c.id, c.verdict).where(c.score == 0)):
        with contextlib.suppress(ValueError, AttributeError):  # an unreadable verdict stays as it is
            if json.loads(text).get("problem") is not None:
                found.append(number)
    return found
