"""Searches one learner's folder for the attempt, and notes what else is there and what was not looked into.

Links are not followed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundup.core.messages import Message, series
from groundup.grader.process.text import printable

__all__ = ["MOST_ENTRIES", "SKIPPED", "Found", "TooManyFiles", "searched", "shown"]

MOST_ENTRIES = 5000
DEEPEST = 12
NAMED = 5
SKIPPED = frozenset({"__pycache__", "__MACOSX", "node_modules", "site-packages"})


class TooManyFiles(Exception):
    """The folder holds more than MOST_ENTRIES files."""


@dataclass
class Found:
    """What a learner's folder holds, with paths relative to it."""

    own: str
    """The attempt's file name."""
    python: list[str] = field(default_factory=list)
    """Everything called ``*.py``, regular file or not."""
    others: list[str] = field(default_factory=list)
    namesakes: list[str] = field(default_factory=list)
    """Folders that bear the attempt's name."""
    too_deep: list[str] = field(default_factory=list)
    passed_by: list[str] = field(default_factory=list)
    """Hidden folders, caches and virtual environments, which are not looked into."""

    @property
    def candidates(self) -> list[str]:
        """The files with the attempt's name, else all Python files."""
        return [path for path in self.python if Path(path).name == self.own] or self.python

    def limits(self) -> list[Message]:
        """Return what may be why another file was taken for the attempt, or none."""
        told = []
        if self.namesakes and not any(Path(path).name == self.own for path in self.python):
            files = listed(self.namesakes)
            told.append(Message("{files} is a folder: hand in the file {name} itself", files=files, name=self.own))
        if self.too_deep:
            told.append(
                Message(
                    "folders more than {deepest} deep were not looked into ({folders}): put {name} further up",
                    deepest=DEEPEST,
                    folders=listed(self.too_deep),
                    name=self.own,
                )
            )
        return told

    def missing(self) -> str:
        """Return why there is no attempt, and what is there instead."""
        told = [Message("no {name} and no other Python file", name=self.own)]
        if self.others:
            told.append(Message("found {files}: hand in {name}", files=listed(self.others), name=self.own))
        told += self.limits()
        if self.passed_by:
            told.append(Message("not looked into: {folders}", folders=listed(self.passed_by)))
        return series(told)

    def ambiguous(self) -> Message:
        """Return between which files there is no choice."""
        files = listed(self.candidates)
        if Path(self.candidates[0]).name == self.own:
            return Message("several files are called {name}: {files}", name=self.own, files=files)
        return Message("no {name}, and several Python files: {files}", name=self.own, files=files)


def searched(place: Path, own: str) -> Found:
    """Search a learner's folder for the attempt, whose name is ``own``. Raises TooManyFiles, OSError."""
    found, seen, folders = Found(own), 0, [place]
    while folders:
        folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                seen += 1
                if seen > MOST_ENTRIES:
                    raise TooManyFiles
                path = Path(entry.path)
                inner = str(path.relative_to(place))
                if entry.is_dir(follow_symlinks=False):
                    if entry.name == own:
                        found.namesakes.append(inner)
                    if entry.name.startswith(".") or entry.name in SKIPPED or Path(path, "pyvenv.cfg").exists():
                        found.passed_by.append(inner)
                    elif len(path.relative_to(place).parts) > DEEPEST:
                        found.too_deep.append(inner)
                    else:
                        folders.append(path)
                elif not entry.name.startswith("."):
                    (found.python if entry.name.lower().endswith(".py") else found.others).append(inner)
    for names in (found.python, found.others, found.namesakes, found.too_deep, found.passed_by):
        names.sort()
    return found


def listed(names: Sequence[str]) -> Any:
    """Return the first few names as the field of a message."""
    few = [shown(name) for name in names[:NAMED]]
    return few if len(names) <= NAMED else Message("{files} and {count} more", files=few, count=len(names) - NAMED)


def shown(name: str) -> str:
    """Return a file's name as printable text; bytes that cannot be decoded are escaped."""
    return printable(os.fsencode(name).decode("utf-8", "backslashreplace")).replace("\n", " ").replace("\t", " ")
