"""Records a class's verdicts in a database with a workspace's tables, each under its learner's name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from types import TracebackType
from typing import Self

from groundup.core.errors import UsageProblem
from groundup.core.messages import Message
from groundup.grader.batch.row import Row
from groundup.grader.learner.state import State

__all__ = ["Database"]

LONGEST_LEARNER = 200  # characters: the column's length


class Database:
    """Records the verdicts of a class. Use it as a context manager."""

    def __init__(self, url: str) -> None:
        """Open the database. Raises UsageProblem for an unsupported URL, StateProblem."""
        if "://" not in url:
            raise UsageProblem(
                "--database {url!r} is not an SQLAlchemy URL: sqlite:///class.db is one, "
                "postgresql+psycopg://user@host/class another.",
                url=url,
            )
        self._state = State(url, named=Message("What --database names"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state.close()

    def record(self, row: Row, source: str, cases: Mapping[bytes, Set[bytes]]) -> None:
        """Record the row's verdict with the attempt's source. Raises StateProblem."""
        assert row.verdict is not None
        self._of(row).record(row.verdict, source, cases)

    def has(self, row: Row) -> bool:
        """Whether the row's verdict is recorded already."""
        assert row.verdict is not None
        return self._of(row).has(row.verdict)

    def _of(self, row: Row) -> State:
        return self._state.for_learner(_learner(row.name))


def _learner(name: str) -> str:
    if len(name) <= LONGEST_LEARNER:
        return name
    return f"{name[: LONGEST_LEARNER - 13]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
