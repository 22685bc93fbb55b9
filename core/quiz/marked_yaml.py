"""Reads YAML and records the line of every value, so that checks can name the line of a problem.

Scalars follow YAML 1.2, and so JSON: ``no`` and ``12:30`` are strings, ``1e9`` is a number. Anchors, tags and duplicate
keys are errors: quiz files do not need them, and anchors let a small file expand to a huge one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

__all__ = ["Document", "Malformed", "read_yaml"]

Path = tuple[str | int, ...]

DEEPEST = 20
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # libyaml's is about ten times as fast, if PyYAML has it
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


class Malformed(ValueError):
    """The text is not valid YAML, or uses YAML that is not allowed here. ``line`` counts from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


@dataclass(frozen=True)
class Document:
    """A text's value, and the line of each part of it."""

    value: Any
    _lines: dict[Path, int] = field(repr=False)

    def line(self, path: Sequence[str | int]) -> int:
        """Return the line of the value at ``path``, or of the innermost existing value around it."""
        steps = tuple(path)
        while steps not in self._lines:
            steps = steps[:-1]
        return self._lines[steps]


def read_yaml(text: str) -> Document:
    """Read one YAML or JSON document. Raises Malformed."""
    lines: dict[Path, int] = {(): 1}
    try:
        events = iter(yaml.parse(text, Loader=_Loader))
        next(events)  # the stream's start
        if isinstance(next(events), yaml.StreamEndEvent):
            return Document(None, lines)
        value = _value(next(events), events, (), lines)
        next(events)  # the document's end
        after = next(events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise Malformed(_line(after), "a second document begins here; one is enough")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "this cannot be read"
        if "nesting depth" in problem:  # libyaml has a limit of its own, above ours
            raise Malformed(line, f"nested more than {DEEPEST} deep") from error
        if "mapping values" in problem:
            problem += "; a text with a colon in it goes in quotes"
        raise Malformed(line, f"not YAML: {problem}") from error
    return Document(value, lines)


def _value(
    event: yaml.Event,
    events: Iterator[yaml.Event],
    path: Path,
    lines: dict[Path, int],
) -> Any:
    line = _line(event)
    lines.setdefault(path, line)
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise Malformed(line, "anchors (&) and aliases (*) are not read here; write the value out, or in quotes")
    if getattr(event, "tag", None) not in (None, "!"):
        raise Malformed(line, "tags (!) are not read here; write the value in quotes")
    if len(path) > DEEPEST:
        raise Malformed(line, f"nested more than {DEEPEST} deep")
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event)
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(_value(event, events, (*path, len(items)), lines))
        return items
    found: dict[str, Any] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        line = _line(event)
        if not isinstance(event, yaml.ScalarEvent):
            raise Malformed(line, "a key must be a plain word")
        key: str = event.value
        if key in found:
            raise Malformed(line, f"{key!r} is given twice")
        lines[*path, key] = line
        found[key] = _value(next(events), events, (*path, key), lines)
    return found


def _scalar(event: yaml.ScalarEvent) -> Any:
    text: str = event.value
    if event.style:  # quoted, or a block of text
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if len(text) < 400 and _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
