"""What pages look like, of a brief and of a class: their templates, and their texts."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from groundup.core.messages import GAP, Message

__all__ = ["TEMPLATES", "Texts", "environment"]

TEMPLATES = Path(__file__).parent
TAGS = {"zh": "zh-Hans"}
"""What HTML calls a language, where it has another name than here."""


class Texts:
    """The texts of one kind of page, ``brief`` or ``class``. ``told`` says in the reader's language what is English."""

    def __init__(self, kind: str, lang: str = "en", told: Callable[[str], str] = str) -> None:
        self.kind, self.lang, self.told = kind, lang, told

    def __call__(self, key: str, **values: object) -> str:
        """Return the text called ``key``, its words filled in."""
        text = Message(all_texts(self.kind)[key])
        return self.told(text.filled(**values) if values else text)

    @property
    def gap(self) -> str:
        """What stands between two sentences."""
        return self.told(GAP)

    @property
    def tongue(self) -> str:
        """What HTML calls the language; English where there is no such translation."""
        return TAGS.get(self.lang, self.lang) if self("language") != "English" else "en"


@cache
def all_texts(kind: str) -> dict[str, str]:
    """Return every text of a kind of page, by key."""
    return tomllib.loads((TEMPLATES / f"{kind}.toml").read_text(encoding="utf-8"))


def environment(finalize: Callable[[Any], Any]) -> jinja2.Environment:
    """Return what makes pages: all they print is escaped, after ``finalize``, and what is missing is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize,
    )
