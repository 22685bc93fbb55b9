"""Text from an attempt: how long it may be, and made fit for a terminal."""

from __future__ import annotations

import unicodedata

LONGEST_SOURCE = 1 << 17  # bytes: even if every one of them is escaped, the source fits into one frame


def printable(text: str) -> str:
    """Return ``text`` without control, formatting and surrogate characters: none can steer a terminal or a log."""
    return "".join(c if c in "\n\t" or unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in text)
