"""Sentences with their fields: English where they are made, another language where they are shown.

A :class:`Message` is a ``str``, the English one, so that it can go wherever text goes. What it was made of stays with
it: the template, which a catalogue has in other languages, and the values that fill it. Every template is a literal,
for that is what ``make messages`` finds; words that vary are fields, and may be messages themselves.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from string import Formatter
from typing import Any, Protocol

__all__ = [
    "GAP",
    "Catalogue",
    "Field",
    "Message",
    "either",
    "every",
    "joined",
    "lines_of",
    "plural",
    "said_by",
    "series",
]
__contract__ = ("Message", "plural")

Field = Any
"""What fills a template: a text, a number, a message, or a tuple of these, which reads as a list."""
Plain = Callable[[str], str]


class Catalogue(Protocol):
    """What has sentences in another language: the translations of the standard library's ``gettext``."""

    def gettext(self, message: str, /) -> str:
        """Return a sentence in that language, or as it is."""

    def ngettext(self, msgid1: str, msgid2: str, n: int, /) -> str:
        """Return the one or the other of two sentences, as that language counts."""


class Message(str):
    """A sentence: ``Message("No {kind} {name!r}.", kind="day", name="day-15")``. Without fields it stands as it is.

    Braces hold a field's name, ``!r`` where it is to be quoted, and how a number is to be formatted.
    """

    template: str
    fields: Mapping[str, Field]
    many: str | None
    """The template for several, of a sentence that counts; its field ``count`` is how many."""

    def __new__(cls, template: str, /, **fields: Field) -> Message:
        """Fill the template in. A message without further fields is returned as it is."""
        if isinstance(template, Message):
            if fields:
                raise TypeError("a message has its fields already")
            return template
        return _made(template, None, {name: _kept(value) for name, value in fields.items()})

    def translated(self, catalogue: Catalogue) -> str:
        """Return the sentence as ``catalogue`` has it; where its template does not fit the fields, in English."""
        template = self.template
        if self.many is not None:
            template = catalogue.ngettext(template, self.many, self.fields["count"])
        elif template:
            template = catalogue.gettext(template)
        try:
            return _filled(template, self.fields, catalogue)
        except (LookupError, ValueError, TypeError, AttributeError):  # a translation that names other fields
            return str(self)

    def with_texts(self, change: Plain) -> Message:
        """Return the sentence with ``change`` applied to the texts that fill it."""
        return _made(self.template, self.many, {name: _changed(value, change) for name, value in self.fields.items()})

    def filled(self, **fields: Field) -> Message:
        """Return the sentence with those fields in place of what filled it."""
        return _made(self.template, self.many, {name: _kept(value) for name, value in fields.items()})

    def as_data(self) -> dict[str, Any]:
        """Return what it is made of, as JSON can hold it."""
        data: dict[str, Any] = {"template": self.template, "fields": {n: _data(v) for n, v in self.fields.items()}}
        return data if self.many is None else {**data, "many": self.many}

    @classmethod
    def from_data(cls, data: Any) -> Message:
        """Return the message that ``data`` was made of. Raises ValueError for what no message is made of."""
        match data:
            case {"template": str(template), "fields": dict(fields)}:
                many = data.get("many")
            case _:
                raise ValueError("this is no message")
        for each in (template, *([] if many is None else [many])):
            _check(each, fields)
        if many is not None and type(fields.get("count")) is not int:
            raise ValueError("a sentence that counts lacks its count")
        return _made(template, many, {name: _read(value) for name, value in fields.items()})

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self.template, self.many, self.fields)


def plural(one: str, many: str, count: int, /, **fields: Field) -> Message:
    """Return a sentence that counts: ``plural("{count} hole", "{count} holes", 3)``."""
    return _made(one, many, {"count": count} | {name: _kept(value) for name, value in fields.items()})


def joined(separator: str, parts: Iterable[str]) -> Message:
    """Return texts and messages one after another, as one message."""
    fields = {f"part{number}": part for number, part in enumerate(parts)}
    return Message(separator.join(f"{{{name}}}" for name in fields), **fields)


def either(names: Iterable[str]) -> Message:
    """Return names of which one is meant: ``a, b or c``."""
    *others, last = names
    return Message("{names} or {last}", names=others, last=last) if others else joined("", [last])


def every(names: Iterable[str]) -> Message:
    """Return names that are all meant: ``a, b and c``."""
    *others, last = names
    return Message("{names} and {last}", names=others, last=last) if others else joined("", [last])


def series(parts: Iterable[str]) -> str:
    """Return texts and messages one after another, with semicolons between."""
    return functools.reduce(lambda one, other: Message("{one}; {other}", one=one, other=other), parts)


def said_by(error: BaseException) -> str:
    """Return what an error says: the message that it was made with, or else its text."""
    return error.args[0] if len(error.args) == 1 and isinstance(error.args[0], Message) else str(error)


def lines_of(text: str) -> list[str]:
    """Return the lines of a text; of a message that is joined of lines, the messages that they are."""
    if isinstance(text, Message) and text.fields and re.fullmatch(r"{\w+}(\n{\w+})*", text.template):
        return [line for part in text.fields.values() for line in (lines_of(part) if isinstance(part, str) else [part])]
    return [text] if isinstance(text, Message) and text else text.splitlines()


class _English:
    def gettext(self, message: str, /) -> str:
        return message

    def ngettext(self, msgid1: str, msgid2: str, n: int, /) -> str:
        return msgid1 if n == 1 else msgid2


class _Listed:
    """Several values, as a field shows them."""

    def __init__(self, values: Sequence[Any], separator: str) -> None:
        self.values, self.separator = values, separator

    def __str__(self) -> str:
        return self.separator.join(map(str, self.values))

    def __repr__(self) -> str:
        return self.separator.join(map(repr, self.values))


_ENGLISH = _English()
_SPEC = re.compile(r"[,.0-9]{0,3}[a-z%]?")


def _made(template: str, many: str | None, fields: Mapping[str, Field]) -> Message:
    chosen = template if many is None or fields["count"] == 1 else many
    message = str.__new__(Message, _filled(chosen, fields, _ENGLISH))
    message.template, message.many, message.fields = template, many, fields
    return message


def _filled(template: str, fields: Mapping[str, Field], catalogue: Catalogue) -> str:
    if not fields:
        return template
    return template.format(**{name: _shown(value, catalogue) for name, value in fields.items()})


def _shown(value: Field, catalogue: Catalogue) -> Any:
    if isinstance(value, Message):
        return value.translated(catalogue)
    if isinstance(value, tuple):
        return _Listed([_shown(part, catalogue) for part in value], catalogue.gettext(", "))
    return value


def _kept(value: Any) -> Field:
    """Return ``value`` as a message keeps it: plain, so that it can be stored and sent. An error is what it says."""
    value = said_by(value) if isinstance(value, BaseException) else value
    if isinstance(value, (Message, bool, int, float)):
        return value
    if isinstance(value, (tuple, list)):
        return tuple(_kept(part) for part in value)
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def _changed(value: Field, change: Plain) -> Field:
    if isinstance(value, Message):
        return value.with_texts(change)
    if isinstance(value, tuple):
        return tuple(_changed(part, change) for part in value)
    return change(value) if isinstance(value, str) else value


def _data(value: Field) -> Any:
    if isinstance(value, Message):
        return value.as_data()
    return [_data(part) for part in value] if isinstance(value, tuple) else value


def _read(value: Any) -> Field:
    if isinstance(value, dict):
        return Message.from_data(value)
    if isinstance(value, list):
        return tuple(_read(part) for part in value)
    if isinstance(value, (str, bool, int, float)):
        return value
    raise ValueError("a field is a text, a number, a message or a list of these")


def _check(template: str, fields: Mapping[str, Any]) -> None:
    """Raise ValueError for a template of unknown origin that does more than name its fields."""
    if not isinstance(template, str):
        raise ValueError("a template is a text")
    if not fields:
        return
    for _, name, spec, conversion in Formatter().parse(template):
        if name is None:
            continue
        if name not in fields or conversion not in (None, "r") or not _SPEC.fullmatch(spec or ""):
            raise ValueError(f"a template has the field {name!r}, which cannot be filled in")


GAP = Message("{sentence} {next}", sentence="", next="")
"""What stands between two sentences that follow one another."""
