"""The chain over a learner's verdicts: a row's digest covers the row and the digest of the row before it.

It shows accidents and casual edits. It is no signature: whoever edits a row can compute the digests anew.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

import sqlalchemy as sa

from groundup.grader.learner.tables import verdicts

__all__ = ["Link", "altered", "link", "link_all"]

C = verdicts.c
COVERED = (
    C.learner, C.technique, C.technique_version, C.passed, C.outcome, C.score, C.counts, C.seed, C.sha256,
    C.containment, C.verdict,
)  # fmt: skip
"""The file is covered by its sha256; moment and environment are part of the verdict."""


class Link(NamedTuple):
    """What joins a row to the one before it."""

    before: int | None
    digest: str


def link(connection: sa.Connection, row: dict[str, Any]) -> Link:
    """Return the link of a new row to the newest one of the same learner."""
    newest = sa.select(C.id, C.digest).where(C.learner == row["learner"]).order_by(C.id.desc()).limit(1)
    before, digest = connection.execute(newest).one_or_none() or (None, None)
    return Link(before, _digest([row[column.name] for column in COVERED], digest))


def link_all(connection: sa.Connection) -> None:
    """Link all rows as they are: those of a database that had no chain."""
    newest: dict[str, Link] = {}
    for number, *covered in connection.execute(sa.select(C.id, *COVERED).order_by(C.id)).all():
        before = newest.get(covered[0])
        digest = _digest(covered, before and before.digest)
        values = {"before": before and before.before, "digest": digest}
        connection.execute(sa.update(verdicts).where(C.id == number).values(values))
        newest[covered[0]] = Link(number, digest)


def altered(connection: sa.Connection, learner: str) -> set[int]:
    """Return the ids of a learner's rows that were changed after they were recorded, or whose row before is gone."""
    rows = connection.execute(sa.select(C.id, C.before, C.digest, *COVERED).where(C.learner == learner)).all()
    digests = {number: digest for number, _, digest, *_ in rows}
    return {
        number
        for number, before, digest, *covered in rows
        if digest != _digest(covered, digests.get(before, "gone") if before is not None else None)
    }


def _digest(covered: list[Any], before: str | None) -> str:
    plain = [f"{value:.4f}" if isinstance(value, float) else value for value in covered]  # some databases round it
    return hashlib.sha256(json.dumps([before, *plain]).encode()).hexdigest()
