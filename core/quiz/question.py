"""Quiz questions: what a file declares, what a learner may answer, and what counts as right.

A kind of question is a model that derives from :class:`Question`; a plugin adds its own through the hook
``question_types``. A question is drawn before it is asked: options are shuffled, and a parametric one becomes a numeric
one with numbers of its own. Answers are plain data (a string, a number or a list of strings) that do not depend on
the draw's order, so that they can be kept and judged again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from random import Random
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from typing_extensions import override

from groundup.core.technique import Declared, Source, Text

__all__ = ["Answer", "Asked", "FieldProblem", "Identity", "NotAnAnswer", "Question", "quoted"]
__contract__ = ("Question", "Asked", "NotAnAnswer", "FieldProblem")

Answer = str | float | list[str]
Identity = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]+$")]


class NotAnAnswer(ValueError):
    """What was given cannot be an answer, right or wrong. ``says`` tells why: a message, or a text in two languages.

    ``NotAnAnswer(Message("{letter} is there twice.", letter="A"))``, or ``NotAnAnswer("A is there twice.", "A …")``
    where there is no catalogue.
    """

    def __init__(self, en: str, zh: str = "") -> None:
        super().__init__(en)
        self.says: dict[str, str] | str = {"en": en, "zh": zh} if zh else en


class FieldProblem(ValueError):
    """Something is wrong with a part of a question; ``path`` leads there from the question."""

    def __init__(self, path: Sequence[str | int], problem: str) -> None:
        super().__init__(problem)
        self.path = tuple(path)


class Question(Declared, ABC):
    """One question. Derive from it to add a kind: its fields are what a quiz file may say of such a question."""

    id: Identity
    kind: str
    text: Text
    explanation: Text = Field(description="shown after the answer, right or wrong")
    source: Source | None = None
    section: Text | None = Field(None, description="the heading in the lesson that a wrong answer sends back to")

    @model_validator(mode="after")
    def _says_where_it_is_from(self) -> Self:
        if self.source is None and self.section is None:
            raise ValueError("a question needs a source {title, url}, or a section of the lesson")
        return self

    @abstractmethod
    def draw(self, random: Random) -> Asked:
        """Return the question as it is asked this time. All chance is taken from ``random``."""


class Asked(Question):
    """A question ready to be asked. Most kinds are, but for the order of their options."""

    @override
    def draw(self, random: Random) -> Asked:
        return self

    def choices(self) -> dict[str, Text]:
        """Return what there is to choose from, by letter."""
        return {}

    @abstractmethod
    def expects(self) -> Text | str:
        """Return what to type, in a few words: ``Message("a letter, A to {last}", last="D")``."""

    @abstractmethod
    def read(self, given: Any) -> Answer:
        """Return the answer that ``given``, a line typed or a value from a file, stands for. Raises NotAnAnswer."""

    @abstractmethod
    def is_right(self, answer: Answer) -> bool:
        """Whether ``answer``, as :meth:`read` returned it, is right."""

    @abstractmethod
    def right_answer(self) -> Answer:
        """Return the right answer."""

    @abstractmethod
    def shown(self, answer: Answer, lang: str) -> str:
        """Return ``answer`` in words."""


def quoted(given: Any) -> str:
    """Return what was given, short, and without characters that could steer a terminal."""
    text = repr(given)
    return text if len(text) <= 40 else text[:37] + "…" + text[-1]
