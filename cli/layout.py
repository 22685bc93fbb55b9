"""Text layout for a terminal: columns and wrapped lines. A Chinese character is two columns wide."""

from __future__ import annotations

import itertools
import re
import shutil
import unicodedata
from collections.abc import Iterator, Sequence

import click

from groundup.cli.names import called
from groundup.cli.words import tr

WIDEST = 100
NARROWEST = 30
GAP = 2
# A line may break at spaces, and on either side of a wide character; but no line begins with closing punctuation.
CLOSING = "，。、；：！？）》」』】〕”’…"
OPENING = "（《「『【〔“‘"


def line_width() -> int:
    """Return the line width: the terminal's, at most 100 columns; 100 if there is no terminal."""
    return min(WIDEST, max(NARROWEST, shutil.get_terminal_size((WIDEST, 24)).columns))


def width(text: str) -> int:
    """Return how many terminal columns ``text`` takes; colour codes take none."""
    return sum(_places(character) for character in click.unstyle(text))


def padded(text: str, places: int) -> str:
    """Return ``text`` padded with spaces to ``places`` columns."""
    return text + " " * (places - width(text))


def wrapped(text: str, *, first: str = "", rest: str | None = None, places: int | None = None) -> str:
    """Return ``text`` wrapped to ``places`` columns: ``first`` prefixes the first line, ``rest`` the others.

    ``rest`` defaults to spaces as wide as ``first``. A word wider than a line is not broken: it may be a path.
    """
    rest = " " * width(first) if rest is None else rest
    text = text.replace("\n", " ").strip(" ")
    starts = [0, *line_starts(text, places or line_width(), first=width(first), rest=width(rest)), len(text)]
    lines = [text[start:end].strip(" ") for start, end in itertools.pairwise(starts)]
    return "\n".join(
        (rest if number else first).rstrip() if not line else (rest if number else first) + line
        for number, line in enumerate(lines)
    )


def passage(text: str, *, first: str = "") -> str:
    """Return a text of several lines, each wrapped; what is between lines of three backquotes is code, and is not.

    ``first`` prefixes the first line; the others are indented by its width, and code by 4 more.
    """
    rest, lines, code = " " * width(first), list[str](), False
    for line in text.strip().splitlines():
        if line.strip().startswith("```"):
            code = not code
            continue
        prefix = rest if lines else first
        shown = f"{prefix}    {line.rstrip()}" if code else wrapped(line, first=prefix)
        lines.append(shown if line.strip() else "")
    return "\n".join(lines)


def line_starts(text: str, places: int, *, first: int = 0, rest: int = 0) -> Iterator[int]:
    """Yield the index at which each line after the first begins; ``first`` and ``rest`` are the prefixes' widths."""
    used, at = first, 0
    for piece in _pieces(text):
        taken = width(piece)
        if at and used + taken > places:
            spaces = len(piece) - len(piece.lstrip(" "))
            yield at + spaces
            used, taken = rest, taken - spaces
        used, at = used + taken, at + len(piece)


def table(rows: Sequence[Sequence[str]], *, indent: str = "  ", places: int | None = None) -> Iterator[str]:
    """Yield the lines of a table: every column but the last as wide as its widest cell, the last one wrapped.

    If the last column is too narrow for one of its words, its cells are printed below the others.
    """
    wide = [max(map(width, column)) for column in zip(*(row[:-1] for row in rows), strict=True)]
    left = len(indent) + sum(wide) + GAP * len(wide)
    room = (places or line_width()) - left
    longest = max((width(piece.strip(" ")) for row in rows for piece in _pieces(row[-1])), default=0)
    beside = room >= max(NARROWEST, longest) or room >= max((width(row[-1]) for row in rows), default=0)
    for row in rows:
        head = indent + (" " * GAP).join(padded(cell, places) for cell, places in zip(row, wide, strict=False))
        if beside and row[-1]:
            yield wrapped(row[-1], first=head + " " * GAP, rest=" " * left, places=places)
            continue
        yield head.rstrip()
        if row[-1]:
            yield wrapped(row[-1], first=indent + " " * 4, places=places)


def show_next(*steps: tuple[str, str]) -> None:
    """Print the commands to type next, given without ``learn``, each with its purpose."""
    click.echo("\n".join(next_lines(*steps)))


def next_lines(*steps: tuple[str, str]) -> list[str]:
    """Return the lines of ``show_next``."""
    rows = table([(f"{called()} {command}", purpose) for command, purpose in steps])
    return ["", tr("Next"), *(line for row in rows for line in row.splitlines())]


def _pieces(text: str) -> Iterator[str]:
    """Yield the pieces of ``text`` between which a line may break, each with its leading spaces."""
    for word in re.findall(r" *[^ ]+", text):
        start = 0
        for at in range(len(word) - len(word.lstrip(" ")) + 1, len(word)):
            before, after = word[at - 1], word[at]
            wide = _places(before) == 2 or _places(after) == 2
            if wide and after not in CLOSING and before not in OPENING:
                yield word[start:at]
                start = at
        yield word[start:]


def _places(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
