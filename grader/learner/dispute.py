"""A case that a learner thinks was judged wrongly, as a file that can be checked on another machine."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from groundup.core.errors import UsageProblem
from groundup.core.messages import Message
from groundup.core.technique import Technique, TechniqueId
from groundup.grader.judging.judge import Judge, Replayed
from groundup.grader.judging.scoring import environment
from groundup.grader.judging.verdict import PropertyResult
from groundup.grader.process.text import LONGEST_SOURCE

__all__ = ["Dispute", "Finding", "check", "dispute", "read"]

LONGEST = 4 << 20  # bytes per file

Choices = Annotated[
    bytes,
    BeforeValidator(lambda text: base64.b64decode(text, validate=True) if isinstance(text, str) else text),
    PlainSerializer(lambda raw: base64.b64encode(raw).decode(), when_used="json"),
]


class Dispute(BaseModel):
    """One case and its result on the machine where the file was written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    technique: TechniqueId
    version: int
    files: dict[str, str] = Field(description="sha256 of what judged: 'solution' and 'properties'")
    environment: dict[str, str]
    source: str = Field(description="the attempt")
    seed: Annotated[int, Field(ge=0, lt=1 << 63)]
    thorough: bool
    choices: list[Choices] = Field(description="the case, as hypothesis keeps it; none where only the seed leads to it")
    result: PropertyResult
    answers: str = Field(description="what the attempt answered on the case, in order")
    right: str = Field(description="what the reference answered")


class Finding(BaseModel):
    """The result of checking a dispute on this machine."""

    reproduced: bool
    result: PropertyResult
    differences: dict[str, tuple[str, str]] = Field(description="what differs between the machines: theirs, ours")


def dispute(technique: Technique, source: str, seed: int, thorough: bool, replayed: Replayed) -> Dispute:
    """Return the dispute for a case that was just replayed."""
    return Dispute(
        technique=technique.id, version=technique.version, files=_digests(technique), environment=environment(),
        source=source, seed=seed, thorough=thorough, result=replayed.result, answers=replayed.answers,
        choices=sorted(replayed.cases.get(_key(technique, replayed.result), ())), right=replayed.right,
    )  # fmt: skip


def read(path: Path) -> Dispute:
    """Return the dispute in a file. Raises UsageProblem that names what is wrong with it."""
    try:
        if path.stat().st_size > LONGEST:
            raise UsageProblem("{path} is larger than {size} MiB: that is no dispute.", path=path, size=LONGEST >> 20)
        found = Dispute.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or Message("the whole file")
        raise UsageProblem("{path} is no dispute: {where}: {why}", path=path, where=where, why=first["msg"]) from error
    if len(found.source.encode()) > LONGEST_SOURCE:  # as of an attempt that is graded
        raise UsageProblem(
            "The attempt in {path} is larger than {size} KiB: that is no attempt.", path=path, size=LONGEST_SOURCE >> 10
        )
    return found


def check(judge: Judge, technique: Technique, told: Dispute) -> Finding:
    """Judge the case of a dispute on this machine."""
    kept = {_key(technique, told.result): set(told.choices)} if told.choices else None
    found = judge.replay(
        technique, told.source, technique.file, property=told.result.id, seed=told.seed, thorough=told.thorough,
        cases=kept,
    )  # fmt: skip
    theirs = {"technique": str(told.version), **told.files, **told.environment}
    ours = {"technique": str(technique.version), **_digests(technique), **environment()}
    differences = {
        name: (theirs.get(name, "-"), ours.get(name, "-"))
        for name in [*theirs, *(n for n in ours if n not in theirs)]
        if theirs.get(name) != ours.get(name)
    }
    same = [(r.status, r.counterexample, r.expected, r.got, r.where) for r in (told.result, found.result)]
    return Finding(reproduced=same[0] == same[1], result=found.result, differences=differences)


def _key(technique: Technique, result: PropertyResult) -> bytes:
    return f"{technique.id}:test_{result.id}".encode()


def _digests(technique: Technique) -> dict[str, str]:
    files = {"solution": technique.files.solution, "properties": technique.files.properties}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
