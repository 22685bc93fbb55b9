"""Building blocks of declarations: frozen models, ids, and texts in several languages. Imports no torch.

A text is a dict with one string per language. A text from a TOML file holds its English; a translation is read from
that language's file on first use: ``say(text, "zh")``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, ValidatorFunctionWrapHandler, WrapValidator

from groundup.core.errors import PluginProblem

__all__ = ["Declared", "Place", "TechniqueId", "Text", "Translated", "Translations", "file_of", "fill", "say"]
__contract__ = ("Text", "say")

Place = tuple[str | int, ...]
"""The path to a value through tables and lists: ``("hole", 0, "hints", 2)``."""

TechniqueId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*/[a-z][a-z0-9-]*$")]


def file_of(identity: str) -> str:
    """Return the path, inside a workspace, of the attempt at the technique with that id."""
    return identity.replace("-", "_") + ".py"


class Translations:
    """The translations of a file's texts. Each language's file is read once, when it is first needed."""

    def __init__(self, languages: Callable[[], list[str]], read: Callable[[str], Mapping[Place, str]]) -> None:
        self._languages, self._read = languages, read
        self._texts: dict[str, Mapping[Place, str]] = {}

    def languages(self) -> list[str]:
        """Return the languages that have a file."""
        return self._languages()

    def text(self, lang: str, place: Place) -> str | None:
        """Return the text at ``place``, None if it is not translated. Raises PluginProblem for a broken file."""
        if lang not in self._texts:
            self._texts[lang] = self._read(lang)
        return self._texts[lang].get(place)


class Translated(dict[str, str]):
    """A text that holds its English and reads its translations on demand.

    ``say``, ``get`` and ``[...]`` read the file of the requested language, and no file for English. Operations on all
    languages (``in``, ``items``, ``len`` ...) read all files.
    """

    def __init__(
        self, english: str, place: Place, translations: Translations, values: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(en=english if values is None else english.format_map(values))
        self._english, self._place, self._translations, self._values = english, place, translations, values

    def filled(self, values: Mapping[str, object]) -> Translated:
        """Return the text with its placeholders filled in, in every language."""
        return Translated(self._english, self._place, self._translations, values)

    def __missing__(self, lang: str) -> str:
        text = self._translations.text(lang, self._place)
        if text is None:
            raise KeyError(lang)
        try:
            return text if self._values is None else text.format_map(self._values)
        except (LookupError, ValueError):  # bad placeholders count as no translation; 'author check' reports them
            raise KeyError(lang) from None

    def get(self, lang: str, default: Any = None) -> Any:
        """Return the text in ``lang``, or ``default``."""
        try:
            return self[lang]
        except KeyError:
            return default

    def __iter__(self) -> Iterator[str]:
        return iter(["en", *(lang for lang in self._translations.languages() if self.get(lang) is not None)])

    def __contains__(self, lang: object) -> bool:
        return any(lang == one for one in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def keys(self) -> Any:
        """Return the languages of the text."""
        return list(self)

    def values(self) -> Any:
        """Return the text in each of its languages."""
        return [self[lang] for lang in self]

    def items(self) -> Any:
        """Return pairs of language and text."""
        return [(lang, self[lang]) for lang in self]


def say(text: dict[str, str] | str, lang: str = "en") -> str:
    """Return ``text`` in ``lang``, or in English if it has no translation. A message is translated elsewhere."""
    if isinstance(text, str):
        return text
    return text.get(lang) or text["en"]


def fill(text: dict[str, str], values: Mapping[str, object]) -> dict[str, str]:
    """Return ``text`` with its placeholders filled in as by ``str.format``. Raises KeyError for one without a value."""
    if isinstance(text, Translated):
        return text.filled(values)
    return {lang: template.format_map(values) for lang, template in text.items()}


def _text(value: Any, validate: ValidatorFunctionWrapHandler) -> dict[str, str]:
    if isinstance(value, Translated):
        text: dict[str, str] = value
    else:
        text = validate({"en": value} if isinstance(value, str) else value)
    if not text.get("en", "").strip():
        raise ValueError("an empty text" if isinstance(value, str | Translated) else _LACKS_ENGLISH)
    return text


_LACKS_ENGLISH = "a text needs its English: {en = '...'}"


def _whole(text: dict[str, str]) -> dict[str, str]:
    """Serialize a text in all its languages; only its English if a translation file is broken.

    A broken translation raises where it is used.
    """
    try:
        return dict(text.items())
    except PluginProblem:
        return {"en": text["en"]}


Text = Annotated[dict[str, str], WrapValidator(_text), PlainSerializer(_whole)]
"""A text that learners see, one string per language; English is shown where a translation is missing.

In Python it is an English string or a dict: ``{"en": "Scaling", "zh": "缩放"}``. In ``technique.toml`` it is an English
string, and ``technique.zh.toml`` has the Chinese under the same key. ``say(text, lang)`` reads it.
"""


class Declared(BaseModel):
    """The base of every declaration: frozen, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
