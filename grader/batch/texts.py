"""The texts of a class's files, in each language, and the words of single values."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from groundup.core.technique import say

__all__ = ["Texts", "file_name"]

FILE = Path(__file__).parents[1] / "learner" / "templates" / "class.toml"
LONGEST_NAME = 180  # bytes: what is added still fits into a name of 255


class Texts:
    """Texts in one language. ``told`` says in it what the judge said in English."""

    def __init__(self, lang: str, told: Callable[[str], str] = str) -> None:
        self.lang, self.told = lang, told

    def __call__(self, key: str, **values: object) -> str:
        """Return the text called ``key``, its words filled in."""
        return say(all_texts()[key], self.lang).format(**values)


@cache
def all_texts() -> dict[str, dict[str, str]]:
    """Return every text by key, one in each language."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def file_name(name: str) -> str:
    """Return what the files of a learner are called: the name, unless it is too long for a file system."""
    data = name.encode()
    if len(data) <= LONGEST_NAME:
        return name
    return data[:LONGEST_NAME].decode(errors="ignore") + "-" + hashlib.sha256(data).hexdigest()[:12]
