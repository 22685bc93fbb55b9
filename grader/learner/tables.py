"""The tables of a workspace's database."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

__all__ = ["cases", "events", "labs", "metadata", "quiz_answers", "quizzes", "schema", "verdicts"]


class UTCDateTime(sa.TypeDecorator[datetime]):
    """A moment, stored as UTC without a time zone, since not every database supports time zones."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value and value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value and value.replace(tzinfo=UTC)


metadata = sa.MetaData()

schema = sa.Table("schema", metadata, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))

verdicts = sa.Table(
    "verdicts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("learner", sa.String(200), nullable=False),
    sa.Column("technique", sa.String(200), nullable=False),
    sa.Column("technique_version", sa.Integer, nullable=False),
    sa.Column("given_at", UTCDateTime, nullable=False),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("outcome", sa.String(40), nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("counts", sa.Boolean, nullable=False, server_default=sa.true()),  # Verdict.counts
    sa.Column("seed", sa.Text, nullable=False),  # decimal: too long for an integer column in some cases
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("source", sa.LargeBinary, nullable=False),  # the file's bytes, which may not be valid text
    sa.Column("containment", sa.Text, nullable=False),
    sa.Column("environment", sa.JSON, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),  # ASCII JSON, parsed row by row: a bad row affects no other
    sa.Column("before", sa.Integer, nullable=True),  # id of the learner's verdict before this one
    sa.Column("digest", sa.String(64), nullable=False, server_default=""),  # of this row and that one: see chain
    sa.Index("verdicts_by_technique", "learner", "technique", "given_at"),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("learner", sa.String(200), nullable=False),
    sa.Column("technique", sa.String(200), nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("at", UTCDateTime, nullable=False),
    sa.Index("events_by_technique", "learner", "technique"),
)

cases = sa.Table(
    "cases",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("learner", sa.String(200), nullable=False),
    sa.Column("technique", sa.String(200), nullable=False),
    sa.Column("key", sa.LargeBinary, nullable=False),
    sa.Column("value", sa.LargeBinary, nullable=False),  # read as a set; not every database can index bytes this long
    sa.Index("cases_by_technique", "learner", "technique"),
)

labs = sa.Table(
    "labs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("learner", sa.String(200), nullable=False),
    sa.Column("technique", sa.String(200), nullable=False),
    sa.Column("at", UTCDateTime, nullable=False),
    sa.Column("runs", sa.Text, nullable=False),  # ASCII JSON: each contestant's measurements
    sa.Column("picture", sa.LargeBinary, nullable=False),  # PNG
    sa.Index("labs_by_technique", "learner", "technique"),
)

quizzes = sa.Table(
    "quizzes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("learner", sa.String(200), nullable=False),
    sa.Column("technique", sa.String(200), nullable=False),
    sa.Column("seed", sa.Text, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),  # digest of the quiz file, which determines the questions
    sa.Column("questions", sa.Integer, nullable=False),
    sa.Column("by_oneself", sa.Integer, nullable=False, server_default=sa.text("0")),  # further ones, marked so
    sa.Column("status", sa.String(40), nullable=False),
    sa.Column("began_at", UTCDateTime, nullable=False),
    sa.Column("ended_at", UTCDateTime, nullable=True),
    sa.Index("quizzes_by_technique", "learner", "technique"),
)

quiz_answers = sa.Table(
    "quiz_answers",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("quiz", sa.Integer, sa.ForeignKey("quizzes.id"), nullable=False),
    sa.Column("question", sa.String(200), nullable=False),
    sa.Column("answer", sa.Text, nullable=False),  # ASCII JSON
    sa.Column("is_right", sa.Boolean, nullable=False),
    sa.Column("credit", sa.Float, nullable=False, server_default=sa.text("0")),  # from 0 to 1
    sa.Column("by_oneself", sa.Boolean, nullable=False, server_default=sa.false()),  # whether the learner marked it
    sa.Column("confidence", sa.String(20), nullable=True),  # how sure the learner was, where asked
    sa.Column("at", UTCDateTime, nullable=False),
    sa.UniqueConstraint("quiz", "question"),
)
