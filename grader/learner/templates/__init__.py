"""Templates and texts of the pages of a brief and of a class."""

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
"""HTML's language tags, where they differ from Groundup's."""


class Texts:
    """The texts of one kind of page, ``brief`` or ``class``. ``told`` translates English to the reader's language."""

    def __init__(self, kind: str, lang: str = "en", told: Callable[[str], str] = str) -> None:
        self.kind, self.lang, self.told = kind, lang, told

    def __call__(self, key: str, **values: object) -> str:
        """Return the text with that key, with its placeholders filled in."""
        text = Message(all_texts(self.kind)[key])
        return self.told(text.filled(**values) if values else text)

    @property
    def gap(self) -> str:
        """The separator between two sentences."""
        return self.told(GAP)

    @property
    def tongue(self) -> str:
        """The HTML language tag; English if there is no translation to the language."""
        return TAGS.get(self.lang, self.lang) if self("language") != "English" else "en"


@cache
def all_texts(kind: str) -> dict[str, str]:
    """Return every text of a kind of page, by key."""
    return tomllib.loads((TEMPLATES / f"{kind}.toml").read_text(encoding="utf-8"))


def environment(finalize: Callable[[Any], Any]) -> jinja2.Environment:
    """Return the template environment: output is escaped after ``finalize``; an undefined value is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize,
    )
