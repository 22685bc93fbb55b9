"""Computes a verdict's outcome and score from the results of the properties."""

from __future__ import annotations

import functools
import platform
from importlib.metadata import version

import torch

from groundup.core.errors import AttemptDied, AttemptRaised
from groundup.core.messages import Message, lines_of
from groundup.core.technique import Technique
from groundup.grader.judging.exercise import hole_states
from groundup.grader.judging.verdict import Outcome, PropertyResult

__all__ = ["cannot_be_loaded", "environment", "outcome_of", "score_of"]


def outcome_of(
    technique: Technique, source: str, results: list[PropertyResult], problem: str | None, *, is_whole: bool = True
) -> Outcome:
    """Return the outcome of grading ``source``; ``problem`` says why it could not be loaded, if so.

    ``is_whole`` is False if it was judged with placeholders in some holes.
    """
    statuses = {r.status for r in results}
    if "died" in statuses:
        return "died"
    if "not_gradable" in statuses:
        return "not_gradable"
    if statuses == {"held"} and is_whole:
        return "passed"
    holes = hole_states(technique, source, passed=False)
    started = problem is not None or "failed" in statuses or any(h.filled for h in holes)
    return "fell_short" if started else "not_started"


def score_of(results: list[PropertyResult]) -> float:
    """Return the points of properties that held, over all points; properties that could not be graded do not count."""
    counted = [r for r in results if r.status != "not_gradable"]
    total = sum(r.points for r in counted)
    return round(sum(r.points for r in counted if r.status == "held") / total, 4) if total else 0.0


def cannot_be_loaded(error: AttemptRaised | AttemptDied) -> Message:
    """Return one line that says why a file could not be loaded."""
    if isinstance(error, AttemptDied):
        if lines := lines_of(error.lines):
            return Message("The file cannot be loaded: {error} ({place}).", error=error.summary, place=lines[-1])
        return Message("The file cannot be loaded: {error}.", error=error.summary)
    if lines := lines_of(error.lines):
        return Message("The file cannot be loaded: {error} ({place})", error=error.summary, place=lines[-1])
    return Message("The file cannot be loaded: {error}", error=error.summary)


@functools.cache
def environment() -> dict[str, str]:
    """Return the platform, thread count and package versions that a verdict was made with."""
    packages = ("groundup", "torch", "hypothesis", "pytest")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": str(torch.get_num_threads()),
        **{name: version(name) for name in packages},
    }
