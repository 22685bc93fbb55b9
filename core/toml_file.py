"""Reads TOML files and records the line of every value, so that problems can name line and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from groundup.core.declared import Place
from groundup.core.errors import PluginProblem, nearest, reason_of
from groundup.core.messages import Message, either, series

__all__ = ["TomlFile", "read_toml", "unknown"]

TOLD = 3  # how many problems of one file an error lists

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"[A-Za-z0-9_-]+|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")' r"|'''.*?'{3,5}(?!')" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'", re.DOTALL
)
_PLAIN = re.compile(r"[^,\]}#\n]+")
_AT = re.compile(r"(?s)(?P<what>.*?) \(at (?:line (?P<line>\d+), column \d+|end of document)\)")


@dataclass(frozen=True)
class TomlFile:
    """A file's data, and the line of each part of it."""

    path: Path
    text: str = field(repr=False)
    data: dict[str, Any] = field(repr=False)

    @cached_property
    def lines(self) -> dict[Place, int]:
        """The line of each table, list and value, by its place."""
        return _Lines(self.text).found

    def line(self, place: Place) -> int:
        """Return the line of the value at ``place``, or of the innermost existing table or list around it."""
        while place not in self.lines:
            place = place[:-1]
        return self.lines[place]

    def problem(self, found: Iterable[tuple[Place, str]]) -> PluginProblem:
        """Return the error that lists the problems ``found``, each a place and a message."""
        told = [(self.line(place), _named(place), words) for place, words in found]
        told.sort(key=lambda each: each[0])
        pieces: list[str] = [
            Message("{place}: {problem}", place=(Message("line {line}", line=line), *named), problem=words)
            for line, named, words in told[:TOLD]
        ]
        if len(told) > TOLD:
            pieces.append(Message("and {count} more", count=len(told) - TOLD))
        return PluginProblem("{path}, {problems}", path=self.path, problems=series(pieces))


def read_toml(path: Path) -> TomlFile:
    """Read a file. Raises PluginProblem with the path, and with the line of a syntax error."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PluginProblem("{path} cannot be read: {why}", path=path, why=reason_of(error)) from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise PluginProblem("{path}, line {line}: this is not UTF-8", path=path, line=line) from error
    try:
        return TomlFile(path, text, tomllib.loads(text))
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError, too
        found = _AT.fullmatch(str(error))
        line = int(found["line"]) if found and found["line"] else max(1, len(text.splitlines()))
        told = found["what"] if found else str(error)
        raise PluginProblem(
            "{path}, line {line}: this is no TOML: {why}",
            path=path,
            line=line,
            why=told[:1].lower() + told[1:],
        ) from error


def unknown(key: str, known: Iterable[str]) -> str:
    """Return the message for an unknown key."""
    known = sorted(known)
    if near := nearest(key, known):
        return Message("there is no such key; did you mean {near}?", near=either(map(repr, near)))
    return Message("there is no such key; there are {known}", known=known)


def _named(place: Place) -> list[str]:
    """Return a place in words: tables by name, list members counted from 1."""
    words: list[str] = []
    for step in place:
        if isinstance(step, int):
            words[-1] += f" {step + 1}"
        else:
            words.append(step)
    return words


class _Lines:
    """Finds the line of each part of a TOML text. The text is valid: tomllib has parsed it before."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.found: dict[Place, int] = {(): 1}
        self.counts: dict[Place, int] = {}
        """The number of tables so far in each list of tables."""
        table: Place = ()
        while self.skip():
            if self.text.startswith("[[", self.at):
                table = self.header(2)
                self.counts[table] = self.counts.get(table, 0) + 1
                self.found.setdefault(table, self.line)
                table = (*table, self.counts[table] - 1)
                self.note(table)
            elif self.text[self.at] == "[":
                table = self.header(1)
                self.note(table)
            else:
                self.pair(table)

    @property
    def line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def note(self, place: Place) -> None:
        for length in range(1, len(place) + 1):
            self.found.setdefault(place[:length], self.line)

    def skip(self) -> bool:
        """Skip blanks, line ends and comments; return whether anything is left."""
        self.at = self.matched(_BLANK).end()
        return self.at < len(self.text)

    def matched(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self.text, self.at)
        assert found is not None
        return found

    def header(self, brackets: int) -> Place:
        """Read ``[a.b]`` or ``[[a.b]]``; a key inside a list of tables belongs to its last table."""
        self.at += brackets
        place: Place = ()
        keys = self.keys()
        self.at += brackets
        for number, key in enumerate(keys, start=1):
            place = (*place, key)
            if place in self.counts and (number < len(keys) or brackets == 1):
                place = (*place, self.counts[place] - 1)
        return place

    def keys(self) -> list[str]:
        """Read a dotted key, and move to what follows it."""
        found: list[str] = []
        while True:
            self.skip()
            key = self.matched(_KEY)
            found.append(tomllib.loads(f"k = {key[0]}")["k"] if key[0][0] in "\"'" else key[0])
            self.at = key.end()
            self.skip()
            if self.text[self.at] != ".":
                return found
            self.at += 1

    def pair(self, table: Place) -> None:
        line_at = self.at
        place = (*table, *self.keys())
        after, self.at = self.at + 1, line_at
        self.note(place)
        self.at = after
        self.skip()
        self.value(place)

    def value(self, place: Place) -> None:
        opened = self.text[self.at]
        if opened in "\"'":
            self.at = self.matched(_STRING).end()
        elif opened in "[{":
            self.members(place, "]" if opened == "[" else "}")
        else:
            self.at = self.matched(_PLAIN).end()

    def members(self, place: Place, end: str) -> None:
        self.at += 1
        number = 0
        while True:
            self.skip()
            if self.text[self.at] == ",":
                self.at += 1
            elif self.text[self.at] == end:
                self.at += 1
                return
            elif end == "}":
                self.pair(place)
            else:
                self.note((*place, number))
                self.value((*place, number))
                number += 1
