"""The commands' texts in the learner's language, from the catalogue in ``locale``.

Sentences are looked up by their English text, which is shown if there is no translation. click asks the
standard library's ``gettext`` for its own, so that uses the same catalogue. Plugins may add further catalogues.
"""

from __future__ import annotations

import functools
import gettext
import os
import re
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from pathlib import Path

from groundup.core.messages import Message, plural

__all__ = ["DOMAIN", "also_from", "languages", "ntr", "placeholders", "speak", "spoken_language", "told", "tr"]

DOMAIN = "groundup"
LOCALE = Path(__file__).parent / "locale"
_LANGUAGE = ContextVar("language", default="en")
_FURTHER: dict[str, list[gettext.GNUTranslations]] = {}
"""By language, the catalogues of plugins."""


def languages() -> tuple[str, ...]:
    """Return the languages that the commands are translated into, English included."""
    return "en", *sorted(path.parts[-3] for path in LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))


def speak(lang: str) -> None:
    """Set the language of all further output; sentences without a translation are in English."""
    _LANGUAGE.set(lang)
    os.environ["LANGUAGE"] = lang
    gettext.bindtextdomain(DOMAIN, str(LOCALE))
    gettext.textdomain(DOMAIN)


def spoken_language() -> str:
    """Return the current language."""
    return _LANGUAGE.get()


def tr(english: str, /, **fields: object) -> str:
    """Return the sentence ``english`` in the current language, with its fields filled in."""
    return told(Message(english, **fields))


def ntr(one: str, many: str, count: int, /, **fields: object) -> str:
    """Return the singular or plural sentence by the current language's rule; ``count`` is a field of both."""
    return told(plural(one, many, count, **fields))


def told(text: str) -> str:
    """Return a message in the current language. A plain text is looked up whole, and returned as it is if not found."""
    catalogue = _catalogue(spoken_language(), LOCALE)
    if catalogue is None or not text:
        return str(text)
    return text.translated(catalogue) if isinstance(text, Message) else catalogue.gettext(text)


def placeholders(text: str, told: Callable[[str], str] = told) -> str:
    """Return ``text`` with its placeholders for values, such as FILE, in the current language."""
    return re.sub("[A-Z]{2,}", lambda found: told(found[0]), text)


def also_from(folders: Iterable[Path], lang: str) -> list[tuple[Path, Exception]]:
    """Also look in the catalogues in ``folders`` for sentences that ours lacks; return the unreadable ones and why."""
    found, broken = [], []
    for file in (file for folder in folders for file in sorted(folder.glob(f"{lang}/LC_MESSAGES/*.mo"))):
        try:
            with file.open("rb") as data:
                found.append(gettext.GNUTranslations(data))
        except Exception as error:  # a damaged file may raise anything
            broken.append((file, error))
    _FURTHER[lang] = found
    _catalogue.cache_clear()
    return broken


@functools.cache
def _catalogue(lang: str, folder: Path) -> gettext.NullTranslations | None:
    if lang == "en":
        return None
    try:
        ours: gettext.NullTranslations = gettext.translation(DOMAIN, folder, [lang])
    except FileNotFoundError:
        ours = gettext.NullTranslations()
    for further in _FURTHER.get(lang, ()):
        ours.add_fallback(further)
    return ours
