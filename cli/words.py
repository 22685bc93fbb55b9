"""The commands' words in the learner's language: English is what they are looked up by, and what stands in for a lack.

``tr`` is for what the commands say themselves; ``told`` for what was said elsewhere, by a recorded verdict or an error
of the registry, and can be told from its wording. The Chinese of both is in ``groundup.cli.chinese``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from contextvars import ContextVar
from string import Formatter

__all__ = ["LANGUAGES", "speak", "spoken_language", "told", "tr"]

LANGUAGES = ("en", "zh")
_LANGUAGE = ContextVar("language", default="en")


def speak(lang: str) -> None:
    """Have everything from here on said in ``lang``; in one that is not among LANGUAGES it is said in English."""
    _LANGUAGE.set(lang)


def spoken_language() -> str:
    """Return the language that is spoken."""
    return _LANGUAGE.get()


def tr(english: str, /, **values: object) -> str:
    """Return the sentence ``english`` in the language that is spoken, its fields filled in as ``str.format`` does."""
    return _sentences().get(english, english).format(**values)


def told(text: str) -> str:
    """Return a text that was made elsewhere in the language that is spoken, where its wording is a known one.

    The parts that fill a known wording are looked up in the same way; whatever is not known stays as it is.
    """
    for pattern, translated in _wordings():
        if found := pattern.fullmatch(text):
            return translated.format(**{name: told(part) for name, part in found.groupdict().items()})
    return text


def _sentences() -> Mapping[str, str]:
    if spoken_language() != "zh":
        return {}
    from groundup.cli.chinese import SENTENCES

    return SENTENCES


def _wordings() -> list[tuple[re.Pattern[str], str]]:
    return _chinese_wordings() if spoken_language() == "zh" else []


@functools.cache
def _chinese_wordings() -> list[tuple[re.Pattern[str], str]]:
    from groundup.cli.chinese import WORDINGS

    return [(_pattern(english), chinese) for english, chinese in WORDINGS.items()]


def _pattern(template: str) -> re.Pattern[str]:
    """Return what matches every text that ``template`` can become. Its fields are plain: ``{name}``, each once."""
    parts = [
        re.escape(literal) + (f"(?P<{field}>.+?)" if field else "")
        for literal, field, _, _ in Formatter().parse(template)
    ]
    return re.compile("".join(parts), re.DOTALL)
