"""Judging an attempt whose later holes are still empty: the source to run, and the reference to compare it with.

Its empty holes get placeholders, and the solution gets the same ones. Properties that need an empty hole are not run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from groundup.core.errors import PluginProblem
from groundup.core.technique import Technique
from groundup.core.testing.modules import module_from_source
from groundup.grader.judging.exercise import emptied, empty_holes, holes, with_placeholders
from groundup.grader.judging.properties import load_reference

__all__ = ["Subjects", "as_far_as_it_goes", "as_it_is"]


@dataclass(frozen=True)
class Subjects:
    """``source`` is run and compared with ``reference``."""

    source: str
    reference: Any
    empty: frozenset[int] = frozenset()
    """The holes that contain their placeholders in both."""
    waits_for: str | None = None
    """The first empty hole, by its name in the stub."""

    @property
    def reach(self) -> int | None:
        """The last hole whose properties can be judged; None if no hole contains a placeholder."""
        return min(self.empty) - 1 if self.empty else None


def as_it_is(technique: Technique, source: str) -> Subjects:
    """Return the attempt without placeholders, and the complete solution as reference. Raises PluginProblem."""
    return Subjects(source, load_reference(technique))


def as_far_as_it_goes(technique: Technique, source: str) -> Subjects:
    """Return the attempt with placeholders in its empty holes; unchanged if hole 1 is empty. Raises PluginProblem."""
    whole, files, left = as_it_is(technique, source), technique.files, empty_holes(source)
    if not left:
        return whole
    solution = files.solution.read_text(encoding="utf-8")
    marked = {hole.number: hole for hole in holes(solution, files.solution.name)}
    empty = frozenset(left) & marked.keys()
    if not empty or min(marked) in empty:
        return whole
    first = marked[min(empty)]
    text = emptied(solution, empty, files.solution.name)
    try:
        module = module_from_source("emptied", text, f"<{technique.file} with empty holes>")
        reference = getattr(module, technique.implements)
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise PluginProblem(
            "{solution} cannot be loaded with hole {number} empty: {why}",
            solution=files.solution,
            number=first.number,
            why=told,
        ) from error
    return Subjects(with_placeholders(source, solution), reference, empty, first.named)
