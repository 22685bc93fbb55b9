"""Marks of a property: its claim in words, its points, the property it presupposes, the hole it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

Topic = Literal["dtype", "gradient", "inputs", "refusal"]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Marks:
    """What the marks of one property say."""

    claim: dict[str, str] = field(default_factory=dict)
    points: float = 1.0
    after: tuple[str, ...] = ()
    hole: int | None = None
    topic: Topic | None = None


def marks_of(property: Any) -> Marks:
    """Return the marks of a property; one without marks has the defaults, its name read as the claim."""
    marks: Marks = getattr(property, "groundup_marks", Marks())
    if not marks.claim:
        marks.claim = {"en": property.__name__.removeprefix("test_").replace("_", " ") + "."}
    return marks


def _mark(property: F) -> Marks:
    if not hasattr(property, "groundup_marks"):
        property.groundup_marks = Marks()  # type: ignore[attr-defined]
    marks: Marks = property.groundup_marks  # type: ignore[attr-defined]
    return marks


def claim(en: str, **translations: str) -> Callable[[F], F]:
    """Say what the property claims, as a sentence: ``@claim("...", zh="...")``."""

    def decorate(property: F) -> F:
        _mark(property).claim = {"en": en, **translations}
        return property

    return decorate


def points(worth: float) -> Callable[[F], F]:
    """Make the property worth more or less than 1 point."""

    def decorate(property: F) -> F:
        _mark(property).points = worth
        return property

    return decorate


def after(*earlier: Callable[..., Any]) -> Callable[[F], F]:
    """Try the property only when the ``earlier`` ones held; otherwise it reads as 'not reached'."""

    def decorate(property: F) -> F:
        _mark(property).after += tuple(e.__name__ for e in earlier)
        return property

    return decorate


def hole(number: int) -> Callable[[F], F]:
    """Tie the property to one hole of the exercise: its hint is offered when the property fails."""

    def decorate(property: F) -> F:
        _mark(property).hole = number
        return property

    return decorate


def about(topic: Topic) -> Callable[[F], F]:
    """Say that the property speaks of one thing alone, whatever the numbers are.

    ``dtype``: precision and dtype of the answer. ``gradient``: what carries a gradient. ``inputs``: what is passed in
    stays as it was. ``refusal``: bad input raises. 'learn author matrix' marks the mistakes about other things that
    trip such a property: it should not fail for them.
    """

    def decorate(property: F) -> F:
        _mark(property).topic = topic
        return property

    return decorate
