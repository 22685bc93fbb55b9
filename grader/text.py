"""Text from an attempt, made fit for a terminal."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """Return ``text`` without control, formatting and surrogate characters: none can steer a terminal or a log."""
    return "".join(c if c in "\n\t" or unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in text)
