"""Submissions whose result changed between two rounds; and properties that only one of the rounds has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from groundup.core.messages import Message, series
from groundup.grader.batch.row import Row

__all__ = ["Change", "Move", "Moves", "moved"]


@dataclass(frozen=True)
class Change:
    """A property whose status changed."""

    property: str
    was: str
    now: str


@dataclass(frozen=True)
class Move:
    """A submission whose result changed. ``changes`` has no property that only one of the rounds has."""

    name: str
    score_before: float
    score: float
    outcome_before: str
    outcome: str
    file_changed: bool
    changes: tuple[Change, ...]


@dataclass
class Moves:
    """How the results of a class changed: first where the score did, most first."""

    each: list[Move] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    """Properties that have another name, but the same claim."""
    added: dict[str, None] = field(default_factory=dict)
    gone: dict[str, None] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        properties = {"renamed": self.renamed, "added": list(self.added), "gone": list(self.gone)}
        return {"moved": [asdict(move) for move in self.each], "properties_changed": properties}

    def properties(self) -> str | None:
        """Return which properties only one of the rounds has; None if both have the same."""
        pairs = [f"{was} → {now}" for was, now in self.renamed.items()]
        told = [
            *([Message("renamed: {names}", names=pairs)] if pairs else ()),
            *([Message("added: {names}", names=list(self.added))] if self.added else ()),
            *([Message("gone: {names}", names=list(self.gone))] if self.gone else ()),
        ]
        return series(told) if told else None


def moved(pairs: Iterable[tuple[Row, Row]]) -> Moves:
    """Return how results changed, from each submission's row before and its row now."""
    moves = Moves()
    for before, row in pairs:
        changes = _changes(before, row, moves)
        if changes or (before.score, before.outcome) != (row.score, row.outcome):
            other = before.fingerprint != row.fingerprint
            scores = (before.score, row.score)
            moves.each.append(Move(row.name, *scores, before.outcome, row.outcome, other, changes))
    moves.each.sort(key=lambda move: -abs(move.score - move.score_before))
    return moves


def _changes(before: Row, row: Row, moves: Moves) -> tuple[Change, ...]:
    """Return the properties whose status changed; note in ``moves`` those that only one row has."""
    old = {p.id: p for p in before.verdict.properties} if before.verdict else {}
    new = {p.id: p for p in row.verdict.properties} if row.verdict else {}
    if not old or not new:
        return ()
    claims = {str(p.claim): p.id for p in new.values() if p.id not in old}
    renamed = {p.id: claims[str(p.claim)] for p in old.values() if p.id not in new and str(p.claim) in claims}
    was = {renamed.get(name, name): p.status for name, p in old.items()}
    moves.renamed |= renamed
    moves.added |= dict.fromkeys(name for name in new if name not in was)
    moves.gone |= dict.fromkeys(name for name in was if name not in new)
    return tuple(Change(name, was[name], p.status) for name, p in new.items() if name in was and was[name] != p.status)
