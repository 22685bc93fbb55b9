"""Labs: runnable closed loops over a technique that measure what it is known for.

A technique's ``lab.py`` has a function ``run(bench)``; its texts are in ``[lab]`` of ``technique.toml``. It runs with
the learner's implementations, with the references, and with the foil: a variant that lacks the mechanism. It cannot
tell which. It plots points. Its results are figures, each shown beside the published figure, and a mark: the goal,
reached or not. A timeline or a memory map is drawn as a bar chart below the curves::

    return Outcome(
        figures=(bench.figure("error", error), bench.figure("bytes", count, layers=2)),
        mark=bench.mark(error < 0.1),
    )

The texts of figures and the mark may have placeholders such as ``{layers:,}``, filled in from the keyword arguments.
A ``lab.py`` may instead declare ``LAB`` and construct each ``Figure`` and ``Mark`` itself.
"""

from __future__ import annotations

import string
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from groundup.core.declared import Declared, TechniqueId, Text, fill, say
from groundup.core.errors import PluginProblem, nearest
from groundup.core.messages import Message

if TYPE_CHECKING:
    from groundup.core.interfaces.code_runner import CodeRunner

__all__ = ["Bench", "Figure", "Foil", "Lab", "LabFigure", "LabMark", "Mark", "Outcome"]
__contract__ = ("Lab", "LabFigure", "LabMark", "Foil", "Bench", "Outcome", "Figure", "Mark")


class LabFigure(Declared):
    """The texts about a number that a lab measures. They may have placeholders."""

    name: Text = Field(description="what is measured")
    unit: str = Field("", description="of the value: 'B', '%'")
    published: Text | None = Field(None, description="the published figure with its source, like for like")
    by_arithmetic: Text | None = Field(
        None, description="the formula that it follows from, where it is not measured anywhere"
    )

    @model_validator(mode="after")
    def _templates_can_be_filled(self) -> LabFigure:
        for text in (self.name, self.published, self.by_arithmetic):
            _check(text)
        return self


class LabMark(Declared):
    """The goal that a lab has to reach. The text may have placeholders."""

    says: Text = Field(description="what holds where it is reached")

    @model_validator(mode="after")
    def _template_can_be_filled(self) -> LabMark:
        _check(self.says)
        return self


class Foil(Declared):
    """A variant that runs beside the learner's and the reference. It lacks the mechanism, so it misses the mark.

    It is the solution of ``technique`` with the edit of an entry of its misconceptions.toml, or with ``edit``. Where it
    raises or dies, the report says so; the run goes on.
    """

    technique: TechniqueId = Field(description="the one, of those that the lab uses, that the foil stands in for")
    name: Text = Field(description="what it is called: 'without the clip'")
    misconception: str | None = Field(
        None, description="the id of a misconception or convention in misconceptions.toml"
    )
    within: str | None = Field(None, alias="in", description="the function of the solution that `edit` is made in")
    edit: tuple[str, str] | None = Field(None, description="what stands in the solution, and what stands there instead")

    @model_validator(mode="after")
    def _one_way_to_change(self) -> Foil:
        if (self.misconception is None) == (self.edit is None) or (self.edit is None) != (self.within is None):
            raise ValueError("give 'misconception', or 'edit' with 'in'")
        return self


class Lab(Declared):
    """What a lab is about, and how its points are plotted."""

    title: Text = Field(description="what is seen in it, as in a heading")
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
    figures: dict[str, LabFigure] = Field({}, description="what it measures, by the key that `bench.figure` is given")
    mark: LabMark | None = Field(None, description="what it has to reach")
    foil: Foil | None = Field(None, description="what is run beside, and misses the mark")
    seconds: float | None = Field(
        None, gt=0, description="CPU seconds of one full run on a machine with two cores, for the estimate"
    )

    @model_validator(mode="after")
    def _foil_is_of_a_technique_in_use(self) -> Lab:
        if self.foil and self.foil.technique not in self.uses:
            raise ValueError(f"the foil is of {self.foil.technique!r}, which 'uses' does not have")
        return self

    def figure(self, key: str, value: float, said: Mapping[str, object]) -> Figure:
        """Return figure ``key`` with its value. Raises PluginProblem for an unknown key or an unfilled placeholder."""
        if (declared := self.figures.get(key)) is None:
            near = nearest(key, self.figures)
            hint = (
                Message("did you mean {near!r}?", near=near[0])
                if near
                else Message("it has {names}", names=[*self.figures] or Message("none"))
            )
            raise PluginProblem(
                "it reports the figure {key!r}, which [lab.figures] does not have; {hint}", key=key, hint=hint
            )
        what = Message("figure {key!r}", key=key)
        return Figure(
            name=_filled(declared.name, said, what),
            value=value,
            unit=declared.unit,
            published=declared.published and _filled(declared.published, said, what),
            by_arithmetic=declared.by_arithmetic and _filled(declared.by_arithmetic, said, what),
        )

    def marked(self, reached: bool, said: Mapping[str, object]) -> Mark:
        """Return the declared mark and whether it was reached. Raises PluginProblem if no mark is declared."""
        if self.mark is None:
            raise PluginProblem("it reports its mark, but there is no [lab.mark]")
        return Mark(says=_filled(self.mark.says, said, Message("mark")), reached=reached)


class Figure(Declared):
    """One measured number, and the published one."""

    name: Text
    value: float
    unit: str = ""
    published: Text | None = Field(None, description="the published figure with its source")
    by_arithmetic: Text | None = Field(
        None, description="the formula that it follows from, where it is not measured anywhere"
    )

    def beside(self, lang: str) -> list[str]:
        """Return what is shown beside the value: the published figure, and the formula the value follows from."""
        published = [say(self.published, lang)] if self.published else []
        if self.by_arithmetic is None:
            return published
        return [*published, Message("by arithmetic: {formula}", formula=say(self.by_arithmetic, lang))]


class Mark(Declared):
    """The lab's goal, as a text with the number in it, and whether it was reached."""

    says: Text
    reached: bool


class Outcome(Declared):
    """The results of a run. A quick run may be too short to reach its mark."""

    figures: tuple[Figure, ...]
    mark: Mark | None = None


class Bench(ABC):
    """A lab's access to implementations, plots and texts: the argument of ``run``."""

    lab: Lab
    """The lab's declared texts."""
    seed: int
    quick: bool
    """Whether to stay under ten seconds of CPU time: fewer steps, the same loop. No mark is judged then."""

    @abstractmethod
    def impl(self, technique: str) -> Any:
        """Return the implementation of a technique that the lab ``uses``: a class or a function."""

    @abstractmethod
    def code_runner(self) -> CodeRunner:
        """Return a part that runs programs, each in a process of its own."""

    @abstractmethod
    def point(self, series: str, x: float, y: float) -> None:
        """Add a point to a curve; it is shown at once."""

    @abstractmethod
    def bar(self, row: str, start: float, end: float, kind: str) -> None:
        """Add a bar to a row of the bar chart. Rows are ordered by their first bar; each kind has its own colour."""

    @abstractmethod
    def progress(self, done: float) -> None:
        """Report the fraction of the work that is done, from 0 to 1."""

    def figure(self, key: str, value: float, /, **said: object) -> Figure:
        """Return the figure that ``[lab.figures.key]`` declares; ``said`` fills the placeholders in its texts."""
        return self.lab.figure(key, value, said)

    def mark(self, reached: bool, /, **said: object) -> Mark:
        """Return the mark that ``[lab.mark]`` declares, reached or not; ``said`` fills the placeholders in its text."""
        return self.lab.marked(reached, said)


def _check(text: dict[str, str] | None) -> None:
    if text is not None:
        try:
            list(string.Formatter().parse(text["en"]))
        except ValueError as error:
            raise ValueError(f"{text['en']!r} cannot be filled in: {error}; a brace is written twice") from error


def _filled(text: dict[str, str], said: Mapping[str, object], what: str) -> dict[str, str]:
    try:
        return fill(text, said)
    except (KeyError, IndexError, ValueError) as error:
        why = Message("no value is given for {{{name}}}", name=error.args[0]) if isinstance(error, KeyError) else error
        raise PluginProblem("the {what}, {text!r}: {why}", what=what, text=text["en"], why=why) from error
