"""Records a class's verdicts in a database with a workspace's tables, each under its learner's name.

A server that restarts is waited for.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Set
from types import TracebackType
from typing import Self, TypeVar

from groundup.core.errors import StateProblem, UsageProblem
from groundup.core.messages import Message
from groundup.grader.batch.row import Row
from groundup.grader.learner.database import ServerAway
from groundup.grader.learner.state import State

__all__ = ["Database"]

T = TypeVar("T")
PATIENCE = 300.0  # seconds that a server may take to come back
PAUSE = 1.0
LONGEST_LEARNER = 200  # characters: the column's length


class Database:
    """Records the verdicts of a class. Use it as a context manager."""

    def __init__(self, url: str, told: Callable[[Message], object] = id) -> None:
        """Open the database; ``told`` is called when it is waited for. Raises UsageProblem for no URL, StateProblem."""
        if "://" not in url:
            raise UsageProblem(
                "--database {url!r} is not an SQLAlchemy URL: sqlite:///class.db is one, "
                "postgresql+psycopg://user@host/class another.",
                url=url,
            )
        self._state, self._told = State(url, setting=Message("--database")), told

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state.close()

    def record(self, row: Row, source: str, cases: Mapping[bytes, Set[bytes]]) -> None:
        """Record the row's verdict with the attempt's source, unless it is recorded. Raises StateProblem."""
        verdict, state = row.verdict, self._of(row)
        assert verdict is not None
        # A connection that was lost during a commit does not say whether it was one.
        self._patiently(lambda: state.has(verdict) or state.record(verdict, source, cases))

    def has(self, row: Row) -> bool:
        """Whether the row's verdict is recorded already."""
        verdict, state = row.verdict, self._of(row)
        assert verdict is not None
        return self._patiently(lambda: state.has(verdict))

    def _patiently(self, do: Callable[[], T]) -> T:
        """Do something with the database; if its server does not answer, wait until it does, or for PATIENCE."""
        began = None
        while True:
            try:
                done = do()
            except ServerAway as away:
                if began is None:
                    began = time.monotonic()
                    waits = Message("{problem} Waiting up to {seconds:.0f} s.", problem=away.message, seconds=PATIENCE)
                    self._told(waits)
                if time.monotonic() - began > PATIENCE:
                    raise StateProblem(
                        "{problem} Every row is kept in the folder of results: once the server is back, the same "
                        "command goes on, and records what is missing there.",
                        problem=away.message,
                    ) from away
                time.sleep(PAUSE)
            else:
                if began is not None:
                    self._told(Message("{where} answers again.", where=self._state.database.where))
                return done

    def _of(self, row: Row) -> State:
        return self._state.for_learner(_learner(row.name))


def _learner(name: str) -> str:
    if len(name) <= LONGEST_LEARNER:
        return name
    return f"{name[: LONGEST_LEARNER - 13]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
