"""Text from an attempt: how long it may be, and made fit for a terminal."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from groundup.core.errors import UsageProblem

LONGEST_SOURCE = 1 << 17  # bytes: even if every one of them is escaped, the source fits into one frame


def printable(text: str) -> str:
    """Return ``text`` without control, formatting and surrogate characters: none can steer a terminal or a log."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in text)


def read_attempt(path: Path) -> str:
    """Return the text of a learner's file. Raises UsageProblem that names what is wrong with it."""
    try:
        if not path.is_file():
            raise UsageProblem(f"There is no file {path}." if not path.exists() else f"{path} is not a file.")
        if path.stat().st_size > LONGEST_SOURCE:
            raise UsageProblem(f"{path} is larger than {LONGEST_SOURCE >> 10} KiB: that is no attempt.")
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise UsageProblem(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8.") from None
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror}.") from error
