"""Quiz questions: their fields in a quiz file, how answers are read, and which answers are right.

A kind of question is a model that derives from :class:`Question`; a plugin adds kinds through the hook
``question_types``. A question is drawn before it is asked: options are shuffled, and a parametric question becomes a
numeric one with drawn numbers. Answers are plain data (a string, a number, a list of strings or a dict) that do not
depend on the order of the options, so that they can be stored and marked again.

An answer earns a credit from 0 to 1. Most kinds know right and wrong only; a kind with partial credit defines
:meth:`Asked.credit` so that a blind guess earns 0 on average before what is below 0 is cut off.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from random import Random
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from typing_extensions import override

from groundup.core.technique import Declared, Source, Text

__all__ = ["Answer", "Asked", "FieldProblem", "Identity", "NotAnAnswer", "Question", "listing", "quoted"]
__contract__ = ("Question", "Asked", "NotAnAnswer", "FieldProblem")

Answer = str | float | list[str] | dict[str, Any]
Identity = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]+$")]


class NotAnAnswer(ValueError):
    """The input cannot be read as an answer. ``says`` gives the reason: a message, or a text in two languages.


    ``NotAnAnswer(Message("{letter} is there twice.", letter="A"))``, or ``NotAnAnswer("A is there twice.", "A …")``
    where there is no catalogue.
    """

    def __init__(self, en: str, zh: str = "") -> None:
        super().__init__(en)
        self.says: dict[str, str] | str = {"en": en, "zh": zh} if zh else en


class FieldProblem(ValueError):
    """A field of a question is invalid; ``path`` is its path within the question."""

    def __init__(self, path: Sequence[str | int], problem: str) -> None:
        super().__init__(problem)
        self.path = tuple(path)


class Question(Declared, ABC):
    """One question. Derive from it to add a kind: the model's fields are the keys that a quiz file may have."""

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
        """Return the question as it is asked this time. All randomness comes from ``random``."""


class Asked(Question):
    """A question that is ready to be asked. Most kinds derive from this; drawing at most shuffles their options."""

    @override
    def draw(self, random: Random) -> Asked:
        return self

    def choices(self) -> dict[str, Text]:
        """Return the options by letter."""
        return {}

    @abstractmethod
    def expects(self) -> Text | str:
        """Return a short description of the expected input: ``Message("a letter, A to {last}", last="D")``."""

    @abstractmethod
    def read(self, given: Any) -> Answer:
        """Parse ``given``, a typed line or a value from a file, into an answer. Raises NotAnAnswer."""

    @abstractmethod
    def is_right(self, answer: Answer) -> bool:
        """Whether ``answer``, as :meth:`read` returned it, is right."""

    def credit(self, answer: Answer) -> float:
        """Return the share of the question that ``answer`` earns, from 0 to 1; 1 is what is right."""
        return 1.0 if self.is_right(answer) else 0.0

    def by_oneself(self) -> Sequence[Text]:
        """Return the points by which learners mark their answer themselves; none where the machine marks.

        After the answer they see these and the right answer. Then :meth:`read` gets ``{"text": ..., "points": ...}``,
        with the numbers, counted from 1, of the points that are met.
        """
        return ()

    @abstractmethod
    def right_answer(self) -> Answer:
        """Return the right answer."""

    @abstractmethod
    def shown(self, answer: Answer, lang: str) -> str:
        """Return ``answer`` as text."""


def quoted(given: Any) -> str:
    """Return ``given`` as a short repr without terminal control characters."""
    text = repr(given)
    return text if len(text) <= 40 else text[:37] + "…" + text[-1]


def listing(code: str, language: str = "python") -> str:
    """Return code as a block that the terminal shows as it is, to be put into a text."""
    return f"```{language}\n{code.strip(chr(10))}\n```"
