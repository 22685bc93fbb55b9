"""What is judged: an attempt in its process, the ranks of one, or a trusted implementation in this process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from groundup.core.errors import AttemptDied
from groundup.core.interfaces.code_runner import CodeRunner
from groundup.core.testing.subprocess_runner import SubprocessRunner

__all__ = ["Answering", "Subject"]


class Answering(Protocol):
    """What answers behind ``impl``."""

    @property
    def death(self) -> AttemptDied | None:
        """How it died, once it has."""

    @property
    def requests(self) -> int:
        """How many requests it has been sent: a property that sends none has not judged it."""

    def reseed(self, seed: int) -> None:
        """Start its random numbers anew."""

    def allow(self, seconds: float) -> None:
        """Give it so many seconds of CPU time from now on, and no more."""

    def take_printed(self) -> str:
        """Return what it has printed since this was last asked."""

    def close(self) -> None:
        """End it. Safe to call twice."""


@dataclass(frozen=True)
class Subject:
    """The ``impl`` that properties get, what answers behind it, and what runs code for those that ask for it."""

    impl: Any
    behind: Answering
    code_runner: CodeRunner = field(default_factory=SubprocessRunner)
