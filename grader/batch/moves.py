"""Submissions whose result changed between two rounds, and the properties that changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from groundup.grader.batch.row import Row

__all__ = ["Change", "Move", "move"]


@dataclass(frozen=True)
class Change:
    """A property whose status changed. ``was`` is None for a new property, ``now`` for a removed one."""

    property: str
    was: str | None
    now: str | None


@dataclass(frozen=True)
class Move:
    """A submission whose result changed."""

    name: str
    score_before: float
    score: float
    outcome_before: str
    outcome: str
    file_changed: bool
    changes: tuple[Change, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def move(before: Row, row: Row) -> Move | None:
    """Return how a submission's result changed, None if it did not."""
    was, now = _statuses(before), _statuses(row)
    changes = tuple(
        Change(name, was.get(name), now.get(name))
        for name in dict.fromkeys([*now, *was])
        if was.get(name) != now.get(name)
    )
    if not changes and (before.score, before.outcome) == (row.score, row.outcome):
        return None
    return Move(
        row.name, before.score, row.score, before.outcome, row.outcome, before.fingerprint != row.fingerprint, changes
    )


def _statuses(row: Row) -> dict[str, str]:
    return {p.id: p.status for p in row.verdict.properties} if row.verdict else {}
