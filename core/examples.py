"""Worked numbers of a technique: reads ``examples.toml``, and quotes single numbers by name. Imports no torch.

``learn author check`` runs the solution on every example. Lessons and quizzes quote the numbers instead of repeating
them.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from groundup.core.declared import Declared, Place
from groundup.core.errors import PluginProblem, nearest
from groundup.core.manifest import read_manifest
from groundup.core.technique import Technique
from groundup.core.toml_file import TomlFile, read_toml

__all__ = ["Example", "Examples", "filled_in", "leaves", "quoted", "read_examples", "written"]
__contract__ = ("Example", "quoted")

_QUOTATION = re.compile(r"(?P<id>[a-z][a-z0-9-]*)\.(?P<name>[A-Za-z_]\w*)(?P<rest>.*)", re.DOTALL)
_IN_TEXT = re.compile(r"\{\{(?P<name>[a-z][a-z0-9-]*\.[^{}:]+)(?::(?P<format>[^{}]*))?\}\}")
_STEP = re.compile(r"\[(?P<index>\d+)\]|\.(?P<key>[A-Za-z_]\w*)|\[(?P<quote>[\"'])(?P<text>.*?)(?P=quote)\]")
_PLAIN_KEY = re.compile(r"[A-Za-z_]\w*")


def _name(name: str) -> str:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"{name!r} is no name of a variable")
    return name


def _value(value: Any) -> Any:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            _value(part)
    elif not isinstance(value, bool | int | float | str):
        kind = type(value).__name__
        raise ValueError(f"{value} is a {kind}: use numbers, true, false, texts, lists and tables")
    return value


def leaves(value: Any) -> Iterator[Any]:
    """Yield what nested lists hold."""
    if isinstance(value, list):
        for part in value:
            yield from leaves(part)
    else:
        yield value


Name = Annotated[str, AfterValidator(_name)]
Value = Annotated[Any, AfterValidator(_value)]


class Example(Declared):
    """One worked example: what is given, how the solution is run on it, and the numbers that must come out."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="the name by which lessons and quizzes quote it")
    by: str = Field("", description="how the numbers were found without the solution, with the source if there is one")
    given: dict[Name, Value] = Field({}, description="variables of ``run``: nested lists are tensors there")
    run: str = Field(description="Python that uses the solution and sets the variables of ``gives``")
    gives: dict[Name, Value] = Field({}, description="the values of variables after the run")
    tolerance: float | None = Field(
        None, gt=0, le=0.01, description="absolute and relative; by default it depends on the dtype of the answer"
    )


class _Declared(Declared):
    """The file: a list of tables."""

    example: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Examples:
    """The examples of one file, in its order."""

    file: TomlFile
    all: tuple[Example, ...]

    def at(self, number: int, *place: str | int) -> str:
        """Return ``path:line`` of a part of example ``number``, counted from 0."""
        return f"{self.file.path}:{self.file.line(('example', number, *place))}"

    def source(self, number: int) -> str:
        """Return the code of example ``number``, with empty lines before it, so that lines count as in the file."""
        code, line = self.all[number].run, self.file.line(("example", number, "run"))
        first = code.partition("\n")[0]
        in_the_line_of_the_key = first in self.file.text.splitlines()[line - 1]
        return "\n" * (line - 1 if in_the_line_of_the_key else line) + code

    def quoted(self, name: str) -> Any:
        """Return the value that ``name`` stands for: ``two-steps.advantage[0][1]``.

        The first part is an example's id, the second a variable that it is given or gives. Indices count from 0;
        tables are entered by ``.key`` or ``["key"]``. Raises PluginProblem.
        """
        path = self.file.path
        if (found := _QUOTATION.fullmatch(name)) is None or (steps := _steps(found["rest"])) is None:
            why = f"{name!r} quotes nothing: write the example, a dot and a name, as in two-steps.advantage[0][1]"
            raise PluginProblem("{path}: {why}", path=path, why=why)
        number = next((n for n, example in enumerate(self.all) if example.id == found["id"]), None)
        if number is None:
            why = f"no example {found['id']!r}{_instead(found['id'], [example.id for example in self.all])}"
            raise PluginProblem("{path}: {why}", path=path, why=why)
        value: Any = self.all[number].given | self.all[number].gives
        told = found["id"]
        for step in (found["name"], *steps):
            if isinstance(value, dict):
                there = step in value
                why = f"{told} has no {step!r}{_instead(str(step), list(value))}"
            else:
                there = isinstance(step, int) and isinstance(value, list) and step < len(value)
                members = f"{len(value)} members" if isinstance(value, list) else f"just {value!r}"
                why = f"{told} has no {written((step,))}: it is {members}"
            if not there:
                raise PluginProblem("{path}: {why}", path=self.at(number), why=why)
            told += written((step,))
            value = value[step]
        return value


def read_examples(path: Path) -> Examples:
    """Read a file of examples. Raises PluginProblem that names file, line, key and what is wrong."""
    declared = read_manifest(_Declared, path, {}).example
    file = read_toml(path)
    seen: set[str] = set()
    problems: list[tuple[Place, str]] = []
    for number, example in enumerate(declared):
        if example.id in seen:
            problems.append((("example", number, "id"), f"there is an example {example.id!r} already"))
        seen.add(example.id)
        problems += [
            (("example", number, "gives", name), "this is given already: call the result otherwise")
            for name in example.given.keys() & example.gives.keys()
        ]
    if problems:
        raise file.problem(problems)
    return Examples(file, declared)


def quoted(technique: Technique, name: str) -> Any:
    """Return a number, a list or a table of the technique's examples: ``two-steps.advantage[0][1]``.

    Raises PluginProblem if there is no such file or value.
    """
    return read_examples(technique.files.examples).quoted(name)


def filled_in(text: str, technique: Technique) -> str:
    """Return a text with every ``{{two-steps.advantage[0][1]}}`` replaced by the number that it quotes.

    A format may follow, as in ``{{two-steps.advantage[0][1]:.2f}}``. Raises PluginProblem as :func:`quoted` does.
    """
    if _IN_TEXT.search(text) is None:
        return text
    examples = read_examples(technique.files.examples)

    def number(found: re.Match[str]) -> str:
        value, form = examples.quoted(found["name"]), found["format"] or ""
        if isinstance(value, list | dict):
            why = f"{found['name']} is no single number: quote one of its members"
            raise PluginProblem("{path}: {why}", path=examples.file.path, why=why)
        try:
            return format(value, form or (".10g" if isinstance(value, float) else ""))
        except ValueError as error:
            why = f"{form!r} is no format of {value!r}: {error}"
            raise PluginProblem("{path}: {why}", path=examples.file.path, why=why) from error

    return _IN_TEXT.sub(number, text)


def written(place: Place) -> str:
    """Return the steps to a value as they are written in Python: ``.advantage[0]["a.b"]``."""
    return "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" if _PLAIN_KEY.fullmatch(step) else f'["{step}"]'
        for step in place
    )


def _steps(text: str) -> Place | None:
    """Return the steps of a quotation after its name, None if the text cannot be read."""
    found: list[str | int] = []
    at = 0
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            return None
        found.append(int(step["index"]) if step["index"] else step["key"] or step["text"])
        at = step.end()
    return tuple(found)


def _instead(name: str, known: list[str]) -> str:
    """Return the end of a message about a name that does not exist."""
    if near := nearest(name, known):
        return f"; did you mean {' or '.join(map(repr, near))}?"
    return f"; there are {', '.join(known)}" if known else ""
