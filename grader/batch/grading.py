"""Grades one job: a pure function of the job. The caller provides the judge."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from groundup.core.errors import GroundupError, PluginProblem
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.batch.made_with import differences, made_with
from groundup.grader.batch.row import Graded, Job
from groundup.grader.judging.verdict import PropertyResult

if TYPE_CHECKING:
    from groundup.grader.process.fork_server import ForkServer

__all__ = ["Grader", "grader", "properties"]

Grader = Callable[[Job], Graded]


def grader(server: ForkServer, lang: str) -> Grader:
    """Return a function that grades jobs with a judge of its own, whose attempts ``server`` starts.

    It raises PluginProblem if what is installed is not what the job is to be graded with, since every other job would
    fail likewise.
    """
    from groundup.grader.judging.judge import Judge

    judge, registry = Judge(server, lang), Registry()

    def grade(job: Job) -> Graded:
        technique = registry.technique(job.technique)
        if differs := differences(job.made_with, made_with(technique)):
            raise PluginProblem(
                "What grades {id} here is not what this class is graded with ({differs}): install the same version "
                "wherever it is graded, and change nothing while it is.",
                id=technique.id,
                differs=differs,
            )
        try:
            found = judge.grade(technique, job.source, job.file, seed=job.seed, thorough=job.thorough)
        except GroundupError as problem:  # a problem of this job only; others can still be graded
            return Graded(job, problem=problem.message)
        undiagnosed = found.undiagnosed.message if found.undiagnosed else None
        return Graded(job, found.verdict, found.cases, undiagnosed=undiagnosed)

    return grade


def properties(technique: Technique, lang: str) -> list[PropertyResult]:
    """Return the technique's properties as results that were not run. Raises PluginProblem for a broken technique."""
    from groundup.grader.judging.properties import Properties, load_reference

    load_reference(technique)
    found = Properties(technique)
    return [found.result(name, "not_reached", lang) for name in found.functions]
