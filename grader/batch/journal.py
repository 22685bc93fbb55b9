"""The folder of results: rows as atomically appended lines, and the settings they were graded with."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from pydantic import Field, ValidationError

from groundup.core.errors import EnvironmentProblem, StateProblem, UsageProblem, reason_of
from groundup.core.messages import Message
from groundup.grader.batch.made_with import differences
from groundup.grader.batch.row import Row
from groundup.grader.judging.verdict import Model

__all__ = ["Journal", "Round", "replace"]

ROWS, RUN, LOCK = "results.jsonl", "run.json", ".lock"
SETTINGS = {
    "version": Message("the technique's version"),
    "seed": Message("the seed"),
    "thorough": Message("the number of examples"),
    "points": Message("the points"),
    "lang": Message("the language"),
}


class Round(Model):
    """The settings and versions that all submissions of one round were graded with."""

    technique: str
    version: int
    files: dict[str, str] = Field(description="digests of the technique's files")
    judge: dict[str, str] = Field({}, description="digests of the judge's code, and versions; none in older results")
    seed: int
    seed_from: str = Field(description="'secret', 'given' or 'drawn'")
    thorough: bool
    points: dict[str, float]
    lang: str
    finished: bool = False

    def differences(self, other: Round) -> list[Message]:
        """Return in words what this round is graded with that ``other``, an earlier one, was not."""
        found = differences(other.files, self.files)
        if not other.judge and self.judge:
            found.append(Message("the judge, which was not recorded then"))
        else:
            found += differences(other.judge, self.judge)
        return found + [words for name, words in SETTINGS.items() if getattr(self, name) != getattr(other, name)]


@dataclass
class _Place:
    """The position of a submission's newest row in the file, and the row's main facts."""

    offset: int
    round: int
    fingerprint: str
    outcome: str


class Journal:
    """Rows of a class, appended one by one. A kill at any moment loses no appended row.

    Use it as a context manager: while one process holds it, no other can.
    """

    def __init__(self, folder: Path) -> None:
        """Open ``folder``, or create it. Raises UsageProblem, StateProblem, EnvironmentProblem."""
        self.folder = folder
        self.rounds: list[Round] = []
        self._newest: dict[str, _Place] = {}
        self._before: dict[str, _Place] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            strange = [p.name for p in folder.iterdir() if p.name != LOCK and not (p.name == ROWS and _is_empty(p))]
            if strange and not (folder / RUN).exists():
                raise UsageProblem(
                    "{folder} holds other files ({other}), and no results of 'learn grade-many': name another folder "
                    "with --out.",
                    folder=folder,
                    other=strange[0],
                )
            self._lock = _locked(folder / LOCK)
            self._file: BinaryIO = (folder / ROWS).open("a+b", buffering=0)
        except NotADirectoryError as error:
            raise UsageProblem("{folder} is not a folder: name another with --out.", folder=folder) from error
        except FileExistsError as error:
            raise UsageProblem("{folder} is a file: name a folder with --out.", folder=folder) from error
        except OSError as error:
            raise EnvironmentProblem(
                "{folder} cannot be written: {why}.", folder=folder, why=reason_of(error)
            ) from error
        try:
            self._read_rounds()
            self._read_rows()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the journal, so that other processes can open it."""
        self._file.close()
        os.close(self._lock)

    @property
    def round(self) -> int:
        """The number of the current round; 0 before the first."""
        return len(self.rounds)

    def begin(self, round: Round) -> None:
        """Begin a new round; the rows of earlier rounds stay."""
        self.rounds.append(round)
        self._write_rounds()

    def finish(self) -> None:
        """Record that every submission has its row in this round."""
        self.rounds[-1] = self.rounds[-1].model_copy(update={"finished": True})
        self._write_rounds()

    def reopen(self) -> None:
        """Record that the round is unfinished again, since some submissions still have to be graded in it."""
        self.rounds[-1] = self.rounds[-1].model_copy(update={"finished": False})
        self._write_rounds()

    def append(self, row: Row) -> None:
        """Append a row. It is on disk when this returns."""
        line = json.dumps(row.model_dump(mode="json", round_trip=True)).encode() + b"\n"
        offset = os.fstat(self._file.fileno()).st_size
        try:
            written = os.write(self._file.fileno(), line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), offset)
            raise EnvironmentProblem(
                "{path} cannot be written: {why}. What it holds is whole: make room, and the same command goes on.",
                path=self.folder / ROWS,
                why=reason_of(error),
            ) from error
        self._note(row, offset)

    def standing(self, name: str) -> tuple[str, str] | None:
        """Return fingerprint and outcome of a submission's row in this round, or None."""
        place = self._newest.get(name)
        return (place.fingerprint, place.outcome) if place and place.round == self.round else None

    def row(self, name: str) -> Row | None:
        """Return the row of a submission in this round."""
        place = self._newest.get(name)
        return self._at(place) if place and place.round == self.round else None

    def earlier(self, name: str) -> Row | None:
        """Return the newest row of a submission in the rounds before this one."""
        newest = self._newest.get(name)
        place = newest if newest and newest.round < self.round else self._before.get(name)
        return self._at(place) if place else None

    def _at(self, place: _Place) -> Row:
        self._file.seek(place.offset)
        return Row.model_validate_json(self._file_line())

    def _file_line(self) -> bytes:
        parts = []
        while chunk := self._file.read(1 << 16):
            head, newline, _ = chunk.partition(b"\n")
            parts.append(head)
            if newline:
                break
        return b"".join(parts)

    def _note(self, row: Row, offset: int) -> None:
        last = self._newest.get(row.name)
        if last is not None and last.round < row.round:
            self._before[row.name] = last
        self._newest[row.name] = _Place(offset, row.round, row.fingerprint, row.outcome)

    def _read_rows(self) -> None:
        """Index every row. An incomplete last line, as after a power cut, is removed: it was never reported."""
        offset, lines = 0, _lines(self.folder / ROWS)
        following = next(lines, None)
        number = 0
        while following is not None:
            line, following = following, next(lines, None)
            number += 1
            try:
                if not line.endswith(b"\n"):
                    raise ValueError("it has no end")
                self._note(Row.model_validate_json(line), offset)
            except (ValidationError, ValueError) as error:
                if following is not None:
                    raise StateProblem(
                        "{file}, line {number} cannot be read ({why}). Delete that line, and the same command grades "
                        "that submission again.",
                        file=self.folder / ROWS,
                        number=number,
                        why=str(error).splitlines()[0],
                    ) from error
                os.ftruncate(self._file.fileno(), offset)
                return
            offset += len(line)

    def _read_rounds(self) -> None:
        file = self.folder / RUN
        if not file.exists():
            return
        try:
            self.rounds = [Round.model_validate(r) for r in json.loads(file.read_text(encoding="utf-8"))["rounds"]]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StateProblem(
                "{file} cannot be read ({why}). Without it nobody knows what the results were graded with: name "
                "another folder with --out.",
                file=file,
                why=str(error).splitlines()[0],
            ) from error

    def _write_rounds(self) -> None:
        whole = {"rounds": [r.model_dump(mode="json") for r in self.rounds]}
        replace(self.folder / RUN, json.dumps(whole, indent=2, sort_keys=True).encode() + b"\n")


def replace(path: Path, data: bytes) -> None:
    """Write a file atomically, replacing an existing one. Raises EnvironmentProblem."""
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise EnvironmentProblem("{path} cannot be written: {why}.", path=path, why=reason_of(error)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _is_empty(path: Path) -> bool:
    """Whether the file has no row, as after a command that was refused before it began a round."""
    return path.is_file() and path.stat().st_size == 0


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _locked(path: Path) -> int:
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UsageProblem(
            "{folder} is being written by another 'learn grade-many': wait for it, or name another folder.",
            folder=path.parent,
        ) from error
    return descriptor
