"""Columns of a terminal: how wide a text is, and where its lines may break. A Chinese character is two columns wide."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

__all__ = ["CODES", "line_starts", "padded", "pieces", "width"]

CODES = re.compile(r"\033\[[;?0-9]*[a-zA-Z]")  # colours
# A line may break at spaces, and on either side of a wide character; but no line begins with closing punctuation.
CLOSING = "，。、；：！？）》」』】〕”’…"
OPENING = "（《「『【〔“‘"


def width(text: str) -> int:
    """Return how many terminal columns ``text`` takes; colour codes take none."""
    return sum(_places(character) for character in CODES.sub("", text))


def padded(text: str, places: int) -> str:
    """Return ``text`` padded with spaces to ``places`` columns."""
    return text + " " * (places - width(text))


def line_starts(text: str, places: int, *, first: int = 0, rest: int = 0) -> Iterator[int]:
    """Yield the index at which each line after the first begins; ``first`` and ``rest`` are the prefixes' widths."""
    used, at = first, 0
    for piece in pieces(text):
        taken = width(piece)
        if at and used + taken > places:
            spaces = len(piece) - len(piece.lstrip(" "))
            yield at + spaces
            used, taken = rest, taken - spaces
        used, at = used + taken, at + len(piece)


def pieces(text: str) -> Iterator[str]:
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
