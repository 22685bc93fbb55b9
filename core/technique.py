"""What a plugin declares: techniques, roadmaps and their days, as pydantic models. Imports no torch."""

from __future__ import annotations

import importlib.util
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from groundup.core.reloading import home_of

CONTRACT = 1  # raised when a plugin written for an older contract would break

TechniqueId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*/[a-z][a-z0-9-]*$")]


def _english_is_there(text: dict[str, str]) -> dict[str, str]:
    if not text.get("en", "").strip():
        raise ValueError("a text needs its English: {en = '...'}")
    return text


Text = Annotated[
    dict[str, str],
    BeforeValidator(lambda value: {"en": value} if isinstance(value, str) else value),
    AfterValidator(_english_is_there),
]
"""A learner-visible text, one string a language; English is what is shown where a translation lacks."""


def say(text: dict[str, str], lang: str = "en") -> str:
    """Return ``text`` in ``lang``, or in English where it has no translation."""
    return text.get(lang) or text["en"]


class Declared(BaseModel):
    """The base of every declaration: frozen, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Declared):
    """Where a formula or a convention was checked: a paper, a page or a file of a public repository."""

    title: str
    url: str = Field(pattern=r"^https?://", description="http or https")
    where: str = Field("", description="equation, section or function")


class Hole(Declared):
    """One hole of the exercise; its hints go from a nudge to nearly the line."""

    hints: tuple[Text, ...] = Field(min_length=1, description="'learn hint' gives one after the other")


class Technique(Declared):
    """One mechanism: what it is called, what it needs, and where its files lie."""

    id: TechniqueId = Field(description="'track/technique', in lower-case words joined by hyphens")
    version: int = Field(1, ge=1, description="raised when a right attempt could get another verdict")
    contract: int = Field(CONTRACT, ge=1, description="the plugin contract that it is written for")
    title: Text = Field(description="a few words, as in a heading")
    summary: Text = Field(description="what it does, in a sentence or two: 'learn list' and the brief show it")
    package: str = Field(description="`__name__` of the plugin package; its files are found from it")
    implements: str = Field(description="the one public class or function of the file: what is graded")
    interface: str | None = Field(None, description="'module:Class' of the interface that the class fulfils")
    distributed: bool = Field(
        False, description="whether the class runs on every rank: its constructor takes the rank's communicator first"
    )
    requires: tuple[TechniqueId, ...] = Field((), description="what a learner does first; it may not be written yet")
    holes: tuple[Hole, ...] = Field(min_length=1, description="one for each that the solution marks, in its order")
    sources: tuple[Source, ...] = Field(min_length=1, description="where its formulas and conventions were checked")
    headline: Text | None = Field(None, description="the one thing it is known for, which its lab measures")
    imports: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], ...] = Field(
        (), description="further top-level modules that an attempt may import"
    )
    call_seconds: float = Field(5.0, gt=0, le=60, description="the longest that one call of an attempt may take")

    @model_validator(mode="before")
    @classmethod
    def _contract_is_known(cls, declared: Any) -> Any:
        """Say so before anything else: a newer contract may have fields that this one does not know."""
        contract = declared.get("contract") if isinstance(declared, dict) else None
        if isinstance(contract, int) and contract > CONTRACT:
            raise ValueError(
                f"{declared.get('id')} is written for plugin contract {contract}, this Groundup speaks {CONTRACT}: "
                "update Groundup"
            )
        return declared

    @model_validator(mode="after")
    def _solution_stays_out_of_reach(self) -> Technique:
        outermost = self.package.partition(".")[0]
        if outermost in self.imports:
            raise ValueError(
                f"'imports' names {outermost!r}, and with it an attempt could import the solution: keep what attempts "
                "share with the properties in a top-level module of its own"
            )
        return self

    @property
    def track(self) -> str:
        """The family: ``alignment`` of ``alignment/ppo``."""
        return self.id.partition("/")[0]

    @property
    def name(self) -> str:
        """The short name: ``ppo`` of ``alignment/ppo``."""
        return self.id.partition("/")[2]

    @property
    def file(self) -> str:
        """The attempt's path inside a workspace: ``alignment/ppo.py``."""
        return self.id.replace("-", "_") + ".py"

    @cached_property
    def files(self) -> TechniqueFiles:
        """Where the technique's files lie on this machine."""
        return TechniqueFiles(self)


class TechniqueFiles:
    """The files of one technique, and the canonical names of its modules.

    A built-in technique has its solution and exercise in ``groundup.solutions`` and ``groundup.exercises``;
    any other keeps everything beside its plugin module.
    """

    def __init__(self, technique: Technique) -> None:
        package = technique.package
        builtin = package.startswith("groundup.plugins.")
        inner = package.removeprefix("groundup.plugins.")
        self.folder = _folder(package)
        self.properties_module = f"{package}.properties"
        self.solution_module = f"groundup.solutions.{inner}" if builtin else f"{package}.solution"
        self.modules = (home_of(package), self.solution_module, *technique.imports)
        """The packages and modules that the technique is made of: all are read anew when one of them changes."""
        self.properties = self.folder / "properties.py"
        self.misconceptions = self.folder / "misconceptions.toml"
        if builtin:
            path = inner.replace(".", "/")
            self.solution = _folder("groundup.solutions") / f"{path}.py"
            self.exercise = _folder("groundup.exercises") / f"{path}.py"
            self.quiz = _folder("groundup.quizzes") / f"{path}.yaml"
        else:
            self.solution = self.folder / "solution.py"
            self.exercise = self.folder / "exercise.py"
            self.quiz = self.folder / "quiz.yaml"

    def lesson(self, lang: str = "en") -> Path:
        """Return the lesson in ``lang``, or in English where it has no translation."""
        translated = self.folder / f"lesson.{lang}.md"
        return translated if translated.exists() else self.folder / "lesson.md"


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no package {package!r}")
    return Path(spec.origin).parent


class Day(Declared):
    """One day of a roadmap. A technique it names may not be written yet."""

    number: int = Field(ge=1, description="its place: the days count 1, 2, 3 ...")
    title: Text
    techniques: tuple[TechniqueId, ...] = Field((), description="in the order in which they are learnt")
    quiz: str | None = Field(None, description="the technique whose quiz ends the day")

    @property
    def name(self) -> str:
        """What a learner types: ``day-7``."""
        return f"day-{self.number}"


class Roadmap(Declared):
    """Ordered days through the techniques."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="what learn.toml names to follow it: `roadmap = 'id'`")
    title: Text
    days: tuple[Day, ...] = Field(min_length=1)

    def model_post_init(self, _context: Any) -> None:
        """Check that the days count 1, 2, 3 ..."""
        if [d.number for d in self.days] != list(range(1, len(self.days) + 1)):
            raise ValueError(f"the days of roadmap {self.id!r} must count 1, 2, 3 ...")
