"""Text layout for a terminal: columns and wrapped lines. A Chinese character is two columns wide."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Sequence

import click

from groundup.cli.names import called
from groundup.cli.words import tr
from groundup.grader.lessons.columns import line_starts, padded, pieces, width

__all__ = [
    "GAP", "NARROWEST", "WIDEST", "line_starts", "line_width", "next_lines", "padded", "passage", "show_next", "table",
    "width", "wrapped",
]  # fmt: skip

WIDEST = 100
NARROWEST = 30
GAP = 2


def line_width() -> int:
    """Return the line width: the terminal's, at most 100 columns; 100 if there is no terminal."""
    return min(WIDEST, max(NARROWEST, shutil.get_terminal_size((WIDEST, 24)).columns))


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


def table(rows: Sequence[Sequence[str]], *, indent: str = "  ", places: int | None = None) -> Iterator[str]:
    """Yield the lines of a table: every column but the last as wide as its widest cell, the last one wrapped.

    If the last column is too narrow for one of its words, its cells are printed below the others.
    """
    wide = [max(map(width, column)) for column in zip(*(row[:-1] for row in rows), strict=True)]
    left = len(indent) + sum(wide) + GAP * len(wide)
    room = (places or line_width()) - left
    longest = max((width(piece.strip(" ")) for row in rows for piece in pieces(row[-1])), default=0)
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
