"""The field's terms in Chinese, as ``docs/glossary.toml`` has them, and the texts that use others."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["GLOSSARY", "Term", "glossary", "other_terms"]

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.toml"
CODE = re.compile(r"```.*?```|`[^`]*`|\{[^}]*\}|\$[^$]*\$", re.DOTALL)


class Term(BaseModel):
    """A term: ``english`` matches its forms, ``zh`` is its translation, ``variants`` are not to be used for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    english: str = Field(alias="term", min_length=1)
    zh: str = Field(min_length=1)
    variants: tuple[str, ...] = Field(alias="not")

    def is_in(self, text: str) -> bool:
        """Whether an English text uses the term."""
        return re.search(rf"\b({self.english})\b", text, re.IGNORECASE) is not None


@functools.cache
def glossary(path: Path = GLOSSARY) -> tuple[Term, ...]:
    """Return the terms; none where Groundup is installed without its documentation."""
    if not path.is_file():
        return ()
    return tuple(Term.model_validate(t) for t in tomllib.loads(path.read_text(encoding="utf-8"))["term"])


def other_terms(english: str, chinese: str, terms: tuple[Term, ...] | None = None) -> Iterator[tuple[Term, str]]:
    """Yield each term of ``english`` for which ``chinese`` uses a variant, with the variant. Code is passed over.

    A variant that is the translation of another term of the text may stand for that one.
    """
    english, chinese = (CODE.sub(" ", text) for text in (english, chinese))
    used = [term for term in (glossary() if terms is None else terms) if term.is_in(english)]
    right = {term.zh for term in used}
    for term in used:
        for variant in term.variants:
            if variant not in right and _stands_in(variant, chinese):
                yield term, variant


def _stands_in(word: str, chinese: str) -> bool:
    """Whether a text holds the word: of a Latin one, not as a part of another."""
    pattern = rf"(?<![A-Za-z_.-]){re.escape(word)}(?![A-Za-z_.-])" if word.isascii() else re.escape(word)
    return re.search(pattern, chinese) is not None
