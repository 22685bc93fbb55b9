"""The commands' words in the learner's language: English is what they are looked up by, and what stands in for a lack.

``tr`` is for what the commands say themselves; ``told`` for what was said elsewhere, by a recorded verdict, an error of
the registry, a command's help or click, and can be told from its wording. The Chinese is in ``groundup.cli.chinese``
and ``groundup.cli.chinese_help``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from contextvars import ContextVar
from string import Formatter

__all__ = ["LANGUAGES", "placeholders", "speak", "spoken_language", "told", "tr"]

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
    if (exactly := _help().get(text)) is not None:
        return exactly
    for pattern, translated in _wordings():
        if found := pattern.fullmatch(text):
            return translated.format(**{name: told(part) for name, part in found.groupdict().items()})
    return text


def placeholders(text: str) -> str:
    """Return ``text`` with what stands for a value in it, as FILE does, in the language that is spoken."""
    if spoken_language() != "zh":
        return text
    from groundup.cli.chinese_help import PLACEHOLDERS

    return re.sub("[A-Z]+", lambda found: PLACEHOLDERS.get(found[0], found[0]), text)


def _sentences() -> Mapping[str, str]:
    if spoken_language() != "zh":
        return {}
    from groundup.cli.chinese import SENTENCES

    return SENTENCES


def _help() -> Mapping[str, str]:
    if spoken_language() != "zh":
        return {}
    from groundup.cli.chinese_help import HELP

    return HELP


def _wordings() -> list[tuple[re.Pattern[str], str]]:
    return _chinese_wordings() if spoken_language() == "zh" else []


@functools.cache
def _chinese_wordings() -> list[tuple[re.Pattern[str], str]]:
    from groundup.cli.chinese_help import CLICK
    from groundup.cli.chinese_wordings import WORDINGS

    return [(_pattern(english), chinese) for english, chinese in (CLICK | WORDINGS).items()]


def _pattern(template: str) -> re.Pattern[str]:
    """Return what matches every text that ``template`` can become. Its fields are plain: ``{name}``, each once."""
    parts = [
        re.escape(literal) + (f"(?P<{field}>.+?)" if field else "")
        for literal, field, _, _ in Formatter().parse(template)
    ]
    return re.compile("".join(parts), re.DOTALL)
