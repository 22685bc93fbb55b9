"""Grades one job: a pure function of the job. The caller provides the judge."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from groundup.core.errors import GroundupError, PluginProblem, reason_of
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.batch.row import Graded, Job
from groundup.grader.judging.verdict import PropertyResult

if TYPE_CHECKING:
    from groundup.grader.process.fork_server import ForkServer

__all__ = ["Grader", "digest", "grader", "properties", "technique_files"]

Grader = Callable[[Job], Graded]


def technique_files(technique: Technique) -> dict[str, str]:
    """Return the digest of each file that verdicts on ``technique`` depend on."""
    files = technique.files
    paths = {"manifest": files.manifest, "solution": files.solution, "properties": files.properties}
    paths["misconceptions"] = files.misconceptions
    try:
        return {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in paths.items()
            if name != "misconceptions" or path.exists()
        }
    except OSError as error:
        raise PluginProblem(
            "{file} of {id} cannot be read: {why}.", file=error.filename, id=technique.id, why=reason_of(error)
        ) from error


def digest(technique: Technique) -> str:
    """Return one digest of all files that verdicts on ``technique`` depend on."""
    return hashlib.sha256(repr(sorted(technique_files(technique).items())).encode()).hexdigest()


def grader(server: ForkServer, lang: str) -> Grader:
    """Return a function that grades jobs with a judge of its own, whose attempts ``server`` starts.

    It raises PluginProblem if the installed technique is not the job's, since every other job would fail likewise.
    """
    from groundup.grader.judging.judge import Judge

    judge, registry = Judge(server, lang), Registry()

    def grade(job: Job) -> Graded:
        technique = registry.technique(job.technique)
        if digest(technique) != job.digest:
            raise PluginProblem(
                "The files of {id} are not the ones that this class is graded with: install the same version "
                "wherever it is graded, and change none while it is.",
                id=technique.id,
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
