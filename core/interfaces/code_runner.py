"""A part that runs code which a policy wrote, and says what came of it: what verifiable rewards are made of.

A property takes the fixture ``code_runner`` and hands it to the attempt; a lab asks ``bench.code_runner()`` for one.
The judge runs the code in a process that can reach nothing, and that is neither the judge's nor the attempt's.
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
    """What became of a program."""

    outcome: Literal["ended", "raised", "timeout", "died"]
    """``ended``: it ran to its end. ``died``: its process ended before the program did."""
    error: str = ""
    """What it raised, or how its process died: the type's name and the message."""
    printed: str = ""


class CodeRunner(Part):
    """Runs programs, each in a process of its own that has no network, no files to write and little time."""

    def run(self, code: str, seconds: float = 1.0) -> CodeResult:
        """Run ``code`` as a program, for at most so many ``seconds`` of CPU time: above 0, at most 5.

        Raises ValueError for other ``seconds``.
        """
        raise NotImplementedError


def check_seconds(seconds: float) -> None:
    """Raise ValueError for a time that no program may have."""
    if not (isinstance(seconds, (int, float)) and 0 < seconds <= LONGEST_SECONDS):
        raise ValueError(f"a program may run for more than 0 s and at most {LONGEST_SECONDS:g} s, not {seconds!r}")
