"""Loads the properties of a technique: the test functions by name, and the form of each result in a verdict."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from groundup.core.errors import AttemptDied, AttemptRaised, PluginProblem, UnknownName
from groundup.core.messages import Message
from groundup.core.moved import told
from groundup.core.technique import Technique, say
from groundup.core.testing.laws import Law
from groundup.core.testing.marks import Topic, marks_of
from groundup.core.testing.modules import properties_of, reference_of
from groundup.grader.judging.proof import found_by
from groundup.grader.judging.recorder import FAILURES
from groundup.grader.judging.verdict import PropertyResult, Status
from groundup.grader.process.text import cleaned

__all__ = ["Properties", "load_reference"]

PREFIX = "test_"


class Properties:
    """The properties that ``properties.py`` declares: ``functions`` by name, in file order."""

    def __init__(self, technique: Technique) -> None:
        """Load them from the current file. Raises PluginProblem."""
        self.technique = technique
        file = technique.files.properties
        try:
            module = properties_of(technique)
        except (*FAILURES, pytest.skip.Exception) as error:
            raise PluginProblem("{file} cannot be loaded: {why}", file=file, why=told(error)) from error
        found = {name: value for name, value in vars(module).items() if name.startswith(PREFIX) and callable(value)}
        if bare := next((name for name, value in found.items() if isinstance(value, Law)), None):
            raise PluginProblem(
                "{file}: {bare} is a law, not yet a property: write {bare} = laws.{bare}(SETTING)", file=file, bare=bare
            )
        if not found:
            raise PluginProblem("{file} declares no property: functions named test_<claim>", file=file)
        self.functions: dict[str, Callable[..., Any]] = found

    @property
    def names(self) -> list[str]:
        """The properties' names as in a verdict, without ``test_``."""
        return [name.removeprefix(PREFIX) for name in self.functions]

    def function_named(self, property: str) -> str:
        """Return the name of a property's function. Raises UnknownName."""
        if PREFIX + property not in self.functions:
            of_it, names = Message("property of {id}", id=self.technique.id), self.names
            raise UnknownName(of_it, property, names, Message("It has {names}.", names=names))
        return PREFIX + property

    def finds(self, function: str) -> int:
        """Return how many known mistakes a property detects; 0 if that is not recorded."""
        return self._finds.get(function.removeprefix(PREFIX), 0)

    @functools.cached_property
    def _finds(self) -> dict[str, int]:
        return found_by(self.technique)

    def key(self, function: str) -> bytes:
        """Return the key under which a property's failing cases are kept."""
        return f"{self.technique.id}:{function}".encode()

    def result(self, function: str, status: Status, lang: str, **details: Any) -> PropertyResult:
        """Return the result of one property. Its texts are made printable, since answers may contain anything."""
        marks = marks_of(self.functions[function])
        clean = {k: cleaned(v) if isinstance(v, str) else v for k, v in details.items()}
        return PropertyResult(
            id=function.removeprefix(PREFIX), claim=say(marks.claim, lang), status=status,
            points=marks.points, hole=marks.hole, **clean,
        )  # fmt: skip

    def topic(self, name: str) -> Topic | None:
        """Return the single topic of the property with that id, None if it has none."""
        return marks_of(self.functions[PREFIX + name]).topic

    def not_loaded(self, error: AttemptRaised | AttemptDied, lang: str) -> list[PropertyResult]:
        """Return the results for an attempt that could not be loaded because of ``error``."""
        status: Status = "died" if isinstance(error, AttemptDied) else "not_reached"
        return [self.result(function, status, lang) for function in self.functions]


def load_reference(technique: Technique) -> Any:
    """Return the solution's public class or function. Raises PluginProblem."""
    try:
        return reference_of(technique)
    except Exception as error:
        raise PluginProblem("The solution of {id} cannot be loaded: {why}", id=technique.id, why=told(error)) from error
