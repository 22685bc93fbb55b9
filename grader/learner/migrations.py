"""How databases of earlier versions are brought to the tables of this one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

import sqlalchemy as sa

from groundup.grader.learner.tables import verdicts

__all__ = ["MIGRATIONS"]


def to_version_2(connection: sa.Connection) -> None:
    """Mark the verdicts that have no score: files that could not be loaded, stubs, faults that were ours."""
    c = verdicts.c
    column = sa.schema.CreateColumn(c.counts).compile(dialect=connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE verdicts ADD COLUMN {column}")
    unscored = sa.update(verdicts).values(counts=False)
    connection.execute(unscored.where(c.outcome.in_(("not_started", "not_gradable"))))
    if numbers := _not_loaded(connection):
        marked = unscored.where(c.id == sa.bindparam("number"))
        connection.execute(marked, [{"number": number} for number in numbers])


MIGRATIONS: list[Callable[[sa.Connection], None]] = [to_version_2]
"""``MIGRATIONS[n]`` brings a database from schema version n + 1 to n + 2. A new database starts at the newest."""


def _not_loaded(connection: sa.Connection) -> list[int]:
    """Return the ids of the verdicts on files that could not be loaded. None of their properties held."""
    c, found = verdicts.c, []
    for number, text in connection.execute(sa.select(c.id, c.verdict).where(c.score == 0)):
        with contextlib.suppress(ValueError, AttributeError):  # what cannot be read is kept as it is
            if json.loads(text).get("problem") is not None:
                found.append(number)
    return found
