"""Text from an attempt: limits its length and makes it safe to print."""

from __future__ import annotations

import os
import shlex
import unicodedata
from pathlib import Path

from groundup.core.errors import UsageProblem, reason_of
from groundup.core.messages import Message

LONGEST_SOURCE = 1 << 17  # bytes: fits into one frame even if every byte is escaped


def printable(text: str) -> str:
    """Return ``text`` without control, formatting and surrogate characters: none can steer a terminal or a log."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in text)


def quoted(word: str) -> str:
    """Return ``word`` in printable characters, as bash and zsh read it: for commands that are printed."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def _escaped(character: str) -> str:
    if character.isprintable():
        return f"\\{character}" if character in "\\'" else character
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))


def cleaned(text: str) -> str:
    """Return a text made printable; of a message, the texts that fill it are made printable."""
    return text.with_texts(printable) if isinstance(text, Message) else printable(text)


def read_attempt(path: Path) -> str:
    """Return the text of a learner's file. Raises UsageProblem that names what is wrong with it."""
    try:
        if not path.is_file():
            if path.exists():
                raise UsageProblem("{path} is not a file.", path=path)
            raise UsageProblem("There is no file {path}.", path=path)
        if path.stat().st_size > LONGEST_SOURCE:
            raise UsageProblem(
                "{path} is larger than {size} KiB: that is no attempt.", path=path, size=LONGEST_SOURCE >> 10
            )
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise UsageProblem(
            "{path} is not UTF-8 text (byte {at}): save it as UTF-8.", path=path, at=error.start
        ) from None
    except OSError as error:
        raise UsageProblem("{path} cannot be read: {why}.", path=path, why=reason_of(error)) from error
