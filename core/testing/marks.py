"""Marks of a property: its claim, its points, the properties it depends on, its hole, its topic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

Topic = Literal["dtype", "gradient", "inputs", "refusal"]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Marks:
    """The marks of one property."""

    claim: dict[str, str] = field(default_factory=dict)
    points: float = 1.0
    after: tuple[str, ...] = ()
    hole: int | None = None
    topic: Topic | None = None


def marks_of(property: Any) -> Marks:
    """Return the marks of a property. Defaults replace missing marks; the claim defaults to the name in words."""
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
    """State the property's claim as a sentence: ``@claim("...", zh="...")``."""

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
    """Run the property only if the ``earlier`` ones held; otherwise it is reported as 'not reached'."""

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
    """Mark the property as being about one topic only, whatever the numbers are.

    ``dtype``: precision and dtype of the answer. ``gradient``: which results carry gradient. ``inputs``: the call does
    not modify its inputs. ``refusal``: bad input raises. The property should not fail for mistakes about anything
    else; 'learn author matrix' marks those that it does fail for.
    """

    def decorate(property: F) -> F:
        _mark(property).topic = topic
        return property

    return decorate
