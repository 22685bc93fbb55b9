"""What every declaration is made of: frozen models, ids, and texts in several languages. Imports no torch.

A text is a dict, one string a language. One that stands in a file in TOML holds its English; its translation is read
from the file of that language when somebody asks for it first: ``say(text, "zh")``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, ValidatorFunctionWrapHandler, WrapValidator

from groundup.core.errors import PluginProblem

__all__ = ["Declared", "Place", "TechniqueId", "Text", "Translated", "Translations", "file_of", "fill", "say"]
__contract__ = ("Text", "say")

Place = tuple[str | int, ...]
"""The way to a value through tables and lists: ``("hole", 0, "hints", 2)``."""

TechniqueId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*/[a-z][a-z0-9-]*$")]


def file_of(identity: str) -> str:
    """Return where, inside a workspace, the attempt at the technique of that id lies."""
    return identity.replace("-", "_") + ".py"


class Translations:
    """The texts that stand beside a file in other languages. The file of a language is read once, when it is needed."""

    def __init__(self, languages: Callable[[], list[str]], read: Callable[[str], Mapping[Place, str]]) -> None:
        self._languages, self._read = languages, read
        self._texts: dict[str, Mapping[Place, str]] = {}

    def languages(self) -> list[str]:
        """Return the languages that there are files of."""
        return self._languages()

    def text(self, lang: str, place: Place) -> str | None:
        """Return the text at ``place``, None where it is not translated. Raises PluginProblem for a broken file."""
        if lang not in self._texts:
            self._texts[lang] = self._read(lang)
        return self._texts[lang].get(place)


class Translated(dict[str, str]):
    """A text whose English is at hand, and whose translations are read when they are asked for.

    ``say``, ``get`` and ``[...]`` read the file of the language that they are given, and none for English. Whatever
    looks at all languages (``in``, ``items``, ``len`` ...) reads all files.
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
        except (LookupError, ValueError):  # a translation that cannot be filled in is none: 'author check' tells of it
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
        """Return each language, and the text in it."""
        return [(lang, self[lang]) for lang in self]


def say(text: dict[str, str] | str, lang: str = "en") -> str:
    """Return ``text`` in ``lang``, or in English where it has no translation. A message is translated elsewhere."""
    if isinstance(text, str):
        return text
    return text.get(lang) or text["en"]


def fill(text: dict[str, str], values: Mapping[str, object]) -> dict[str, str]:
    """Return ``text`` with its placeholders filled in as ``str.format`` does. Raises KeyError for one without value."""
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
    """Return a text in all its languages, to be written down. A broken translation is told where it is spoken."""
    try:
        return dict(text.items())
    except PluginProblem:
        return {"en": text["en"]}


Text = Annotated[dict[str, str], WrapValidator(_text), PlainSerializer(_whole)]
"""A learner-visible text, one string a language; English is what is shown where a translation lacks.

In Python it is a string, which is English, or a dict: ``{"en": "Scaling", "zh": "缩放"}``. In ``technique.toml`` it is
a string, English, and ``technique.zh.toml`` has the Chinese at the same place. ``say(text, lang)`` reads it.
"""


class Declared(BaseModel):
    """The base of every declaration: frozen, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
