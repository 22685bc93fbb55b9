"""Labs: runnable closed loops over a technique that measure what it is known for.

A technique's ``lab.py`` declares ``LAB`` and a function ``run(bench)``. It is run once with the learner's
implementations and once with the references, and never knows which. What it plots are points; what it found are
figures, each beside the published one; whether it worked is its mark. A timeline, or a map of memory, is a chart of
bars below the curves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from pydantic import Field

from groundup.core.technique import Declared, TechniqueId, Text

__all__ = ["Bench", "Figure", "Lab", "Mark", "Outcome"]


class Lab(Declared):
    """What a lab is about, and how its points are drawn."""

    title: Text
    uses: tuple[TechniqueId, ...] = Field(min_length=1, description="the techniques whose implementations it runs")
    x: Text = Field(description="label of the horizontal axis, with its unit")
    y: Text = Field(description="label of the vertical axis, with its unit")
    logarithmic: bool = Field(False, description="whether the vertical axis is logarithmic")
    bars: Text | None = Field(
        None, description="label of the horizontal axis of its chart of bars, with its unit, where it draws one"
    )
    names: dict[str, Text] = Field(
        {}, description="what its curves, and the rows and kinds of its bars, are called in each language"
    )


class Figure(Declared):
    """One number that was measured, and what is published of it."""

    name: Text
    value: float
    unit: str = ""
    published: Text | None = Field(None, description="the published figure with its source")


class Mark(Declared):
    """What the lab had to reach, in words with the number in it, and whether it did."""

    says: Text
    reached: bool


class Outcome(Declared):
    """What a run found. A quick run may be too short for its mark."""

    figures: tuple[Figure, ...]
    mark: Mark | None = None


class Bench(ABC):
    """What a lab is given."""

    seed: int
    quick: bool
    """Whether to stay under about ten seconds: fewer steps, the same loop."""

    @abstractmethod
    def impl(self, technique: str) -> Any:
        """Return the implementation of a technique that the lab ``uses``: a class or a function."""

    @abstractmethod
    def point(self, series: str, x: float, y: float) -> None:
        """Add a point to a curve; it is shown at once."""

    @abstractmethod
    def bar(self, row: str, start: float, end: float, kind: str) -> None:
        """Add a bar to a row of the chart of bars; rows stand in the order of their first bar, a kind has a colour."""

    @abstractmethod
    def progress(self, done: float) -> None:
        """Say how much is done, from 0 to 1."""
