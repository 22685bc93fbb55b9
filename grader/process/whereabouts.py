"""Finds the line that an attempt was running when its process ended, in the traceback among its output.

Python's faulthandler writes that traceback on request or on a crash. An attempt can print a false one, but misleads
only its author.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from groundup.core.messages import Message, joined
from groundup.grader.process.text import printable

__all__ = ["END", "code_lines", "taken"]

END = b"(most recent call first):\n"
_WRITTEN = re.compile(
    rb"(?:Fatal Python error: .*\n\n)?(?:Current thread .*|Stack) \(most recent call first\):\n"
    rb"(?P<frames>(?:  (?:File |<).*\n|  \.\.\.\n)*)(?:\nExtension modules: .*\n?)?"
)
_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>\S+)')
MOST_FRAMES = 4


def taken(printed: bytearray, source: str, filename: str) -> Message:
    """Remove the interpreter's traceback from ``printed``; return the lines of ``source`` that were being run.

    Each has the form ``line 3, in mean: total = x.sum()``; the innermost is the last.
    """
    lines, told = source.splitlines(), code_lines([])
    for written in reversed([*_WRITTEN.finditer(bytes(printed))]):
        frames = _FRAME.finditer(written["frames"].decode(errors="replace"))
        own = [(int(f["line"]), f["name"]) for f in frames if f["file"] == filename and int(f["line"]) <= len(lines)]
        told = code_lines([(n, name, lines[n - 1].strip()) for n, name in reversed(own[:MOST_FRAMES])])
        del printed[written.start() : written.end()]
    return told


def code_lines(lines: Iterable[tuple[int, str, str]]) -> Message:
    """Return lines of an attempt's code as text; each is given by its number, function (may be empty) and text."""
    told = []
    for number, name, code in lines:
        name, code = printable(name), printable(code)
        if name:
            told.append(Message("line {number}, in {name}: {code}", number=number, name=name, code=code))
        else:
            told.append(Message("line {number}: {code}", number=number, code=code))
    return joined("\n", told)
