"""Reads manifests: a declaration from a TOML file, and its translations from the files beside it.

The model's types determine which values are texts. A translation file holds only texts, each at the place of its
English: list members are matched by position, table entries by key.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError

from groundup.core.declared import Place, Text, Translated, Translations
from groundup.core.errors import nearest
from groundup.core.messages import Message, either
from groundup.core.toml_file import read_toml, unknown

__all__ = ["languages", "read_manifest", "translated"]

M = TypeVar("M", bound=BaseModel)
Problem = tuple[Place, str]
Shape = dict[str, Any] | bool
"""Where a type holds texts: True for a text, a dict for a container of texts. ``*`` is any key or any index."""

_TEXT = get_args(Text)[1]
"""The annotation that marks a type as ``Text``."""
_LACKING = Message("this is lacking")


def read_manifest(model: type[M], path: Path, places: Mapping[str, Place], **given: object) -> M:
    """Return the ``model`` that the file declares, completed with the ``given`` fields.

    ``places`` maps a field to its place in the file, if it is not there under its own name. Raises PluginProblem that
    names the file, the line, the key and what is wrong.
    """
    file = read_toml(path)
    where = {name: places.get(name, (name,)) for name in model.model_fields if name not in given}
    texts = _Texts(path)
    fields, shapes = dict(given), _shape_of(model)
    for name, place in where.items():
        if (value := _at(file.data, place)) is not None:
            fields[name] = texts.translated(value, shapes.get(name, False), place)
    problems = [*_unknown(file.data, where.values()), *texts.problems]
    try:
        declared = model.model_validate(fields)
    except ValidationError as error:
        found = _all_told(error, model, where)
        about_the_whole = found[0][0] == ()  # for example a newer contract, which may have further keys
        raise file.problem(found if about_the_whole else _without_misspelt([*problems, *found])) from error
    if problems:
        raise file.problem(problems)
    return declared


def _at(table: Mapping[str, Any], place: Place) -> Any:
    value: Any = table
    for step in place:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _unknown(table: Mapping[str, Any], places: Iterable[Place], before: Place = ()) -> Iterator[Problem]:
    """Yield a problem for each key that belongs to no field."""
    for key, value in table.items():
        further = [place[1:] for place in places if place[0] == key]
        if not further:
            yield (*before, key), unknown(key, {str(place[0]) for place in places})
        elif () not in further:
            if isinstance(value, dict):
                yield from _unknown(value, further, (*before, key))
            else:
                yield (*before, key), Message("this should be a table")


# Texts


def _shape(kind: Any) -> Shape:
    arguments = get_args(kind)
    if get_origin(kind) is Annotated:
        return _TEXT in arguments or _shape(arguments[0])
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _shape_of(kind)
    if get_origin(kind) in (tuple, dict):
        shape = _shape(_member(kind))
        return {"*": shape} if shape else False
    return next((shape for argument in arguments if (shape := _shape(argument))), False)


@functools.cache
def _shape_of(model: type[BaseModel]) -> dict[str, Shape]:
    return {name: shape for name, hint in _hints(model).items() if (shape := _shape(hint))}


def _inside(shape: dict[str, Any], key: str) -> Shape:
    found: Shape = shape.get(key, shape.get("*", False))
    return found


@functools.cache
def _hints(model: type[BaseModel]) -> dict[str, Any]:
    hints = get_type_hints(model, include_extras=True)
    return {name: hints[name] for name in model.model_fields}


def _member(kind: Any) -> Any:
    """Return the type of a tuple's members or of a dict's values."""
    return get_args(kind)[get_origin(kind) is dict]


class _Texts:
    """The English texts of one file, by place, and the reader of their translations."""

    def __init__(self, path: Path) -> None:
        self.english: dict[Place, str] = {}
        self.problems: list[Problem] = []
        read = functools.partial(_translation, path, self.english)
        self.translations = Translations(functools.partial(languages, path), read)

    def translated(self, value: Any, shape: Shape, place: Place) -> Any:
        """Return the ``value`` at ``place`` with each text in it made a ``Translated``."""
        if shape is True and isinstance(value, str):
            self.english[place] = value
            return Translated(value, place, self.translations)
        if shape is True:
            self.problems.append((place, Message("this should be a text in quotes")))
        if isinstance(shape, dict) and isinstance(value, dict):
            return {key: self.translated(part, _inside(shape, key), (*place, key)) for key, part in value.items()}
        if isinstance(shape, dict) and isinstance(value, list):
            return [self.translated(part, _inside(shape, "*"), (*place, number)) for number, part in enumerate(value)]
        return value


def languages(path: Path) -> list[str]:
    """Return the languages that the file is translated into."""
    names = [name for name in os.listdir(path.parent) if name.startswith(f"{path.stem}.") and name != path.name]  # noqa: PTH208
    return sorted(n[len(path.stem) + 1 : -len(path.suffix)] for n in names if n.endswith(path.suffix))


def translated(path: Path, lang: str) -> Path:
    """Return the file that translates ``path``."""
    return path.with_name(f"{path.stem}.{lang}{path.suffix}")


def _translation(path: Path, english: Mapping[Place, str], lang: str) -> dict[Place, str]:
    """Return the texts in ``lang`` by place. Raises PluginProblem if the file does not match the English."""
    if lang not in languages(path):
        return {}
    file = read_toml(translated(path, lang))
    inner = {place[:length] for place in english for length in range(len(place))}
    found: dict[Place, str] = {}
    problems: list[Problem] = []

    def read(value: Any, place: Place) -> None:
        if place in english:
            if isinstance(value, str) and value.strip():
                found[place] = value
            else:
                problems.append((place, Message("this should be a text, as it is in English")))
        elif place not in inner:
            problems.append((place, _unmatched(path, place, inner | english.keys())))
        elif isinstance(value, dict):
            for key, part in value.items():
                read(part, (*place, key))
        elif isinstance(value, list):
            for number, part in enumerate(value):
                read(part, (*place, number))
        else:
            problems.append((place, Message("this should hold texts, as it does in {file}", file=path.name)))

    read(file.data, ())
    if problems:
        raise file.problem(problems)
    return found


def _unmatched(path: Path, place: Place, known: Iterable[Place]) -> str:
    """Return the message for a translation at a ``place`` where the English has no text."""
    beside = [p[-1] for p in known if len(p) == len(place) and p[:-1] == place[:-1]]
    if isinstance(place[-1], int):
        return Message("{file} has {count} of them", file=path.name, count=len(beside))
    if near := nearest(place[-1], map(str, beside)):
        return Message(
            "there is no such text in {file}; did you mean {near}?", file=path.name, near=either(map(repr, near))
        )
    return Message("there is no such text in {file}; there are {known}", file=path.name, known=sorted(map(str, beside)))


# Pydantic's errors


def _all_told(error: ValidationError, model: type[BaseModel], where: Mapping[str, Place]) -> list[Problem]:
    errors = error.errors()
    inner = {e["loc"][:length] for e in errors for length in range(len(e["loc"]))}
    # Pydantic also reports a list whose only member is wrong as too short.
    return [_told(e, model, where) for e in errors if not (e["type"] == "too_short" and e["loc"] in inner)]


def _told(error: Any, model: type[BaseModel], where: Mapping[str, Place]) -> Problem:
    """Return the place of an error in the file, and a message."""
    loc = tuple(step for step in error["loc"] if step != "[key]")
    place = (*where.get(str(loc[0]), (str(loc[0]),)), *loc[1:]) if loc else ()
    if error["type"] == "missing":
        return place, _LACKING
    if error["type"] == "extra_forbidden":
        return place, unknown(str(loc[-1]), _fields_at(model, loc[:-1]))
    words = str(error["msg"]).removeprefix("Value error, ")
    for subject in ("Input", "String", "Tuple", "Dictionary", "List"):
        words = words.replace(f"{subject} should", "this should")
    return place, words


def _without_misspelt(problems: list[Problem]) -> list[Problem]:
    """Drop the report of a missing key where the same table has a misspelt one that is reported."""
    return [
        (place, words)
        for place, words in problems
        if words != _LACKING
        or not any(p[:-1] == place[:-1] and f"did you mean {place[-1]!r}" in w for p, w in problems if p)
    ]


def _fields_at(kind: Any, loc: Place) -> list[str]:
    """Return the field names of the model at ``loc``."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if loc:
            return _fields_at(_hints(kind).get(str(loc[0])), loc[1:])
        return [field.alias or name for name, field in kind.model_fields.items()]
    if get_origin(kind) in (tuple, dict):
        return _fields_at(_member(kind), loc[1:])
    return next((found for each in get_args(kind) if (found := _fields_at(each, loc))), [])
