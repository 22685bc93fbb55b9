"""An attempt's progress, hole by hole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groundup.cli.words import ntr

if TYPE_CHECKING:
    from pathlib import Path

    from groundup.core.technique import Technique

__all__ = ["filled_holes", "how_far"]


def filled_holes(technique: Technique, attempt: Path) -> list[int]:
    """Return the holes that are filled in the current file."""
    from groundup.grader.judging.exercise import hole_states

    text = attempt.read_text(encoding="utf-8", errors="replace")
    return [hole.number for hole in hole_states(technique, text, passed=False) if hole.filled]


def how_far(filled: int, hold: int, total: int) -> str:
    """Return in a few words how many holes are filled, and the last hole up to which all properties hold."""
    says = ntr("1 of {total} holes filled", "{count} of {total} holes filled", filled, total=total)
    if hold:
        says += ntr(", hole 1 holds", ", holes 1 to {count} hold", hold)
    return says
