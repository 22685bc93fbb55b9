"""What a plugin declares: techniques, roadmaps and their days, as pydantic models. Imports no torch."""

from __future__ import annotations

import importlib.util
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from groundup.core.declared import Declared, Place, TechniqueId, Text, file_of, say
from groundup.core.lab import Lab
from groundup.core.manifest import read_manifest
from groundup.core.reloading import home_of

__all__ = [
    "CONTRACT", "Change", "Day", "Declared", "Hole", "Roadmap", "Source", "Technique", "TechniqueFiles", "TechniqueId",
    "Text", "say",
]  # fmt: skip
__contract__ = ("Technique", "Hole", "Source", "Change", "Roadmap", "Day", "TechniqueFiles")

CONTRACT = 2  # incremented when a change would break plugins written for an older contract
MANIFEST = "technique.toml"
PLACES: dict[str, Place] = {
    "holes": ("hole",),
    "sources": ("source",),
    "changes": ("change",),
    "call_seconds": ("limits", "call_seconds"),
}
"""The place in a manifest of each Technique field that does not stand there under its own name."""


class Source(Declared):
    """Where a formula or a convention was checked: a paper, a page or a file of a public repository."""

    title: str = Field(description="authors, year and title; of a file, the project and the path")
    url: str = Field(pattern=r"^https?://", description="http or https")
    where: str = Field("", description="equation, section or function")
    seen: str = Field("", description="the version, or the date, in which a library's file was seen: '2.13.0'")


class Hole(Declared):
    """One hole of the exercise; its hints go from a nudge to nearly the line.

    The solution may give the hole a placeholder: the code that runs in the hole while it is empty, so that earlier
    holes can be judged. It is a comment of one logical line under the hole's explanation, such as
    ``# EMPTY: advantage = delta.clone()``. Every hole but the first may have one. It does not appear in the exercise.
    """

    hints: tuple[Text, ...] = Field(min_length=1, description="'learn hint' gives one after the other")
    code: str = Field(
        "", description="the code that the last hint introduces: whole statements that fill the hole, which can be run"
    )


class Change(Declared):
    """What a version of a technique changes for learners with an attempt at the previous version."""

    version: int = Field(ge=2, description="the version that brought it")
    text: Text = Field(description="what is graded otherwise now, in a sentence or two")


class Technique(Declared):
    """One mechanism: its names, its requirements and its files.

    It is declared in ``technique.toml`` beside the plugin's module; ``Technique.from_package(__name__)`` reads it. The
    file's tables are ``[[hole]]``, ``[[source]]``, ``[[change]]``, ``[limits]`` (with ``call_seconds``) and ``[lab]``.
    """

    id: TechniqueId = Field(description="'track/technique', in lower-case words joined by hyphens")
    version: int = Field(1, ge=1, description="raised when a right attempt could get another verdict")
    changes: tuple[Change, ...] = Field((), description="what became of it since version 1, the oldest change first")
    contract: int = Field(CONTRACT, ge=1, description="the plugin contract that it is written for")
    title: Text = Field(description="a few words, as in a heading")
    summary: Text = Field(description="what it does, in a sentence or two: 'learn list' and the brief show it")
    level: int | None = Field(
        None, ge=1, le=5, description="1: school mathematics and a little Python will do; 5: for who works in the field"
    )
    minutes: int | None = Field(None, ge=1, description="how long a learner takes, from the lesson to a pass")
    package: str = Field(description="`__name__` of the plugin package; its files are found from it")
    implements: str = Field(description="the one public class or function of the file: what is graded")
    interface: str | None = Field(None, description="'module:Class' of the interface that the class fulfils")
    distributed: bool = Field(
        False, description="whether the class runs on every rank: its constructor takes the rank's communicator first"
    )
    given: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ...] = Field(
        (),
        description="what the judge owns and hands to the attempt, by name: 'policy', 'environment'; the communicator "
        "of a distributed one is not among them",
    )
    requires: tuple[TechniqueId, ...] = Field((), description="what a learner does first; it may not be written yet")
    holes: tuple[Hole, ...] = Field(min_length=1, description="one for each that the solution marks, in its order")
    sources: tuple[Source, ...] = Field(min_length=1, description="where its formulas and conventions were checked")
    headline: Text | None = Field(None, description="the one thing it is known for, which its lab measures")
    imports: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], ...] = Field(
        (), description="further top-level modules that an attempt may import"
    )
    call_seconds: float = Field(5.0, gt=0, le=60, description="the longest that one call of an attempt may take")
    lab: Lab | None = Field(None, description="what its lab is about, unless lab.py itself says so in `LAB`")

    @classmethod
    def from_package(cls, package: str) -> Technique:
        """Return what ``technique.toml`` of the package declares. Raises PluginProblem with file, line and key.

        ``technique.zh.toml`` beside it holds the same texts in Chinese; other languages likewise. It is read when a
        text in its language is first used: ``say(technique.title, "zh")``.
        """
        return read_manifest(cls, _folder(package) / MANIFEST, PLACES, package=package)

    @model_validator(mode="before")
    @classmethod
    def _contract_is_known(cls, declared: Any) -> Any:
        """Check the contract before all other fields: a newer contract may have fields unknown here."""
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

    @model_validator(mode="after")
    def _changes_lead_to_this_version(self) -> Technique:
        versions = [change.version for change in self.changes]
        if versions != sorted(set(versions)) or any(version > self.version for version in versions):
            raise ValueError(
                f"the changes are of versions {', '.join(map(str, versions))}: each once, in order, none above "
                f"{self.version}, the version of the technique"
            )
        return self

    def changed_since(self, version: int) -> tuple[Change, ...]:
        """Return what changed after ``version``, the oldest first."""
        return tuple(change for change in self.changes if change.version > version)

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
        return file_of(self.id)

    @cached_property
    def files(self) -> TechniqueFiles:
        """The paths of the technique's files on this machine."""
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
        """The packages and modules of the technique: all are reloaded when one of them changes."""
        declared = self.folder / MANIFEST
        self.manifest = declared if declared.is_file() else self.folder / "__init__.py"
        self.properties = self.folder / "properties.py"
        self.misconceptions = self.folder / "misconceptions.toml"
        self.examples = self.folder / "examples.toml"
        self.figures = self.folder / "figures.py"
        self.figures_module = f"{package}.figures"
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
        """Return the path of the lesson in ``lang``, or in English if it has no translation."""
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
    elective: tuple[TechniqueId, ...] = Field((), description="those of its techniques that a learner may leave out")
    quiz: str | tuple[str, ...] | None = Field(
        None,
        description="the technique whose quiz `learn quiz day-N` asks, or several; None for those of all of the day's "
        "techniques but electives",
    )

    @property
    def name(self) -> str:
        """The name that a learner types: ``day-7``."""
        return f"day-{self.number}"

    @model_validator(mode="after")
    def _what_is_elective_is_there(self) -> Day:
        if more := set(self.elective) - set(self.techniques):
            raise ValueError(f"{min(more)!r} is elective, but not among the techniques of {self.name}")
        return self


class Roadmap(Declared):
    """Ordered days through the techniques."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="what learn.toml names to follow it: `roadmap = 'id'`")
    title: Text
    days: tuple[Day, ...] = Field(min_length=1)

    def model_post_init(self, _context: Any) -> None:
        """Check that the days count 1, 2, 3 ..."""
        if [d.number for d in self.days] != list(range(1, len(self.days) + 1)):
            raise ValueError(f"the days of roadmap {self.id!r} must count 1, 2, 3 ...")
