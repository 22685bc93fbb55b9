"""The database of a workspace: opens it, creates or migrates its tables, and runs transactions."""

from __future__ import annotations

import contextlib
import errno
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from groundup.core.errors import StateProblem
from groundup.core.messages import Message
from groundup.grader.learner.migrations import MIGRATIONS
from groundup.grader.learner.tables import metadata, schema

__all__ = ["Database", "ServerAway"]

LEAST_ROOM = 1 << 16
"""Free bytes that SQLite needs beside its file to begin a transaction."""
BUSY_SECONDS = 30.0
"""How long a command waits for another's transaction, which takes milliseconds."""


SETTING = Message("'database' in learn.toml")
DISK_FULL = "53100"  # SQLSTATE
AWAY = ("08", "57P01", "57P02", "57P03", "53300")
"""How SQLSTATE begins where a server lost the connection, stops, starts, or has no connection left."""


class ServerAway(StateProblem):
    """The database's server does not answer, or is starting or stopping: it may be back soon."""


class Database:
    """An SQLite file, or the database that an SQLAlchemy URL names.

    Every method raises StateProblem, with the place and the next step, if the database cannot be read or written.
    """

    def __init__(self, database: Path | str, setting: Message = SETTING) -> None:
        """Open ``database`` (a file or an SQLAlchemy URL); create or migrate its tables if needed.

        ``setting`` says in errors where the database is set.
        """
        self.setting = setting
        self.where = str(database)
        self.engine = self._open(database)
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def _open(self, database: Path | str) -> sa.Engine:
        try:
            if isinstance(database, Path):
                database.parent.mkdir(parents=True, exist_ok=True)
                engine = sa.create_engine(sa.URL.create("sqlite", database=self.where))
            else:
                engine = sa.create_engine(database)
                self.where = engine.url.render_as_string()  # without its password
        except OSError as error:
            raise self._problem(error) from error
        except (ImportError, ValueError, SQLAlchemyError) as error:
            raise StateProblem(
                "The database of {setting} does not work here: {why}. It is given as an SQLAlchemy URL such as "
                "'postgresql+psycopg://host/class', and its driver must be installed beside 'learn'.",
                setting=self.setting,
                why=error,
            ) from error
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _tune)
            sa.event.listen(engine, "begin", _begin)
        return engine

    @contextmanager
    def transaction(self, *, writes: bool = False) -> Iterator[sa.Connection]:
        """Run the block in a transaction; pass ``writes=True`` if it writes."""
        try:
            with self.engine.connect().execution_options(writes=writes) as connection, connection.begin():
                yield connection
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise self._problem(error) from error

    def _prepare(self) -> None:
        """Create the tables, or migrate them to the current version."""
        with self.transaction() as connection:
            if self._version(connection) == len(MIGRATIONS) + 1:
                return
        try:
            self._migrate()
        except StateProblem:
            self._migrate()  # another process created the same tables at the same time

    def _migrate(self) -> None:
        with self.transaction(writes=True) as connection:
            version = self._version(connection)
            newest = len(MIGRATIONS) + 1
            if version is None:
                metadata.create_all(connection)
                connection.execute(sa.insert(schema).values(version=newest))
            elif version < newest:
                for migration in MIGRATIONS[version - 1 :]:
                    migration(connection)
                connection.execute(sa.update(schema).values(version=newest))

    def _version(self, connection: sa.Connection) -> int | None:
        """Return the version of the tables, None when there are none. Raises StateProblem for an unknown, newer one."""
        if not sa.inspect(connection).has_table("schema"):
            return None
        version = connection.execute(sa.select(schema.c.version).with_for_update()).scalar()
        newest = len(MIGRATIONS) + 1
        if version is not None and version > newest:
            raise StateProblem(
                "{where} was written by a newer Groundup (schema {version}, this one knows {newest}). Update "
                "Groundup, or give {setting} another database.",
                where=self.where,
                setting=self.setting,
                version=version,
                newest=newest,
            )
        return version

    def _problem(self, error: Exception) -> StateProblem:
        cause = getattr(error, "orig", None) or error
        if isinstance(error, SQLAlchemyError) and self.engine.dialect.name != "sqlite":
            return self._problem_of_server(error, cause)
        match getattr(cause, "sqlite_errorcode", 0) & 0xFF:  # the low byte is the primary error code
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                told = Message(
                    "{where} is held by another process. End that one, or wait for it, and try again.", where=self.where
                )
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                told = Message(
                    "{where} is damaged. Move it elsewhere, with the files '-wal' and '-shm' beside it, and go on with "
                    "a new one; 'sqlite3 <file> .recover' may bring its rows back.",
                    where=self.where,
                )
            case code if code == sqlite3.SQLITE_FULL or self._is_full(cause):
                told = Message("{where} cannot grow. Make room on the disk and try again.", where=self.where)
            case _:
                told = Message(
                    "{where} cannot be used. Make it and its folder writable, or give {setting} another database.",
                    where=self.where,
                    setting=self.setting,
                )
        return StateProblem("{problem} ({cause})", problem=told, cause=cause)

    def _problem_of_server(self, error: Exception, cause: BaseException) -> StateProblem:
        state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or ""
        unreached = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError) and not state
        if unreached or state.startswith(AWAY) or getattr(error, "connection_invalidated", False):
            told = Message(
                "{where} does not answer. Check that its server runs and lets this user in, or give {setting} another "
                "database.",
                where=self.where,
                setting=self.setting,
            )
            return ServerAway("{problem} ({cause})", problem=told, cause=cause)
        if state == DISK_FULL:
            told = Message("{where} cannot grow. Make room on the disk of its server and try again.", where=self.where)
        else:
            told = Message(
                "{where} cannot be used. Give this user the right to create and write tables there, or give {setting} "
                "another database.",
                where=self.where,
                setting=self.setting,
            )
        return StateProblem("{problem} ({cause})", problem=told, cause=cause)

    def _is_full(self, cause: BaseException) -> bool:
        """Whether the disk is full. SQLite reports that as such only if writing the database file itself failed."""
        if isinstance(cause, OSError):
            return cause.errno in (errno.ENOSPC, errno.EDQUOT)
        with contextlib.suppress(OSError):
            return self.engine.dialect.name == "sqlite" and shutil.disk_usage(Path(self.where).parent).free < LEAST_ROOM
        return False


def _begin(connection: sa.Connection) -> None:
    """Begin a writing transaction as a writer: SQLite fails without waiting when a reader becomes a writer."""
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _tune(connection: sqlite3.Connection, _record: object) -> None:
    """Set up an SQLite connection: commits survive a power cut, and readers run beside a writer."""
    connection.isolation_level = None  # _begin starts transactions, not the driver
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    connection.execute("PRAGMA synchronous = EXTRA")  # FULL, and without WAL the folder is synced too
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if connection.execute("PRAGMA page_count").fetchone()[0] == 0 and _takes_wal(connection):
                connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:  # SQLite does not wait for another process that switches, too
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _takes_wal(connection: sqlite3.Connection) -> bool:
    """Whether a database in that folder can use a write-ahead log, which some network and shared folders cannot map.

    This is tried on a temporary database, since one switched to WAL in such a folder cannot be opened to switch back.
    """
    file = connection.execute("PRAGMA database_list").fetchone()[2]
    if not file:
        return False
    try:
        with (
            tempfile.TemporaryDirectory(prefix=".wal-", dir=Path(file).parent) as folder,
            closing(sqlite3.connect(Path(folder, "try.db"))) as trial,
        ):
            trial.execute("PRAGMA journal_mode = WAL")
            trial.execute("CREATE TABLE trial (number INTEGER)")
    except (OSError, sqlite3.OperationalError):
        return False
    return True
