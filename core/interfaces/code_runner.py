"""A part that runs code written by a policy and reports the outcome, for verifiable rewards.

A property takes the fixture ``code_runner`` and passes it to the attempt; a lab calls ``bench.code_runner()``. The
judge runs the code in an isolated process, which is neither the judge's nor the attempt's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from groundup.core.parts import Part
from groundup.core.plain import plain

__all__ = ["LONGEST_SECONDS", "CodeResult", "CodeRunner", "check_seconds"]

LONGEST_SECONDS = 5.0


@plain
@dataclass(frozen=True, eq=False)
class CodeResult:
    """The outcome of a program."""

    outcome: Literal["ended", "raised", "timeout", "died"]
    """``ended``: it ran to its end. ``died``: its process ended before the program did."""
    error: str = ""
    """The exception it raised, or how its process died: the type's name and the message."""
    printed: str = ""


class CodeRunner(Part):
    """Runs programs, each in its own process, without network or file writes and with little CPU time."""

    def run(self, code: str, seconds: float = 1.0) -> CodeResult:
        """Run ``code`` as a program for at most ``seconds`` of CPU time.

        Raises ValueError unless ``seconds`` is above 0 and at most 5.
        """
        raise NotImplementedError


def check_seconds(seconds: float) -> None:
    """Raise ValueError unless ``seconds`` is a time that a program may run for."""
    if not (isinstance(seconds, (int, float)) and 0 < seconds <= LONGEST_SECONDS):
        raise ValueError(f"a program may run for more than 0 s and at most {LONGEST_SECONDS:g} s, not {seconds!r}")
