"""The subject of a grading: an attempt in its process, an attempt on several ranks, or a trusted implementation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from groundup.core.errors import AttemptDied
from groundup.core.interfaces.code_runner import CodeRunner
from groundup.core.testing.subprocess_runner import SubprocessRunner

__all__ = ["Answering", "Subject"]


class Answering(Protocol):
    """The backend of ``impl``: what executes its calls."""

    @property
    def death(self) -> AttemptDied | None:
        """How it died; None while it is alive."""

    @property
    def requests(self) -> int:
        """The number of requests sent to it. A property that sends none has not tested it."""

    def reseed(self, seed: int) -> None:
        """Seed its random number generators."""

    def allow(self, seconds: float) -> None:
        """Limit its CPU time to ``seconds`` from now on."""

    def take_printed(self) -> str:
        """Return what it has printed since the last call of this method."""

    def close(self) -> None:
        """End it. Safe to call twice."""


@dataclass(frozen=True)
class Subject:
    """The ``impl`` that properties get, its backend, and the code runner for properties that request one."""

    impl: Any
    behind: Answering
    code_runner: CodeRunner = field(default_factory=SubprocessRunner)
