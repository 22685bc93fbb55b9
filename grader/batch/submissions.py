"""A folder of submissions, one folder per learner: finds the attempt in each and reads it safely.

Submissions are hostile: nothing here follows a link out of a submission, opens anything but a regular file, or reads
more than the maximum length of an attempt.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from groundup.core.errors import UsageProblem, reason_of
from groundup.core.messages import Message
from groundup.core.technique import Technique
from groundup.grader.batch.search import MOST_ENTRIES, SKIPPED, TooManyFiles, searched, shown
from groundup.grader.process.text import LONGEST_SOURCE

__all__ = ["Reason", "Submission", "Submissions"]

Reason = Literal[
    "missing", "ambiguous", "link", "not_a_file", "unreadable", "too_large", "not_text", "empty",
    "too_many_files",
]  # fmt: skip
"""Reasons why a submission contains nothing that can be graded."""


@dataclass(frozen=True)
class Submission:
    """One learner's submission: the source of the attempt, or why there is none."""

    name: str
    file: str | None = None
    """The attempt, as seen from the folder of submissions, in printable characters."""
    path: str | None = None
    """The same as the file system has it."""
    source: str | None = None
    reason: Reason | None = None
    problem: str | None = None
    notes: tuple[str, ...] = ()
    """What was skipped, although it may have been meant."""


class Submissions:
    """The learners' folders in one folder; each is read on demand."""

    def __init__(self, folder: Path, technique: Technique) -> None:
        """Look for submissions in ``folder``. Raises UsageProblem if it cannot contain any."""
        self.folder, self.technique = folder, technique
        self._places: dict[str, str] = {}
        self.beside: list[str] = []
        """Files beside the learners' folders, which belong to no learner."""
        if not folder.is_dir():
            if folder.exists():
                raise UsageProblem(
                    "{folder} is not a folder: name the folder that holds one folder for each learner.", folder=folder
                )
            raise UsageProblem(
                "{folder} does not exist: name the folder that holds one folder for each learner.", folder=folder
            )
        try:
            entries = sorted(os.scandir(folder), key=lambda e: e.name)
        except OSError as error:
            raise UsageProblem("{folder} cannot be read: {why}.", folder=folder, why=reason_of(error)) from error
        for entry in entries:
            if entry.name.startswith(".") or entry.name in SKIPPED:
                continue
            name = shown(entry.name)
            if not entry.is_symlink() and not entry.is_dir(follow_symlinks=False):
                self.beside.append(name)
            elif name in self._places:
                raise UsageProblem(
                    "{folder} holds two folders that both read as {name!r}: rename one of them.",
                    folder=folder,
                    name=name,
                )
            else:
                self._places[name] = entry.name
        if not self._places:
            example = folder / "anna" / f"{technique.name.replace('-', '_')}.py"
            if self.beside:
                raise UsageProblem(
                    "{folder} holds no submissions. The {count} files in it belong to nobody: each learner's file "
                    "goes into a folder that bears their name, as in {example}.",
                    folder=folder,
                    count=len(self.beside),
                    example=example,
                )
            raise UsageProblem(
                "{folder} holds no submissions. Each learner's file goes into a folder that bears their name, as in "
                "{example}.",
                folder=folder,
                example=example,
            )

    @property
    def names(self) -> list[str]:
        """The learners' names, in order."""
        return list(self._places)

    def read(self, name: str) -> Submission:
        """Return the submission of ``name``. Never raises because of a submission's content."""
        place, own = self.folder / self._places[name], Path(self.technique.file).name
        if place.is_symlink():
            return Submission(name, reason="link", problem=Message("the submission is a link; a folder is wanted"))
        try:
            found = searched(place, own)
        except TooManyFiles:
            many = Message("more than {count} files: that is no attempt", count=MOST_ENTRIES)
            return Submission(name, reason="too_many_files", problem=many)
        except OSError as error:
            why = Message("the folder cannot be read: {why}", why=reason_of(error))
            return Submission(name, reason="unreadable", problem=why)
        if not found.candidates:
            return Submission(name, reason="missing", problem=found.missing())
        notes = tuple(found.limits())
        if len(found.candidates) > 1:
            return Submission(name, reason="ambiguous", problem=found.ambiguous(), notes=notes)
        path = str(Path(self._places[name], found.candidates[0]))
        try:
            return Submission(name, shown(path), path, _text(place, self.folder / path), notes=notes)
        except _NothingToGradeError as nothing:
            return Submission(name, shown(path), path, None, nothing.reason, nothing.problem, notes)


class _NothingToGradeError(Exception):
    def __init__(self, reason: Reason, problem: str) -> None:
        self.reason, self.problem = reason, problem


def _text(place: Path, path: Path) -> str:
    """Return the text of the attempt, which must be inside ``place``."""
    try:
        real = path.resolve()
        if not real.is_relative_to(place.resolve()):
            raise _NothingToGradeError("link", Message("the file is a link that leads out of the submission"))
        # O_NONBLOCK: do not wait for a FIFO's writer. The checks below use the open file, as its path may change.
        descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, RuntimeError) as error:  # RuntimeError for links in a circle
        why = reason_of(error) if isinstance(error, OSError) else Message("links in a circle")
        raise _NothingToGradeError("unreadable", Message("the file cannot be read: {why}", why=why)) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _NothingToGradeError("not_a_file", Message("what bears the attempt's name is not an ordinary file"))
        data = b""
        while len(data) <= LONGEST_SOURCE and (chunk := os.read(descriptor, LONGEST_SOURCE + 1 - len(data))):
            data += chunk
    except OSError as error:
        raise _NothingToGradeError(
            "unreadable", Message("the file cannot be read: {why}", why=reason_of(error))
        ) from error
    finally:
        os.close(descriptor)
    if len(data) > LONGEST_SOURCE:
        raise _NothingToGradeError(
            "too_large", Message("larger than {size} KiB: that is no attempt", size=LONGEST_SOURCE >> 10)
        )
    if not data.strip():
        raise _NothingToGradeError("empty", Message("the file is empty"))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _NothingToGradeError(
            "not_text", Message("not UTF-8 text (byte {at}): {guess}", at=error.start, guess=_guess(data))
        ) from None
    if "\0" in text:
        raise _NothingToGradeError(
            "not_text", Message("not text (byte {at} is 0): {guess}", at=data.index(0), guess=_guess(data))
        )
    return text


def _guess(data: bytes) -> Message:
    """Return what a file that is not UTF-8 looks like, and how to fix it."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Message("it looks like UTF-16; save it as UTF-8")
    if b"\0" in data:
        return Message("it looks like a binary file")
    return Message("save it as UTF-8")
