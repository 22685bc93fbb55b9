"""The result of a grading as data: the model behind the terminal output, ``--json``, the database and the brief."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    WrapValidator,
    computed_field,
    model_serializer,
    model_validator,
)

from groundup.core.messages import Message

Status = Literal["held", "failed", "died", "not_started", "not_reached", "not_gradable"]
"""The status of one property. ``failed``: the claim does not hold. ``died``: the attempt's process ended or had to be
ended. ``not_started``: a hole is still empty. ``not_reached``: a property that it presupposes does not hold.
``not_gradable``: the fault of Groundup or of the machine; it never counts against the attempt."""

Outcome = Literal["passed", "fell_short", "not_started", "died", "not_gradable"]


def _as_it_is(value: Any, check: Callable[[Any], str]) -> str:
    return value if isinstance(value, Message) else check(value)


Text = Annotated[str, WrapValidator(_as_it_is)]
"""A text: a string or a Message."""


class Model(BaseModel):
    """The base of the verdict's parts. Serialized, a message is its English text.

    Data for reading back (``round_trip``) also holds ``templates``: each message's template and fields. Data of older
    Groundup versions has no templates; its texts are then loaded as plain strings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _with_messages(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "templates" not in data:
            return data
        texts = {name: value for name, value in data.items() if name != "templates"}
        if not isinstance(data["templates"], dict):
            raise ValueError("templates are given by name")
        for name, made_of in data["templates"].items():
            if (message := Message.from_data(made_of)) == texts.get(name):
                texts[name] = message
        return texts

    @model_serializer(mode="wrap")
    def _with_templates(self, write: Callable[[Any], dict[str, Any]], info: SerializationInfo) -> dict[str, Any]:
        templates = {name: value.as_data() for name, value in self if isinstance(value, Message)}
        return {**write(self), "templates": templates} if templates and info.round_trip else write(self)


class PropertyResult(Model):
    """The result of one property."""

    id: str = Field(description="the test's name without 'test_'")
    claim: Text
    status: Status
    points: float = 1.0
    hole: int | None = None
    counterexample: dict[str, str] | None = Field(None, description="the smallest case found, as literals to paste")
    expected: Text | None = None
    got: Text | None = None
    where: Text | None = Field(None, description="the first place where expected and got differ")
    message: Text | None = None
    printed: str | None = Field(None, description="what the attempt printed on that case")


class HoleState(Model):
    """Whether one hole of the exercise is filled."""

    number: int
    title: str
    filled: bool


class Diagnosis(Model):
    """A named behaviour that the attempt reproduces on the failing case and on others."""

    id: str
    kind: Literal["misconception", "convention"]
    says: str
    perhaps: bool = Field(False, description="whether only two such behaviours together explain what was seen")


class Attempt(Model):
    """The file that was graded."""

    path: str
    sha256: str


class Verdict(Model):
    """One grading of one attempt."""

    technique: str
    version: int = Field(description="of the technique")
    contract: int | None = Field(
        None, description="the plugin contract that the technique is written for; older verdicts do not say"
    )
    passed: bool
    outcome: Outcome
    score: float = Field(ge=0, le=1, description="points of the properties that held over all points")
    seed: int
    examples: int
    seconds: float
    containment: str
    attempt: Attempt
    holes: tuple[HoleState, ...]
    properties: tuple[PropertyResult, ...]
    says_most: str | None = Field(
        None, description="of the properties that failed, the one to work on: its case is the smallest that was found"
    )
    diagnosis: tuple[Diagnosis, ...] = ()
    diagnosis_stopped: bool = Field(False, description="whether its time ran out before every known mistake was tried")
    problem: Text | None = Field(None, description="what stopped the grading, where something did")
    environment: dict[str, str] = Field(default_factory=dict)
    given_at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @computed_field  # type: ignore[prop-decorator]
    @property
    def held(self) -> int:
        """How many properties held."""
        return sum(p.status == "held" for p in self.properties)

    @property
    def counts(self) -> bool:
        """Whether the score enters the learner's record: not if the file could not be graded or is untouched."""
        return self.problem is None and self.outcome not in ("not_started", "not_gradable")
